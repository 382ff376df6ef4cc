//! Who holds Services' addresses: Leases, shared addresses, the control plane beside them.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use viplet_lab::cluster::{Cluster, Plan};
use viplet_lab::wait::stays_for;
use viplet_lab::{Service, wait_until};

use crate::bed::{
    assert_never_moved, each, held, ip, serve, services, settle, trial, wait_for_ingress,
    wait_for_refusal,
};
use crate::case::SOON;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("one Lease for all Services: one node has all addresses", services, global),
        trial("svc_election: each Service has a Lease of its own, where it is", each, own_lease),
        trial("forcePerServiceElection gives one Service a Lease of its own", on_demand, forced),
        trial("a leaseName is shared across namespaces, and its holder too", each, shared_lease),
        trial("Services that share an address share its holder and one Lease", each, shared),
        trial("the later of two Services with one address and port is refused", each, clash),
        trial("an address stays without a break until its last Service is gone", each, last_goes),
        trial("a lost Lease costs only its own addresses", each, one_lost),
        trial(
            "control plane and Services with one Lease have one holder",
            same_lease,
            one_for_both,
        ),
        trial("a Service may share the control plane's address, not its port", both, beside),
    ]
}

fn on_demand() -> Plan {
    services().set("per_service_election_on_demand", "true")
}

fn both() -> Plan {
    each().and_control_plane()
}

fn same_lease() -> Plan {
    services().and_control_plane().set("svc_leasename", "plndr-cp-lock")
}

/// Waits until exactly these Leases have a holder.
#[track_caller]
fn wait_for_leases(cluster: &Cluster, leases: &[&str]) {
    wait_until(&format!("exactly {leases:?} are held"), SOON, || {
        let mut held = cluster.store().held_leases();
        held.sort();
        held == leases
    });
}

fn name(cluster: &Cluster, node: usize) -> String {
    cluster.lab.nodes[node].name.clone()
}

#[track_caller]
fn wait_for_lease_of(cluster: &Cluster, (namespace, lease): (&str, &str), node: usize) {
    let name = name(cluster, node);
    wait_until(&format!("{name} holds {namespace}/{lease}"), SOON, || {
        cluster.store().lease_holder(namespace, lease).as_ref() == Some(&name)
    });
}

fn global(cluster: &mut Cluster) {
    cluster.start_all();
    let mut holders = Vec::new();
    for number in 1..=3 {
        let address = format!("10.77.1.{number}");
        let service = Service::new(&format!("web-{number}")).asks(&address);
        holders.push(held(cluster, &service, ip(&address)));
    }
    assert!(holders.iter().all(|holder| *holder == holders[0]), "{holders:?}");
    wait_for_lease_of(cluster, ("kube-system", "plndr-svcs-lock"), holders[0]);
    wait_for_leases(cluster, &["kube-system/plndr-svcs-lock"]);
}

fn own_lease(cluster: &mut Cluster) {
    cluster.store().make_namespace("tenant");
    cluster.start_all();
    for (namespace, address) in [("default", "10.77.1.1"), ("tenant", "10.77.1.2")] {
        let service = Service::new("web").namespace(namespace).asks(address);
        let holder = held(cluster, &service, ip(address));
        wait_for_lease_of(cluster, (namespace, "kubevip-web"), holder);
    }
    wait_for_leases(cluster, &["default/kubevip-web", "tenant/kubevip-web"]);
}

fn forced(cluster: &mut Cluster) {
    cluster.start_all();
    let forced =
        Service::new("forced").asks("10.77.1.1").annotate("forcePerServiceElection", "true");
    let holder = held(cluster, &forced, ip("10.77.1.1"));
    wait_for_lease_of(cluster, ("default", "kubevip-forced"), holder);
    let usual = held(cluster, &Service::new("usual").asks("10.77.1.2"), ip("10.77.1.2"));
    wait_for_lease_of(cluster, ("kube-system", "plndr-svcs-lock"), usual);
    assert_eq!(cluster.store().lease_holder("default", "kubevip-usual"), None);
}

fn shared_lease(cluster: &mut Cluster) {
    cluster.store().make_namespace("tenant");
    cluster.start_all();
    let far = Service::new("far").asks("10.77.1.1").annotate("leaseName", "tenant/shared");
    let near =
        Service::new("near").namespace("tenant").asks("10.77.1.2").annotate("leaseName", "shared");
    let holder = held(cluster, &far, ip("10.77.1.1"));
    assert_eq!(held(cluster, &near, ip("10.77.1.2")), holder);
    wait_for_lease_of(cluster, ("tenant", "shared"), holder);
    wait_for_leases(cluster, &["tenant/shared"]);
}

fn web() -> Service {
    Service::new("web").asks("10.77.1.1").ports(&[80])
}

fn secure() -> Service {
    Service::new("secure").asks("10.77.1.1").ports(&[443])
}

/// What is created in one second is equally old to the API server.
fn a_second_later() {
    let since = Instant::now();
    wait_until("a second passes", SOON, || since.elapsed() > Duration::from_millis(1100));
}

fn shared(cluster: &mut Cluster) {
    cluster.start_all();
    held(cluster, &web(), ip("10.77.1.1"));
    serve(cluster, &secure(), &[]);
    for service in [web(), secure()] {
        wait_for_ingress(cluster, &service, &["10.77.1.1"]);
    }
    // Made in one second, the later one may be the elder by its name: then its Lease takes over.
    wait_until("one Lease is held", SOON, || cluster.store().held_leases().len() == 1);
    assert_never_moved(cluster, ip("10.77.1.1"));
}

fn clash(cluster: &mut Cluster) {
    cluster.start_all();
    held(cluster, &web(), ip("10.77.1.1"));
    a_second_later();
    let late = Service::new("a-late-one").asks("10.77.1.1").ports(&[443, 80]);
    serve(cluster, &late, &[]);
    wait_for_refusal(cluster, &late, &["default/web", "80"]);
    assert_eq!(cluster.store().ingress_addresses(&late), [""; 0]);
    assert_never_moved(cluster, ip("10.77.1.1"));
    // It is served once it may be.
    cluster.store().delete(&web());
    wait_for_ingress(cluster, &late, &["10.77.1.1"]);
    cluster.wait_for_holder_of(ip("10.77.1.1"), SOON);
}

fn last_goes(cluster: &mut Cluster) {
    cluster.start_all();
    held(cluster, &web(), ip("10.77.1.1"));
    serve(cluster, &secure(), &[]);
    wait_for_ingress(cluster, &secure(), &["10.77.1.1"]);
    let since = Instant::now();
    // The older one is what the Lease is called after.
    cluster.store().delete(&web());
    let span = 2 * cluster.timing().lease();
    stays_for("the address stays", span, || cluster.watch.holders(ip("10.77.1.1")).len() == 1);
    assert_never_moved(cluster, ip("10.77.1.1"));
    let silence = cluster.probers[&ip("10.77.1.1")].longest_silence(since);
    assert!(silence < Duration::from_millis(500), "{silence:?}");
    cluster.store().delete(&secure());
    wait_until("nobody has it", SOON, || cluster.watch.holders(ip("10.77.1.1")).is_empty());
    wait_for_leases(cluster, &[]);
}

fn one_lost(cluster: &mut Cluster) {
    cluster.start_all();
    let [lost, kept] = ["10.77.1.1", "10.77.1.2"];
    held(cluster, &Service::new("lost").asks(lost), ip(lost));
    held(cluster, &Service::new("kept").asks(kept), ip(kept));
    cluster.store().give_lease("default", "kubevip-lost", "a-rival");
    wait_until("nobody has the lost one", SOON, || cluster.watch.holders(ip(lost)).is_empty());
    // The rival never renews.
    cluster.wait_for_holder_of(ip(lost), cluster.timing().lease() + SOON);
    assert_never_moved(cluster, ip(kept));
    assert!((0..3).all(|node| cluster.is_running(node)), "a process has ended");
}

fn one_for_both(cluster: &mut Cluster) {
    cluster.start_all();
    let control_plane = cluster.wait_for_holder(SOON);
    let service = Service::new("web").asks("10.77.1.1");
    assert_eq!(held(cluster, &service, ip("10.77.1.1")), control_plane);
    wait_for_leases(cluster, &["kube-system/plndr-cp-lock"]);
    cluster.signal(control_plane, rustix::process::Signal::TERM);
    let next = cluster.wait_for_other_holder(control_plane, SOON);
    assert_eq!(cluster.wait_for_other_holder_of(ip("10.77.1.1"), control_plane, SOON), next);
}

fn beside(cluster: &mut Cluster) {
    cluster.start_all();
    let holder = cluster.wait_for_holder(SOON);
    let vip = cluster.vip().to_string();
    let beside = Service::new("beside").asks(&vip).ports(&[443]);
    let clashes = Service::new("clashes").asks(&vip).ports(&[6443]);
    serve(cluster, &beside, &[]);
    serve(cluster, &clashes, &[]);
    wait_for_ingress(cluster, &beside, &[&vip]);
    wait_for_refusal(cluster, &clashes, &["6443"]);
    settle(cluster);
    cluster.store().delete(&beside);
    cluster.store().delete(&clashes);
    let span = cluster.timing().lease();
    stays_for("the control plane stays", span, || cluster.watch.holders(cluster.vip()) == [holder]);
    assert_never_moved(cluster, cluster.vip());
}
