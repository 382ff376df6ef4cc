//! Objects that stop making sense to us, say after an upgrade of the cluster: what was known of
//! them before stays, through every list, and is said.

use std::time::Duration;

use super::fixture::{Fixture, asking, local, service, settings};
use crate::core::Input;
use crate::core::cluster::record::{
    Change, NodeRecord, ServiceName, ServiceRecord, SliceName, SliceRecord, Unreadable,
};
use crate::core::settings::ServiceElection;

/// Longer than anything takes that is done about a change.
const LONG: Duration = Duration::from_secs(10);

fn unreadable<K>(key: K) -> Unreadable<K> {
    Unreadable { key, reason: "default/web: spec.ports[0].port: invalid value".to_owned() }
}

fn web() -> ServiceName {
    ServiceName::new("default", "web")
}

fn slice() -> SliceName {
    SliceName { service: web(), name: "web-a".into() }
}

/// A node that holds the address of a Service whose endpoint it has.
fn holder() -> Fixture {
    let mut fixture = Fixture::new(1, settings(ServiceElection::Each));
    fixture.put(local(asking("web", "192.0.2.20")));
    fixture.endpoints("web", &["n1"]);
    fixture.settle();
    assert_eq!(fixture.holders("192.0.2.20"), [0]);
    // What it is told from now on is what a test says.
    fixture.cut_watches(0);
    fixture
}

fn why(fixture: &Fixture) -> String {
    fixture.why(0, "web").because.join("\n")
}

#[test]
fn a_service_that_cannot_be_read_any_more_keeps_its_address_through_a_list() {
    let mut fixture = holder();
    fixture.give(0, Input::Services(Change::Unreadable(unreadable(web()))));
    fixture.pass(LONG);
    assert!(
        why(&fixture).contains("cannot be read: default/web: spec.ports[0].port"),
        "{}",
        why(&fixture)
    );
    let list = Change::<ServiceRecord, _>::ReplacedExcept(Vec::new(), vec![unreadable(web())]);
    fixture.give(0, Input::Services(list));
    fixture.pass(LONG);
    assert_eq!(fixture.holders("192.0.2.20"), [0]);
    assert!(why(&fixture).contains("cannot be read"), "{}", why(&fixture));
    let counted = fixture.core(0).counters().rejects;
    assert_eq!(counted.get("a Service that cannot be read"), Some(&2), "{counted:?}");
    fixture.change("web", |_| ());
    fixture.list(0);
    fixture.pass(LONG);
    assert!(!why(&fixture).contains("cannot be read"), "it was read again: {}", why(&fixture));
}

#[test]
fn a_service_that_could_not_be_read_and_is_in_no_list_any_more_is_gone() {
    let mut fixture = holder();
    fixture.give(0, Input::Services(Change::Unreadable(unreadable(web()))));
    fixture.give(0, Input::Services(Change::Replaced(Vec::new())));
    fixture.pass(LONG);
    assert_eq!(fixture.holders("192.0.2.20"), [0; 0]);
}

#[test]
fn endpoints_that_cannot_be_read_any_more_are_kept_through_a_list() {
    let mut fixture = holder();
    fixture.give(0, Input::Endpoints(Change::Unreadable(unreadable(slice()))));
    let list = Change::<SliceRecord, _>::ReplacedExcept(Vec::new(), vec![unreadable(slice())]);
    fixture.give(0, Input::Endpoints(list));
    fixture.pass(LONG);
    assert_eq!(fixture.holders("192.0.2.20"), [0]);
    assert!(why(&fixture).contains("endpoints of it cannot be read"), "{}", why(&fixture));
    fixture.give(0, Input::Endpoints(Change::Replaced(Vec::new())));
    fixture.pass(LONG);
    assert_eq!(fixture.holders("192.0.2.20"), [0; 0], "without endpoints nobody holds it");
}

#[test]
fn a_node_that_cannot_be_read_any_more_keeps_its_own_address() {
    let mut fixture = holder();
    let own = |name: &str, address: &str| NodeRecord {
        name: name.into(),
        addresses: [address.parse().unwrap()].into(),
        scheduling: Default::default(),
        labels: Default::default(),
    };
    let nodes = vec![own("n1", "192.0.2.1"), own("n2", "192.0.2.77")];
    fixture.give(0, Input::Nodes(Change::Replaced(nodes)));
    let list = Change::ReplacedExcept(vec![own("n1", "192.0.2.1")], vec![unreadable("n2".into())]);
    fixture.give(0, Input::Nodes(list));
    let mut record = fixture.record("web");
    record.version = "900".into();
    record.annotations = asking("web", "192.0.2.77").annotations;
    fixture.give(0, Input::Services(Change::Applied(record)));
    fixture.pass(LONG);
    assert_eq!(fixture.holders("192.0.2.77"), [0; 0], "it is n2's own");
}

#[test]
fn a_service_that_could_never_be_read_has_its_reason_all_the_same() {
    let mut fixture = Fixture::new(1, settings(ServiceElection::Each));
    fixture.put(service("other"));
    fixture.pass(LONG);
    fixture.give(0, Input::Services(Change::Unreadable(unreadable(web()))));
    assert!(
        why(&fixture).contains("it cannot be read: default/web: spec.ports"),
        "{}",
        why(&fixture)
    );
}
