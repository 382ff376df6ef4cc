//! Addresses that every node may have: no lease decides, routers choose among the nodes.

use std::time::Duration;

use viplet_backend_api::{Notice, Reach};

use super::town::{Town, asking, control_plane, ip, local, settings, younger};
use crate::core::Input;
use crate::core::Settings;
use crate::core::services::record::{Served, ServiceRecord};
use crate::core::settings::ServiceElection::EveryNode;
use crate::core::settings::{PlaneElection, Services};
use crate::core::status::ServiceState;

fn town(nodes: usize) -> Town {
    let mut town = Town::new(nodes, settings(EveryNode));
    town.settle();
    town
}

#[test]
fn every_node_announces_an_address_and_no_lease_is_written() {
    let mut town = town(3);
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    assert_eq!(town.holders("10.0.0.1"), [0, 1, 2]);
    town.pass(Duration::from_secs(300));
    assert_eq!(town.holders("10.0.0.1"), [0, 1, 2]);
    assert_eq!(town.longest_silence("10.0.0.1"), Duration::ZERO);
    assert_eq!(town.lease_writes, 0);
}

#[test]
fn with_policy_local_only_nodes_with_endpoints_announce_and_they_follow_the_endpoints() {
    let mut town = town(3);
    town.put(local(asking("web", "10.0.0.1")));
    town.endpoints("web", &["n1", "n3"]);
    town.settle();
    assert_eq!(town.holders("10.0.0.1"), [0, 2]);
    town.endpoints("web", &["n2", "n3"]);
    town.settle();
    assert_eq!(town.holders("10.0.0.1"), [1, 2]);
    let (state, why) = town.state(0, "web");
    assert_eq!(state, ServiceState::Elsewhere, "{why}");
    assert!(why.contains("and not on n1"), "{why}");
}

#[test]
fn the_status_is_written_once_although_three_nodes_have_the_address() {
    let mut town = town(3);
    for n in 1..=20 {
        town.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
    }
    town.pass(Duration::from_secs(60));
    assert_eq!(town.service_writes, 20);
    for n in 1..=20 {
        let record = town.record(&format!("s{n}"));
        assert_eq!(record.ingress[0].address, Some(ip(&format!("10.0.0.{n}"))));
    }
}

#[test]
fn a_node_that_is_named_stays_named_while_it_has_the_address() {
    let mut town = town(3);
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    let named = town.record("web").host().map(str::to_owned);
    let other = (0..3).find(|n| Some(format!("n{}", n + 1)) != named).unwrap();
    town.kill(other);
    town.pass(Duration::from_secs(20));
    town.start(other);
    town.pass(Duration::from_secs(20));
    assert_eq!(town.record("web").host().map(str::to_owned), named);
    assert_eq!(town.service_writes, 1);
}

#[test]
fn when_the_named_node_has_no_endpoint_any_more_another_is_named() {
    let mut town = town(3);
    town.put(local(asking("web", "10.0.0.1")));
    town.endpoints("web", &["n1", "n2"]);
    town.settle();
    let named = town.record("web").host().unwrap().to_owned();
    let left = if named == "n1" { "n2" } else { "n1" };
    town.endpoints("web", &[left]);
    town.settle();
    assert_eq!(town.record("web").host(), Some(left));
    assert_eq!(town.record("web").ingress[0].address, Some(ip("10.0.0.1")));
}

#[test]
fn when_the_last_endpoint_is_gone_nobody_announces_and_the_service_says_why() {
    let mut town = town(3);
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    town.endpoints("web", &[]);
    town.pass(Duration::from_secs(10));
    assert_eq!(town.holders("10.0.0.1"), [] as [usize; 0]);
    let condition = town.record("web").condition.unwrap();
    assert!(condition.message.contains("no endpoint on any node"), "{condition:?}");
    assert_eq!(town.record("web").host(), None);
}

#[test]
fn a_deleted_service_is_withdrawn_by_every_node() {
    let mut town = town(3);
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    town.delete("web");
    town.settle();
    assert_eq!(town.holders("10.0.0.1"), [] as [usize; 0]);
}

#[test]
fn a_node_that_stops_withdraws_and_the_others_go_on() {
    let mut town = town(3);
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    town.stop(1);
    town.settle();
    assert!(!town.runs(1));
    assert_eq!(town.holders("10.0.0.1"), [0, 2]);
    assert_eq!(town.longest_silence("10.0.0.1"), Duration::ZERO);
}

#[test]
fn a_node_that_stops_after_a_long_calm_withdraws_at_once() {
    let mut town = town(2);
    town.serve(asking("web", "10.0.0.1"));
    town.pass(Duration::from_secs(61));
    town.stop(1);
    town.pass(Duration::from_millis(100));
    assert_eq!(town.holders("10.0.0.1"), [0]);
    assert!(!town.runs(1));
}

#[test]
fn a_killed_node_loses_its_addresses_within_the_lease_duration() {
    let mut town = town(2);
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    town.kill(0);
    town.pass(Duration::from_secs(5));
    assert_eq!(town.holders("10.0.0.1"), [1]);
}

#[test]
fn a_node_that_starts_again_leaves_the_addresses_of_its_earlier_run_where_they_are() {
    let mut town = town(2);
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    town.kill(0);
    town.pass(Duration::from_millis(500));
    town.start(0);
    for _ in 0..50 {
        assert_eq!(town.holders("10.0.0.1"), [0, 1]);
        town.pass(Duration::from_millis(100));
    }
}

#[test]
fn an_address_that_no_peer_has_heard_of_is_not_called_announced() {
    let mut town = town(1);
    let reach =
        |told| Input::Observed(Notice::Reach(Reach { address: ip("10.0.0.1"), told, of: 2 }));
    town.give(0, reach(0));
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    let (state, why) = town.state(0, "web");
    assert_eq!(state, ServiceState::Pending);
    assert!(why.contains("none of the 2 peers"), "{why}");
    assert_eq!(town.service_writes, 0);
    town.give(0, reach(1));
    town.settle();
    assert_eq!(town.state(0, "web").0, ServiceState::Held);
    assert_eq!(town.service_writes, 1);
    let said = &town.events.last().unwrap().message;
    assert!(said.contains("announced by n1 to 1 of 2 peers"), "{said}");
}

#[test]
fn an_election_on_demand_still_has_one_holder() {
    let services =
        Services { on_demand: crate::core::settings::OnDemand::On, ..settings(EveryNode) };
    let mut town = Town::new(3, services);
    town.settle();
    let mut record = asking("web", "10.0.0.1");
    record.annotations.as_mut().unwrap().rare_mut().own_election = Some("true".into());
    town.serve(record);
    town.settle();
    town.holder("10.0.0.1");
}

#[test]
fn a_service_on_a_control_planes_address_that_every_node_has_is_written_once() {
    let mut plane = control_plane("10.0.0.100");
    plane.election = PlaneElection::EveryNode;
    let mut town = Town::with(3, |name| Settings {
        node: name.to_owned(),
        control_plane: Some(plane.clone()),
        services: Some(settings(EveryNode)),
        seed: 1,
    });
    town.settle();
    town.serve(asking("web", "10.0.0.100"));
    town.pass(Duration::from_secs(60));
    assert_eq!(town.holders("10.0.0.100"), [0, 1, 2]);
    assert_eq!(town.service_writes, 1);
    // Where its endpoints are does not matter to the control plane's address.
    town.change("web", |record| {
        record.policy = crate::core::services::record::TrafficPolicy::Local
    });
    town.endpoints("web", &["gone"]);
    town.pass(Duration::from_secs(60));
    assert!(town.service_writes <= 2, "{} writes", town.service_writes);
}

#[test]
fn a_service_without_endpoints_names_no_node_although_others_are_served_on_its_second_address() {
    let mut town = town(3);
    for n in 1..=5 {
        town.serve(asking(&format!("old{n}"), &format!("10.0.1.{n}")));
        let both = format!("10.0.0.{n},10.0.1.{n}");
        town.serve(younger(asking(&format!("web{n}"), &both)));
    }
    town.settle();
    for n in 1..=5 {
        town.endpoints(&format!("web{n}"), &[]);
    }
    town.pass(Duration::from_secs(10));
    for n in 1..=5 {
        assert_eq!(town.holders(&format!("10.0.0.{n}")), [] as [usize; 0]);
        assert_eq!(town.record(&format!("web{n}")).host(), None, "web{n}");
        assert!(town.record(&format!("old{n}")).host().is_some());
    }
}

#[test]
fn nodes_do_not_argue_whether_an_address_that_is_only_held_for_a_moment_is_served() {
    let mut town = town(2);
    town.put(asking("web", "10.0.0.2"));
    town.endpoints("web", &[]);
    town.put(local(asking("old", "10.0.0.1")));
    town.endpoints("old", &["n1"]);
    town.pass(Duration::from_secs(20));
    assert_eq!(town.holders("10.0.0.1"), [0]);
    let record = town.record("web");
    assert!(record.condition.is_some_and(|condition| condition.served == Served::No));
    let before = town.service_writes;
    let condition = town.record("web").condition;
    town.put(ServiceRecord { condition, ..asking("web", "10.0.0.1") });
    town.delete("old");
    town.pass(Duration::from_secs(20));
    assert_eq!(town.holders("10.0.0.1"), [] as [usize; 0]);
    assert!(town.service_writes <= before + 2, "{} writes", town.service_writes - before);
}
