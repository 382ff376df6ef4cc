//! What stands beside viplet on a node: other instances of it, copies of the address that were put
//! there by hand, links of service proxies, a hand that flushes a link.

use std::net::IpAddr;
use std::process::Command;

use libtest_mimic::Trial;
use rustix::process::Signal;
use viplet_lab::cluster::{Cluster, Plan, Timing};
use viplet_lab::rtnl::{Lifetime, Listed};
use viplet_lab::wait::stays_for;
use viplet_lab::{Process, Service, wait_until};

use crate::bed;
use crate::case::{SOON, trial, trial_with_overlap};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "three instances without a name on one node leave each other's addresses alone",
            three_addresses,
            instances,
        ),
        bed::trial(
            "a release for the control plane and one for Services share the nodes",
            both_duties,
            releases,
        ),
        trial("a plain permanent copy of the address is taken over", one, copy_adopted),
        trial_with_overlap(
            "a follower removes a plain permanent copy of the address",
            SOON,
            two,
            copy_removed,
        ),
        trial("an address that is replaced by hand gets its lifetime back", one, replaced),
        trial("what a service proxy binds to its own link is no obstacle", one, proxied),
        trial("after a flush the node's own address is the first again", one, flushed),
        trial("an interface is found by its alternative name", alternative, renamed),
    ]
}

const ALTNAME: &str = "an-alternative-name-of-more-than-fifteen-bytes";

fn one() -> Plan {
    Plan::new(1)
}

fn two() -> Plan {
    Plan::new(2)
}

fn three_addresses() -> Plan {
    let plan = Plan::new(1).timing(Timing(10, 7, 2));
    plan.addresses(&["10.77.0.100", "10.77.0.101", "fd77::102"])
}

fn both_duties() -> Plan {
    bed::services().and_control_plane()
}

fn alternative() -> Plan {
    Plan::new(1).set("vip_interface", ALTNAME)
}

/// Runs `ip` on a node; whether it succeeded.
fn ip(cluster: &Cluster, node: usize, line: &str) -> bool {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    cluster.lab.nodes[node]
        .namespace
        .run(move || Command::new("ip").args(words).status().expect("ip runs").success())
}

/// The entries of the first address on `eth0` of the first node.
fn on_eth0(cluster: &Cluster) -> Option<Listed> {
    let vip = cluster.vip();
    cluster.lab.nodes[0].rtnl(move |rtnl| {
        let eth0 = rtnl.index("eth0").expect("eth0 is there");
        rtnl.addresses().into_iter().find(|one| one.address == vip && one.link == eth0)
    })
}

fn is_ours(cluster: &Cluster) -> bool {
    on_eth0(cluster).is_some_and(|one| one.valid != u32::MAX && one.protocol != 0)
}

fn plain_copy(cluster: &Cluster, node: usize) {
    let vip = cluster.vip();
    cluster.lab.nodes[node].rtnl(move |rtnl| {
        rtnl.set_address("eth0", (vip, 32), Lifetime::FOREVER).unwrap();
    });
}

/// One more instance on the node, with one of the plan's addresses and a Lease of its own.
fn instance(cluster: &Cluster, number: usize) -> Process {
    let address = cluster.addresses()[number].to_string();
    let program = cluster
        .viplet(0)
        .env("address", &address)
        .env("vip_leasename", &format!("lease-{number}"))
        .env("prometheus_server", &format!("127.0.0.1:{}", 2120 + number));
    program.start(&format!("instance {number}"), &cluster.lab.nodes[0].namespace)
}

fn instances(cluster: &mut Cluster) {
    let addresses = cluster.addresses().to_vec();
    let mut running: Vec<_> = (0..3).map(|number| instance(cluster, number)).collect();
    for address in &addresses {
        cluster.wait_for_holder_of(*address, SOON);
    }
    stays_for("all have what they hold", 2 * cluster.timing().lease(), || {
        addresses.iter().all(|address| cluster.watch.timeline(*address).spans.len() == 1)
    });
    running[1].kill();
    wait_until("the dead one's address goes", cluster.timing().lease() + SOON, || {
        !cluster.lab.nodes[0].has(addresses[1])
    });
    running[1] = instance(cluster, 1);
    cluster.wait_for_holder_of(addresses[1], cluster.timing().lease() + SOON);
    for kept in [addresses[0], addresses[2]] {
        assert_eq!(cluster.watch.timeline(kept).spans.len(), 1, "{kept} was absent");
    }
    for process in &mut running {
        process.signal(Signal::TERM);
        process.wait(SOON);
    }
}

fn releases(cluster: &mut Cluster) {
    let address: IpAddr = "10.77.1.1".parse().unwrap();
    let mut others = Vec::new();
    for node in 0..3 {
        let plane = cluster.viplet(node).env("svc_enable", "false");
        cluster.run(node, &plane);
        let services = cluster
            .viplet(node)
            .env("cp_enable", "false")
            .env("address", "")
            .env("prometheus_server", "127.0.0.1:2113");
        let at = &cluster.lab.nodes[node];
        others.push(services.start(&format!("services {}", at.name), &at.namespace));
    }
    cluster.wait_for_holder(SOON);
    let holder = bed::held(cluster, &Service::new("web").asks("10.77.1.1"), address);
    stays_for("both have what they hold", 2 * cluster.timing().lease(), || {
        [cluster.vip(), address].iter().all(|ip| cluster.watch.timeline(*ip).spans.len() == 1)
    });
    others[holder].kill();
    cluster.wait_for_other_holder_of(address, holder, cluster.timing().lease() + SOON);
    assert_eq!(cluster.watch.timeline(cluster.vip()).spans.len(), 1, "the other one's was absent");
    for process in &mut others {
        process.kill();
    }
}

fn copy_adopted(cluster: &mut Cluster) {
    plain_copy(cluster, 0);
    cluster.wait_for_holder(SOON);
    cluster.start(0);
    wait_until("the address is ours", SOON, || is_ours(cluster));
    assert_eq!(cluster.watch.timeline(cluster.vip()).spans.len(), 1, "the address was absent");
    cluster.signal(0, Signal::TERM);
    cluster.process(0).wait(SOON);
    assert!(!cluster.lab.nodes[0].has(cluster.vip()), "it was left behind again");
}

fn copy_removed(cluster: &mut Cluster) {
    cluster.start(1);
    cluster.wait_for_holder(SOON);
    plain_copy(cluster, 0);
    wait_until("it is on both", SOON, || cluster.watch.holders(cluster.vip()).len() == 2);
    cluster.start(0);
    wait_until("it is gone", SOON, || cluster.watch.holders(cluster.vip()) == [1]);
}

fn replaced(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    plain_copy(cluster, 0);
    wait_until("it has its lifetime again", SOON, || is_ours(cluster));
    assert_eq!(cluster.watch.timeline(cluster.vip()).spans.len(), 1, "the address was absent");
    let own = IpAddr::V4(cluster.lab.nodes[0].address);
    assert!(cluster.lab.nodes[0].has(own), "the node's own address is gone");
}

fn proxied(cluster: &mut Cluster) {
    // Where the kernel has no dummy links, another sort that carries nothing.
    let made = ["dummy", "ifb"]
        .iter()
        .any(|kind| ip(cluster, 0, &format!("link add kube-dummy-if type {kind}")));
    assert!(made, "a link that carries nothing");
    let vip = cluster.vip();
    let bound = || format!("{vip}/32 dev kube-dummy-if");
    assert!(ip(cluster, 0, "link set kube-dummy-if up"));
    assert!(ip(cluster, 0, &format!("addr add {}", bound())));
    cluster.start(0);
    wait_until("it is on eth0 and ours", SOON, || is_ours(cluster));
    wait_until("the status says so", SOON, || {
        cluster.status(0).is_some_and(|status| status["addresses"][0]["state"] == "held")
    });
    cluster.signal(0, Signal::TERM);
    cluster.process(0).wait(SOON);
    assert!(on_eth0(cluster).is_none(), "ours was left behind");
    assert!(cluster.lab.nodes[0].has(vip), "the proxy's was removed");
}

fn flushed(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    let (own, vip) = (IpAddr::V4(cluster.lab.nodes[0].address), cluster.vip());
    assert!(ip(cluster, 0, "addr flush dev eth0 scope global"));
    wait_until("ours is back", SOON, || on_eth0(cluster).is_some());
    assert!(ip(cluster, 0, &format!("addr add {own}/24 dev eth0")));
    wait_until("the node's own is the first, and ours is there", SOON, || {
        let all = cluster.lab.nodes[0].rtnl(|rtnl| rtnl.addresses());
        let place = |ip| all.iter().position(|one| one.address == ip);
        place(own).zip(place(vip)).is_some_and(|(own, vip)| own < vip)
    });
    cluster.wait_for_holder(SOON);
}

fn renamed(cluster: &mut Cluster) {
    cluster.start(0);
    wait_until("the missing interface is named", SOON, || {
        cluster.ready(0).is_some_and(|(code, text)| code == 503 && text.contains(ALTNAME))
    });
    assert!(ip(cluster, 0, &format!("link property add dev eth0 altname {ALTNAME}")));
    assert_eq!(cluster.wait_for_holder(SOON), 0);
    assert!(on_eth0(cluster).is_some());
}
