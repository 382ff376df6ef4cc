//! Who holds an address, and where it may be held.

use std::time::Duration;

use super::town::{Town, asking, ip, local, settings, younger};
use crate::core::services::record::EndpointState;
use crate::core::settings::ServiceElection::{Each, OneForAll};
use crate::core::status::ServiceState;

const MOMENT: Duration = Duration::from_millis(200);

#[test]
fn one_lease_for_all_puts_every_address_on_one_node() {
    let mut town = Town::new(3, settings(OneForAll));
    town.settle();
    for n in 1..=20 {
        town.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
    }
    town.settle();
    let leader = town.holder("10.0.0.1");
    for n in 1..=20 {
        assert_eq!(town.holder(&format!("10.0.0.{n}")), leader);
    }
    let lease = town.lease("kube-system/plndr-svcs-lock").unwrap();
    assert_eq!(lease.holder, format!("n{}", leader + 1));
}

#[test]
fn a_lease_for_each_address_spreads_them_over_the_nodes() {
    let mut town = Town::new(3, settings(Each));
    town.settle();
    for n in 1..=60 {
        town.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
    }
    town.settle();
    let mut held = [0; 3];
    for n in 1..=60 {
        held[town.holder(&format!("10.0.0.{n}"))] += 1;
        assert!(!town.lease(&format!("kubevip-s{n}")).unwrap().holder.is_empty());
    }
    assert!(held.iter().all(|count| *count >= 10), "{held:?}");
}

#[test]
fn an_address_is_announced_in_a_moment_after_its_service_appears() {
    for election in [OneForAll, Each] {
        let mut town = Town::new(3, settings(election));
        town.settle();
        let before = town.now;
        town.serve(asking("web", "10.0.0.1"));
        town.pass(MOMENT);
        let first = town.announced.iter().find(|(.., address)| *address == ip("10.0.0.1"));
        let took = first.expect("it is announced").0.since(before);
        assert!(took <= Duration::from_millis(40), "{took:?}");
    }
}

#[test]
fn a_node_without_power_loses_its_addresses_to_the_others_within_the_lease() {
    for election in [OneForAll, Each] {
        let mut town = Town::new(3, settings(election));
        town.settle();
        for n in 1..=30 {
            town.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
        }
        town.settle();
        let gone = town.holder("10.0.0.1");
        town.power_off(gone);
        town.pass(Duration::from_millis(5500));
        for n in 1..=30 {
            assert_ne!(town.holder(&format!("10.0.0.{n}")), gone);
        }
    }
}

#[test]
fn a_planned_stop_moves_each_address_in_a_moment_and_leaves_no_lease_behind() {
    let mut town = Town::new(3, settings(Each));
    town.settle();
    for n in 1..=60 {
        town.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
    }
    town.settle();
    town.forget_silence();
    town.stop(0);
    let mut silent = 0;
    for _ in 0..3000 {
        town.pass(Duration::from_millis(1));
        let nobodys = |n: &u16| town.holders(&format!("10.0.0.{n}")).is_empty();
        silent = silent.max((1..=60).filter(nobodys).count());
    }
    assert!(
        (1..=2).contains(&silent),
        "{silent} at once: each is the longer silent the more there are"
    );
    assert!(!town.runs(0), "it has stopped");
    for n in 1..=60 {
        assert_ne!(town.holder(&format!("10.0.0.{n}")), 0);
        let silence = town.longest_silence(&format!("10.0.0.{n}"));
        assert!(silence <= Duration::from_millis(100), "{n}: {silence:?}");
    }
}

#[test]
fn the_only_node_waits_for_no_successor_when_it_stops() {
    let mut town = Town::new(1, settings(Each));
    town.settle();
    for n in 1..=30 {
        town.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
    }
    town.settle();
    town.stop(0);
    town.pass(Duration::from_millis(700));
    assert!(!town.runs(0), "it has stopped");
}

#[test]
fn a_killed_process_that_comes_back_within_the_lease_keeps_its_addresses() {
    for election in [OneForAll, Each] {
        let mut town = Town::new(3, settings(election));
        town.settle();
        town.serve(asking("web", "10.0.0.1"));
        town.pass(Duration::from_secs(3));
        let holder = town.holder("10.0.0.1");
        town.forget_silence();
        let writes = town.service_writes;
        town.kill(holder);
        town.pass(Duration::from_millis(500));
        town.start(holder);
        town.pass(Duration::from_secs(8));
        assert_eq!(town.holder("10.0.0.1"), holder);
        assert_eq!(town.longest_silence("10.0.0.1"), Duration::ZERO);
        assert_eq!(town.service_writes, writes, "nothing has changed");
    }
}

#[test]
fn losing_one_lease_costs_only_its_own_addresses() {
    let mut town = Town::new(1, settings(Each));
    town.settle();
    town.serve(asking("a", "10.0.0.1"));
    town.serve(asking("b", "10.0.0.2"));
    town.settle();
    town.forget_silence();
    town.other_holds("kubevip-a", "somebody");
    town.pass(Duration::from_secs(2));
    assert_eq!(town.holders("10.0.0.1"), [0_usize; 0]);
    assert_eq!(town.holder("10.0.0.2"), 0);
    assert_eq!(town.longest_silence("10.0.0.2"), Duration::ZERO);
}

#[test]
fn leases_are_renewed_no_more_often_than_they_need_and_losers_write_nothing() {
    let mut town = Town::new(3, settings(Each));
    town.settle();
    for n in 1..=30 {
        town.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
    }
    town.pass(Duration::from_secs(10));
    let before = (town.lease_writes, town.service_writes);
    town.pass(Duration::from_secs(50));
    let writes = town.lease_writes - before.0;
    let most = 30 * 50 * 3 / 5;
    assert!(writes <= most, "{writes} writes, {most} at the most");
    assert_eq!(town.service_writes, before.1);
}

#[test]
fn a_local_service_is_held_only_where_it_has_an_endpoint_and_follows_it_at_once() {
    for election in [OneForAll, Each] {
        let mut town = Town::new(3, settings(election));
        town.settle();
        town.put(local(asking("web", "10.0.0.1")));
        town.endpoints("web", &["n2"]);
        town.settle();
        assert_eq!(town.holder("10.0.0.1"), 1);
        town.endpoints("web", &["n3"]);
        town.pass(MOMENT);
        assert_eq!(town.holder("10.0.0.1"), 2);
        assert_eq!(town.record("web").host(), Some("n3"));
    }
}

#[test]
fn a_local_service_without_endpoints_is_held_nowhere_and_says_so() {
    let mut town = Town::new(2, settings(Each));
    town.settle();
    town.put(local(asking("web", "10.0.0.1")));
    town.endpoints("web", &["n1"]);
    town.settle();
    assert_eq!(town.holder("10.0.0.1"), 0);
    town.endpoints("web", &[]);
    town.pass(Duration::from_secs(10));
    assert!(town.holders("10.0.0.1").is_empty());
    let (state, reason) = town.state(1, "web");
    assert_eq!(state, ServiceState::Waiting);
    assert!(reason.contains("no endpoint"), "{reason}");
    let record = town.record("web");
    assert_eq!(record.host(), None, "nobody holds it any more");
    let condition = record.condition.expect("a condition");
    assert_eq!(&*condition.reason, "Waiting");
    assert!(town.events.iter().any(|event| event.reason == "Waiting"));
    town.endpoints("web", &["n2"]);
    town.pass(MOMENT);
    assert_eq!(town.holder("10.0.0.1"), 1);
}

#[test]
fn endpoints_that_flap_do_not_flap_the_address() {
    let mut town = Town::new(2, settings(Each));
    town.settle();
    town.put(local(asking("web", "10.0.0.1")));
    town.endpoints("web", &["n1"]);
    town.settle();
    town.forget_silence();
    for _ in 0..5 {
        town.slice("web", "a", &[("n1", EndpointState::Unready)]);
        town.pass(Duration::from_millis(700));
        town.endpoints("web", &["n1"]);
        town.pass(Duration::from_millis(700));
    }
    assert_eq!(town.longest_silence("10.0.0.1"), Duration::ZERO);
    // Where another node can have it, it moves once and does not come back by itself.
    town.endpoints("web", &["n2"]);
    town.pass(MOMENT);
    town.endpoints("web", &["n1", "n2"]);
    town.pass(Duration::from_secs(10));
    assert_eq!(town.holder("10.0.0.1"), 1);
}

#[test]
fn unready_endpoints_are_no_endpoints_for_the_policy_cluster_either() {
    let mut town = Town::new(2, settings(OneForAll));
    town.settle();
    town.put(asking("web", "10.0.0.1"));
    town.slice("web", "a", &[("n1", EndpointState::Unready)]);
    town.pass(Duration::from_secs(2));
    assert!(town.holders("10.0.0.1").is_empty());
    assert!(town.state(0, "web").1.contains("none of its 1 endpoints is ready"));
    town.endpoints("web", &["n1"]);
    town.pass(MOMENT);
    town.holder("10.0.0.1");
}

#[test]
fn a_service_may_be_served_without_endpoints_when_it_says_so() {
    let mut town = Town::new(2, settings(Each));
    town.settle();
    let mut record = asking("web", "10.0.0.1");
    record.annotations.as_mut().unwrap().rare_mut().without_endpoints = Some("True".into());
    town.put(record);
    town.settle();
    town.holder("10.0.0.1");
}

#[test]
fn with_one_lease_for_all_a_local_service_is_where_its_endpoints_are_and_the_leader_is_preferred() {
    let mut town = Town::new(3, settings(OneForAll));
    town.settle();
    town.serve(asking("all", "10.0.0.9"));
    town.settle();
    let leader = town.holder("10.0.0.9");
    let other = (leader + 1) % 3;
    let (leads, follows) = (format!("n{}", leader + 1), format!("n{}", other + 1));
    town.put(local(asking("web", "10.0.0.1")));
    town.endpoints("web", &[&follows]);
    town.settle();
    assert_eq!(town.holder("10.0.0.1"), other);
    assert_eq!(town.lease("kubevip-web").unwrap().holder, follows);
    town.endpoints("web", &[&follows, &leads]);
    town.pass(Duration::from_secs(5));
    assert_eq!(town.holder("10.0.0.1"), leader, "the leader has what it can serve");
    town.endpoints("web", &[&follows]);
    town.pass(MOMENT);
    assert_eq!(town.holder("10.0.0.1"), other);
}

#[test]
fn a_policy_that_changes_moves_the_address_without_two_holders_and_keeps_it_up_where_it_may_stay() {
    let mut town = Town::new(3, settings(OneForAll));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    let leader = town.holder("10.0.0.1");
    town.forget_silence();
    town.change("web", |record| {
        record.policy = crate::core::services::record::TrafficPolicy::Local
    });
    town.pass(Duration::from_secs(3));
    assert_eq!(town.holder("10.0.0.1"), leader);
    assert_eq!(town.longest_silence("10.0.0.1"), Duration::ZERO, "it never went");
    town.change("web", |record| {
        record.policy = crate::core::services::record::TrafficPolicy::Cluster
    });
    town.pass(Duration::from_secs(3));
    assert_eq!(town.longest_silence("10.0.0.1"), Duration::ZERO, "nor on the way back");
    // The leader has no endpoint: with Local it goes to who has.
    let other = (leader + 1) % 3;
    town.endpoints("web", &[&format!("n{}", other + 1)]);
    town.settle();
    town.forget_silence();
    town.change("web", |record| {
        record.policy = crate::core::services::record::TrafficPolicy::Local
    });
    town.pass(Duration::from_secs(2));
    assert_eq!(town.holder("10.0.0.1"), other);
    assert!(
        town.longest_silence("10.0.0.1") < Duration::from_millis(300),
        "{:?}",
        town.longest_silence("10.0.0.1")
    );
}

#[test]
fn a_service_deleted_in_a_gap_of_the_watch_is_withdrawn_when_everything_is_listed_again() {
    let mut town = Town::new(1, settings(Each));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.serve(asking("api", "10.0.0.2"));
    town.settle();
    town.cut_watches(0);
    town.delete("web");
    town.change("api", |record| {
        record.annotations.as_mut().unwrap().addresses = Some("10.0.0.3".into())
    });
    town.pass(Duration::from_secs(2));
    town.list(0);
    town.settle();
    assert!(town.holders("10.0.0.1").is_empty() && town.holders("10.0.0.2").is_empty());
    town.holder("10.0.0.3");
    assert_eq!(town.lease("kubevip-web").unwrap().holder, "", "given back");
}

#[test]
fn what_was_deleted_while_nobody_ran_is_withdrawn_and_given_back_at_the_start() {
    let mut town = Town::new(1, settings(Each));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    town.kill(0);
    town.delete("web");
    town.pass(Duration::from_millis(300));
    assert_eq!(town.holder("10.0.0.1"), 0, "the kernel still has it");
    town.start(0);
    town.pass(Duration::from_millis(100));
    assert!(town.holders("10.0.0.1").is_empty());
    assert_eq!(town.lease("kubevip-web").unwrap().holder, "");
}

#[test]
fn an_address_that_is_added_or_taken_away_leaves_the_others_up() {
    let mut town = Town::new(3, settings(Each));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    town.forget_silence();
    let addresses = |text: &str| {
        let text = text.to_owned();
        move |record: &mut crate::core::services::record::ServiceRecord| {
            record.annotations.as_mut().unwrap().addresses = Some(text.as_str().into());
        }
    };
    town.change("web", addresses("10.0.0.1,fd00::1"));
    town.settle();
    assert_eq!(town.holder("fd00::1"), town.holder("10.0.0.1"));
    town.change("web", |record| *record = super::town::on_port(443, record.clone()));
    town.settle();
    town.change("web", addresses("10.0.0.1"));
    town.settle();
    assert!(town.holders("fd00::1").is_empty());
    assert_eq!(town.longest_silence("10.0.0.1"), Duration::ZERO);
    let shown: Vec<_> = town.record("web").ingress.iter().map(|entry| entry.address).collect();
    assert_eq!(shown.len(), 1, "{shown:?}");
}

#[test]
fn a_thousand_addresses_are_taken_over_in_a_moment_and_then_announced_evenly() {
    let mut town = Town::new(1, settings(OneForAll));
    for n in 0..1000 {
        let address = format!("10.1.{}.{}", n / 250, n % 250 + 1);
        town.serve(younger(asking(&format!("s{n}"), &address)));
    }
    town.pass(Duration::from_secs(10));
    let from = town.now;
    town.pass(Duration::from_secs(6));
    let mut per_tenth = std::collections::BTreeMap::new();
    for (at, ..) in town.announced.iter().filter(|(at, ..)| *at >= from) {
        *per_tenth.entry(at.since(from).as_millis() / 100).or_insert(0) += 1;
    }
    let (most, all) = (per_tenth.values().max().unwrap(), per_tenth.values().sum::<i32>());
    assert!((1900..=2100).contains(&all), "{all} announcements in 6 s");
    assert!(*most <= 60, "{most} in a tenth of a second, 33 are even");
}
