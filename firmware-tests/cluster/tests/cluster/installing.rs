//! Each way to install viplet brings its addresses up, with no more rights than the manifest gives.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use viplet_cluster::Cluster;
use viplet_lab::wait_until;

use crate::bed::{Clients, SOON, daemonset, install, trial, viplets};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("the_daemonset_brings_up_both_addresses_with_least_privilege", daemonset_works)]
}

fn daemonset_works(cluster: &mut Cluster) {
    install(cluster, &daemonset());
    wait_for_control_plane(cluster);
    let clients = Clients::start(cluster);
    clients.figures("daemonset");
    assert!(cluster.requests() > 0, "the ServiceAccount's requests are noted");
    assert_least_privilege(cluster);
}

#[track_caller]
fn wait_for_control_plane(cluster: &Cluster) {
    wait_until("the API server answers at the virtual address", SOON, || {
        cluster.get_through_address("/version").is_ok_and(|answer| answer.code == 200)
    });
}

/// Every viplet has NET_ADMIN and NET_RAW and nothing else.
fn assert_least_privilege(cluster: &Cluster) {
    let _ = viplets(cluster);
    let mut seen = 0;
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        if status.starts_with("Name:\tkube-vip\n") {
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.map(|value| value.trim().to_owned()).unwrap_or_default()
            };
            for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
                assert_eq!(field(set), "0000000000003000", "{set} of viplet");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, cluster.lab.nodes.len(), "one viplet on each node");
    let _ = Path::new("/");
}
