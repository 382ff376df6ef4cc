//! What a node's owner gets wrong, and what links do.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use rustix::thread::CapabilitySet;
use viplet_lab::cluster::{Cluster, Plan};
use viplet_lab::rtnl::LinkState;
use viplet_lab::wait::stays_for;
use viplet_lab::{Wire, wait_until};

use crate::case::{SOON, trial};
use crate::taking::listed;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a wrong interface is named, and works once it appears", wrong_link, link_appears),
        trial("an interface that is down is named, and works once it is up", one, link_comes_up),
        trial("a holder whose cable is cut keeps the lease by default", two, keeps_without_cable),
        trial("a holder whose cable is cut gives up where asked to", yielding, yields),
        trial("without NET_ADMIN the missing capability is named", two, no_admin),
        trial("without NET_RAW the missing capability is named", two, no_raw),
        trial("an address that somebody removes is put back", one, put_back),
        trial("a station that claims the address is answered", quiet, rival),
        trial("preserve: the IPv4 address stays when the lease is lost", preserving, preserved),
    ]
}

fn one() -> Plan {
    Plan::new(1)
}

fn two() -> Plan {
    Plan::new(2)
}

fn wrong_link() -> Plan {
    Plan::new(1).set("vip_interface", "eth9")
}

fn yielding() -> Plan {
    Plan::new(2).set("vip_loseleadership", "true").set("vip_loseleadership_timeout_seconds", "1")
}

fn quiet() -> Plan {
    // No periodic announcement comes in between.
    Plan::new(1).set("vip_arpRate", "600000")
}

fn preserving() -> Plan {
    let plan = Plan::new(1).addresses(&["10.77.0.100", "fd77::100"]);
    plan.set("vip_preserve_on_leadership_loss", "true")
}

fn unready(cluster: &Cluster, node: usize, part: &str) {
    wait_until(&format!("n{} is not ready: {part}", node + 1), SOON, || {
        cluster.ready(node).is_some_and(|(code, text)| code == 503 && text.contains(part))
    });
}

fn link_appears(cluster: &mut Cluster) {
    cluster.start(0);
    unready(cluster, 0, "interface eth9 does not exist");
    wait_until("the log says so", SOON, || cluster.process(0).said(&["eth9", "does not exist"]));
    assert!(cluster.watch.timeline(cluster.vip()).spans.is_empty());
    cluster.lab.add_link(0, "eth9");
    assert_eq!(cluster.wait_for_holder(SOON), 0);
    let eth9 = cluster.lab.nodes[0].rtnl(|rtnl| rtnl.index("eth9").unwrap());
    assert_eq!(listed(cluster, 0, cluster.vip()).map(|one| one.link), Some(eth9));
}

fn link_comes_up(cluster: &mut Cluster) {
    cluster.lab.nodes[0].rtnl(|rtnl| rtnl.set_up("eth0", LinkState::Down).unwrap());
    cluster.start(0);
    unready(cluster, 0, "interface eth0 is");
    assert!(cluster.watch.timeline(cluster.vip()).spans.is_empty());
    cluster.lab.nodes[0].rtnl(|rtnl| rtnl.set_up("eth0", LinkState::Up).unwrap());
    assert_eq!(cluster.wait_for_holder(SOON), 0);
}

fn keeps_without_cable(cluster: &mut Cluster) {
    cluster.start_all();
    let holder = cluster.wait_for_holder(SOON);
    cluster.lab.cut(holder, Wire::Lan);
    unready(cluster, holder, "10.77.0.100");
    stays_for("the lease stays", cluster.timing().lease() + Duration::from_secs(1), || {
        cluster.watch.holders(cluster.vip()) == [holder]
    });
    cluster.lab.restore(holder, Wire::Lan);
    assert_eq!(cluster.wait_for_holder(SOON), holder);
}

fn yields(cluster: &mut Cluster) {
    cluster.start_all();
    let old = cluster.wait_for_holder(SOON);
    cluster.lab.cut(old, Wire::Lan);
    cluster.wait_for_other_holder(old, SOON);
    assert!(cluster.is_running(old), "it ended; losing is an event, not an exit");
    unready(cluster, old, "interface eth0 is");
}

fn no_admin(cluster: &mut Cluster) {
    let program = cluster.viplet(0).without(CapabilitySet::NET_ADMIN);
    cluster.run(0, &program);
    wait_until("the log names it", SOON, || cluster.process(0).said(&["capability NET_ADMIN"]));
    unready(cluster, 0, "capability NET_ADMIN");
    assert!(cluster.is_running(0));
    // A node that can takes over: the lease is not kept by one that cannot.
    cluster.start(1);
    assert_eq!(cluster.wait_for_holder(2 * SOON), 1);
}

fn no_raw(cluster: &mut Cluster) {
    let program = cluster.viplet(0).without(CapabilitySet::NET_RAW);
    cluster.run(0, &program);
    wait_until("the log names it", SOON, || cluster.process(0).said(&["capability NET_RAW"]));
    unready(cluster, 0, "capability NET_RAW");
    assert!(cluster.is_running(0));
    // A node that can announce takes the address; one that cannot never had it.
    cluster.start(1);
    assert_eq!(cluster.wait_for_holder(2 * SOON), 1);
    assert!(cluster.watch.timeline(cluster.vip()).of(0).is_empty());
}

fn put_back(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    let vip = cluster.vip();
    for _ in 0..3 {
        let spans = cluster.watch.timeline(vip).spans.len();
        cluster.lab.nodes[0].rtnl(move |rtnl| rtnl.remove_address("eth0", (vip, 32)).unwrap());
        wait_until("it is back", SOON, || {
            // The watch may be too slow to see it gone; then it must simply be there.
            let timeline = cluster.watch.timeline(vip);
            timeline.spans.len() > spans || cluster.lab.nodes[0].has(vip)
        });
        cluster.wait_for_holder(SOON);
    }
    let own = std::net::IpAddr::V4(cluster.lab.nodes[0].address);
    assert!(cluster.lab.nodes[0].has(own), "the node's own address is gone");
}

fn rival(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for_holder(SOON);
    let vip = cluster.vip();
    // The burst after the taking: four times two forms.
    wait_until("the burst is over", SOON, || {
        let frames = cluster.capture.of(vip);
        frames.last().is_some_and(|last| {
            let taken = frames[0].at;
            last.at - taken > Duration::from_millis(700)
                && last.at.elapsed() > Duration::from_secs(1)
        })
    });
    let rival = [0x02, 0, 0, 0, 0, 0x99];
    let since = viplet_lab::capture::claim(&cluster.lab.client, vip, rival);
    let hardware = cluster.lab.nodes[0].hardware;
    wait_until("the holder announces at once", SOON, || {
        let frames = cluster.capture.of(vip);
        frames.iter().any(|frame| frame.at >= since && frame.hardware == hardware)
    });
    wait_until("the client reaches the holder", SOON, || cluster.prober().answers());
    wait_until("it is counted", SOON, || {
        let page = cluster.get(0, "/metrics").map(|answer| answer.body).unwrap_or_default();
        page.lines().any(|line| {
            let counted = line.starts_with("viplet_rival") && !line.ends_with(" 0");
            counted && !line.starts_with('#')
        })
    });
}

fn preserved(cluster: &mut Cluster) {
    let [v4, v6] = [cluster.addresses()[0], cluster.addresses()[1]];
    cluster.start(0);
    cluster.wait_for_holder_of(v4, SOON);
    cluster.wait_for_holder_of(v6, SOON);
    let since = Instant::now();
    cluster.api.stop();
    let patience = cluster.timing().lease() + SOON;
    wait_until("the IPv6 address goes", patience, || cluster.watch.holders(v6).is_empty());
    wait_until("the status says that it is kept", SOON, || {
        let status = cluster.status(0).unwrap_or_default();
        let entries = status["addresses"].as_array().cloned().unwrap_or_default();
        entries.iter().any(|entry| entry["address"] == "10.77.0.100" && entry["state"] == "kept")
    });
    wait_until("it is there", SOON, || cluster.watch.holders(v4) == [0]);
    let announced = cluster.capture.of(v4).len();
    stays_for("the IPv4 address stays", 2 * cluster.timing().lease(), || {
        cluster.watch.holders(v4) == [0]
    });
    assert_eq!(cluster.capture.of(v4).len(), announced, "a kept address is not announced");
    cluster.api.resume();
    cluster.wait_for_holder_of(v6, patience);
    // The kernel's dead-man may drop it just before the lease ends; it comes back. Without being
    // kept it would be gone for two leases.
    let silence = cluster.probers[&v4].longest_silence(since);
    assert!(silence < cluster.timing().lease(), "{silence:?}");
    cluster.signal(0, Signal::TERM);
    cluster.process(0).wait(SOON);
}
