//! Which Services are served, and with which addresses.

use libtest_mimic::Trial;
use serde_json::json;
use viplet_lab::cluster::{Cluster, Plan};
use viplet_lab::objects::port;
use viplet_lab::store::Write;
use viplet_lab::{Service, wait_until};

use crate::bed::{
    assert_never_held, held, ip, serve, services, settle, trial, wait_for_ingress,
    wait_for_refusal, wait_for_state,
};
use crate::case::SOON;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a Service's address is held, heard, and written to its status", services, plain),
        trial("a Service of another class is left alone", services, classes),
        trial("lb_class_only: a Service without a class is left alone", only, unclassed_ignored),
        trial("strict classes: a Service without a class is left alone", strict, unclassed_ignored),
        trial("strict classes without a name: only Services without a class count", bare, no_class),
        trial("an ignored Service loses its address and gets it back", services, ignored),
        trial("svc_namespace: Services elsewhere are left alone", tenant, namespaces),
        trial("the annotation comes before the spec, the spec before the status", services, order),
        trial(
            "an address that another controller wrote to the status is not ours",
            services,
            alien,
        ),
        trial("a node's address in a status is never taken", services, node_in_status),
        trial("a Service that asks for a node's address is refused", services, node_asked),
        trial("a Service that asks for DHCP is refused with a reason", services, dhcp),
        trial("an annotation that is no address is refused on that Service alone", services, bad),
        trial("a dual-stack Service has both addresses on one node", services, dual),
        trial("a Service of one family alone gets that family", services, dual_required),
        trial("several addresses are all held by one node, in their order", services, several),
    ]
}

const OURS: &str = "kube-vip.io/kube-vip-class";

fn only() -> Plan {
    services().set("lb_class_only", "true")
}

fn strict() -> Plan {
    services().set("lb_class_legacy_handling", "false")
}

fn bare() -> Plan {
    strict().set("lb_class_name", "")
}

fn tenant() -> Plan {
    services().set("svc_namespace", "tenant")
}

fn plain(cluster: &mut Cluster) {
    cluster.start_all();
    let service = Service::new("web").asks("10.77.1.1");
    let holder = held(cluster, &service, ip("10.77.1.1"));
    wait_for_ingress(cluster, &service, &["10.77.1.1"]);
    let node = cluster.lab.nodes[holder].name.clone();
    wait_until("vipHost names the node", SOON, || {
        cluster.store().annotation(&service, "vipHost").as_deref() == Some(&node)
    });
    wait_until("the Lease names it", SOON, || {
        cluster.store().lease_holder("kube-system", "plndr-svcs-lock").as_ref() == Some(&node)
    });
}

fn untouched(cluster: &Cluster, service: &Service) {
    assert_eq!(cluster.store().ingress(service), Vec::<serde_json::Value>::new());
    assert_eq!(cluster.store().annotation(service, "vipHost"), None);
    assert_eq!(cluster.store().condition(service), None);
    assert_eq!(cluster.store().events(service), []);
}

/// What the API server says of a Service when its repair comes before the allocator's record.
fn servers_event(cluster: &Cluster, service: &Service) {
    let event = json!({
        "metadata": {"name": format!("{}.repair", service.name)},
        "involvedObject": {
            "kind": "Service", "namespace": service.namespace, "name": service.name,
        },
        "type": "Warning",
        "reason": "ClusterIPNotAllocated",
        "message": "Cluster IP [IPv4]: 10.96.4.145 is not allocated; repairing",
        "source": {"component": "ipallocator-repair-controller"},
        "reportingComponent": "ipallocator-repair-controller",
    });
    let path = format!("/api/v1/namespaces/{}/events", service.namespace);
    cluster.store().write(&path, Write::Create(event));
}

fn classes(cluster: &mut Cluster) {
    let other = Service::new("other").class("example.com/other").asks("10.77.1.1");
    serve(cluster, &other, &[]);
    servers_event(cluster, &other);
    cluster.start_all();
    held(cluster, &Service::new("ours").class(OURS).asks("10.77.1.2"), ip("10.77.1.2"));
    settle(cluster);
    assert_never_held(cluster, ip("10.77.1.1"));
    untouched(cluster, &other);
    wait_for_state(cluster, 0, &other, "ignored");
}

fn unclassed_ignored(cluster: &mut Cluster) {
    cluster.start_all();
    let unclassed = Service::new("unclassed").asks("10.77.1.1");
    serve(cluster, &unclassed, &[]);
    held(cluster, &Service::new("ours").class(OURS).asks("10.77.1.2"), ip("10.77.1.2"));
    assert_never_held(cluster, ip("10.77.1.1"));
    untouched(cluster, &unclassed);
}

fn no_class(cluster: &mut Cluster) {
    cluster.start_all();
    serve(cluster, &Service::new("classed").class(OURS).asks("10.77.1.1"), &[]);
    settle(cluster);
    assert_never_held(cluster, ip("10.77.1.1"));
}

fn ignored(cluster: &mut Cluster) {
    cluster.start_all();
    let never = Service::new("never").asks("10.77.1.2").annotate("ignore", "true");
    serve(cluster, &never, &[]);
    let service = Service::new("web").asks("10.77.1.1");
    held(cluster, &service, ip("10.77.1.1"));
    wait_for_ingress(cluster, &service, &["10.77.1.1"]);
    cluster.store().annotate(&service, "ignore", Some("true"));
    wait_until("nobody has it", SOON, || cluster.watch.holders(ip("10.77.1.1")).is_empty());
    wait_for_ingress(cluster, &service, &[]);
    wait_until("vipHost is gone", SOON, || {
        cluster.store().annotation(&service, "vipHost").is_none()
    });
    cluster.store().annotate(&service, "ignore", None);
    cluster.wait_for_holder_of(ip("10.77.1.1"), SOON);
    wait_for_ingress(cluster, &service, &["10.77.1.1"]);
    assert_never_held(cluster, ip("10.77.1.2"));
}

fn namespaces(cluster: &mut Cluster) {
    cluster.store().make_namespace("tenant");
    cluster.start_all();
    serve(cluster, &Service::new("elsewhere").asks("10.77.1.1"), &[]);
    let ours = Service::new("ours").namespace("tenant").asks("10.77.1.2");
    held(cluster, &ours, ip("10.77.1.2"));
    wait_for_ingress(cluster, &ours, &["10.77.1.2"]);
    assert_never_held(cluster, ip("10.77.1.1"));
}

/// As kube-vip writes a status.
fn entry(address: &str) -> serde_json::Value {
    json!({"ip": address, "ports": [{"port": 80, "protocol": "TCP"}]})
}

fn order(cluster: &mut Cluster) {
    let annotated = Service::new("annotated").asks("10.77.1.1").ip("10.77.1.2");
    let specified = Service::new("specified").ip("10.77.1.4");
    let kept = Service::new("kept");
    let found = [(&annotated, "10.77.1.3"), (&specified, "10.77.1.5"), (&kept, "10.77.1.6")];
    for (service, left) in found {
        serve(cluster, service, &[]);
        cluster.store().set_ingress(service, &json!([entry(left)]));
    }
    for address in ["10.77.1.1", "10.77.1.4", "10.77.1.6"] {
        cluster.ping(ip(address));
    }
    cluster.start_all();
    for (service, address) in
        [(&annotated, "10.77.1.1"), (&specified, "10.77.1.4"), (&kept, "10.77.1.6")]
    {
        cluster.wait_for_holder_of(ip(address), SOON);
        wait_until("its status names the address", SOON, || {
            cluster.store().ingress_addresses(service).contains(&address.to_owned())
        });
    }
    for address in ["10.77.1.2", "10.77.1.3", "10.77.1.5"] {
        assert_never_held(cluster, ip(address));
    }
}

fn alien(cluster: &mut Cluster) {
    let service = Service::new("web");
    serve(cluster, &service, &[]);
    cluster.store().set_ingress(&service, &json!([{"ip": "10.77.1.1"}]));
    cluster.start_all();
    settle(cluster);
    assert_never_held(cluster, ip("10.77.1.1"));
    assert_eq!(cluster.store().ingress_addresses(&service), ["10.77.1.1"]);
}

/// No other node has the address of n2, and nobody announces it.
fn stays_the_nodes_own(cluster: &Cluster) {
    let address = ip("10.77.0.12");
    for node in [0, 2] {
        assert!(!cluster.lab.nodes[node].has(address), "n{} took n2's address", node + 1);
    }
    assert_eq!(cluster.capture.of(address), []);
    assert!(cluster.lab.nodes[1].has(address), "n2 has lost its own address");
}

fn node_in_status(cluster: &mut Cluster) {
    let service = Service::new("web");
    serve(cluster, &service, &[]);
    cluster.store().set_ingress(&service, &json!([entry("10.77.0.12")]));
    cluster.start_all();
    settle(cluster);
    stays_the_nodes_own(cluster);
}

fn node_asked(cluster: &mut Cluster) {
    cluster.start_all();
    let service = Service::new("web").asks("10.77.0.12");
    serve(cluster, &service, &[]);
    wait_for_refusal(cluster, &service, &["10.77.0.12"]);
    settle(cluster);
    stays_the_nodes_own(cluster);
    // Asking for something else puts it right.
    cluster.ping(ip("10.77.1.1"));
    cluster.store().annotate(&service, "loadbalancerIPs", Some("10.77.1.1"));
    cluster.wait_for_holder_of(ip("10.77.1.1"), SOON);
    wait_until("the condition is True", SOON, || {
        cluster.store().condition(&service).is_some_and(|(status, ..)| status == "True")
    });
}

fn dhcp(cluster: &mut Cluster) {
    cluster.start_all();
    for (name, address) in [("four", "0.0.0.0"), ("six", "::")] {
        let service = Service::new(name).asks(address);
        serve(cluster, &service, &[]);
        wait_for_refusal(cluster, &service, &["DHCP"]);
    }
    settle(cluster);
}

fn bad(cluster: &mut Cluster) {
    cluster.start_all();
    let bad = Service::new("bad").asks("10.77.1.1;10.77.1.2");
    serve(cluster, &bad, &[]);
    held(cluster, &Service::new("good").asks("10.77.1.3"), ip("10.77.1.3"));
    wait_for_refusal(cluster, &bad, &["10.77.1.1;10.77.1.2"]);
    wait_for_state(cluster, 0, &bad, "refused");
}

fn dual(cluster: &mut Cluster) {
    cluster.start_all();
    let service = Service::new("web")
        .with("ipFamilyPolicy", &json!("PreferDualStack"))
        .asks("10.77.1.1,fd77::101");
    serve(cluster, &service, &[ip("10.77.1.1"), ip("fd77::101")]);
    let holder = cluster.wait_for_holder_of(ip("10.77.1.1"), SOON);
    assert_eq!(cluster.wait_for_holder_of(ip("fd77::101"), SOON), holder);
    wait_for_ingress(cluster, &service, &["10.77.1.1", "fd77::101"]);
}

fn dual_required(cluster: &mut Cluster) {
    cluster.start_all();
    let service = Service::new("six")
        .with("ipFamilies", &json!(["IPv6"]))
        .with("ipFamilyPolicy", &json!("SingleStack"))
        .asks("fd77::102");
    held(cluster, &service, ip("fd77::102"));
    wait_for_ingress(cluster, &service, &["fd77::102"]);
}

fn several(cluster: &mut Cluster) {
    cluster.start_all();
    let ports = json!([port(80, "TCP"), port(53, "UDP")]);
    let service = Service::new("web").with("ports", &ports).asks("10.77.1.3, 10.77.1.1 ,10.77.1.2");
    let addresses = ["10.77.1.3", "10.77.1.1", "10.77.1.2"];
    serve(cluster, &service, &addresses.map(ip));
    let holders = addresses.map(|address| cluster.wait_for_holder_of(ip(address), SOON));
    assert!(holders.iter().all(|holder| *holder == holders[0]), "{holders:?}");
    wait_for_ingress(cluster, &service, &addresses);
}
