//! Scenes with many Services.

use std::net::IpAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use viplet_lab::cluster::Timing;
use viplet_lab::sweep::Sweep;

use crate::figures::{Figures, Unit};
use crate::many::{self, Election};
use crate::rig::{Contender, NODES, Rig};
use crate::scenes::{Play, Scene, Who, as_float, count, secs};

/// How long a cluster is watched that has nothing to do.
const IDLE: Duration = Duration::from_secs(30);
/// From the last write on, until nothing moves any more.
const SETTLE: Duration = Duration::from_secs(5);
/// Services that are added to those that are there.
const MORE: u16 = 20;
/// How often each of many addresses is asked.
const SWEEP: Duration = Duration::from_millis(10);

/// All scenes, in their order.
pub(crate) fn all() -> Vec<Scene> {
    let scene = |name, most, who, play: Play| Scene { name, most, who, play };
    vec![
        scene("services-1000", 3, Who::Everybody, |rig, who, _, figures| {
            crowd(rig, (who, 1_000), figures);
            more(rig, (who, 1_000), figures);
        }),
        scene("takeover-1000", 3, Who::Everybody, |rig, who, _, figures| {
            takeover(rig, (who, 1_000), figures);
        }),
        scene("services-300-election", 3, Who::Everybody, |rig, who, _, figures| {
            elections(rig, (who, 300), figures);
        }),
        scene("services-10000", 1, Who::Viplet, |rig, who, _, figures| {
            crowd(rig, (who, 10_000), figures);
        }),
    ]
}

/// Serves so many Services under one Lease; how long it took, and what it costs when idle.
fn crowd(rig: &mut Rig, (contender, number): (&Contender, u16), figures: &mut Figures) {
    let mut note = |what: &str, unit, value| {
        figures.note(contender.name, &format!("{number} Services: {what}"), unit, value);
    };
    many::fill(rig, number, Timing::DEFAULT);
    rig.cluster.watch.rest();
    let started = many::start_all(rig, contender, Election::Global);
    let announced = many::until_announced(rig, number, started);
    let took = announced.map_or(f64::INFINITY, |at| secs(at - started));
    note("start → the last one's first ARP", Unit::Seconds, took);
    many::until_written(&rig.cluster, number);
    let written = secs(started.elapsed());
    note("start → all statuses written (± 1 s)", Unit::Seconds, written);
    sleep(SETTLE);
    let leader = leader(rig, many::address(0));
    for (role, node, busy) in idle(rig, leader) {
        let memory = rig.cluster.process(node).status_field("VmRSS") * 1024;
        note(&format!("resident memory, {role}"), Unit::Bytes, as_float(memory));
        note(&format!("idle processor, {role}"), Unit::PercentOfACore, busy);
    }
}

/// Who has the address now.
fn leader(rig: &Rig, address: IpAddr) -> usize {
    let nodes = &rig.cluster.lab.nodes;
    nodes.iter().position(|node| node.has(address)).unwrap_or_default()
}

/// Hundredths of a core that leader and followers use when nothing happens.
fn idle(rig: &mut Rig, leader: usize) -> Vec<(&'static str, usize, f64)> {
    let nodes = 0..usize::from(NODES);
    let used = |rig: &mut Rig| {
        nodes.clone().map(|node| rig.cluster.process(node).processor_time()).collect::<Vec<_>>()
    };
    let before = used(rig);
    sleep(IDLE);
    let after = used(rig);
    let role = |node| if node == leader { "leader" } else { "follower" };
    let busy = |node: usize| (after[node] - before[node]).as_secs_f64() / IDLE.as_secs_f64();
    nodes.clone().map(|node| (role(node), node, 100.0 * busy(node))).collect()
}

/// One more Service, again and again: until the client hears of it, until its status is there.
fn more(rig: &mut Rig, (contender, number): (&Contender, u16), figures: &mut Figures) {
    for next in number..number + MORE {
        let (service, address) = (many::service(next), many::address(next));
        rig.cluster.store().set_slice(&service, "", &many::endpoints());
        let (sent, written) = rig.cluster.store().create_timed(&service, Duration::from_secs(20));
        let heard = rig
            .until(Duration::from_secs(20), |rig| rig.capture().first_since(address, sent))
            .map_or(f64::INFINITY, |frame| secs(frame.at - sent));
        let written = written.map_or(f64::INFINITY, |at| secs(at - sent));
        let mut note = |what: &str, value| {
            let name = format!("one more Service at {number}: POST → {what}");
            figures.note(contender.name, &name, Unit::Seconds, value);
        };
        note("first ARP at the client", heard);
        note("status readable", written);
        // The bursts of announcements are over.
        sleep(Duration::from_millis(1500));
    }
}

/// The leader of all Services stops as planned; when the others' first announcements come.
fn takeover(rig: &mut Rig, (contender, number): (&Contender, u16), figures: &mut Figures) {
    let mut note = |what: &str, value| {
        let name = format!("takeover of {number} addresses: {what}");
        figures.note(contender.name, &name, Unit::Seconds, value);
    };
    many::fill(rig, number, Timing::DEFAULT);
    rig.cluster.watch.rest();
    let started = many::start_all(rig, contender, Election::Global);
    many::until_announced(rig, number, started);
    many::until_written(&rig.cluster, number);
    sleep(SETTLE);
    let old = leader(rig, many::address(0));
    let hardware = rig.cluster.lab.nodes[old].hardware;
    let told = Instant::now();
    rig.cluster.signal(old, Signal::TERM);
    let firsts = |rig: &Rig| {
        sleep(Duration::from_millis(50));
        let firsts = rig.capture().firsts_since(told, |frame| frame.hardware != hardware);
        let times: Vec<Instant> = firsts.into_values().collect();
        (times.len() >= usize::from(number)).then_some(times)
    };
    let times = rig.until(many::PATIENCE, firsts).unwrap_or_default();
    let ends = times.iter().min().zip(times.iter().max());
    let (first, last) = ends.map_or((f64::INFINITY, f64::INFINITY), |(first, last)| {
        (secs(*first - told), secs(*last - told))
    });
    note("stop → first ARP of the first", first);
    note("stop → first ARP of the last", last);
    note("first ARP of the first → of the last", last - first);
}

/// A Lease for each Service: what it costs, and how long a move and a power-off take.
fn elections(rig: &mut Rig, (contender, number): (&Contender, u16), figures: &mut Figures) {
    let what = format!("{number} Services, svc_election");
    let mut note = |name: &str, unit, value| {
        figures.note(contender.name, &format!("{what}: {name}"), unit, value);
    };
    many::fill(rig, number, Timing::DEFAULT);
    many::start_all(rig, contender, Election::Each);
    let Some(holders) = many::until_held(rig, (number, None)) else {
        return note("planned move: longest silence of any address", Unit::Seconds, f64::INFINITY);
    };
    many::until_written(&rig.cluster, number);
    sleep(SETTLE);
    let (most, moved) = many::busiest(&holders);
    note("addresses of the node that has most", Unit::Number, count(moved.len()));
    let before = rig.cluster.api.all_writes(&rig.cluster.lab.api);
    let busy = idle(rig, most);
    let written = rig.cluster.api.all_writes(&rig.cluster.lab.api) - before;
    note("API writes when idle", Unit::PerSecond, as_float(written) / IDLE.as_secs_f64());
    for (_, node, busy) in busy {
        let memory = rig.cluster.process(node).status_field("VmRSS") * 1024;
        note("resident memory, any node", Unit::Bytes, as_float(memory));
        note("idle processor, any node", Unit::PercentOfACore, busy);
    }
    let silence = planned_move(rig, number, &holders);
    note("planned move: longest silence of any address (± 10 ms)", Unit::Seconds, silence);
    many::start(rig, contender, Election::Each, most);
    sleep(2 * SETTLE);
    let again = power_off(rig, number);
    note("power-off, lease 15 s: until all are announced again", Unit::Seconds, again);
}

/// Stops the node that has most; the longest silence of any of its addresses.
fn planned_move(
    rig: &mut Rig,
    number: u16,
    holders: &std::collections::BTreeMap<IpAddr, usize>,
) -> f64 {
    let (old, addresses) = many::busiest(holders);
    let sweep = Sweep::start(&rig.cluster.lab.client, &addresses, SWEEP);
    sleep(Duration::from_secs(2));
    let told = Instant::now();
    rig.cluster.signal(old, Signal::TERM);
    if many::until_held(rig, (number, Some(old))).is_none() {
        return f64::INFINITY;
    }
    sleep(Duration::from_secs(2));
    secs(sweep.longest_silence(told))
}

/// Takes the power from the node that has most; how long until the last of its addresses is
/// announced by another.
fn power_off(rig: &mut Rig, number: u16) -> f64 {
    let Some(holders) = many::until_held(rig, (number, None)) else { return f64::INFINITY };
    let (old, addresses) = many::busiest(&holders);
    let hardware = rig.cluster.lab.nodes[old].hardware;
    let off = Instant::now();
    rig.cluster.power_off(old);
    let last = |rig: &Rig| {
        sleep(Duration::from_millis(50));
        let firsts = rig.capture().firsts_since(off, |frame| frame.hardware != hardware);
        // Others announce what they have had all along, too.
        let times: Option<Vec<Instant>> =
            addresses.iter().map(|address| firsts.get(address).copied()).collect();
        times?.into_iter().max()
    };
    rig.until(many::PATIENCE, last).map_or(f64::INFINITY, |at| secs(at - off))
}
