//! What is written: the Service's annotation, status and condition, Events, labels of nodes.

use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use viplet_lab::cluster::{Cluster, Plan};
use viplet_lab::objects::port;
use viplet_lab::wait::stays_for;
use viplet_lab::{Request, Service, refused, wait_until};

use crate::bed::{
    everywhere, held, ip, serve, services, settle, trial, wait_for_event, wait_for_ingress,
};
use crate::case::SOON;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a status entry has address, ipMode and all ports", services, entry),
        trial("another controller's status entry is kept", services, foreign),
        trial("one write for a change, and none where nothing changes", services, writes),
        trial("disable_service_updates: nothing is written to a Service", silent, withheld),
        trial("Events tell where an address is announced and that it moved", services, events),
        trial("the holder's Node has a label for each Service", labelled, labels),
        trial("the lab tells a right that is missing from a server that starts", services, rights),
    ]
}

fn silent() -> Plan {
    services().set("disable_service_updates", "true")
}

fn labelled() -> Plan {
    services().set("enable_node_labeling", "true")
}

const ADDRESS: &str = "10.77.1.1";

fn web() -> Service {
    Service::new("web").asks(ADDRESS)
}

fn entry(cluster: &mut Cluster) {
    cluster.start_all();
    let service = web().with("ports", &json!([port(80, "TCP"), port(53, "UDP")]));
    held(cluster, &service, ip(ADDRESS));
    wait_for_ingress(cluster, &service, &[ADDRESS]);
    let ports = json!([{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]);
    let wanted = json!({"ip": ADDRESS, "ipMode": "VIP", "ports": ports});
    assert_eq!(cluster.store().ingress(&service), [wanted]);
}

fn foreign(cluster: &mut Cluster) {
    let service = web();
    serve(cluster, &service, &[ip(ADDRESS)]);
    cluster.store().set_ingress(&service, &json!([{"ip": "192.0.2.1"}]));
    cluster.start_all();
    cluster.wait_for_holder_of(ip(ADDRESS), SOON);
    wait_for_ingress(cluster, &service, &[ADDRESS, "192.0.2.1"]);
    cluster.store().annotate(&service, "ignore", Some("true"));
    wait_for_ingress(cluster, &service, &["192.0.2.1"]);
}

/// How often the programs have written the Service `written-once`: the object itself, and its
/// status, which takes the annotations along.
fn written(cluster: &Cluster) -> [usize; 2] {
    let requests = cluster.requests();
    ["services", "services/status"].map(|resource| {
        let writes = requests.iter().filter(|one| {
            one.resource == resource
                && one.object == "default/written-once"
                && ["update", "patch"].contains(&one.verb.as_str())
                && one.code < 300
        });
        writes.count()
    })
}

fn stays_written(cluster: &Cluster, times: [usize; 2]) {
    // Longer than a renewal takes to come round on each node.
    let span = cluster.timing().lease() + Duration::from_secs(1);
    stays_for("nothing more is written", span, || written(cluster) == times);
}

fn writes(cluster: &mut Cluster) {
    cluster.start_all();
    let service = Service::new("written-once").asks(ADDRESS);
    let holder = held(cluster, &service, ip(ADDRESS));
    wait_until("it is written", SOON, || written(cluster) == [0, 1]);
    stays_written(cluster, [0, 1]);
    // What viplet does not read changes nothing.
    let patch = json!({"metadata": {"annotations": {"example.com/note": "seen"}}});
    cluster.store().change(&service, &patch);
    stays_written(cluster, [0, 1]);
    cluster.store().change(&service, &json!({"spec": {"ports": [port(443, "TCP")]}}));
    wait_until("the new port is written", SOON, || written(cluster) == [0, 2]);
    cluster.signal(holder, Signal::TERM);
    cluster.wait_for_other_holder_of(ip(ADDRESS), holder, SOON);
    wait_until("the new holder is written", SOON, || written(cluster) == [0, 3]);
    stays_written(cluster, [0, 3]);
}

fn withheld(cluster: &mut Cluster) {
    let before = cluster.requests().len();
    cluster.start_all();
    held(cluster, &web(), ip(ADDRESS));
    settle(cluster);
    assert_eq!(cluster.store().ingress_addresses(&web()), [""; 0]);
    assert_eq!(cluster.store().annotation(&web(), "vipHost"), None);
    let requests = cluster.requests();
    let to_services = requests.iter().skip(before).filter(|one| {
        one.resource.starts_with("services") && ["update", "patch"].contains(&one.verb.as_str())
    });
    assert_eq!(to_services.count(), 0);
}

fn events(cluster: &mut Cluster) {
    cluster.start_all();
    let old = held(cluster, &web(), ip(ADDRESS));
    let node = cluster.lab.nodes[old].name.clone();
    wait_for_event(cluster, &web(), ("Normal", "Announced"), &[ADDRESS, &node]);
    cluster.signal(old, Signal::TERM);
    let new = cluster.wait_for_other_holder_of(ip(ADDRESS), old, SOON);
    let node = cluster.lab.nodes[new].name.clone();
    wait_for_event(cluster, &web(), ("Normal", "Moved"), &[&node]);
}

fn labels(cluster: &mut Cluster) {
    const KEY: &str = "service-provided.kube-vip.io/web.default";
    cluster.start_all();
    cluster.store().serve(&web(), &everywhere());
    cluster.ping(ip(ADDRESS));
    let holder = cluster.wait_for_holder_of(ip(ADDRESS), SOON);
    let labelled = |cluster: &Cluster, node: usize| {
        let name = cluster.lab.nodes[node].name.clone();
        cluster.store().node_label(&name, KEY)
    };
    wait_until("the holder has the label", SOON, || {
        labelled(cluster, holder).as_deref() == Some(ADDRESS)
    });
    cluster.signal(holder, Signal::TERM);
    let next = cluster.wait_for_other_holder_of(ip(ADDRESS), holder, SOON);
    wait_until("the label has moved", SOON, || {
        labelled(cluster, holder).is_none() && labelled(cluster, next).is_some()
    });
    cluster.store().delete(&web());
    wait_until("no node has the label", SOON, || {
        (0..3).all(|node| labelled(cluster, node).is_none())
    });
}

/// The first two would be refused again; of the others, an API server that starts may say so.
fn rights(cluster: &mut Cluster) {
    let request = |verb: &str, group: &str, resource: &str, code| Request {
        verb: verb.to_owned(),
        group: group.to_owned(),
        resource: resource.to_owned(),
        object: "default/web".to_owned(),
        code,
    };
    let missing = [
        request("update", "", "services", 403),
        request("list", "coordination.example", "leases", 403),
    ];
    let granted = [
        request("update", "", "services/status", 403),
        request("list", "coordination.k8s.io", "leases", 403),
        request("delete", "", "services", 404),
    ];
    let all = [&missing[..], &granted].concat();
    assert_eq!(refused(&cluster.store(), &all), missing);
}
