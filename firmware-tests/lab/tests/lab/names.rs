//! DNS names as addresses, with `/etc/hosts` as the name server.

use std::fs;
use std::net::IpAddr;

use libtest_mimic::Trial;
use rustix::mount::mount_bind;
use rustix::process::Signal;
use viplet_lab::cluster::{Cluster, Plan};
use viplet_lab::wait_until;

use crate::case::{SOON, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a DNS name is held, and followed when it changes", named, followed),
        trial("a name of both families is held with both (dns_mode=dual)", dual, both_families),
        trial("a name that does not resolve is waited for", named, waited_for),
    ]
}

fn named() -> Plan {
    let plan = Plan::new(1).addresses(&["10.77.0.100", "10.77.0.101"]);
    plan.set("address", "vip.example.test")
}

fn dual() -> Plan {
    let plan = Plan::new(1).addresses(&["10.77.0.100", "fd77::100"]);
    plan.set("address", "vip.example.test").set("dns_mode", "dual")
}

/// Gives the node a hosts file of its own, and no name server beside it; later calls change it.
fn hosts(cluster: &Cluster, text: &str) {
    let [hosts, servers] = ["hosts", "resolv.conf"].map(|name| cluster.folder().join(name));
    let mounted = hosts.exists();
    fs::write(&hosts, text).unwrap();
    // Refused at once, as nobody listens there.
    fs::write(&servers, "nameserver 127.0.0.1\n").unwrap();
    if !mounted {
        cluster.lab.nodes[0].namespace.run(move || {
            mount_bind(&hosts, "/etc/hosts").unwrap();
            mount_bind(&servers, "/etc/resolv.conf").unwrap();
        });
    }
}

fn followed(cluster: &mut Cluster) {
    let [first, second]: [IpAddr; 2] = cluster.addresses().try_into().unwrap();
    hosts(cluster, "10.77.0.100 vip.example.test\n");
    cluster.start(0);
    cluster.wait_for_holder_of(first, SOON);
    hosts(cluster, "10.77.0.101 vip.example.test\n");
    cluster.wait_for_holder_of(second, 2 * SOON);
    // Clients that still know the old address are served for a minute.
    assert_eq!(cluster.watch.holders(first), [0], "the old one went at once");
    hosts(cluster, "");
    wait_until("a failed look-up is told", SOON, || {
        cluster.process(0).said(&["vip.example.test", "is kept"])
    });
    assert_eq!(cluster.watch.holders(second), [0], "what was known was dropped");
    cluster.signal(0, Signal::TERM);
    cluster.process(0).wait(SOON);
    for address in [first, second] {
        assert!(!cluster.lab.nodes[0].has(address), "{address} was left behind");
    }
}

fn both_families(cluster: &mut Cluster) {
    hosts(cluster, "10.77.0.100 vip.example.test\nfd77::100 vip.example.test\n");
    cluster.start(0);
    for address in cluster.addresses() {
        cluster.wait_for_holder_of(*address, SOON);
    }
}

fn waited_for(cluster: &mut Cluster) {
    hosts(cluster, "");
    cluster.start(0);
    wait_until("it is not ready and names the name", SOON, || {
        cluster
            .ready(0)
            .is_some_and(|(code, text)| code == 503 && text.contains("vip.example.test"))
    });
    hosts(cluster, "10.77.0.100 vip.example.test\n");
    cluster.wait_for_holder(2 * SOON);
}
