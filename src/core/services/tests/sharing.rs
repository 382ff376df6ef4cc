//! Services that share an address.

use std::time::Duration;

use super::town::{Town, asking, control_plane, ip, on_port, settings, younger};
use crate::core::settings::ServiceElection::{Each, OneForAll};
use crate::core::settings::Services;
use crate::core::status::ServiceState;
use crate::core::{LeaseName, Settings};

#[test]
fn services_that_share_an_address_share_one_lease_and_one_holder() {
    let mut town = Town::new(3, settings(Each));
    town.settle();
    town.serve(asking("a", "10.0.0.1"));
    town.serve(younger(on_port(443, asking("b", "10.0.0.1"))));
    town.pass(Duration::from_secs(3));
    let holder = town.holder("10.0.0.1");
    assert_eq!(town.lease("kubevip-a").unwrap().holder, format!("n{}", holder + 1));
    assert!(town.lease("kubevip-b").is_none(), "the older one's lease decides");
    for name in ["a", "b"] {
        assert_eq!(town.state(holder, name).0, ServiceState::Held);
        assert_eq!(town.record(name).ingress[0].address, Some(ip("10.0.0.1")));
    }
}

#[test]
fn deleting_one_of_two_that_share_keeps_the_address_up() {
    for first in ["a", "b"] {
        let mut town = Town::new(3, settings(Each));
        town.settle();
        town.serve(asking("a", "10.0.0.1"));
        town.serve(younger(on_port(443, asking("b", "10.0.0.1"))));
        town.pass(Duration::from_secs(3));
        let holder = town.holder("10.0.0.1");
        town.forget_silence();
        town.delete(first);
        town.pass(Duration::from_secs(8));
        assert_eq!(town.holder("10.0.0.1"), holder);
        assert_eq!(town.longest_silence("10.0.0.1"), Duration::ZERO, "after deleting {first}");
        let left = if first == "a" { "b" } else { "a" };
        assert_eq!(
            town.lease(&format!("kubevip-{left}")).unwrap().holder,
            format!("n{}", holder + 1)
        );
    }
}

#[test]
fn of_two_that_want_the_same_port_the_younger_is_refused_with_a_reason() {
    let mut town = Town::new(2, settings(OneForAll));
    town.settle();
    town.serve(younger(asking("late", "10.0.0.1")));
    town.serve(asking("early", "10.0.0.1"));
    town.pass(Duration::from_secs(2));
    let holder = town.holder("10.0.0.1");
    assert_eq!(town.state(holder, "early").0, ServiceState::Held);
    let (state, reason) = town.state(holder, "late");
    assert_eq!(state, ServiceState::Refused);
    assert!(reason.contains("80/TCP") && reason.contains("default/early"), "{reason}");
    let condition = town.record("late").condition.expect("a condition");
    assert_eq!((&*condition.reason, &*condition.message), ("Refused", &*reason));
    assert!(town.events.iter().any(|e| e.reason == "Refused" && e.message == reason));
    // When the older one is gone, it has its turn.
    town.delete("early");
    town.pass(Duration::from_secs(2));
    let holder = town.holder("10.0.0.1");
    assert_eq!(town.state(holder, "late").0, ServiceState::Held);
    let condition = town.record("late").condition.expect("a condition");
    assert_eq!(&*condition.reason, "Announced");
}

#[test]
fn services_of_different_namespaces_share_a_lease_that_names_one() {
    let mut town = Town::new(3, settings(Each));
    town.settle();
    for (name, address) in [("a", "10.0.0.1"), ("b", "10.0.0.2")] {
        let mut record = asking(name, address);
        record.annotations.as_mut().unwrap().rare_mut().lease = Some("infra/gateway".into());
        town.serve(record);
    }
    town.pass(Duration::from_secs(2));
    assert_eq!(town.holder("10.0.0.1"), town.holder("10.0.0.2"));
    assert!(town.lease("infra/gateway").is_some());
    town.delete("a");
    town.pass(Duration::from_secs(2));
    assert!(!town.lease("infra/gateway").unwrap().holder.is_empty(), "b needs it");
    town.delete("b");
    town.pass(Duration::from_secs(2));
    assert_eq!(town.lease("infra/gateway").unwrap().holder, "");
}

fn with_control_plane(lease: &str) -> Town {
    let lease = LeaseName::parse(lease, "kube-system").unwrap();
    let services = Services { lease, ..settings(OneForAll) };
    Town::with(3, |name| Settings {
        node: name.to_owned(),
        control_plane: Some(control_plane("10.0.0.100")),
        services: Some(services.clone()),
        seed: 1,
    })
}

#[test]
fn a_service_on_the_control_planes_address_goes_where_that_goes_and_never_takes_it_away() {
    let mut town = with_control_plane("plndr-svcs-lock");
    town.settle();
    let first = town.holder("10.0.0.100");
    town.forget_silence();
    town.serve(asking("web", "10.0.0.100"));
    town.serve(on_port(6443, asking("clash", "10.0.0.100")));
    town.pass(Duration::from_secs(2));
    assert_eq!(town.state(first, "web").0, ServiceState::Held);
    assert_eq!(town.record("web").host(), Some(&*format!("n{}", first + 1)));
    let (state, reason) = town.state(first, "clash");
    assert!(state == ServiceState::Refused && reason.contains("control plane"), "{reason}");
    town.delete("web");
    town.pass(Duration::from_secs(3));
    assert_eq!(town.longest_silence("10.0.0.100"), Duration::ZERO, "it stays the control plane's");
    town.serve(asking("web", "10.0.0.100"));
    town.stop(first);
    town.pass(Duration::from_secs(3));
    let second = town.holder("10.0.0.100");
    assert_ne!(second, first);
    assert_eq!(town.record("web").host(), Some(&*format!("n{}", second + 1)));
}

#[test]
fn one_lease_for_control_plane_and_services_moves_all_of_it() {
    let mut town = with_control_plane("plndr-cp-lock");
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    let first = town.holder("10.0.0.100");
    assert_eq!(town.holder("10.0.0.1"), first);
    town.stop(first);
    town.pass(Duration::from_secs(3));
    assert!(!town.runs(first));
    let second = town.holder("10.0.0.100");
    assert_eq!((town.holder("10.0.0.1"), second != first), (second, true));
    town.power_off(second);
    town.pass(Duration::from_secs(7));
    assert_eq!(town.holder("10.0.0.1"), town.holder("10.0.0.100"));
}

#[test]
fn a_lease_name_that_changes_keeps_the_address_up() {
    let mut town = Town::new(3, settings(Each));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    let holder = town.holder("10.0.0.1");
    town.forget_silence();
    town.change("web", |record| {
        record.annotations.as_mut().unwrap().rare_mut().lease = Some("other".into())
    });
    town.pass(Duration::from_secs(8));
    assert_eq!(town.holder("10.0.0.1"), holder);
    assert_eq!(town.longest_silence("10.0.0.1"), Duration::ZERO);
    assert_eq!(town.lease("kubevip-web").unwrap().holder, "", "given back");
    assert_eq!(town.lease("other").unwrap().holder, format!("n{}", holder + 1));
}
