//! Where Services are held: endpoints and `externalTrafficPolicy`.

use libtest_mimic::Trial;
use viplet_lab::cluster::{Cluster, Plan};
use viplet_lab::{Endpoint, Health, Service, wait_until};

use crate::bed::{
    assert_never_held, each, held, ip, services, settle, trial, wait_for_event, wait_for_state,
};
use crate::case::SOON;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("policy Local: the address moves with the last local endpoint", each, follows),
        trial("policy Local: without endpoints nobody holds, and a reason is given", each, nowhere),
        trial("policy Local: a node with draining endpoints still serves", each, draining),
        trial("one Lease for all: a Local Service is held where its endpoint is", services, global),
        trial("several slices of a Service count together", each, slices),
        trial("a Service whose endpoints are all unready is not served", services, unready),
        trial("a Service that loses its last endpoint is withdrawn", services, lost),
        trial("allow-reconcile-without-endpoints serves without endpoints", services, without),
        trial("enable_endpoints: Endpoints count instead of slices", by_endpoints, endpoints),
    ]
}

fn by_endpoints() -> Plan {
    services().set("enable_endpoints", "true")
}

const ADDRESS: &str = "10.77.1.1";

fn web() -> Service {
    Service::new("web").asks(ADDRESS)
}

#[track_caller]
fn wait_for_node(cluster: &Cluster, node: usize) {
    wait_until(&format!("n{} has it alone", node + 1), SOON, || {
        cluster.watch.holders(ip(ADDRESS)) == [node]
    });
    wait_until("the client hears it", SOON, || cluster.probers[&ip(ADDRESS)].answers());
}

#[track_caller]
fn wait_for_nobody(cluster: &Cluster) {
    wait_until("nobody has it", SOON, || cluster.watch.holders(ip(ADDRESS)).is_empty());
}

fn begin(cluster: &mut Cluster, service: &Service, endpoints: &[Endpoint]) {
    cluster.ping(ip(ADDRESS));
    cluster.store().serve(service, endpoints);
}

fn follows(cluster: &mut Cluster) {
    cluster.start_all();
    let service = web().local();
    begin(cluster, &service, &[Endpoint::on(1)]);
    wait_for_node(cluster, 1);
    cluster.store().set_slice(&service, "", &[Endpoint::on(1), Endpoint::on(2)]);
    cluster.store().set_slice(&service, "", &[Endpoint::on(2)]);
    wait_for_node(cluster, 2);
    let lost = [Endpoint::on(2).health(Health::Unready), Endpoint::on(0)];
    cluster.store().set_slice(&service, "", &lost);
    wait_for_node(cluster, 0);
}

fn nowhere(cluster: &mut Cluster) {
    cluster.start_all();
    let service = web().local();
    begin(cluster, &service, &[Endpoint::on(0)]);
    wait_for_node(cluster, 0);
    cluster.store().set_slice(&service, "", &[]);
    wait_for_nobody(cluster);
    wait_for_event(cluster, &service, ("Warning", "Waiting"), &["endpoint"]);
    let entry = wait_for_state(cluster, 0, &service, "waiting");
    assert!(entry["reason"].as_str().is_some_and(|why| why.contains("endpoint")), "{entry}");
    cluster.store().set_slice(&service, "", &[Endpoint::on(1)]);
    wait_for_node(cluster, 1);
}

fn draining(cluster: &mut Cluster) {
    cluster.start_all();
    let service = web().local();
    let endpoints =
        [Endpoint::on(0).health(Health::Ended), Endpoint::on(1).health(Health::Draining)];
    begin(cluster, &service, &endpoints);
    wait_for_node(cluster, 1);
}

fn global(cluster: &mut Cluster) {
    cluster.start_all();
    let usual = held(cluster, &Service::new("usual").asks("10.77.1.2"), ip("10.77.1.2"));
    let elsewhere = (usual + 1) % 3;
    begin(cluster, &web().local(), &[Endpoint::on(elsewhere)]);
    wait_for_node(cluster, elsewhere);
    assert_eq!(cluster.wait_for_holder_of(ip("10.77.1.2"), SOON), usual);
}

fn slices(cluster: &mut Cluster) {
    cluster.start_all();
    let service = web().local();
    let store = cluster.store();
    store.set_slice(&service, "-a", &[Endpoint::on(0).health(Health::Unready)]);
    store.set_slice(&service, "-b", &[Endpoint::on(2)]);
    store.create(&service);
    cluster.ping(ip(ADDRESS));
    wait_for_node(cluster, 2);
    cluster.store().set_slice(&service, "-a", &[Endpoint::on(1)]);
    cluster.store().set_slice(&service, "-b", &[]);
    wait_for_node(cluster, 1);
    let slice = format!("{}/web-a", viplet_lab::store::slices("default"));
    cluster.store().write(&slice, viplet_lab::store::Write::Delete);
    wait_for_nobody(cluster);
}

fn unready(cluster: &mut Cluster) {
    cluster.start_all();
    let endpoints: Vec<Endpoint> =
        (0..3).map(|node| Endpoint::on(node).health(Health::Unready)).collect();
    begin(cluster, &web(), &endpoints);
    settle(cluster);
    wait_for_event(cluster, &web(), ("Warning", "Waiting"), &["endpoint"]);
    assert_never_held(cluster, ip(ADDRESS));
    cluster.store().set_slice(&web(), "", &[Endpoint::on(0)]);
    cluster.wait_for_holder_of(ip(ADDRESS), SOON);
}

fn lost(cluster: &mut Cluster) {
    cluster.start_all();
    begin(cluster, &web(), &[Endpoint::on(0)]);
    cluster.wait_for_holder_of(ip(ADDRESS), SOON);
    cluster.store().set_slice(&web(), "", &[]);
    wait_for_nobody(cluster);
    cluster.store().set_slice(&web(), "", &[Endpoint::on(2)]);
    cluster.wait_for_holder_of(ip(ADDRESS), SOON);
}

fn without(cluster: &mut Cluster) {
    cluster.start_all();
    let strict = Service::new("strict").asks("10.77.1.2");
    cluster.store().create(&strict);
    let service = web().annotate("allow-reconcile-without-endpoints", "true");
    cluster.store().create(&service);
    cluster.ping(ip(ADDRESS));
    cluster.wait_for_holder_of(ip(ADDRESS), SOON);
    wait_for_event(cluster, &strict, ("Warning", "Waiting"), &["endpoint"]);
    assert_never_held(cluster, ip("10.77.1.2"));
}

fn endpoints(cluster: &mut Cluster) {
    cluster.start_all();
    let sliced = Service::new("sliced").asks("10.77.1.2");
    cluster.store().serve(&sliced, &[Endpoint::on(0)]);
    let service = web().local();
    cluster.store().set_endpoints(&service, &[Endpoint::on(1)]);
    cluster.store().create(&service);
    cluster.ping(ip(ADDRESS));
    wait_for_node(cluster, 1);
    let moved = [Endpoint::on(1).health(Health::Unready), Endpoint::on(2)];
    cluster.store().set_endpoints(&service, &moved);
    wait_for_node(cluster, 2);
    assert_never_held(cluster, ip("10.77.1.2"));
}
