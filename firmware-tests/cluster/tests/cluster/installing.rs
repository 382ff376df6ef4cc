//! Each way to install viplet brings its addresses up, with no more rights than the manifest gives.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use viplet_cluster::Clients;
use viplet_cluster::cluster::{CONTROL_PLANE, Cluster, VIPLET};
use viplet_cluster::machine::STATIC_PODS;
use viplet_cluster::manifest::Manifest;
use viplet_cluster::pids::viplet_on;
use viplet_cluster::stage::{SOON, daemonset, install, wait_until_all_are_ready};
use viplet_lab::wait_until;

use crate::bed::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_daemonset_brings_up_both_addresses_with_least_privilege", daemonset_works),
        trial("the_k3s_manifest_brings_up_both_addresses_with_least_privilege", k3s_works),
        trial("the_static_pod_of_kubeadm_brings_up_the_control_plane_address", static_pod_works),
    ]
}

fn daemonset_works(cluster: &mut Cluster) {
    install(cluster, &daemonset());
    wait_for_control_plane(cluster);
    Clients::start(cluster);
    assert!(cluster.requests() > 0, "the ServiceAccount's requests are noted");
    assert_least_privilege(cluster);
}

/// As K3s does with what lies in its folder: it is applied.
fn k3s_works(cluster: &mut Cluster) {
    let manifest = Manifest::ours("k3s/kube-vip.yaml").env("address", &CONTROL_PLANE.to_string());
    install(cluster, &[manifest]);
    wait_for_control_plane(cluster);
    Clients::start(cluster);
    assert_least_privilege(cluster);
}

/// As `kubeadm init` and `kubeadm join --control-plane` leave it: the file on each control-plane
/// node, and a kubeconfig that leads to the virtual address itself.
fn static_pod_works(cluster: &mut Cluster) {
    let manifest = Manifest::ours("kubeadm/kube-vip.yaml").image(VIPLET);
    let manifest = manifest.env("address", &CONTROL_PLANE.to_string()).text();
    let kubeconfig = fs::read_to_string(cluster.kubeadm_kubeconfig()).expect("a kubeconfig");
    for node in &cluster.lab.nodes {
        let (manifest, kubeconfig) = (manifest.clone(), kubeconfig.clone());
        node.namespace.run(move || {
            fs::write("/etc/kubernetes/admin.conf", kubeconfig).expect("admin.conf");
            fs::write(Path::new(STATIC_PODS).join("kube-vip.yaml"), manifest).expect("a manifest");
        });
    }
    wait_for_control_plane(cluster);
    wait_until_all_are_ready(cluster);
    assert_least_privilege(cluster);
}

#[track_caller]
fn wait_for_control_plane(cluster: &Cluster) {
    wait_until("the API server answers at the virtual address", SOON, || {
        cluster.get_through_address("/version").is_ok_and(|answer| answer.code == 200)
    });
}

/// Every viplet has NET_ADMIN and NET_RAW and nothing else.
#[track_caller]
fn assert_least_privilege(cluster: &Cluster) {
    for node in &cluster.lab.nodes {
        let id = viplet_on(&node.namespace).expect("viplet runs on each node");
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("its status");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            let line = status.lines().find_map(|line| line.strip_prefix(set)).expect("its sets");
            let bits = u64::from_str_radix(line.trim(), 16).expect("a number");
            assert_eq!(bits & !0x3000, 0, "{set} {line} has more than NET_ADMIN and NET_RAW");
        }
    }
}
