//! Many Services: spread over the nodes, and moved when one stops or loses power.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use viplet_lab::cluster::Cluster;
use viplet_lab::store::Write;
use viplet_lab::sweep::Sweep;
use viplet_lab::{Service, objects, store, wait_until};

use crate::bed::{each, everywhere, ip, services, trial};
use crate::case::SOON;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("svc_election: 30 Services are spread over all nodes", each, spread),
        trial("a planned stop of a node with 60 addresses moves them all", services, stop),
        trial("svc_election: a planned stop moves what the node had, and only that", each, stop),
        trial("power-off of a node with 60 addresses: all are held again", services, power_off),
        trial("svc_election: power-off moves what the node had, and only that", each, power_off),
    ]
}

fn address(number: u8) -> IpAddr {
    ip(&format!("10.77.1.{number}"))
}

/// Makes this many Services with an address each and waits until each has one holder.
fn fill(cluster: &mut Cluster, count: u8) -> BTreeMap<IpAddr, usize> {
    let writes = (1..=count).flat_map(|number| {
        let name = format!("web-{number}");
        let service = Service::new(&name).asks(&address(number).to_string());
        let slice = objects::slice("default", (&name, &name), &everywhere());
        [
            (store::slices("default"), Write::Create(slice)),
            (store::services("default"), Write::Create(service.object())),
        ]
    });
    cluster.store().write_all(writes.collect());
    wait_for_all(cluster, count, |_| true)
}

/// Waits until each of the addresses has one holder that is allowed; who.
#[track_caller]
fn wait_for_all(
    cluster: &Cluster,
    count: u8,
    allowed: impl Fn(usize) -> bool,
) -> BTreeMap<IpAddr, usize> {
    let mut holders = BTreeMap::new();
    wait_until(&format!("{count} addresses have one holder each"), 3 * SOON, || {
        let timelines = cluster.watch.timelines();
        holders = timelines
            .iter()
            .filter_map(|(address, timeline)| match timeline.holders()[..] {
                [one] if allowed(one) => Some((*address, one)),
                _ => None,
            })
            .collect();
        holders.len() == usize::from(count)
    });
    holders
}

fn spread(cluster: &mut Cluster) {
    cluster.start_all();
    wait_until("all are ready", SOON, || {
        (0..3).all(|node| cluster.ready(node).is_some_and(|(code, _)| code == 200))
    });
    let holders = fill(cluster, 30);
    for node in 0..3 {
        let count = holders.values().filter(|holder| **holder == node).count();
        assert!(count >= 5, "n{} holds {count} of 30", node + 1);
    }
}

/// 60 addresses, the node that has most of them, and a client that asks all of them.
fn loaded(cluster: &mut Cluster) -> (BTreeMap<IpAddr, usize>, usize, Sweep) {
    cluster.start_all();
    let holders = fill(cluster, 60);
    let load = |node: &usize| holders.values().filter(|holder| *holder == node).count();
    let most = (0..3).max_by_key(load).expect("a node");
    let addresses: Vec<IpAddr> = holders.keys().copied().collect();
    let sweep = Sweep::start(&cluster.lab.client, &addresses, Duration::from_millis(20));
    let since = Instant::now();
    wait_until("the client hears them all", SOON, || sweep.silent_since(since).is_empty());
    (holders, most, sweep)
}

/// What `old` had is elsewhere and heard; what others had never moved.
fn all_moved(cluster: &Cluster, before: &BTreeMap<IpAddr, usize>, old: usize, sweep: &Sweep) {
    wait_for_all(cluster, 60, |node| node != old);
    let since = Instant::now();
    wait_until("the client hears them all", SOON, || sweep.silent_since(since).is_empty());
    for (address, _) in before.iter().filter(|(_, holder)| **holder != old) {
        let timeline = cluster.watch.timeline(*address);
        assert_eq!(timeline.spans.len(), 1, "{address} moved though its holder did not stop");
    }
}

fn stop(cluster: &mut Cluster) {
    let (before, old, sweep) = loaded(cluster);
    let since = Instant::now();
    cluster.signal(old, Signal::TERM);
    all_moved(cluster, &before, old, &sweep);
    println!("planned stop: the longest silence was {:?}", sweep.longest_silence(since));
    let (status, _) = cluster.process(old).wait(SOON);
    assert_eq!(status.code(), Some(0));
}

fn power_off(cluster: &mut Cluster) {
    let (before, old, sweep) = loaded(cluster);
    let since = Instant::now();
    cluster.power_off(old);
    // What is off is no longer seen to have them.
    wait_until("the client misses what the node had", SOON, || {
        !sweep.silent_since(since + Duration::from_millis(300)).is_empty()
    });
    cluster.strip(old);
    all_moved(cluster, &before, old, &sweep);
    let lease = cluster.timing().lease();
    println!(
        "power-off: the longest silence was {:?}, the lease is {lease:?}",
        sweep.longest_silence(since)
    );
}
