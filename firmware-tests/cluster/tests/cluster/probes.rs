//! The manifest's probes: what hangs is started again, what cannot serve is not ready.

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use viplet_cluster::cluster::{SERVICE, is_true};
use viplet_cluster::machine::name;
use viplet_cluster::manifest::Manifest;
use viplet_cluster::pids::{signal, viplet_on};
use viplet_cluster::scenes::wait_for_restart;
use viplet_cluster::stage::{SOON, daemonset, install, viplets, wait_until_both_are_held};
use viplet_cluster::{Clients, Cluster};
use viplet_lab::topology::Wire;
use viplet_lab::wait_until;

use crate::bed::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_liveness_probe_starts_a_frozen_viplet_again", liveness),
        trial("the_readiness_probe_says_that_a_node_without_carrier_cannot_serve", readiness),
    ]
}

/// The DaemonSet with the probes it has, only more often.
fn impatient() -> [Manifest; 2] {
    let [rights, daemonset] = daemonset();
    let probes = daemonset.container(|container| {
        for probe in ["livenessProbe", "readinessProbe"] {
            assert!(container[probe].is_object(), "the manifest has a {probe}");
            container[probe]["periodSeconds"] = json!(1);
        }
        container["livenessProbe"]["initialDelaySeconds"] = json!(1);
        container["livenessProbe"]["failureThreshold"] = json!(3);
    });
    [rights, probes.pod(|spec| spec["terminationGracePeriodSeconds"] = json!(1))]
}

fn liveness(cluster: &mut Cluster) {
    install(cluster, &impatient());
    let holder = cluster.holder(SERVICE).expect("a holder");
    let id = viplet_on(&cluster.lab.nodes[holder].namespace).expect("viplet runs there");
    signal(id, Signal::STOP);
    wait_for_restart(cluster, holder, "Error");
    wait_until_both_are_held(cluster);
}

fn readiness(cluster: &mut Cluster) {
    install(cluster, &impatient());
    let holder = cluster.holder(SERVICE).expect("a holder");
    let clients = Clients::start(cluster);
    cluster.lab.cut(holder, Wire::Lan);
    wait_for_readiness(cluster, holder, &|pod| !is_true(pod, "Ready"));
    // The instrument of all scenes sees a failure when there is one.
    wait_until("connections fail", SOON, || !clients.connecting().failed.is_empty());
    cluster.lab.restore(holder, Wire::Lan);
    clients.wait_for_answers();
    wait_for_readiness(cluster, holder, &|pod| is_true(pod, "Ready"));
}

#[track_caller]
fn wait_for_readiness(cluster: &Cluster, node: usize, wanted: &dyn Fn(&serde_json::Value) -> bool) {
    let node = name(node);
    wait_until(&format!("the readiness of viplet on {node} changes"), SOON, || {
        viplets(cluster).iter().any(|pod| pod["spec"]["nodeName"] == node && wanted(pod))
    });
}
