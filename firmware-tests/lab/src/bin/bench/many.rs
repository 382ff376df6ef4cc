//! Many Services in a lab: made all at once, then waited for.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use viplet_lab::cluster::{Cluster, Plan, Timing};
use viplet_lab::objects;
use viplet_lab::store::{self, Write};
use viplet_lab::{Endpoint, Service};

use crate::rig::{Contender, NODES, Rig};

/// How Services are elected on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Election {
    /// One Lease for all.
    Global,
    /// One for each.
    Each,
}

/// Longer than any program should need to serve all of them.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// The address of the Service of this number.
pub(crate) fn address(number: u16) -> IpAddr {
    let [third, fourth] = [1 + number / 250, 1 + number % 250].map(|part| part.to_le_bytes()[0]);
    IpAddr::V4(Ipv4Addr::new(10, 77, third, fourth))
}

/// The Service of this number.
pub(crate) fn service(number: u16) -> Service {
    Service::new(&format!("web-{number}")).asks(&address(number).to_string())
}

/// One ready endpoint on each node.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    (0..NODES.into()).map(Endpoint::on).collect()
}

/// A fresh lab with this many Services of one slice and three endpoints each; nothing runs.
pub(crate) fn fill(rig: &mut Rig, count: u16, timing: Timing) {
    rig.renew(Plan::services(NODES).unaudited().timing(timing));
    rig.cluster.register_nodes();
    let slices = (0..count).map(|number| {
        let name = format!("web-{number}");
        let slice = objects::slice("default", (&name, &name), &endpoints());
        (store::slices("default"), Write::Create(slice))
    });
    let services = (0..count)
        .map(|number| (store::services("default"), Write::Create(service(number).object())));
    rig.cluster.store().write_all(slices.collect());
    rig.cluster.store().write_all(services.collect());
}

/// Starts a program on every node; the moment before the first.
pub(crate) fn start_all(rig: &mut Rig, contender: &Contender, election: Election) -> Instant {
    let started = Instant::now();
    for node in 0..NODES.into() {
        start(rig, contender, election, node);
    }
    started
}

/// Starts a program on a node.
pub(crate) fn start(rig: &mut Rig, contender: &Contender, election: Election, node: usize) {
    let program = rig.cluster.manager(contender.path.clone(), node);
    let program = match election {
        Election::Global => program,
        Election::Each => program.env("svc_election", "true"),
    };
    rig.cluster.run(node, &program);
}

/// Waits until each of the first `count` addresses has been announced; when the last one was.
pub(crate) fn until_announced(rig: &Rig, count: u16, since: Instant) -> Option<Instant> {
    let all = |rig: &Rig| {
        sleep(Duration::from_millis(100));
        let firsts = rig.capture().firsts_since(since, |_| true);
        let ours = (0..count).filter_map(|number| firsts.get(&address(number)));
        let ours: Vec<&Instant> = ours.collect();
        (ours.len() == usize::from(count)).then(|| ours.into_iter().max().copied())?
    };
    rig.until(PATIENCE, all)
}

/// Waits until each Service's status names an address.
pub(crate) fn until_written(cluster: &Cluster, count: u16) -> bool {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        let services = cluster.store().list(&store::services("default"));
        let written = services
            .iter()
            .filter(|one| one["status"]["loadBalancer"]["ingress"][0]["ip"].is_string());
        if written.count() >= usize::from(count) {
            return true;
        }
        sleep(Duration::from_secs(1));
    }
    false
}

/// Who has each address, once every one has exactly one holder other than `but`.
pub(crate) fn until_held(
    rig: &Rig,
    (count, but): (u16, Option<usize>),
) -> Option<BTreeMap<IpAddr, usize>> {
    let all = |rig: &Rig| {
        let timelines = rig.cluster.watch.timelines();
        let single =
            timelines.iter().filter_map(|(address, timeline)| match timeline.holders()[..] {
                [one] if Some(one) != but => Some((*address, one)),
                _ => None,
            });
        let holders: BTreeMap<IpAddr, usize> = single.collect();
        (holders.len() == usize::from(count)).then_some(holders)
    };
    rig.until(PATIENCE, all)
}

/// The node that has most addresses, and which.
pub(crate) fn busiest(holders: &BTreeMap<IpAddr, usize>) -> (usize, Vec<IpAddr>) {
    let of = |node: usize| {
        let ours = holders.iter().filter(|(_, holder)| **holder == node);
        ours.map(|(address, _)| *address).collect::<Vec<_>>()
    };
    let most = (0..NODES.into()).max_by_key(|node| of(*node).len()).unwrap_or_default();
    (most, of(most))
}
