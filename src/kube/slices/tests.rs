//! Slices as records: who is where, and how.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn slice(labels: &Value, endpoints: &Value) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": "web-x", "labels": labels},
        "addressType": "IPv4", "ports": [{"port": 80}], "endpoints": endpoints,
    })
}

fn labels() -> Value {
    json!({SERVICE: "web", "other": "x"})
}

fn read(object: &Value) -> Option<SliceRecord> {
    EndpointSlice::read(&object.to_string()).unwrap().map(SliceRecord::from)
}

fn told(slice: &SliceRecord) -> Vec<(Option<&str>, EndpointState)> {
    slice.endpoints.iter().map(|one| (one.node.as_deref(), one.state)).collect()
}

#[test]
fn conditions_are_read_as_kubernetes_means_them() {
    use EndpointState::{Ready, Serving, Unready};
    for (conditions, state) in [
        (Value::Null, Ready),
        (json!({}), Ready),
        (json!({"ready": null, "serving": null}), Ready),
        (json!({"ready": true, "serving": false}), Ready),
        (json!({"ready": false}), Unready),
        (json!({"ready": false, "serving": true, "terminating": true}), Serving),
        (json!({"ready": false, "serving": false}), Unready),
        (json!({"serving": true}), Ready),
    ] {
        let endpoints = json!([{"addresses": ["10.1.0.1"], "conditions": conditions}]);
        let record = read(&slice(&labels(), &endpoints)).unwrap();
        assert_eq!(told(&record), [(None, state)], "{conditions}");
    }
}

#[test]
fn an_endpoint_is_on_its_node_or_on_the_host_that_it_names() {
    let endpoints = json!([
        {"nodeName": "node-1", "hostname": "h"}, {"nodeName": "", "hostname": "h"},
        {"nodeName": null}, {"hostname": "h"},
    ]);
    let record = read(&slice(&labels(), &endpoints)).unwrap();
    let nodes: Vec<_> = told(&record).into_iter().map(|(node, _)| node).collect();
    assert_eq!(nodes, [Some("node-1"), Some("h"), None, Some("h")]);
    assert_eq!(record.service, ServiceName::new("shop", "web"));
    assert_eq!(&*record.name, "web-x");
}

#[test]
fn a_slice_of_no_service_is_left_out_and_nothing_is_said() {
    for labels in [Value::Null, json!({}), json!({SERVICE: ""}), json!({SERVICE: null})] {
        let object = slice(&labels, &json!([]));
        assert_eq!(read(&object), None, "{labels}");
        assert_eq!(EndpointSlice::key(&object.to_string()), Ok(None));
    }
}

#[test]
fn a_slice_without_endpoints_is_a_slice() {
    for none in [Value::Null, json!([])] {
        assert_eq!(told(&read(&slice(&labels(), &none)).unwrap()), []);
    }
}

#[test]
fn endpoints_of_the_old_kind_are_one_slice_named_as_the_service() {
    let object = json!({
        "metadata": {"namespace": "shop", "name": "web"},
        "subsets": [
            {"addresses": [{"ip": "10.1.0.1", "nodeName": "node-1"}],
             "notReadyAddresses": [{"ip": "10.1.0.2", "hostname": "h"}], "ports": [{"port": 80}]},
            {"addresses": null, "notReadyAddresses": [{"ip": "10.1.0.3"}]},
        ],
    });
    let record = Endpoints::read(&object.to_string()).unwrap().map(SliceRecord::from).unwrap();
    assert_eq!((record.service.name(), &*record.name), ("web", "web"));
    assert_eq!(
        told(&record),
        [
            (Some("node-1"), EndpointState::Ready),
            (Some("h"), EndpointState::Unready),
            (None, EndpointState::Unready),
        ]
    );
    let bare = json!({"metadata": {"namespace": "shop", "name": "web"}}).to_string();
    let record = Endpoints::read(&bare).unwrap().map(SliceRecord::from).unwrap();
    assert_eq!(told(&record), []);
    let key = Endpoints::key(&bare).unwrap().unwrap();
    assert_eq!(key, SliceName { service: record.service, name: record.name });
}

#[test]
fn what_makes_no_sense_is_refused_with_the_field() {
    let object = slice(&labels(), &json!([{}, {"conditions": {"ready": "yes"}}]));
    let reason = EndpointSlice::read(&object.to_string()).unwrap_err();
    assert!(reason.starts_with("endpoints[1].conditions.ready: "), "{reason}");
    assert!(EndpointSlice::key(&object.to_string()).unwrap().is_some(), "it can still go");
    let object =
        json!({"metadata": {"namespace": "s", "name": "n"}, "subsets": [{"addresses": 1}]});
    let reason = Endpoints::read(&object.to_string()).unwrap_err();
    assert!(reason.starts_with("subsets[0].addresses: "), "{reason}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}\",:a-z0-9]{0,60}") {
        let wrapped = format!(r#"{{"metadata":{{"namespace":"s","name":"n"}},"endpoints":{text},"subsets":{text}}}"#);
        for text in [&text, &wrapped] {
            let _ = EndpointSlice::read(text);
            let _ = EndpointSlice::key(text);
            let _ = Endpoints::read(text);
            let _ = Endpoints::key(text);
        }
    }
}
