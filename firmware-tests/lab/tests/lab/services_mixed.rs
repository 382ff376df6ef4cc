//! kube-vip and viplet side by side, node by node, there and back: control plane and Services.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use viplet_lab::api::ApiUser;
use viplet_lab::cluster::{Cluster, Plan, Timing};
use viplet_lab::{Service, binaries, timed, wait_until};

use crate::bed::{each, ip, run, serve, services};
use crate::case::{SOON, skip};
use crate::rivals::find_kube_vip;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        mixed("a mixed cluster rolls from kube-vip to viplet and back, one Lease for all", || {
            with_kube_vips_rights(services())
        }),
        mixed("a mixed cluster rolls from kube-vip to viplet and back, svc_election", || {
            with_kube_vips_rights(each())
        }),
    ]
}

/// kube-vip wants more than `manifests/rbac.yaml` gives: it updates whole Services.
fn with_kube_vips_rights(plan: Plan) -> Plan {
    Plan { user: ApiUser::Master, ..plan.and_control_plane().timing(Timing::FAST) }
}

/// A sample of who has what is this far from the truth, and a loaded machine adds to it.
const SLACK: Duration = Duration::from_millis(100);
const SERVICES: [&str; 3] = ["10.77.1.1", "10.77.1.2", "10.77.1.3"];

fn mixed(name: &'static str, plan: fn() -> Plan) -> Trial {
    Trial::test(format!("services: {name}"), move || {
        timed(name, || match find_kube_vip() {
            Err(why) => skip(name, &why),
            Ok(kube_vip) => rolls(name, plan, &kube_vip),
        });
        Ok(())
    })
}

/// How kube-vip alone does is what the mixed cluster is measured by.
fn rolls(name: &str, plan: fn() -> Plan, kube_vip: &Path) {
    let mut alone = None;
    run(name, plan(), |cluster| alone = Some(alone_rolls(cluster, kube_vip)));
    if let Some(alone) = alone {
        run(name, plan(), |cluster| mixed_rolls(cluster, kube_vip, alone));
    }
}

fn addresses(cluster: &Cluster) -> Vec<IpAddr> {
    SERVICES.iter().map(|text| ip(text)).chain([cluster.vip()]).collect()
}

/// Services, and these programs on the nodes; waits until all is held.
fn begin(cluster: &mut Cluster, programs: [&Path; 3]) {
    for (number, address) in SERVICES.iter().enumerate() {
        let service = Service::new(&format!("web-{number}")).asks(address);
        serve(cluster, &service, &[ip(address)]);
    }
    for (node, path) in programs.into_iter().enumerate() {
        let program = cluster.manager(path.to_owned(), node);
        cluster.run(node, &program);
    }
    wait_for_all(cluster);
}

/// Waits until every address has one holder, and the client hears it.
#[track_caller]
fn wait_for_all(cluster: &Cluster) {
    for address in addresses(cluster) {
        cluster.wait_for_holder_of(address, 6 * SOON);
    }
}

/// Stops what runs on a node and runs the next program there, as an upgrade does.
fn roll(cluster: &mut Cluster, node: usize, path: &Path) {
    cluster.signal(node, Signal::TERM);
    cluster.process(node).wait(2 * SOON);
    let program = cluster.manager(path.to_owned(), node);
    cluster.run(node, &program);
    wait_until("the new program stands", 2 * SOON, || cluster.is_running(node));
    wait_for_all(cluster);
}

/// The longest time that an address had two holders, and none.
#[derive(Clone, Copy, Debug)]
struct Faults {
    two: Duration,
    none: Duration,
}

fn faults(cluster: &Cluster, since: Instant) -> Faults {
    let timelines = addresses(cluster).into_iter().map(|one| cluster.watch.timeline(one));
    let (two, none) = timelines
        .map(|one| (one.longest_overlap(), one.longest_absence(since, Instant::now())))
        .fold((Duration::ZERO, Duration::ZERO), |most, one| (most.0.max(one.0), most.1.max(one.1)));
    Faults { two, none }
}

/// kube-vip alone, each node restarted once.
fn alone_rolls(cluster: &mut Cluster, kube_vip: &Path) -> Faults {
    begin(cluster, [kube_vip; 3]);
    let since = Instant::now();
    for node in 0..3 {
        roll(cluster, node, kube_vip);
    }
    let faults = faults(cluster, since);
    println!("kube-vip alone: {faults:?}");
    faults
}

/// Two kube-vips and one viplet; all become viplet, then all kube-vip.
fn mixed_rolls(cluster: &mut Cluster, kube_vip: &Path, alone: Faults) {
    let viplet = binaries::viplet();
    begin(cluster, [kube_vip, kube_vip, &viplet]);
    let since = Instant::now();
    for node in [0, 1] {
        roll(cluster, node, &viplet);
    }
    for node in [2, 1, 0] {
        roll(cluster, node, kube_vip);
    }
    let faults = faults(cluster, since);
    println!("mixed: {faults:?}; kube-vip alone: {alone:?}");
    assert!(faults.two <= alone.two + SLACK, "two holders: {faults:?}, kube-vip alone: {alone:?}");
    assert!(faults.none <= cluster.timing().lease(), "no holder: {faults:?}");
}
