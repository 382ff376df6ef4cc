//! Addresses that every node may have: no lease decides, routers choose among the nodes.

use std::time::Duration;

use viplet_backend_api::{Notice, Reach};

use super::fixture::{Fixture, asking, control_plane, ip, local, settings, younger};
use crate::core::Input;
use crate::core::Settings;
use crate::core::cluster::record::{Served, ServiceRecord};
use crate::core::settings::ServiceElection::EveryNode;
use crate::core::settings::{PlaneElection, Services};
use crate::core::status::ServiceState;

fn fixture(nodes: usize) -> Fixture {
    let mut fixture = Fixture::new(nodes, settings(EveryNode));
    fixture.settle();
    fixture
}

#[test]
fn every_node_announces_an_address_and_no_lease_is_written() {
    let mut fixture = fixture(3);
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    assert_eq!(fixture.holders("10.0.0.1"), [0, 1, 2]);
    fixture.pass(Duration::from_secs(300));
    assert_eq!(fixture.holders("10.0.0.1"), [0, 1, 2]);
    assert_eq!(fixture.longest_silence("10.0.0.1"), Duration::ZERO);
    assert_eq!(fixture.lease_writes, 0);
}

#[test]
fn with_policy_local_only_nodes_with_endpoints_announce_and_they_follow_the_endpoints() {
    let mut fixture = fixture(3);
    fixture.put(local(asking("web", "10.0.0.1")));
    fixture.endpoints("web", &["n1", "n3"]);
    fixture.settle();
    assert_eq!(fixture.holders("10.0.0.1"), [0, 2]);
    fixture.endpoints("web", &["n2", "n3"]);
    fixture.settle();
    assert_eq!(fixture.holders("10.0.0.1"), [1, 2]);
    let (state, why) = fixture.state(0, "web");
    assert_eq!(state, ServiceState::Elsewhere, "{why}");
    assert!(why.contains("and not on n1"), "{why}");
}

#[test]
fn the_status_is_written_once_although_three_nodes_have_the_address() {
    let mut fixture = fixture(3);
    for n in 1..=20 {
        fixture.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
    }
    fixture.pass(Duration::from_secs(60));
    assert_eq!(fixture.service_writes, 20);
    for n in 1..=20 {
        let record = fixture.record(&format!("s{n}"));
        assert_eq!(record.ingress[0].address, Some(ip(&format!("10.0.0.{n}"))));
    }
}

#[test]
fn a_node_that_is_named_stays_named_while_it_has_the_address() {
    let mut fixture = fixture(3);
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let named = fixture.record("web").host().map(str::to_owned);
    let other = (0..3).find(|n| Some(format!("n{}", n + 1)) != named).unwrap();
    fixture.kill(other);
    fixture.pass(Duration::from_secs(20));
    fixture.start(other);
    fixture.pass(Duration::from_secs(20));
    assert_eq!(fixture.record("web").host().map(str::to_owned), named);
    assert_eq!(fixture.service_writes, 1);
}

#[test]
fn when_the_named_node_has_no_endpoint_any_more_another_is_named() {
    let mut fixture = fixture(3);
    fixture.put(local(asking("web", "10.0.0.1")));
    fixture.endpoints("web", &["n1", "n2"]);
    fixture.settle();
    let named = fixture.record("web").host().unwrap().to_owned();
    let left = if named == "n1" { "n2" } else { "n1" };
    fixture.endpoints("web", &[left]);
    fixture.settle();
    assert_eq!(fixture.record("web").host(), Some(left));
    assert_eq!(fixture.record("web").ingress[0].address, Some(ip("10.0.0.1")));
}

#[test]
fn when_the_last_endpoint_is_gone_nobody_announces_and_the_service_says_why() {
    let mut fixture = fixture(3);
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    fixture.endpoints("web", &[]);
    fixture.pass(Duration::from_secs(10));
    assert_eq!(fixture.holders("10.0.0.1"), [] as [usize; 0]);
    let condition = fixture.record("web").condition.unwrap();
    assert!(condition.message.contains("no endpoint on any node"), "{condition:?}");
    assert_eq!(fixture.record("web").host(), None);
}

#[test]
fn a_deleted_service_is_withdrawn_by_every_node() {
    let mut fixture = fixture(3);
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    fixture.delete("web");
    fixture.settle();
    assert_eq!(fixture.holders("10.0.0.1"), [] as [usize; 0]);
}

#[test]
fn a_node_that_stops_withdraws_and_the_others_go_on() {
    let mut fixture = fixture(3);
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    fixture.stop(1);
    fixture.settle();
    assert!(!fixture.runs(1));
    assert_eq!(fixture.holders("10.0.0.1"), [0, 2]);
    assert_eq!(fixture.longest_silence("10.0.0.1"), Duration::ZERO);
}

#[test]
fn a_node_that_stops_after_a_long_calm_withdraws_at_once() {
    let mut fixture = fixture(2);
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.pass(Duration::from_secs(61));
    fixture.stop(1);
    fixture.pass(Duration::from_millis(100));
    assert_eq!(fixture.holders("10.0.0.1"), [0]);
    assert!(!fixture.runs(1));
}

#[test]
fn a_killed_node_loses_its_addresses_within_the_lease_duration() {
    let mut fixture = fixture(2);
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    fixture.kill(0);
    fixture.pass(Duration::from_secs(5));
    assert_eq!(fixture.holders("10.0.0.1"), [1]);
}

#[test]
fn a_node_that_starts_again_leaves_the_addresses_of_its_earlier_run_where_they_are() {
    let mut fixture = fixture(2);
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    fixture.kill(0);
    fixture.pass(Duration::from_millis(500));
    fixture.start(0);
    for _ in 0..50 {
        assert_eq!(fixture.holders("10.0.0.1"), [0, 1]);
        fixture.pass(Duration::from_millis(100));
    }
}

#[test]
fn an_address_that_no_peer_has_heard_of_is_not_called_announced() {
    let mut fixture = fixture(1);
    let reach =
        |told| Input::Observed(Notice::Reach(Reach { address: ip("10.0.0.1"), told, of: 2 }));
    fixture.give(0, reach(0));
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let (state, why) = fixture.state(0, "web");
    assert_eq!(state, ServiceState::Pending);
    assert!(why.contains("none of 2 peers was told"), "{why}");
    assert_eq!(fixture.service_writes, 0);
    fixture.give(0, reach(1));
    fixture.settle();
    assert_eq!(fixture.state(0, "web").0, ServiceState::Held);
    assert_eq!(fixture.service_writes, 1);
    let said = &fixture.events.last().unwrap().message;
    assert!(said.contains("announced by n1 to 1 of 2 peers"), "{said}");
}

#[test]
fn an_election_on_demand_still_has_one_holder() {
    let services =
        Services { on_demand: crate::core::settings::OnDemand::On, ..settings(EveryNode) };
    let mut fixture = Fixture::new(3, services);
    fixture.settle();
    let mut record = asking("web", "10.0.0.1");
    record.annotations.as_mut().unwrap().rare_mut().own_election = Some("true".into());
    fixture.serve(record);
    fixture.settle();
    fixture.holder("10.0.0.1");
}

#[test]
fn a_service_on_a_control_planes_address_that_every_node_has_is_written_once() {
    let mut plane = control_plane("10.0.0.100");
    plane.election = PlaneElection::EveryNode;
    let mut fixture = Fixture::with(3, |name| Settings {
        node: name.to_owned(),
        control_plane: Some(plane.clone()),
        services: Some(settings(EveryNode)),
        seed: 1,
    });
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.100"));
    fixture.pass(Duration::from_secs(60));
    assert_eq!(fixture.holders("10.0.0.100"), [0, 1, 2]);
    assert_eq!(fixture.service_writes, 1);
    // Where its endpoints are does not matter to the control plane's address.
    fixture
        .change("web", |record| record.policy = crate::core::cluster::record::TrafficPolicy::Local);
    fixture.endpoints("web", &["gone"]);
    fixture.pass(Duration::from_secs(60));
    assert!(fixture.service_writes <= 2, "{} writes", fixture.service_writes);
}

#[test]
fn a_service_without_endpoints_names_no_node_although_others_are_served_on_its_second_address() {
    let mut fixture = fixture(3);
    for n in 1..=5 {
        fixture.serve(asking(&format!("old{n}"), &format!("10.0.1.{n}")));
        let both = format!("10.0.0.{n},10.0.1.{n}");
        fixture.serve(younger(asking(&format!("web{n}"), &both)));
    }
    fixture.settle();
    for n in 1..=5 {
        fixture.endpoints(&format!("web{n}"), &[]);
    }
    fixture.pass(Duration::from_secs(10));
    for n in 1..=5 {
        assert_eq!(fixture.holders(&format!("10.0.0.{n}")), [] as [usize; 0]);
        assert_eq!(fixture.record(&format!("web{n}")).host(), None, "web{n}");
        assert!(fixture.record(&format!("old{n}")).host().is_some());
    }
}

#[test]
fn nodes_do_not_argue_whether_an_address_that_is_only_held_for_a_moment_is_served() {
    let mut fixture = fixture(2);
    fixture.put(asking("web", "10.0.0.2"));
    fixture.endpoints("web", &[]);
    fixture.put(local(asking("old", "10.0.0.1")));
    fixture.endpoints("old", &["n1"]);
    fixture.pass(Duration::from_secs(20));
    assert_eq!(fixture.holders("10.0.0.1"), [0]);
    let record = fixture.record("web");
    assert!(record.condition.is_some_and(|condition| condition.served == Served::No));
    let before = fixture.service_writes;
    let condition = fixture.record("web").condition;
    fixture.put(ServiceRecord { condition, ..asking("web", "10.0.0.1") });
    fixture.delete("old");
    fixture.pass(Duration::from_secs(20));
    assert_eq!(fixture.holders("10.0.0.1"), [] as [usize; 0]);
    assert!(fixture.service_writes <= before + 2, "{} writes", fixture.service_writes - before);
}
