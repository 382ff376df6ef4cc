//! An address goes from one lease to another, and not every node knows it at the same time. What
//! the simulator found.

use std::time::Duration;

use super::town::{Town, asking, control_plane, local, on_port, settings, younger};
use crate::core::services::record::EndpointState;
use crate::core::services::record::TrafficPolicy;
use crate::core::settings::ServiceElection::{Each, OneForAll};
use crate::core::settings::Services;
use crate::core::{LeaseName, Settings};

#[test]
fn a_new_service_waits_for_who_held_its_address_for_a_deleted_one_and_has_not_heard() {
    let mut town = Town::new(2, settings(Each));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    let holder = town.holder("10.0.0.1");
    town.cut_watches(holder);
    town.delete("web");
    town.pass(Duration::from_secs(1));
    town.serve(younger(asking("api", "10.0.0.1")));
    town.pass(Duration::from_secs(2));
    assert_eq!(town.holder("10.0.0.1"), holder, "it goes by what it knows");
    town.list(holder);
    town.pass(Duration::from_secs(6));
    town.holder("10.0.0.1");
    assert!(!town.lease("kubevip-api").unwrap().holder.is_empty());
}

#[test]
fn a_claim_under_way_when_the_lease_changes_is_waited_for() {
    for (deaf, after) in (0..2).flat_map(|deaf| (0..40).map(move |after| (deaf, after))) {
        let mut town = Town::new(2, settings(Each));
        let mut old = asking("old", "10.0.0.1");
        old.annotations.as_mut().unwrap().rare_mut().ignore = Some("true".into());
        town.serve(old);
        town.put(younger(on_port(443, asking("young", "10.0.0.1"))));
        town.settle();
        town.endpoints("young", &["n1", "n2"]);
        town.pass(Duration::from_millis(after));
        town.cut_watches(deaf);
        town.change("old", |record| record.annotations.as_mut().unwrap().rare_mut().ignore = None);
        town.pass(Duration::from_millis(300)); // Never two holders.
        town.list(deaf);
        town.pass(Duration::from_secs(7));
        town.holder("10.0.0.1");
    }
}

fn sharing_the_lease() -> Town {
    let lease = LeaseName::parse("plndr-cp-lock", "kube-system").unwrap();
    let services = Services { lease, ..settings(OneForAll) };
    Town::with(3, |name| Settings {
        node: name.to_owned(),
        control_plane: Some(control_plane("10.0.0.100")),
        services: Some(services.clone()),
        seed: 1,
    })
}

#[test]
fn a_lease_for_control_plane_and_services_has_one_election_in_a_process() {
    let mut town = sharing_the_lease();
    town.serve(asking("web", "10.0.0.1"));
    town.pass(Duration::from_secs(20));
    for n in 0..3 {
        let counters = town.core(n).counters();
        assert_eq!(counters.rejects.values().sum::<u64>(), 0, "{counters:?}");
    }
    let before = town.lease_writes;
    town.pass(Duration::from_secs(50));
    assert!(town.lease_writes - before <= 50 * 3 / 5 + 2, "{}", town.lease_writes - before);
}

#[test]
fn a_stop_withdraws_at_once_what_is_under_the_control_planes_lease() {
    let mut town = sharing_the_lease();
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    let holder = town.holder("10.0.0.1");
    town.forget_silence();
    town.stop(holder);
    town.pass(Duration::from_millis(500));
    assert!(!town.runs(holder));
    assert_ne!(town.holder("10.0.0.1"), holder);
}

#[test]
fn a_service_that_an_older_one_keeps_off_its_address_says_so_and_names_no_node() {
    let mut town = Town::new(2, settings(Each));
    town.settle();
    town.serve(asking("old", "10.0.0.1"));
    town.serve(younger(on_port(443, asking("young", "10.0.0.1"))));
    town.pass(Duration::from_secs(2));
    assert!(town.record("young").host().is_some());
    town.change("old", |record| record.ports = on_port(443, asking("", "")).ports);
    town.pass(Duration::from_secs(2));
    let young = town.record("young");
    assert_eq!((young.host(), young.ingress.len()), (None, 0));
    assert_eq!(&*young.condition.expect("a condition").reason, "Refused");
    assert!(town.record("old").host().is_some());
}

#[test]
fn an_address_that_follows_endpoints_has_a_lease_of_its_own_beside_a_shared_one() {
    let mut town = Town::new(3, settings(Each));
    town.settle();
    let shared = |name: &str, address: &str| {
        let mut record = asking(name, address);
        record.annotations.as_mut().unwrap().rare_mut().lease = Some("shared".into());
        record
    };
    town.serve(shared("a", "10.0.0.1"));
    town.serve(shared("b", "10.0.0.2"));
    town.pass(Duration::from_secs(2));
    let other = (town.holder("10.0.0.1") + 1) % 3;
    town.put(younger(local(on_port(443, asking("c", "10.0.0.1")))));
    town.endpoints("c", &[&format!("n{}", other + 1)]);
    town.pass(Duration::from_secs(8));
    assert_eq!(town.holder("10.0.0.1"), other);
    assert_ne!(town.holder("10.0.0.2"), other);
}

#[test]
fn a_service_without_endpoints_on_the_control_planes_address_is_written_to_once() {
    let mut town = sharing_the_lease();
    town.settle();
    town.put(asking("web", "10.0.0.100"));
    town.slice("web", "a", &[("n1", EndpointState::Unready)]);
    town.pass(Duration::from_secs(20));
    let before = town.service_writes;
    town.pass(Duration::from_secs(200));
    assert_eq!(town.service_writes, before);
}

#[test]
fn a_service_that_lost_its_endpoints_and_its_policy_names_no_node() {
    let mut town = Town::new(3, settings(OneForAll));
    town.settle();
    town.serve(asking("all", "10.0.0.9"));
    town.settle();
    let other = (town.holder("10.0.0.9") + 1) % 3;
    town.put(local(asking("web", "10.0.0.1")));
    town.endpoints("web", &[&format!("n{}", other + 1)]);
    town.pass(Duration::from_secs(2));
    assert!(town.record("web").host().is_some());
    town.endpoints("web", &[]);
    town.change("web", |record| record.policy = TrafficPolicy::Cluster);
    town.pass(Duration::from_secs(20));
    assert!(town.holders("10.0.0.1").is_empty());
    assert_eq!(town.record("web").host(), None);
}
