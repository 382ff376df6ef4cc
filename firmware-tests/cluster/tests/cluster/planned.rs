//! What an administrator does on purpose costs no client a connection.

use libtest_mimic::Trial;
use serde_json::json;
use viplet_cluster::Cluster;
use viplet_cluster::cluster::{SERVICE, is_true};
use viplet_cluster::machine::name;
use viplet_lab::wait_until;

use crate::bed::{
    Clients, SOON, daemonset, install, roll_out, trial, viplets, wait_until_both_are_held,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_rolling_update_fails_no_connection", rolling_update),
        trial("the_deletion_of_the_holders_pod_fails_no_connection", deletion),
        trial("a_drain_of_the_holder_fails_no_connection", drain),
        trial(
            "a_drain_moves_the_address_of_a_local_service_without_a_failed_connection",
            drain_local,
        ),
        trial("a_restart_of_the_holders_kubelet_fails_no_connection", kubelet_restart),
    ]
}

fn rolling_update(cluster: &mut Cluster) {
    install(cluster, &daemonset());
    let clients = Clients::start(cluster);
    cluster.kubectl(&["--namespace=kube-system", "rollout", "restart", "daemonset/kube-vip-ds"]);
    roll_out(cluster);
    wait_until_both_are_held(cluster);
    clients.wait_for_answers();
    clients.assert_none_failed("rolling update");
}

fn deletion(cluster: &mut Cluster) {
    install(cluster, &daemonset());
    let clients = Clients::start(cluster);
    let holder = name(cluster.holder(SERVICE).expect("a holder"));
    let pods = viplets(cluster);
    let pod = pods.iter().find(|pod| pod["spec"]["nodeName"] == holder).expect("its pod");
    let pod = pod["metadata"]["name"].as_str().expect("a name");
    cluster.kubectl(&["--namespace=kube-system", "delete", "pod", pod]);
    roll_out(cluster);
    wait_until_both_are_held(cluster);
    clients.wait_for_answers();
    clients.assert_none_failed("deletion of the holder's pod");
}

fn drain(cluster: &mut Cluster) {
    install(cluster, &daemonset());
    let clients = Clients::start(cluster);
    drain_holder(cluster);
    clients.wait_for_answers();
    clients.assert_none_failed("drain of the holder");
}

fn drain_local(cluster: &mut Cluster) {
    install(cluster, &daemonset());
    set_traffic_policy(cluster, "Local");
    let clients = Clients::start(cluster);
    let drained = drain_holder(cluster);
    wait_until("another node has the address", SOON, || {
        cluster.holder(SERVICE).is_some_and(|holder| holder != drained)
    });
    clients.wait_for_answers();
    let figures = clients.figures("drain of the holder of a local Service");
    set_traffic_policy(cluster, "Cluster");
    assert!(figures.failed.is_empty(), "{:?}", figures.failed);
}

fn kubelet_restart(cluster: &mut Cluster) {
    install(cluster, &daemonset());
    let clients = Clients::start(cluster);
    let holder = cluster.holder(SERVICE).expect("a holder");
    let before = heartbeat(cluster, holder);
    cluster.restart_kubelet(holder);
    wait_until("the kubelet has told of its node anew", SOON, || {
        let node = cluster.get(&format!("/api/v1/nodes/{}", name(holder))).body;
        is_true(&node, "Ready") && heartbeat(cluster, holder) != before
    });
    clients.wait_for_answers();
    assert_eq!(cluster.holder(SERVICE), Some(holder), "the address stays");
    let restarts =
        |pod: &serde_json::Value| pod["status"]["containerStatuses"][0]["restartCount"] == 0;
    assert!(viplets(cluster).iter().all(restarts), "no viplet was started again");
    clients.assert_none_failed("restart of the holder's kubelet");
}

/// Drains the Service's holder until its web servers run elsewhere, and lets it be used again.
fn drain_holder(cluster: &Cluster) -> usize {
    let holder = cluster.holder(SERVICE).expect("a holder");
    let node = name(holder);
    cluster.kubectl(&["drain", &node, "--ignore-daemonsets", "--timeout=90s"]);
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    cluster.kubectl(&["uncordon", &node]);
    holder
}

fn set_traffic_policy(cluster: &Cluster, policy: &str) {
    let patch = json!({"spec": {"externalTrafficPolicy": policy}}).to_string();
    cluster.kubectl(&["patch", "service", "web", "--patch", &patch]);
}

/// When kubelet told last of its node.
fn heartbeat(cluster: &Cluster, node: usize) -> serde_json::Value {
    let node = cluster.get(&format!("/api/v1/nodes/{}", name(node))).body;
    node["status"]["conditions"][0]["lastHeartbeatTime"].clone()
}
