//! Services that share an address.

use std::time::Duration;

use super::fixture::{Fixture, asking, control_plane, ip, on_port, settings, younger};
use crate::core::settings::ServiceElection::{Each, OneForAll};
use crate::core::settings::Services;
use crate::core::status::ServiceState;
use crate::core::{LeaseName, Settings};

#[test]
fn services_that_share_an_address_share_one_lease_and_one_holder() {
    let mut fixture = Fixture::new(3, settings(Each));
    fixture.settle();
    fixture.serve(asking("a", "10.0.0.1"));
    fixture.serve(younger(on_port(443, asking("b", "10.0.0.1"))));
    fixture.pass(Duration::from_secs(3));
    let holder = fixture.holder("10.0.0.1");
    assert_eq!(fixture.lease("kubevip-a").unwrap().holder, format!("n{}", holder + 1));
    assert!(fixture.lease("kubevip-b").is_none(), "the older one's lease decides");
    for name in ["a", "b"] {
        assert_eq!(fixture.state(holder, name).0, ServiceState::Held);
        assert_eq!(fixture.record(name).ingress[0].address, Some(ip("10.0.0.1")));
    }
}

#[test]
fn deleting_one_of_two_that_share_keeps_the_address_up() {
    for first in ["a", "b"] {
        let mut fixture = Fixture::new(3, settings(Each));
        fixture.settle();
        fixture.serve(asking("a", "10.0.0.1"));
        fixture.serve(younger(on_port(443, asking("b", "10.0.0.1"))));
        fixture.pass(Duration::from_secs(3));
        let holder = fixture.holder("10.0.0.1");
        fixture.forget_silence();
        fixture.delete(first);
        fixture.pass(Duration::from_secs(8));
        assert_eq!(fixture.holder("10.0.0.1"), holder);
        assert_eq!(fixture.longest_silence("10.0.0.1"), Duration::ZERO, "after deleting {first}");
        let left = if first == "a" { "b" } else { "a" };
        assert_eq!(
            fixture.lease(&format!("kubevip-{left}")).unwrap().holder,
            format!("n{}", holder + 1)
        );
    }
}

#[test]
fn of_two_that_want_the_same_port_the_younger_is_refused_with_a_reason() {
    let mut fixture = Fixture::new(2, settings(OneForAll));
    fixture.settle();
    fixture.serve(younger(asking("late", "10.0.0.1")));
    fixture.serve(asking("early", "10.0.0.1"));
    fixture.pass(Duration::from_secs(2));
    let holder = fixture.holder("10.0.0.1");
    assert_eq!(fixture.state(holder, "early").0, ServiceState::Held);
    let (state, reason) = fixture.state(holder, "late");
    assert_eq!(state, ServiceState::Refused);
    assert!(reason.contains("80/TCP") && reason.contains("default/early"), "{reason}");
    let condition = fixture.record("late").condition.expect("a condition");
    assert_eq!((&*condition.reason, &*condition.message), ("Refused", &*reason));
    assert!(fixture.events.iter().any(|e| e.reason == "Refused" && e.message == reason));
    // When the older one is gone, it has its turn.
    fixture.delete("early");
    fixture.pass(Duration::from_secs(2));
    let holder = fixture.holder("10.0.0.1");
    assert_eq!(fixture.state(holder, "late").0, ServiceState::Held);
    let condition = fixture.record("late").condition.expect("a condition");
    assert_eq!(&*condition.reason, "Announced");
}

#[test]
fn services_of_different_namespaces_share_a_lease_that_names_one() {
    let mut fixture = Fixture::new(3, settings(Each));
    fixture.settle();
    for (name, address) in [("a", "10.0.0.1"), ("b", "10.0.0.2")] {
        let mut record = asking(name, address);
        record.annotations.as_mut().unwrap().rare_mut().lease = Some("infra/gateway".into());
        fixture.serve(record);
    }
    fixture.pass(Duration::from_secs(2));
    assert_eq!(fixture.holder("10.0.0.1"), fixture.holder("10.0.0.2"));
    assert!(fixture.lease("infra/gateway").is_some());
    fixture.delete("a");
    fixture.pass(Duration::from_secs(2));
    assert!(!fixture.lease("infra/gateway").unwrap().holder.is_empty(), "b needs it");
    fixture.delete("b");
    fixture.pass(Duration::from_secs(2));
    assert_eq!(fixture.lease("infra/gateway").unwrap().holder, "");
}

fn with_control_plane(lease: &str) -> Fixture {
    let lease = LeaseName::parse(lease, "kube-system").unwrap();
    let services = Services { lease, ..settings(OneForAll) };
    Fixture::with(3, |name| Settings {
        node: name.to_owned(),
        control_plane: Some(control_plane("10.0.0.100")),
        services: Some(services.clone()),
        seed: 1,
    })
}

#[test]
fn a_service_on_the_control_planes_address_goes_where_that_goes_and_never_takes_it_away() {
    let mut fixture = with_control_plane("plndr-svcs-lock");
    fixture.settle();
    let first = fixture.holder("10.0.0.100");
    fixture.forget_silence();
    fixture.serve(asking("web", "10.0.0.100"));
    fixture.serve(on_port(6443, asking("clash", "10.0.0.100")));
    fixture.pass(Duration::from_secs(2));
    assert_eq!(fixture.state(first, "web").0, ServiceState::Held);
    assert_eq!(fixture.record("web").host(), Some(&*format!("n{}", first + 1)));
    let (state, reason) = fixture.state(first, "clash");
    assert!(state == ServiceState::Refused && reason.contains("control plane"), "{reason}");
    fixture.delete("web");
    fixture.pass(Duration::from_secs(3));
    assert_eq!(
        fixture.longest_silence("10.0.0.100"),
        Duration::ZERO,
        "it stays the control plane's"
    );
    fixture.serve(asking("web", "10.0.0.100"));
    fixture.stop(first);
    fixture.pass(Duration::from_secs(3));
    let second = fixture.holder("10.0.0.100");
    assert_ne!(second, first);
    assert_eq!(fixture.record("web").host(), Some(&*format!("n{}", second + 1)));
}

#[test]
fn one_lease_for_control_plane_and_services_moves_all_of_it() {
    let mut fixture = with_control_plane("plndr-cp-lock");
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let first = fixture.holder("10.0.0.100");
    assert_eq!(fixture.holder("10.0.0.1"), first);
    fixture.stop(first);
    fixture.pass(Duration::from_secs(3));
    assert!(!fixture.runs(first));
    let second = fixture.holder("10.0.0.100");
    assert_eq!((fixture.holder("10.0.0.1"), second != first), (second, true));
    fixture.power_off(second);
    fixture.pass(Duration::from_secs(7));
    assert_eq!(fixture.holder("10.0.0.1"), fixture.holder("10.0.0.100"));
}

#[test]
fn a_lease_name_that_changes_keeps_the_address_up() {
    let mut fixture = Fixture::new(3, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let holder = fixture.holder("10.0.0.1");
    fixture.forget_silence();
    fixture.change("web", |record| {
        record.annotations.as_mut().unwrap().rare_mut().lease = Some("other".into())
    });
    fixture.pass(Duration::from_secs(8));
    assert_eq!(fixture.holder("10.0.0.1"), holder);
    assert_eq!(fixture.longest_silence("10.0.0.1"), Duration::ZERO);
    assert_eq!(fixture.lease("kubevip-web").unwrap().holder, "", "given back");
    assert_eq!(fixture.lease("other").unwrap().holder, format!("n{}", holder + 1));
}
