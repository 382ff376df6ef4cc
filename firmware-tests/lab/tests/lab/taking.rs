//! Taking the address: first start, several addresses, both families, several in the way.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::Signal;
use viplet_lab::cluster::{Cluster, Plan};
use viplet_lab::rtnl::Listed;
use viplet_lab::wait::stays_for;
use viplet_lab::{FrameKind, wait_until};

use crate::case::{SOON, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("one of three nodes takes the address and announces it", three, first_start),
        trial("the address expires with the lease, is tagged and never a source", one, lifetime),
        trial("a taken address is announced again soon, in both forms of ARP", one, burst),
        trial("every node says who holds the address, and is ready", three, all_say_who_holds),
        trial("several addresses are held by one node", several, all_on_one_node),
        trial("an IPv6 address is taken and advertised", ipv6, ipv6_is_advertised),
        trial("an IPv4 and an IPv6 address are held by one node", dual, all_on_one_node),
        trial("a candidate without an election holds the address", unelected, taken_by_first),
        trial("the interface of the default route is used when none is named", unnamed, by_route),
        trial("the prefix length is the one that is asked for", wide, prefix_length),
        trial("an address that the node owns is never taken nor removed", owned, owned_is_left),
    ]
}

fn one() -> Plan {
    Plan::new(1)
}

fn three() -> Plan {
    Plan::new(3)
}

fn several() -> Plan {
    Plan::new(3).addresses(&["10.77.0.100", "10.77.0.101", "10.77.0.102"])
}

fn ipv6() -> Plan {
    Plan::new(2).addresses(&["fd77::100"])
}

fn dual() -> Plan {
    Plan::new(3).addresses(&["10.77.0.100", "fd77::100"])
}

fn unelected() -> Plan {
    Plan::new(1).set("vip_leaderelection", "false")
}

fn unnamed() -> Plan {
    Plan::new(1).set("vip_interface", "")
}

fn wide() -> Plan {
    Plan::new(1).set("vip_subnet", "24")
}

fn owned() -> Plan {
    Plan::new(1).addresses(&["10.77.0.11"])
}

pub(crate) fn listed(cluster: &Cluster, node: usize, address: IpAddr) -> Option<Listed> {
    let here = cluster.lab.nodes[node].rtnl(|rtnl| rtnl.addresses());
    here.into_iter().find(|one| one.address == address)
}

fn first_start(cluster: &mut Cluster) {
    cluster.start_all();
    let holder = cluster.wait_for_holder(SOON);
    let node = &cluster.lab.nodes[holder];
    let frames = cluster.capture.of(cluster.vip());
    assert!(frames.iter().all(|frame| frame.hardware == node.hardware), "{frames:?}");
    let lease = cluster.lease().expect("the lease exists");
    assert_eq!(lease.holder, node.name);
}

fn lifetime(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    let found = listed(cluster, 0, cluster.vip()).expect("the address is there");
    assert!(found.valid <= cluster.timing().0, "it outlives the lease: {found:?}");
    assert_eq!((found.preferred, found.prefix), (0, 32));
    assert_ne!(found.protocol, 0, "it carries no tag");
}

fn burst(cluster: &mut Cluster) {
    cluster.start(0);
    let vip = cluster.vip();
    // At once, then after about 50 ms, 200 ms and 1 s; the next would be 3 s later.
    wait_until("four announcements", SOON, || cluster.capture.of(vip).len() >= 4);
    let frames = cluster.capture.of(vip);
    let has = |kind| frames.iter().any(|frame| frame.kind == kind);
    assert!(has(FrameKind::ArpRequest) && has(FrameKind::ArpReply), "{frames:?}");
    assert!(frames[3].at - frames[0].at < Duration::from_secs(3), "{frames:?}");
}

fn all_say_who_holds(cluster: &mut Cluster) {
    cluster.start_all();
    let holder = cluster.wait_for_holder(SOON);
    let name = cluster.lab.nodes[holder].name.clone();
    for node in 0..3 {
        wait_until("the node names the holder", SOON, || {
            cluster
                .status(node)
                .is_some_and(|status| status["leases"][0]["holder"] == name.as_str())
        });
        wait_until("the node is ready", SOON, || {
            cluster.ready(node).is_some_and(|(code, _)| code == 200)
        });
        let status = cluster.status(node).expect("a status");
        let state = if node == holder { "held" } else { "elsewhere" };
        assert_eq!(status["addresses"][0]["state"], state, "{status:#}");
        assert_eq!(cluster.get(node, "/healthz").map(|answer| answer.status), Some(200));
    }
}

fn all_on_one_node(cluster: &mut Cluster) {
    cluster.start_all();
    let holders: BTreeSet<usize> =
        cluster.addresses().iter().map(|one| cluster.wait_for_holder_of(*one, SOON)).collect();
    assert_eq!(holders.len(), 1);
    let holder = *holders.first().unwrap();
    cluster.signal(holder, Signal::TERM);
    cluster.process(holder).wait(SOON);
    for address in cluster.addresses() {
        wait_until("it is gone from the old holder", SOON, || {
            !cluster.watch.holders(*address).contains(&holder)
        });
        assert_ne!(cluster.wait_for_holder_of(*address, SOON), holder);
    }
}

fn ipv6_is_advertised(cluster: &mut Cluster) {
    cluster.start_all();
    let holder = cluster.wait_for_holder(SOON);
    let vip = cluster.vip();
    wait_until("an advertisement", SOON, || !cluster.capture.of(vip).is_empty());
    let frames = cluster.capture.of(vip);
    let hardware = cluster.lab.nodes[holder].hardware;
    for frame in &frames {
        assert_eq!((frame.kind, frame.hardware), (FrameKind::Advertisement, hardware));
    }
}

fn taken_by_first(cluster: &mut Cluster) {
    cluster.start(0);
    assert_eq!(cluster.wait_for_holder(SOON), 0);
}

fn by_route(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    let found = listed(cluster, 0, cluster.vip()).unwrap();
    let eth0 = cluster.lab.nodes[0].rtnl(|rtnl| rtnl.index("eth0").unwrap());
    assert_eq!(found.link, eth0);
}

fn prefix_length(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    assert_eq!(listed(cluster, 0, cluster.vip()).unwrap().prefix, 24);
}

fn owned_is_left(cluster: &mut Cluster) {
    let before = listed(cluster, 0, cluster.vip()).expect("the node's own address");
    assert_eq!((before.valid, before.preferred), (u32::MAX, u32::MAX), "not as an owner has it");
    cluster.start(0);
    wait_until("the status says why it is not taken", SOON, || {
        let status = cluster.status(0).unwrap_or_default();
        let entry = &status["addresses"][0];
        let reason = entry["reason"].as_str().unwrap_or_default();
        entry["state"] == "blocked" && reason.contains("this node's own address")
    });
    let own = |cluster: &Cluster| listed(cluster, 0, cluster.vip()) == Some(before.clone());
    stays_for("the address is as it was", Duration::from_secs(2), || own(cluster));
    cluster.signal(0, Signal::TERM);
    cluster.process(0).wait(SOON);
    assert!(own(cluster), "the node's own address was touched");
    let frames = cluster.capture.of(cluster.vip());
    assert!(frames.is_empty(), "it was announced: {frames:?}");
}
