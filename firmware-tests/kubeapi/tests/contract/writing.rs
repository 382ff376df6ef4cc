//! Create, read, update, and the status subresource.

use serde_json::json;
use viplet_kubeapi::client::Payload;

use crate::bench::Bench;
use crate::objects::{config_map, lease, service, version, with};

crate::cases![
    a_created_object_can_be_read_as_it_was_written,
    a_second_creation_is_refused_as_already_existing,
    what_does_not_exist_is_not_found,
    nothing_is_created_in_a_namespace_that_does_not_exist,
    an_update_of_the_current_version_is_stored_under_a_new_one,
    an_update_of_an_older_version_is_a_conflict_and_changes_nothing,
    an_update_without_a_version_is_refused_for_a_lease_and_not_for_a_config_map,
    an_update_of_a_lease_that_does_not_exist_creates_it,
    an_update_that_changes_nothing_keeps_the_version,
    an_update_with_another_objects_uid_is_a_conflict,
    what_cannot_be_read_is_refused,
    values_that_are_not_accepted_are_invalid,
    an_empty_holder_and_an_absent_spec_are_kept,
    a_generated_name_begins_with_its_prefix,
    the_status_and_the_rest_are_written_apart,
    a_resource_that_is_not_there_is_not_found,
    the_server_says_that_it_is_ready_and_which_version_it_is,
];

fn a_created_object_can_be_read_as_it_was_written(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let read = bench.get(&bench.lease("a")).body;
    assert_eq!(read, made);
    assert_eq!(read["spec"], lease("a", "node-1")["spec"]);
}

fn a_second_creation_is_refused_as_already_existing(bench: &Bench<'_>) {
    bench.stored(&bench.leases(), &lease("a", "node-1"));
    let second = bench.create(&bench.leases(), &lease("a", "node-2"));
    assert_eq!((second.code, &second.body["reason"]), (409, &json!("AlreadyExists")));
    assert_eq!(bench.get(&bench.lease("a")).body["spec"]["holderIdentity"], "node-1");
}

fn what_does_not_exist_is_not_found(bench: &Bench<'_>) {
    assert_eq!(bench.get(&bench.lease("a")).body["reason"], "NotFound");
    assert_eq!(bench.delete(&bench.lease("a")).code, 404);
    let change = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(bench.call("PATCH", &bench.lease("a"), Payload::Merge(&change)).code, 404);
    let map = config_map("c", &json!({}));
    assert_eq!(bench.update(&format!("{}/c", bench.core("configmaps")), &map).code, 404);
    assert_eq!(bench.get("/api/v1/nodes/nobody").code, 404);
}

fn nothing_is_created_in_a_namespace_that_does_not_exist(bench: &Bench<'_>) {
    let path = "/apis/coordination.k8s.io/v1/namespaces/nowhere/leases";
    let refused = bench.create(path, &lease("a", "node-1"));
    assert_eq!((refused.code, &refused.body["details"]["kind"]), (404, &json!("namespaces")));
    assert_eq!(bench.get(path).body["items"], json!([]));
}

fn an_update_of_the_current_version_is_stored_under_a_new_one(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let update = with(&made, "/spec/holderIdentity", json!("node-2"));
    let stored = bench.update(&bench.lease("a"), &update);
    assert_eq!((stored.code, &stored.body["spec"]["holderIdentity"]), (200, &json!("node-2")));
    assert_ne!(version(&stored.body), version(&made));
    assert_eq!(stored.body["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(bench.get(&bench.lease("a")).body, stored.body);
}

fn an_update_of_an_older_version_is_a_conflict_and_changes_nothing(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let second =
        bench.update(&bench.lease("a"), &with(&made, "/spec/holderIdentity", json!("node-2")));
    assert_eq!(second.code, 200);
    let third =
        bench.update(&bench.lease("a"), &with(&made, "/spec/holderIdentity", json!("node-3")));
    assert_eq!((third.code, &third.body["reason"]), (409, &json!("Conflict")));
    assert_eq!(bench.get(&bench.lease("a")).body, second.body);
}

fn an_update_without_a_version_is_refused_for_a_lease_and_not_for_a_config_map(bench: &Bench<'_>) {
    bench.stored(&bench.leases(), &lease("a", "node-1"));
    assert_eq!(bench.update(&bench.lease("a"), &lease("a", "node-2")).code, 422);
    let maps = bench.core("configmaps");
    bench.stored(&maps, &config_map("c", &json!({})));
    let changed = with(&config_map("c", &json!({})), "/data/cidr", json!("10.1.0.0/24"));
    assert_eq!(bench.update(&format!("{maps}/c"), &changed).code, 200);
}

fn an_update_of_a_lease_that_does_not_exist_creates_it(bench: &Bench<'_>) {
    let versioned = with(&lease("a", "node-1"), "/metadata/resourceVersion", json!("1"));
    let made = bench.update(&bench.lease("a"), &versioned);
    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(bench.get(&bench.lease("a")).body, made.body);

    assert_eq!(bench.delete(&bench.lease("a")).code, 200);
    let another = bench.update(&bench.lease("a"), &made.body);
    assert_eq!((another.code, &another.body["reason"]), (409, &json!("Conflict")));
    assert_eq!(bench.get(&bench.lease("a")).code, 404);
}

fn an_update_that_changes_nothing_keeps_the_version(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let same = bench.update(&bench.lease("a"), &made);
    assert_eq!((same.code, version(&same.body)), (200, version(&made)));
}

fn an_update_with_another_objects_uid_is_a_conflict(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let uid = json!("11111111-2222-4333-8444-555555555555");
    assert_eq!(bench.update(&bench.lease("a"), &with(&made, "/metadata/uid", uid)).code, 409);
}

fn what_cannot_be_read_is_refused(bench: &Bench<'_>) {
    let kind = with(&lease("a", "node-1"), "/kind", json!("Lessee"));
    assert_eq!(bench.create(&bench.leases(), &kind).code, 400);
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let elsewhere = bench.update(&bench.lease("b"), &made);
    assert_eq!(elsewhere.code, 400);
    let space = with(&lease("c", "node-1"), "/metadata/namespace", json!("default"));
    assert_eq!(bench.create(&bench.leases(), &space).code, 400);
    let number = with(&lease("c", "node-1"), "/spec/leaseDurationSeconds", json!("long"));
    assert_eq!(bench.create(&bench.leases(), &number).code, 400);
    assert_eq!(bench.create(&bench.leases(), &json!([1, 2])).code, 400);
    let versioned = with(&lease("c", "node-1"), "/metadata/resourceVersion", json!("7"));
    assert_eq!(bench.create(&bench.leases(), &versioned).code, 500);
}

fn values_that_are_not_accepted_are_invalid(bench: &Bench<'_>) {
    for (pointer, value) in [
        ("/spec/leaseDurationSeconds", json!(0)),
        ("/spec/leaseTransitions", json!(-1)),
        ("/metadata/name", json!("Not_A_Name")),
    ] {
        let refused = bench.create(&bench.leases(), &with(&lease("a", "node-1"), pointer, value));
        assert_eq!((refused.code, &refused.body["reason"]), (422, &json!("Invalid")), "{pointer}");
    }
    let nameless = with(&lease("a", "node-1"), "/metadata", json!({}));
    assert_eq!(bench.create(&bench.leases(), &nameless).code, 422);
}

fn an_empty_holder_and_an_absent_spec_are_kept(bench: &Bench<'_>) {
    let released = bench.stored(&bench.leases(), &lease("released", ""));
    assert_eq!(released["spec"]["holderIdentity"], "");
    bench.stored(&bench.leases(), &json!({"metadata": {"name": "bare"}}));
    let bare = bench.get(&bench.lease("bare")).body;
    assert!(bare["spec"]["holderIdentity"].is_null());
}

fn a_generated_name_begins_with_its_prefix(bench: &Bench<'_>) {
    let event = json!({
        "metadata": {"generateName": "moved-", "namespace": bench.space},
        "involvedObject": {"kind": "Service", "namespace": bench.space, "name": "web"},
        "reason": "Moved", "message": "to node-2", "type": "Normal",
    });
    let client = bench.server.client(); // its name is random: not for the record
    let made = client.create(&bench.core("events"), &event).unwrap();
    assert_eq!(made.code, 201, "{}", made.text);
    let name = made.body["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("moved-") && name.len() == "moved-".len() + 5, "{name}");
}

fn the_status_and_the_rest_are_written_apart(bench: &Bench<'_>) {
    let services = bench.core("services");
    let path = format!("{services}/web");
    let made = bench.stored(&services, &service("web"));
    let ingress = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.10"}]}});
    let both = with(&with(&made, "/status", ingress), "/spec/loadBalancerIP", json!("10.0.0.10"));

    let status = bench.update(&format!("{path}/status"), &both);
    assert_eq!(status.code, 200, "{}", status.text);
    assert_eq!(status.body["status"]["loadBalancer"]["ingress"][0]["ip"], "10.0.0.10");
    assert!(status.body["spec"]["loadBalancerIP"].is_null());

    let mut both = with(&status.body, "/spec/loadBalancerIP", json!("10.0.0.10"));
    both["status"] = json!({});
    let main = bench.update(&path, &both);
    assert_eq!(main.body["spec"]["loadBalancerIP"], "10.0.0.10");
    assert_eq!(main.body["status"]["loadBalancer"]["ingress"][0]["ip"], "10.0.0.10");

    let stale = bench.update(&format!("{path}/status"), &made);
    assert_eq!((stale.code, &stale.body["reason"]), (409, &json!("Conflict")));
}

fn a_resource_that_is_not_there_is_not_found(bench: &Bench<'_>) {
    let client = bench.server.client();
    for path in ["/apis/example.com/v1/things", "/api/v1/namespaces/default/leases"] {
        assert_eq!(client.get(path).unwrap().code, 404, "{path}");
    }
}

fn the_server_says_that_it_is_ready_and_which_version_it_is(bench: &Bench<'_>) {
    let client = bench.server.client();
    for path in ["/readyz", "/livez"] {
        assert_eq!(client.get(path).unwrap().text, "ok", "{path}");
    }
    let version = client.get("/version").unwrap().body;
    assert_eq!((&version["major"], &version["minor"]), (&json!("1"), &json!("36")));
    assert!(version["gitVersion"].as_str().unwrap().starts_with("v1.36."));
}
