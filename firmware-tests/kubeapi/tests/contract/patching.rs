//! Merge patches and JSON patches.

use serde_json::json;
use viplet_kubeapi::client::Payload;

use crate::bench::Bench;
use crate::objects::{config_map, lease, service, version};

crate::cases![
    a_merge_patch_sets_and_removes_and_leaves_the_rest,
    a_merge_patch_sets_and_removes_a_nodes_label,
    a_merge_patch_of_the_status_leaves_the_rest,
    a_merge_patch_with_an_older_version_is_a_conflict,
    a_json_patch_adds_replaces_removes_and_tests,
    a_json_patch_that_does_not_apply_changes_nothing,
    a_patch_of_an_unknown_form_is_refused,
];

fn a_merge_patch_sets_and_removes_and_leaves_the_rest(bench: &Bench<'_>) {
    bench.stored(&bench.leases(), &lease("a", "node-1"));
    let patch = json!({
        "metadata": {"annotations": {"team": null, "site": "north"}, "labels": {"x": "y"}},
        "spec": {"holderIdentity": "node-2"},
    });
    let patched = bench.call("PATCH", &bench.lease("a"), Payload::Merge(&patch));
    assert_eq!(patched.code, 200);
    assert_eq!(patched.body["metadata"]["annotations"], json!({"site": "north"}));
    assert_eq!(patched.body["metadata"]["labels"], json!({"x": "y"}));
    assert_eq!(patched.body["spec"]["holderIdentity"], "node-2");
    assert_eq!(patched.body["spec"]["leaseDurationSeconds"], 15);
}

fn a_merge_patch_sets_and_removes_a_nodes_label(bench: &Bench<'_>) {
    bench.stored("/api/v1/nodes", &json!({"metadata": {"name": bench.space}}));
    let node = format!("/api/v1/nodes/{}", bench.space);
    let label = |value: serde_json::Value| {
        let patch = json!({"metadata": {"labels": {"kube-vip.io/has-ip": value}}});
        bench.call("PATCH", &node, Payload::Merge(&patch)).body["metadata"]["labels"].clone()
    };
    assert_eq!(label(json!("10.0.0.10")), json!({"kube-vip.io/has-ip": "10.0.0.10"}));
    assert!(label(json!(null)).get("kube-vip.io/has-ip").is_none());
}

fn a_merge_patch_of_the_status_leaves_the_rest(bench: &Bench<'_>) {
    let services = bench.core("services");
    bench.stored(&services, &service("web"));
    let patch = json!({
        "metadata": {"annotations": {"x": "y"}},
        "spec": {"loadBalancerIP": "10.0.0.10"},
        "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.10"}]}},
    });
    let path = format!("{services}/web/status");
    let patched = bench.call("PATCH", &path, Payload::Merge(&patch));
    assert_eq!(patched.code, 200, "{}", patched.text);
    assert_eq!(patched.body["status"]["loadBalancer"]["ingress"][0]["ip"], "10.0.0.10");
    assert!(patched.body["spec"]["loadBalancerIP"].is_null());
}

fn a_merge_patch_with_an_older_version_is_a_conflict(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let patch = |holder: &str| json!({"metadata": {"resourceVersion": version(&made)}, "spec": {"holderIdentity": holder}});
    let path = bench.lease("a");
    assert_eq!(bench.call("PATCH", &path, Payload::Merge(&patch("node-2"))).code, 200);
    let stale = bench.call("PATCH", &path, Payload::Merge(&patch("node-3")));
    assert_eq!((stale.code, &stale.body["reason"]), (409, &json!("Conflict")));
}

fn a_json_patch_adds_replaces_removes_and_tests(bench: &Bench<'_>) {
    let maps = bench.core("configmaps");
    bench.stored(&maps, &config_map("c", &json!({"a/b": "1", "c": "2"})));
    let patch = json!([
        {"op": "test", "path": "/data/range-global", "value": "10.0.0.10-10.0.0.20"},
        {"op": "replace", "path": "/data/range-global", "value": "10.0.0.10-10.0.0.30"},
        {"op": "add", "path": "/data/cidr-web", "value": "10.1.0.0/24"},
        {"op": "remove", "path": "/metadata/labels/a~1b"},
    ]);
    let patched = bench.call("PATCH", &format!("{maps}/c"), Payload::JsonPatch(&patch));
    assert_eq!(patched.code, 200, "{}", patched.text);
    let data = json!({"range-global": "10.0.0.10-10.0.0.30", "cidr-web": "10.1.0.0/24"});
    assert_eq!(patched.body["data"], data);
    assert_eq!(patched.body["metadata"]["labels"], json!({"c": "2"}));
}

fn a_json_patch_that_does_not_apply_changes_nothing(bench: &Bench<'_>) {
    let maps = bench.core("configmaps");
    let made = bench.stored(&maps, &config_map("c", &json!({})));
    let path = format!("{maps}/c");
    for patch in [
        json!([{"op": "replace", "path": "/data/range-global", "value": "x"},
               {"op": "test", "path": "/data/range-global", "value": "y"}]),
        json!([{"op": "remove", "path": "/data/nothing"}]),
        json!([{"op": "replace", "path": "/nowhere/at/all", "value": "x"}]),
    ] {
        let refused = bench.call("PATCH", &path, Payload::JsonPatch(&patch));
        assert_eq!(refused.code, 422, "{patch}");
    }
    assert_eq!(bench.get(&path).body, made);
}

fn a_patch_of_an_unknown_form_is_refused(bench: &Bench<'_>) {
    bench.stored(&bench.leases(), &lease("a", "node-1"));
    let answer = bench.call("PATCH", &bench.lease("a"), Payload::Json(&json!({"spec": {}})));
    assert_eq!((answer.code, &answer.body["reason"]), (415, &json!("UnsupportedMediaType")));
}
