//! Changes of a Service: exactly what was asked for, and nothing of others.

use proptest::prelude::*;

use super::*;
use crate::core::cluster::record::{ServiceName, ServiceRecord};
use crate::kube::watch::Watched as _;

const NOW: &str = "2026-11-24T00:00:00Z";

fn service() -> Value {
    json!({
        "metadata": {
            "namespace": "shop", "name": "web", "uid": "u-1", "resourceVersion": "7",
            "annotations": {"team": "edge"}, "managedFields": [{"manager": "x"}],
        },
        "spec": {"ports": [{"port": 80, "nodePort": 30080}], "unknown": {"a": [1.5]}},
        "status": {"loadBalancer": {"ingress": [
            {"hostname": "lb.example.com", "x": 1},
            {"ip": "192.0.2.7", "ipMode": "Proxy", "ports": []},
        ]}, "conditions": [{"type": "other", "status": "True"}]},
    })
}

fn keep() -> ServiceUpdate {
    ServiceUpdate {
        service: ServiceName::new("shop", "web"),
        uid: "u-1".into(),
        attempt: 1,
        host: HostChange::Keep,
        ingress: IngressChange::default(),
        condition: ConditionChange::Keep,
    }
}

fn put(addresses: &[&str]) -> ServiceUpdate {
    let entry = |ip: &&str| Ingress {
        address: Some(ip.parse().unwrap()),
        hostname: None,
        ports: [ServicePort { port: 80, protocol: Protocol::Tcp }].into(),
    };
    let put = addresses.iter().map(entry).collect();
    ServiceUpdate { ingress: IngressChange { put, drop: Vec::new() }, ..keep() }
}

fn drop_of(addresses: &[&str]) -> ServiceUpdate {
    let drop = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
    ServiceUpdate { ingress: IngressChange { put: Vec::new(), drop }, ..keep() }
}

fn says_held(message: &str) -> ServiceUpdate {
    let condition =
        Condition { served: Served::Yes, reason: "Held".into(), message: message.into() };
    ServiceUpdate { condition: ConditionChange::Set(condition), ..keep() }
}

/// The object after an update that changes it; the same update again must not.
fn changed(object: &Value, update: &ServiceUpdate) -> Value {
    let mut object = object.clone();
    assert_eq!(apply_to_service(&mut object, update, NOW), Ok(Applied::Changed));
    let after = object.clone();
    let again = apply_to_service(&mut object, update, "2027-01-01T00:00:00Z");
    assert_eq!((again, &object), (Ok(Applied::Unchanged), &after), "once is enough");
    after
}

fn unchanged(object: &Value, update: &ServiceUpdate) {
    let mut after = object.clone();
    assert_eq!(apply_to_service(&mut after, update, NOW), Ok(Applied::Unchanged));
    assert_eq!(after, *object);
}

#[test]
fn the_holder_is_set_changed_and_removed_and_other_annotations_stay() {
    let set = |node: &str| ServiceUpdate { host: HostChange::Set(node.to_owned()), ..keep() };
    let remove = |node: &str| ServiceUpdate { host: HostChange::Remove(node.to_owned()), ..keep() };
    let held = changed(&service(), &set("node-1"));
    assert_eq!(held["metadata"]["annotations"], json!({"team": "edge", HOST: "node-1"}));
    unchanged(&held, &remove("node-2"));
    let moved = changed(&held, &set("node-2"));
    assert_eq!(changed(&moved, &remove("node-2")), service());
    for none in [Value::Null, json!({})] {
        let mut bare = service();
        bare["metadata"]["annotations"] = none;
        let held = changed(&bare, &set("node-1"));
        assert_eq!(held["metadata"]["annotations"], json!({HOST: "node-1"}));
        assert_eq!(changed(&held, &remove("node-1"))["metadata"].get("annotations"), None);
    }
}

#[test]
fn our_entries_come_first_in_order_and_those_of_others_stay_as_they_were() {
    let after = changed(&service(), &put(&["10.0.0.2", "10.0.0.1"]));
    let ports = json!([{"port": 80, "protocol": "TCP"}]);
    let theirs = &service()["status"]["loadBalancer"]["ingress"];
    assert_eq!(
        after["status"]["loadBalancer"]["ingress"],
        json!([
            {"ip": "10.0.0.2", "ports": ports}, {"ip": "10.0.0.1", "ports": ports},
            theirs[0], theirs[1],
        ])
    );
    assert_eq!(after["spec"], service()["spec"]);
    assert_eq!(after["metadata"], service()["metadata"]);
    assert_eq!(changed(&after, &drop_of(&["10.0.0.1", "10.0.0.2"])), service());
}

#[test]
fn an_entry_for_the_same_address_keeps_what_others_wrote_into_it() {
    let mut object = service();
    object["status"]["loadBalancer"]["ingress"] = json!([
        {"hostname": "lb.example.com"},
        {"ip": "2001:DB8::1", "ipMode": "VIP", "ports": [
            {"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP", "error": "Taken"},
        ], "new": {"field": 1}},
    ]);
    let entry = object["status"]["loadBalancer"]["ingress"][1].clone();
    let first = changed(&object, &put(&["2001:db8::1"]));
    assert_eq!(first["status"]["loadBalancer"]["ingress"][0], entry, "only its place changed");
    let mut other_port = put(&["2001:db8::1"]);
    other_port.ingress.put[0].ports = [ServicePort { port: 443, protocol: Protocol::Udp }].into();
    let after = changed(&first, &other_port);
    let entry = &after["status"]["loadBalancer"]["ingress"][0];
    assert_eq!(entry["ports"], json!([{"port": 443, "protocol": "UDP"}]));
    assert_eq!((&entry["ipMode"], &entry["new"]), (&json!("VIP"), &json!({"field": 1})));
}

#[test]
fn a_service_that_has_no_status_yet_gets_one() {
    for status in
        [Value::Null, json!({}), json!({"loadBalancer": null}), json!({"loadBalancer": {}})]
    {
        let mut object = service();
        object["status"] = status;
        let after = changed(&object, &put(&["10.0.0.1"]));
        assert_eq!(after["status"]["loadBalancer"]["ingress"][0]["ip"], "10.0.0.1");
        let bare = changed(&after, &drop_of(&["10.0.0.1"]));
        assert_eq!(bare["status"], json!({"loadBalancer": {}}));
        unchanged(&object, &drop_of(&["10.0.0.1"]));
    }
}

#[test]
fn the_condition_changes_its_time_only_when_it_says_something_else() {
    let held = changed(&service(), &says_held("here"));
    let ours = |object: &Value| object["status"]["conditions"][1].clone();
    assert_eq!(
        ours(&held),
        json!({"type": CONDITION, "status": "True", "reason": "Held", "message": "here",
            "lastTransitionTime": NOW})
    );
    let mut marked = held.clone();
    marked["status"]["conditions"][1]["observedGeneration"] = json!(3);
    marked["status"]["conditions"][1]["lastTransitionTime"] = json!("2020-01-01T00:00:00Z");
    unchanged(&marked, &says_held("here"));
    let after = changed(&marked, &says_held("still here"));
    assert_eq!(ours(&after)["lastTransitionTime"], NOW);
    assert_eq!(ours(&after)["observedGeneration"], 3);
    let remove = ServiceUpdate { condition: ConditionChange::Remove, ..keep() };
    assert_eq!(changed(&after, &remove), service());
    unchanged(&service(), &remove);
}

#[test]
fn another_service_of_the_same_name_is_not_touched() {
    let mut object = service();
    let update = ServiceUpdate { uid: "u-2".into(), ..put(&["10.0.0.1"]) };
    assert_eq!(apply_to_service(&mut object, &update, NOW), Err(NotApplied::AnotherUid));
    assert_eq!(object, service());
}

#[test]
fn what_makes_no_sense_is_refused_with_the_field() {
    let held = |pointer: &str, value: Value| {
        let mut object = service();
        *object.pointer_mut(pointer).unwrap() = value;
        let mut update = put(&["10.0.0.1"]);
        update.host = HostChange::Set("n".to_owned());
        update.condition = says_held("x").condition;
        apply_to_service(&mut object, &update, NOW).unwrap_err()
    };
    for (pointer, field) in [
        ("/metadata/annotations", "annotations"),
        ("/status", "status"),
        ("/status/loadBalancer", "loadBalancer"),
        ("/status/loadBalancer/ingress", "status.loadBalancer.ingress"),
        ("/status/conditions", "status.conditions"),
    ] {
        let NotApplied::Malformed(why) = held(pointer, json!(7)) else { panic!("{pointer}") };
        assert!(why.contains(field), "{pointer}: {why}");
    }
    let mut nothing = Value::Null;
    assert_eq!(apply_to_service(&mut nothing, &keep(), NOW), Err(NotApplied::AnotherUid));
}

fn update_of(parts: (u8, Vec<u8>, Vec<u8>, u8)) -> ServiceUpdate {
    let (host, puts, drops, condition) = parts;
    let address = |last: &u8| format!("10.0.0.{last}");
    let texts: Vec<String> = puts.iter().map(address).collect();
    let mut update = put(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    update.ingress.drop = drops.iter().map(|last| address(last).parse().unwrap()).collect();
    update.host = match host {
        0 => HostChange::Keep,
        1 => HostChange::Set("node-1".to_owned()),
        _ => HostChange::Remove("node-1".to_owned()),
    };
    update.condition = match condition {
        0 => ConditionChange::Keep,
        1 => says_held("here").condition,
        2 => says_held("there").condition,
        _ => ConditionChange::Remove,
    };
    update
}

/// The object without all that viplet may change.
fn rest(object: &Value, ours: &ServiceUpdate) -> Value {
    let mut object = object.clone();
    let mut undo = drop_of(&[]);
    undo.host = HostChange::Remove("node-1".to_owned());
    undo.condition = ConditionChange::Remove;
    undo.ingress.drop = ours
        .ingress
        .put
        .iter()
        .filter_map(|one| one.address)
        .chain(ours.ingress.drop.clone())
        .collect();
    apply_to_service(&mut object, &undo, NOW).unwrap();
    object
}

proptest! {
    #[test]
    fn whatever_is_asked_for_is_there_after_one_write_and_the_rest_is_as_it_was(
        first in (0u8..3, prop::collection::vec(0u8..5, 0..4), prop::collection::vec(0u8..5, 0..4), 0u8..4),
        second in (0u8..3, prop::collection::vec(0u8..5, 0..4), prop::collection::vec(0u8..5, 0..4), 0u8..4),
    ) {
        let (first, second) = (update_of(first), update_of(second));
        let mut object = service();
        apply_to_service(&mut object, &first, NOW).unwrap();
        let before = object.clone();
        let told = apply_to_service(&mut object, &second, NOW).unwrap();
        prop_assert_eq!(told == Applied::Unchanged, object == before);
        let after = object.clone();
        prop_assert_eq!(apply_to_service(&mut object, &second, "later"), Ok(Applied::Unchanged));
        prop_assert_eq!(&object, &after);
        prop_assert_eq!(rest(&after, &second), rest(&before, &second));
        // What a watch would read of it is what was asked for.
        let record = ServiceRecord::read(&after.to_string()).unwrap().unwrap();
        let asked: Vec<_> = second.ingress.put.iter().collect();
        let there: Vec<_> = record.ingress.iter().take(asked.len()).collect();
        prop_assert_eq!(there, asked);
    }
}
