//! Nodes as records.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn record(object: &Value) -> NodeRecord {
    NodeRecord::read(&object.to_string()).unwrap().unwrap()
}

#[test]
fn a_node_is_its_addresses_its_scheduling_and_our_labels() {
    let object = json!({
        "metadata": {"name": "node-1", "labels": {
            "kubernetes.io/hostname": "node-1", HAS_IP: "10.0.0.1",
            "service-provided.kube-vip.io/web.shop": "10.0.0.2",
        }},
        "spec": {"unschedulable": true},
        "status": {"addresses": [
            {"type": "Hostname", "address": "10.9.9.9"}, {"type": "InternalIP", "address": "192.0.2.1"},
            {"type": "ExternalIP", "address": "2001:db8::1"}, {"type": "InternalIP", "address": "none"},
            {},
        ], "images": [{"names": ["x"], "sizeBytes": 5}]},
    });
    let node = record(&object);
    assert_eq!((&*node.name, node.scheduling), ("node-1", Scheduling::Cordoned));
    let addresses: Vec<_> = node.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["192.0.2.1", "2001:db8::1"]);
    let keys: Vec<_> = node.labels.keys().map(AsRef::as_ref).collect();
    assert_eq!(keys, [HAS_IP, "service-provided.kube-vip.io/web.shop"]);
    assert_eq!(without_foreign_labels(node.clone(), "node-1"), node);
    assert!(without_foreign_labels(node, "node-2").labels.is_empty());
}

#[test]
fn a_node_that_says_little_is_open_and_has_no_addresses() {
    for object in [
        json!({"metadata": {"name": "n"}}),
        json!({"metadata": {"name": "n", "labels": null}, "spec": null, "status": {"addresses": null}}),
    ] {
        let node = record(&object);
        assert_eq!(node.scheduling, Scheduling::Open);
        assert!(node.addresses.is_empty() && node.labels.is_empty());
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}\",:a-z0-9]{0,60}") {
        let wrapped = format!(r#"{{"metadata":{{"name":"n","labels":{text}}},"status":{text}}}"#);
        for text in [&text, &wrapped] {
            let _ = NodeRecord::read(text);
            let _ = NodeRecord::key(text);
        }
    }
}
