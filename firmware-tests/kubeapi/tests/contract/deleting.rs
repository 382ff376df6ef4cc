//! Deletion, its preconditions, and finalizers.

use serde_json::{Value, json};
use viplet_kubeapi::client::Payload;

use crate::bench::Bench;
use crate::objects::{config_map, lease, version, with};

crate::cases![
    a_deleted_object_is_gone,
    a_deletion_whose_precondition_does_not_hold_is_a_conflict,
    an_object_with_finalizers_goes_with_the_last_of_them,
];

fn a_deleted_object_is_gone(bench: &Bench<'_>) {
    bench.stored(&bench.leases(), &lease("a", "node-1"));
    let deleted = bench.delete(&bench.lease("a"));
    assert_eq!((deleted.code, &deleted.body["status"]), (200, &json!("Success")));
    assert_eq!(bench.get(&bench.lease("a")).code, 404);
    bench.stored(&bench.leases(), &lease("a", "node-2"));
}

fn a_deletion_whose_precondition_does_not_hold_is_a_conflict(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let delete = |preconditions: Value| {
        let options =
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions});
        bench.call("DELETE", &bench.lease("a"), Payload::Json(&options)).code
    };
    assert_eq!(delete(json!({"uid": "11111111-2222-4333-8444-555555555555"})), 409);
    assert_eq!(delete(json!({"resourceVersion": "1"})), 409);
    assert_eq!(delete(json!({"resourceVersion": version(&made)})), 200);
}

fn an_object_with_finalizers_goes_with_the_last_of_them(bench: &Bench<'_>) {
    let maps = bench.core("configmaps");
    let path = format!("{maps}/c");
    let held =
        with(&config_map("c", &json!({})), "/metadata/finalizers", json!(["viplet.io/test"]));
    bench.stored(&maps, &held);
    let marked = bench.delete(&path);
    assert_eq!(marked.code, 200);
    let dying = bench.get(&path).body;
    assert!(dying["metadata"]["deletionTimestamp"].is_string());
    let freed = bench.update(&path, &with(&dying, "/metadata/finalizers", json!([])));
    assert_eq!(freed.code, 200);
    assert_eq!(bench.get(&path).code, 404);
}
