//! An address goes from one lease to another, and not every node knows it at the same time. What
//! the simulator found.

use std::time::Duration;

use super::fixture::{Fixture, asking, control_plane, local, on_port, settings, younger};
use crate::core::cluster::record::EndpointState;
use crate::core::cluster::record::TrafficPolicy;
use crate::core::settings::ServiceElection::{Each, OneForAll};
use crate::core::settings::Services;
use crate::core::{LeaseName, Settings};

#[test]
fn a_new_service_waits_for_who_held_its_address_for_a_deleted_one_and_has_not_heard() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let holder = fixture.holder("10.0.0.1");
    fixture.cut_watches(holder);
    fixture.delete("web");
    fixture.pass(Duration::from_secs(1));
    fixture.serve(younger(asking("api", "10.0.0.1")));
    fixture.pass(Duration::from_secs(2));
    assert_eq!(fixture.holder("10.0.0.1"), holder, "it goes by what it knows");
    fixture.list(holder);
    fixture.pass(Duration::from_secs(6));
    fixture.holder("10.0.0.1");
    assert!(!fixture.lease("kubevip-api").unwrap().holder.is_empty());
}

#[test]
fn a_claim_under_way_when_the_lease_changes_is_waited_for() {
    for (deaf, after) in (0..2).flat_map(|deaf| (0..40).map(move |after| (deaf, after))) {
        let mut fixture = Fixture::new(2, settings(Each));
        let mut old = asking("old", "10.0.0.1");
        old.annotations.as_mut().unwrap().rare_mut().ignore = Some("true".into());
        fixture.serve(old);
        fixture.put(younger(on_port(443, asking("young", "10.0.0.1"))));
        fixture.settle();
        fixture.endpoints("young", &["n1", "n2"]);
        fixture.pass(Duration::from_millis(after));
        fixture.cut_watches(deaf);
        fixture
            .change("old", |record| record.annotations.as_mut().unwrap().rare_mut().ignore = None);
        fixture.pass(Duration::from_millis(300)); // Never two holders.
        fixture.list(deaf);
        fixture.pass(Duration::from_secs(7));
        fixture.holder("10.0.0.1");
    }
}

fn sharing_the_lease() -> Fixture {
    let lease = LeaseName::parse("plndr-cp-lock", "kube-system").unwrap();
    let services = Services { lease, ..settings(OneForAll) };
    Fixture::with(3, |name| Settings {
        node: name.to_owned(),
        control_plane: Some(control_plane("10.0.0.100")),
        services: Some(services.clone()),
        seed: 1,
    })
}

#[test]
fn a_lease_for_control_plane_and_services_has_one_election_in_a_process() {
    let mut fixture = sharing_the_lease();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.pass(Duration::from_secs(20));
    for n in 0..3 {
        let counters = fixture.core(n).counters();
        assert_eq!(counters.rejects.values().sum::<u64>(), 0, "{counters:?}");
    }
    let before = fixture.lease_writes;
    fixture.pass(Duration::from_secs(50));
    assert!(fixture.lease_writes - before <= 50 * 3 / 5 + 2, "{}", fixture.lease_writes - before);
}

#[test]
fn a_stop_withdraws_at_once_what_is_under_the_control_planes_lease() {
    let mut fixture = sharing_the_lease();
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let holder = fixture.holder("10.0.0.1");
    fixture.forget_silence();
    fixture.stop(holder);
    fixture.pass(Duration::from_millis(500));
    assert!(!fixture.runs(holder));
    assert_ne!(fixture.holder("10.0.0.1"), holder);
}

#[test]
fn a_service_that_an_older_one_keeps_off_its_address_says_so_and_names_no_node() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.serve(asking("old", "10.0.0.1"));
    fixture.serve(younger(on_port(443, asking("young", "10.0.0.1"))));
    fixture.pass(Duration::from_secs(2));
    assert!(fixture.record("young").host().is_some());
    fixture.change("old", |record| record.ports = on_port(443, asking("", "")).ports);
    fixture.pass(Duration::from_secs(2));
    let young = fixture.record("young");
    assert_eq!((young.host(), young.ingress.len()), (None, 0));
    assert_eq!(&*young.condition.expect("a condition").reason, "Refused");
    assert!(fixture.record("old").host().is_some());
}

#[test]
fn an_address_that_follows_endpoints_has_a_lease_of_its_own_beside_a_shared_one() {
    let mut fixture = Fixture::new(3, settings(Each));
    fixture.settle();
    let shared = |name: &str, address: &str| {
        let mut record = asking(name, address);
        record.annotations.as_mut().unwrap().rare_mut().lease = Some("shared".into());
        record
    };
    fixture.serve(shared("a", "10.0.0.1"));
    fixture.serve(shared("b", "10.0.0.2"));
    fixture.pass(Duration::from_secs(2));
    let other = (fixture.holder("10.0.0.1") + 1) % 3;
    fixture.put(younger(local(on_port(443, asking("c", "10.0.0.1")))));
    fixture.endpoints("c", &[&format!("n{}", other + 1)]);
    fixture.pass(Duration::from_secs(8));
    assert_eq!(fixture.holder("10.0.0.1"), other);
    assert_ne!(fixture.holder("10.0.0.2"), other);
}

#[test]
fn a_service_without_endpoints_on_the_control_planes_address_is_written_to_once() {
    let mut fixture = sharing_the_lease();
    fixture.settle();
    fixture.put(asking("web", "10.0.0.100"));
    fixture.slice("web", "a", &[("n1", EndpointState::Unready)]);
    fixture.pass(Duration::from_secs(20));
    let before = fixture.service_writes;
    fixture.pass(Duration::from_secs(200));
    assert_eq!(fixture.service_writes, before);
}

#[test]
fn a_service_that_lost_its_endpoints_and_its_policy_names_no_node() {
    let mut fixture = Fixture::new(3, settings(OneForAll));
    fixture.settle();
    fixture.serve(asking("all", "10.0.0.9"));
    fixture.settle();
    let other = (fixture.holder("10.0.0.9") + 1) % 3;
    fixture.put(local(asking("web", "10.0.0.1")));
    fixture.endpoints("web", &[&format!("n{}", other + 1)]);
    fixture.pass(Duration::from_secs(2));
    assert!(fixture.record("web").host().is_some());
    fixture.endpoints("web", &[]);
    fixture.change("web", |record| record.policy = TrafficPolicy::Cluster);
    fixture.pass(Duration::from_secs(20));
    assert!(fixture.holders("10.0.0.1").is_empty());
    assert_eq!(fixture.record("web").host(), None);
}
