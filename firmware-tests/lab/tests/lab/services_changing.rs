//! Services change in place, and leave nothing behind when they go.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use viplet_lab::cluster::Cluster;
use viplet_lab::objects::port;
use viplet_lab::{Service, wait_until};

use crate::bed::{
    assert_never_held, assert_never_moved, each, held, ip, serve, settle, slow, trial,
    wait_for_ingress,
};
use crate::case::SOON;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a changed port leaves the address where it is", each, port_changed),
        trial("a changed traffic policy leaves the address where it is", each, policy_changed),
        trial("a second address comes and goes beside the first", each, second_address),
        trial("a changed address replaces the old one", each, other_address),
        trial("a deleted Service leaves no address, and its Lease is released", each, deleted),
        trial("a Service of another type now loses address and status", each, retyped),
        trial("a Service of another class now loses its address", each, reclassed),
        trial("a Service made anew under its name is served anew", each, remade),
        trial("what was deleted while no viplet ran is withdrawn at the start", each, missed),
        trial("what changes around a restart of the API server is done", slow, api_restarts),
        trial("all viplets stopped: nothing is left on the nodes", each, all_stopped),
    ]
}

const ADDRESS: &str = "10.77.1.1";

fn web() -> Service {
    Service::new("web").asks(ADDRESS)
}

/// The address was never absent and the client never lost it since a moment.
fn unharmed(cluster: &Cluster, since: Instant) {
    assert_never_moved(cluster, ip(ADDRESS));
    let silence = cluster.probers[&ip(ADDRESS)].longest_silence(since);
    assert!(silence < Duration::from_millis(500), "{silence:?}");
}

fn wait_for_nobody(cluster: &Cluster, address: &str) {
    wait_until(&format!("nobody has {address}"), SOON, || {
        cluster.watch.holders(ip(address)).is_empty()
    });
}

fn wait_for_no_lease(cluster: &Cluster) {
    wait_until("no Lease is held", SOON, || cluster.store().held_leases().is_empty());
}

fn begin(cluster: &mut Cluster) -> (usize, Instant) {
    cluster.start_all();
    let holder = held(cluster, &web(), ip(ADDRESS));
    wait_for_ingress(cluster, &web(), &[ADDRESS]);
    (holder, Instant::now())
}

fn port_changed(cluster: &mut Cluster) {
    let (_, since) = begin(cluster);
    let ports = json!([port(443, "TCP"), port(53, "UDP")]);
    cluster.store().change(&web(), &json!({"spec": {"ports": ports}}));
    wait_until("the status has the new ports", SOON, || {
        cluster.store().ingress(&web()).first().is_some_and(|entry| {
            entry["ports"]
                == json!([{"port": 443, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}])
        })
    });
    unharmed(cluster, since);
}

fn policy_changed(cluster: &mut Cluster) {
    let (_, since) = begin(cluster);
    for policy in ["Local", "Cluster"] {
        cluster.store().change(&web(), &json!({"spec": {"externalTrafficPolicy": policy}}));
        settle(cluster);
        cluster.store().delete(&Service::new("last-of-all"));
        wait_for_nobody(cluster, "10.77.1.250");
    }
    unharmed(cluster, since);
}

fn second_address(cluster: &mut Cluster) {
    let (holder, since) = begin(cluster);
    cluster.ping(ip("10.77.1.2"));
    let both = "10.77.1.1,10.77.1.2";
    cluster.store().annotate(&web(), "loadbalancerIPs", Some(both));
    assert_eq!(cluster.wait_for_holder_of(ip("10.77.1.2"), SOON), holder);
    wait_for_ingress(cluster, &web(), &["10.77.1.1", "10.77.1.2"]);
    cluster.store().annotate(&web(), "loadbalancerIPs", Some(ADDRESS));
    wait_for_nobody(cluster, "10.77.1.2");
    wait_for_ingress(cluster, &web(), &[ADDRESS]);
    unharmed(cluster, since);
}

fn other_address(cluster: &mut Cluster) {
    begin(cluster);
    cluster.ping(ip("10.77.1.2"));
    cluster.store().annotate(&web(), "loadbalancerIPs", Some("10.77.1.2"));
    cluster.wait_for_holder_of(ip("10.77.1.2"), SOON);
    wait_for_nobody(cluster, ADDRESS);
    wait_for_ingress(cluster, &web(), &["10.77.1.2"]);
}

fn deleted(cluster: &mut Cluster) {
    begin(cluster);
    cluster.store().delete(&web());
    wait_for_nobody(cluster, ADDRESS);
    wait_for_no_lease(cluster);
    settle(cluster);
}

fn retyped(cluster: &mut Cluster) {
    begin(cluster);
    cluster.store().change(&web(), &json!({"spec": {"type": "ClusterIP"}}));
    wait_for_nobody(cluster, ADDRESS);
    wait_for_ingress(cluster, &web(), &[]);
    wait_until("vipHost is gone", SOON, || cluster.store().annotation(&web(), "vipHost").is_none());
    wait_for_no_lease(cluster);
}

fn reclassed(cluster: &mut Cluster) {
    begin(cluster);
    // The class of a Service cannot change; its type can, twice.
    cluster.store().change(&web(), &json!({"spec": {"type": "ClusterIP"}}));
    let spec = json!({"type": "LoadBalancer", "loadBalancerClass": "example.com/other"});
    cluster.store().change(&web(), &json!({"spec": spec}));
    wait_for_nobody(cluster, ADDRESS);
    settle(cluster);
    assert_eq!(cluster.watch.holders(ip(ADDRESS)), [0; 0]);
    assert_eq!(cluster.watch.timeline(ip(ADDRESS)).spans.len(), 1, "it was taken again");
}

fn remade(cluster: &mut Cluster) {
    begin(cluster);
    cluster.store().delete(&web());
    cluster.store().create(&web());
    wait_for_ingress(cluster, &web(), &[ADDRESS]);
    cluster.wait_for_holder_of(ip(ADDRESS), SOON);
    wait_until("vipHost is there", SOON, || {
        cluster.store().annotation(&web(), "vipHost").is_some()
    });
}

fn missed(cluster: &mut Cluster) {
    begin(cluster);
    held(cluster, &Service::new("stays").asks("10.77.1.2"), ip("10.77.1.2"));
    for node in 0..3 {
        cluster.process(node).kill();
    }
    cluster.store().delete(&web());
    cluster.start_all();
    wait_for_nobody(cluster, ADDRESS);
    cluster.wait_for_holder_of(ip("10.77.1.2"), cluster.timing().lease() + SOON);
    wait_until("only the other's Lease is held", cluster.timing().lease() + SOON, || {
        cluster.store().held_leases() == ["default/kubevip-stays"]
    });
    assert!(cluster.watch.holders(ip(ADDRESS)).is_empty());
}

fn api_restarts(cluster: &mut Cluster) {
    cluster.start_all();
    held(cluster, &web(), ip(ADDRESS));
    held(cluster, &Service::new("goes").asks("10.77.1.2"), ip("10.77.1.2"));
    let since = Instant::now();
    cluster.api.kill_real();
    cluster.api.start_real_again(&cluster.lab.api);
    cluster.store().delete(&Service::new("goes"));
    serve(cluster, &Service::new("comes").asks("10.77.1.3"), &[ip("10.77.1.3")]);
    cluster.wait_for_holder_of(ip("10.77.1.3"), 2 * SOON);
    wait_for_nobody(cluster, "10.77.1.2");
    // A slow machine may need longer than the lease for the restart: then the address went.
    if cluster.watch.timeline(ip(ADDRESS)).spans.len() == 1 {
        unharmed(cluster, since);
    }
    assert!((0..3).all(|node| cluster.is_running(node)), "a process has ended");
}

fn all_stopped(cluster: &mut Cluster) {
    begin(cluster);
    for node in 0..3 {
        cluster.signal(node, Signal::TERM);
    }
    for node in 0..3 {
        let (status, _) = cluster.process(node).wait(SOON);
        assert_eq!(status.code(), Some(0));
    }
    for node in &cluster.lab.nodes {
        assert!(!node.has(ip(ADDRESS)), "{} still has it", node.name);
    }
    wait_for_no_lease(cluster);
    assert_never_held(cluster, ip("10.77.1.2"));
}
