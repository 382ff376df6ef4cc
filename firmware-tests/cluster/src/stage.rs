//! What a scene needs before it begins: viplet or kube-vip installed, nothing left of the last one.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use viplet_lab::wait_until;

use crate::cluster::{CONTROL_PLANE, Cluster, SERVICE, VIPLET, WEB, is_true};
use crate::image;
use crate::machine::STATIC_PODS;
use crate::manifest::{self, Manifest};
use crate::parts::Parts;

/// Long enough for anything that a loaded machine does at once.
pub const SOON: Duration = Duration::from_secs(60);
/// How many web servers there are.
pub const REPLICAS: usize = 6;
const PODS: &str = "/api/v1/namespaces/kube-system/pods";
const DAEMONSET: &str = "daemonset/kube-vip-ds";

/// Starts a cluster with all images and the web servers.
pub fn start(parts: &Parts) -> Cluster {
    let folder = std::env::temp_dir();
    let mut archives = vec![parts.image.clone()];
    if let Some(program) = &parts.kube_vip {
        let name = kube_vip_image(&kube_vip_manifest(program));
        let recipe = image::Recipe { name: &name, program, at: "/kube-vip", arguments: &[] };
        archives.push(recipe.write(&folder));
    }
    let cluster = Cluster::start(parts, &archives);
    cluster.apply(&manifest::web(WEB, REPLICAS, &SERVICE.to_string()));
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    cluster
}

/// kube-vip's own manifest.
pub fn kube_vip(cluster: &Cluster) -> Manifest {
    kube_vip_manifest(cluster.parts().kube_vip.as_deref().expect("KUBE_VIP names it"))
}

/// What kube-vip itself prints for a user who wants both addresses.
fn kube_vip_manifest(program: &Path) -> Manifest {
    let print = |arguments: &[&str]| {
        let output = Command::new(program).arg("manifest").args(arguments).output();
        String::from_utf8(output.expect("kube-vip runs").stdout).expect("text")
    };
    let address = CONTROL_PLANE.to_string();
    let wanted = ["daemonset", "--controlplane", "--services", "--servicesElection", "--arp"];
    let how = ["--leaderElection", "--inCluster", "--taint", "--interface", "eth0"];
    let daemonset = print(&[&wanted[..], &how, &["--address", &address]].concat());
    Manifest::parse(&format!("{}\n---\n{daemonset}", print(&["rbac"])))
}

/// The image that it names.
pub fn kube_vip_image(manifest: &Manifest) -> String {
    let image = |object: &Value| {
        object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().map(str::to_owned)
    };
    manifest.objects().iter().find_map(image).expect("kube-vip's manifest names an image")
}

/// Takes away what a test has installed, until no node has a virtual address.
pub fn tidy(cluster: &Cluster) {
    for node in &cluster.lab.nodes {
        node.namespace.run(|| {
            let _ = fs::remove_file(Path::new(STATIC_PODS).join("kube-vip.yaml"));
        });
    }
    let kinds = "daemonsets,serviceaccounts,leases";
    let names = ["kube-vip-ds", "kube-vip", "plndr-cp-lock", "plndr-svcs-lock"];
    let arguments = ["--namespace=kube-system", "delete", "--ignore-not-found", kinds];
    cluster.kubectl(&[&arguments[..], &names].concat());
    let roles = ["clusterrole/system:kube-vip-role", "clusterrolebinding/system:kube-vip-binding"];
    cluster.kubectl(&[&["delete", "--ignore-not-found"], &roles[..]].concat());
    cluster.kubectl(&["delete", "--ignore-not-found", "lease/kubevip-web"]);
    wait_until("nothing is left of the test before", SOON, || {
        viplets(cluster).is_empty()
            && [CONTROL_PLANE, SERVICE]
                .iter()
                .all(|address| cluster.watch.holders(IpAddr::V4(*address)).is_empty())
    });
}

/// All pods of viplet (or kube-vip).
pub fn viplets(cluster: &Cluster) -> Vec<Value> {
    let ours = |pod: &Value| {
        pod["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("kube-vip"))
    };
    cluster.list(PODS).into_iter().filter(ours).collect()
}

/// The project's DaemonSet with its rights, for the lab's addresses.
pub fn daemonset() -> [Manifest; 2] {
    let daemonset = Manifest::ours("daemonset.yaml");
    let address = CONTROL_PLANE.to_string();
    [Manifest::ours("rbac.yaml"), daemonset.image(VIPLET).env("address", &address)]
}

/// Applies manifests and waits until both addresses serve.
#[track_caller]
pub fn install(cluster: &Cluster, manifests: &[Manifest]) {
    for manifest in manifests {
        cluster.apply(manifest);
    }
    wait_until_all_are_ready(cluster);
    wait_until_both_are_held(cluster);
}

/// Waits until there is one viplet on each node, and ready.
#[track_caller]
pub fn wait_until_all_are_ready(cluster: &Cluster) {
    wait_until("a viplet on each node is ready", SOON, || {
        let pods = viplets(cluster);
        pods.len() == cluster.lab.nodes.len() && pods.iter().all(|pod| is_true(pod, "Ready"))
    });
}

/// Exchanges the image of the DaemonSet.
pub fn set_image(cluster: &Cluster, image: &str) {
    let image = format!("kube-vip={image}");
    cluster.kubectl(&["--namespace=kube-system", "set", "image", DAEMONSET, &image]);
}

/// Waits until the DaemonSet runs everywhere as it is now.
#[track_caller]
pub fn roll_out(cluster: &Cluster) {
    let arguments = ["--namespace=kube-system", "rollout", "status", "--timeout=120s"];
    cluster.kubectl(&[&arguments[..], &[DAEMONSET]].concat());
}

/// Waits until each address is on one node.
#[track_caller]
pub fn wait_until_both_are_held(cluster: &Cluster) {
    for address in [CONTROL_PLANE, SERVICE] {
        wait_until(&format!("a node has {address}"), SOON, || cluster.holder(address).is_some());
    }
}
