//! What viplet relies on about Services, Events and Leases that it does not name.

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::objects::{lease, names, service, version, with};

crate::cases![
    services_are_selected_by_their_type,
    a_service_that_becomes_of_another_type_leaves_the_selection,
    only_services_are_selected_by_type,
    annotations_and_status_are_written_together_through_the_status,
    an_annotation_is_removed_through_the_status,
    an_ingress_entry_gets_the_mode_of_a_vip,
    an_ingress_entry_with_a_mode_keeps_it,
    leases_of_one_namespace_are_left_out,
    an_update_need_not_name_the_uid_or_the_time_of_creation,
    an_event_is_stored_once_under_its_name,
];

fn of_type(name: &str, kind: &str) -> Value {
    with(&service(name), "/spec/type", json!(kind))
}

fn services_are_selected_by_their_type(bench: &Bench<'_>) {
    let services = bench.core("services");
    bench.stored(&services, &service("a"));
    bench.stored(&services, &of_type("b", "ClusterIP"));
    bench.stored(&services, &service("c"));
    let picked = bench.get(&format!("{services}?fieldSelector=spec.type%3DLoadBalancer")).body;
    assert_eq!(names(&picked), ["a", "c"]);
}

fn a_service_that_becomes_of_another_type_leaves_the_selection(bench: &Bench<'_>) {
    let services = bench.core("services");
    let made = bench.stored(&services, &of_type("a", "ClusterIP"));
    let query =
        format!("&resourceVersion={}&fieldSelector=spec.type%3DLoadBalancer", version(&made));
    let mut watching = bench.watch(&services, &query);
    let path = format!("{services}/a");
    let changed = bench.update(&path, &with(&made, "/spec/type", json!("LoadBalancer")));
    assert_eq!(changed.code, 200, "{}", changed.text);
    assert_eq!(bench.change(&mut watching).0, "ADDED");
    let changed = bench.update(&path, &with(&changed.body, "/spec/type", json!("ClusterIP")));
    assert_eq!(changed.code, 200, "{}", changed.text);
    let (kind, gone) = bench.change(&mut watching);
    assert_eq!((kind.as_str(), &gone["metadata"]["name"]), ("DELETED", &json!("a")));
}

fn only_services_are_selected_by_type(bench: &Bench<'_>) {
    let refused = bench.get(&format!("{}?fieldSelector=spec.type%3DLoadBalancer", bench.leases()));
    assert_eq!(refused.code, 400);
}

/// What viplet writes in one PUT.
fn served(made: &Value, ingress: &Value) -> Value {
    let mut object = made.clone();
    object["metadata"]["annotations"] = json!({"kube-vip.io/vipHost": "node-1"});
    object["spec"]["loadBalancerIP"] = json!("10.9.9.9");
    object["status"] = json!({
        "loadBalancer": {"ingress": ingress},
        "conditions": [{
            "type": "viplet.io/Served", "status": "True", "reason": "Held",
            "message": "10.0.0.10 is on node-1", "lastTransitionTime": "2026-11-24T00:00:00Z",
        }],
    });
    object
}

fn annotations_and_status_are_written_together_through_the_status(bench: &Bench<'_>) {
    let services = bench.core("services");
    let made = bench.stored(&services, &service("web"));
    let ingress = json!([{"ip": "10.0.0.10", "ports": [{"port": 80, "protocol": "TCP"}]}]);
    let path = format!("{services}/web/status");
    let written = bench.update(&path, &served(&made, &ingress));
    assert_eq!(written.code, 200, "{}", written.text);
    let read = bench.get(&format!("{services}/web")).body;
    assert_eq!(read["metadata"]["annotations"], json!({"kube-vip.io/vipHost": "node-1"}));
    assert_eq!(read["status"]["loadBalancer"]["ingress"][0]["ip"], "10.0.0.10");
    assert_eq!(read["status"]["loadBalancer"]["ingress"][0]["ports"], ingress[0]["ports"]);
    assert_eq!(read["status"]["conditions"][0]["reason"], "Held");
    assert!(read["spec"]["loadBalancerIP"].is_null(), "only the spec is left as it was");
    let stale = bench.update(&path, &served(&made, &ingress));
    assert_eq!((stale.code, &stale.body["reason"]), (409, &json!("Conflict")));
}

fn an_annotation_is_removed_through_the_status(bench: &Bench<'_>) {
    let services = bench.core("services");
    let mut object = service("web");
    object["metadata"]["annotations"] = json!({"kube-vip.io/vipHost": "node-1", "team": "edge"});
    let mut made = bench.stored(&services, &object);
    made["metadata"]["annotations"] = json!({"team": "edge"});
    let written = bench.update(&format!("{services}/web/status"), &made);
    assert_eq!(written.code, 200, "{}", written.text);
    let read = bench.get(&format!("{services}/web")).body;
    assert_eq!(read["metadata"]["annotations"], json!({"team": "edge"}));
}

fn an_ingress_entry_gets_the_mode_of_a_vip(bench: &Bench<'_>) {
    let services = bench.core("services");
    let made = bench.stored(&services, &service("web"));
    let written = bench.update(
        &format!("{services}/web/status"),
        &served(&made, &json!([{"ip": "10.0.0.10"}, {"hostname": "lb.example.com"}])),
    );
    let ingress = &written.body["status"]["loadBalancer"]["ingress"];
    assert_eq!(ingress[0]["ipMode"], "VIP");
    assert!(ingress[1]["ipMode"].is_null());
}

fn an_ingress_entry_with_a_mode_keeps_it(bench: &Bench<'_>) {
    let services = bench.core("services");
    let made = bench.stored(&services, &service("web"));
    let written = bench.update(
        &format!("{services}/web/status"),
        &served(&made, &json!([{"ip": "10.0.0.10", "ipMode": "Proxy"}])),
    );
    assert_eq!(written.body["status"]["loadBalancer"]["ingress"][0]["ipMode"], "Proxy");
}

fn leases_of_one_namespace_are_left_out(bench: &Bench<'_>) {
    let client = bench.server.client(); // it shows what other cases stored: not for the record
    let all = "/apis/coordination.k8s.io/v1/leases";
    let heartbeats = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    let name = format!("{}-beat", bench.space);
    assert_eq!(client.create(heartbeats, &lease(&name, "node-1")).unwrap().code, 201);
    bench.stored(&bench.leases(), &lease(&bench.space, "node-1"));
    let selector = "fieldSelector=metadata.namespace%21%3Dkube-node-lease";
    let list = client.get(&format!("{all}?{selector}")).unwrap().body;
    let listed = names(&list);
    assert!(listed.contains(&bench.space.as_str()) && !listed.contains(&name.as_str()));
}

fn an_update_need_not_name_the_uid_or_the_time_of_creation(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let mut bare = lease("a", "node-2");
    bare["metadata"]["resourceVersion"] = json!(version(&made));
    let written = bench.update(&bench.lease("a"), &bare);
    assert_eq!(written.code, 200, "{}", written.text);
    for field in ["uid", "creationTimestamp"] {
        assert_eq!(written.body["metadata"][field], made["metadata"][field], "{field}");
    }
    // With another one it is meant for another object.
    bare["metadata"]["resourceVersion"] = json!(version(&written.body));
    bare["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
    assert_eq!(bench.update(&bench.lease("a"), &bare).code, 409);
}

fn an_event_is_stored_once_under_its_name(bench: &Bench<'_>) {
    let event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": "web.0123456789abcdef", "namespace": bench.space},
        "involvedObject": {
            "apiVersion": "v1", "kind": "Service", "namespace": bench.space, "name": "web",
        },
        "reason": "Refused", "message": "it asks for the node's own address", "type": "Warning",
        "count": 1, "source": {"component": "viplet"},
        "firstTimestamp": "2026-11-24T00:00:00Z", "lastTimestamp": "2026-11-24T00:00:00Z",
    });
    bench.stored(&bench.core("events"), &event);
    let again = bench.create(&bench.core("events"), &event);
    assert_eq!((again.code, &again.body["reason"]), (409, &json!("AlreadyExists")));
}
