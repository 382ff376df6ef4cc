//! Events: their names, bounds and parts.

use super::*;
use crate::core::cluster::record::ServiceName;

fn event(message: &str, node: Option<&str>) -> ServiceEvent {
    ServiceEvent {
        service: ServiceName::new("shop", "web"),
        uid: "u-1".into(),
        weight: EventWeight::Warning,
        reason: "Refused".to_owned(),
        message: message.to_owned(),
        node: node.map(str::to_owned),
    }
}

fn name(event: &ServiceEvent, own: &str, seconds: u64) -> String {
    let body = body(event, own, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    body["metadata"]["name"].as_str().unwrap().to_owned()
}

#[test]
fn the_same_said_by_several_nodes_has_one_name_for_fifty_minutes() {
    let same = name(&event("taken", None), "node-1", 3_000);
    assert_eq!(name(&event("taken", None), "node-2", 5_999), same);
    assert!(same.starts_with("web.") && same.len() == "web.".len() + 16, "{same}");
    for (other, own, seconds) in [
        (event("taken", None), "node-1", 6_000),
        (event("takem", None), "node-1", 3_000),
        (event("taken", Some("node-1")), "node-1", 3_000),
        (ServiceEvent { uid: "u-2".into(), ..event("taken", None) }, "node-1", 3_000),
        (ServiceEvent { reason: "Moved".into(), ..event("taken", None) }, "node-1", 3_000),
    ] {
        assert_ne!(name(&other, own, seconds), same, "{other:?}");
    }
    // The hash is stable, across versions and machines: nodes of both say the same.
    assert_eq!(same, "web.a966c1c512c23e27");
}

#[test]
fn an_event_says_who_says_it_about_what() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_230_245_999);
    let said = body(&event("taken", Some("node-1")), "node-1", now);
    assert_eq!(
        said["involvedObject"],
        json!({"apiVersion": "v1", "kind": "Service", "namespace": "shop", "name": "web", "uid": "u-1"})
    );
    assert_eq!(said["source"], json!({"component": "viplet", "host": "node-1"}));
    assert_eq!((&said["reportingInstance"], &said["type"]), (&json!("node-1"), &json!("Warning")));
    assert_eq!(said["firstTimestamp"], "2026-11-21T03:04:05Z");
    assert_eq!(said["firstTimestamp"], said["lastTimestamp"]);
    let said = body(&event("taken", None), "node-2", now);
    assert_eq!(said["source"], json!({"component": "viplet"}), "every node says it");
    assert_eq!(said["reportingInstance"], "node-2");
}

#[test]
fn a_message_of_any_length_is_cut_between_characters() {
    let said = body(&event(&"\u{20ac}".repeat(1_000), None), "n", SystemTime::UNIX_EPOCH);
    assert_eq!(said["message"], "\u{20ac}".repeat(341));
}
