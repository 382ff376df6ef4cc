//! The address moves, or stays, when a holder stops, dies, freezes, loses power or restarts.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use viplet_lab::cluster::{Cluster, Plan, Timing};
use viplet_lab::rtnl::Lifetime;
use viplet_lab::wait::stays_for;
use viplet_lab::{Wire, wait_until};

use crate::case::{SOON, trial, trial_with_overlap};
use crate::taking::listed;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "a planned stop moves the address at once, long before the lease ends",
            slow,
            planned,
        ),
        trial("a planned stop of every node in turn never leaves the address on two", three, roll),
        trial("kill -9: the kernel drops the address, then another node takes it", three, killed),
        trial("kill -9: addresses of both families go and come together", dual, killed_dual),
        trial(
            "a frozen holder loses the address, and thawed it does not take it back",
            three,
            frozen,
        ),
        trial("power-off: another node takes the address after the lease", three, powered_off),
        trial("a powered-off node that returns follows", three, returns),
        trial("a restart within the lease keeps the address without a silence", slow, restarted),
        trial("addresses that a crashed run left and nobody wants are removed", two, leftovers),
        trial("a holder takes over what kube-vip left behind", two, predecessor_adopted),
        trial_with_overlap(
            "a follower removes what kube-vip left behind",
            SOON,
            two,
            predecessor_removed,
        ),
    ]
}

fn two() -> Plan {
    Plan::new(2)
}

fn three() -> Plan {
    Plan::new(3)
}

fn dual() -> Plan {
    Plan::new(2).addresses(&["10.77.0.100", "fd77::100"])
}

fn slow() -> Plan {
    Plan::new(3).timing(Timing::DEFAULT)
}

/// Lease, margins, and time to notice.
fn after_the_lease(cluster: &Cluster) -> Duration {
    cluster.timing().lease() + SOON
}

fn planned(cluster: &mut Cluster) {
    cluster.start_all();
    let old = cluster.wait_for_holder(SOON);
    let since = Instant::now();
    cluster.signal(old, Signal::TERM);
    let (status, _) = cluster.process(old).wait(SOON);
    assert!(status.success(), "{status}");
    cluster.wait_for_other_holder(old, SOON);
    // Far from the 15 s that the lease would take.
    let silence = cluster.prober().longest_silence(since);
    assert!(silence < Duration::from_secs(5), "{silence:?}");
}

fn roll(cluster: &mut Cluster) {
    cluster.start_all();
    for _ in 0..4 {
        let old = cluster.wait_for_holder(SOON);
        cluster.signal(old, Signal::TERM);
        cluster.process(old).wait(SOON);
        cluster.wait_for_other_holder(old, SOON);
        cluster.start(old);
    }
}

fn killed(cluster: &mut Cluster) {
    cluster.start_all();
    let old = cluster.wait_for_holder(SOON);
    cluster.process(old).kill();
    cluster.wait_for_other_holder(old, after_the_lease(cluster));
    let timeline = cluster.watch.timeline(cluster.vip());
    assert!(timeline.of(old).iter().all(|span| span.gone.is_some()), "still there");
}

fn killed_dual(cluster: &mut Cluster) {
    cluster.start_all();
    let old = cluster.wait_for_holder(SOON);
    cluster.process(old).kill();
    for address in cluster.addresses() {
        cluster.wait_for_other_holder_of(*address, old, after_the_lease(cluster));
    }
}

fn frozen(cluster: &mut Cluster) {
    cluster.start_all();
    let old = cluster.wait_for_holder(SOON);
    cluster.signal(old, Signal::STOP);
    let new = cluster.wait_for_other_holder(old, after_the_lease(cluster));
    cluster.signal(old, Signal::CONT);
    wait_until("the thawed node follows", SOON, || {
        cluster.status(old).is_some_and(|status| status["leases"][0]["role"] == "following")
    });
    stays_for("the new holder keeps it", Duration::from_secs(4), || {
        cluster.watch.holders(cluster.vip()) == [new]
    });
}

fn powered_off(cluster: &mut Cluster) {
    cluster.start_all();
    let old = cluster.wait_for_holder(SOON);
    cluster.power_off(old);
    cluster.wait_for_other_holder(old, after_the_lease(cluster));
}

fn returns(cluster: &mut Cluster) {
    cluster.start_all();
    let old = cluster.wait_for_holder(SOON);
    cluster.power_off(old);
    let new = cluster.wait_for_other_holder(old, after_the_lease(cluster));
    cluster.lab.restore(old, Wire::Lan);
    cluster.lab.restore(old, Wire::Mgmt);
    cluster.start(old);
    wait_until("the returned node follows", SOON, || {
        cluster.status(old).is_some_and(|status| status["leases"][0]["role"] == "following")
    });
    assert_eq!(cluster.wait_for_holder(SOON), new);
}

fn restarted(cluster: &mut Cluster) {
    cluster.start_all();
    let holder = cluster.wait_for_holder(SOON);
    let since = Instant::now();
    cluster.process(holder).kill();
    cluster.start(holder);
    let renewed = cluster.lease().expect("a lease").renewed;
    wait_until("the new process holds the lease", SOON, || {
        cluster.status(holder).is_some_and(|status| {
            status["leases"][0]["role"] == "holding" && status["addresses"][0]["state"] == "held"
        })
    });
    wait_until("it renews", SOON, || cluster.lease().is_some_and(|lease| lease.renewed != renewed));
    assert_eq!(cluster.watch.timeline(cluster.vip()).spans.len(), 1, "the address was absent");
    let silence = cluster.prober().longest_silence(since);
    assert!(silence < Duration::from_millis(500), "{silence:?}");
}

fn leftovers(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    let tag = listed(cluster, 0, cluster.vip()).unwrap().protocol;
    cluster.retire(0);
    let (wanted, unwanted): (IpAddr, IpAddr) = (cluster.vip(), "10.77.0.200".parse().unwrap());
    let foreign: IpAddr = "10.77.0.201".parse().unwrap();
    cluster.lab.nodes[0].rtnl(move |rtnl| {
        // No instance that runs has one that would stay for ever.
        let left = Lifetime { valid: u32::MAX, preferred: 0, protocol: tag };
        rtnl.set_address("eth0", (unwanted, 32), left).unwrap();
        rtnl.set_address("eth0", (foreign, 32), Lifetime::KUBE_VIP).unwrap();
    });
    cluster.start(0);
    wait_until("what nobody wants is gone", SOON, || !cluster.lab.nodes[0].has(unwanted));
    wait_until("the log says why", SOON, || {
        cluster.process(0).said(&["10.77.0.200", "left by an earlier run"])
    });
    assert_eq!(cluster.wait_for_holder_of(wanted, after_the_lease(cluster)), 0);
    assert!(cluster.lab.nodes[0].has(foreign), "what is not ours was removed");
}

fn leave_as_kube_vip(cluster: &Cluster, node: usize) {
    let vip = cluster.vip();
    cluster.lab.nodes[node].rtnl(move |rtnl| {
        rtnl.set_address("eth0", (vip, 32), Lifetime::KUBE_VIP).unwrap();
    });
}

fn predecessor_adopted(cluster: &mut Cluster) {
    leave_as_kube_vip(cluster, 0);
    cluster.wait_for_holder(SOON);
    cluster.start(0);
    wait_until("the address is ours", SOON, || {
        listed(cluster, 0, cluster.vip()).is_some_and(|one| one.valid <= 3 && one.protocol != 0)
    });
    assert_eq!(cluster.watch.timeline(cluster.vip()).spans.len(), 1, "the address was absent");
    cluster.signal(0, Signal::TERM);
    cluster.process(0).wait(SOON);
    assert!(!cluster.lab.nodes[0].has(cluster.vip()), "it was left behind again");
}

fn predecessor_removed(cluster: &mut Cluster) {
    cluster.start(1);
    cluster.wait_for_holder(SOON);
    leave_as_kube_vip(cluster, 0);
    wait_until("it is on both", SOON, || cluster.watch.holders(cluster.vip()).len() == 2);
    cluster.start(0);
    wait_until("it is gone", SOON, || cluster.watch.holders(cluster.vip()) == [1]);
    stays_for("it stays gone", Duration::from_secs(2), || {
        cluster.watch.holders(cluster.vip()) == [1]
    });
}
