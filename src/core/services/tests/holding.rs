//! Who holds an address, and where it may be held.

use std::time::Duration;

use super::fixture::{Fixture, asking, ip, local, settings, younger};
use crate::core::cluster::record::EndpointState;
use crate::core::settings::ServiceElection::{Each, OneForAll};
use crate::core::status::ServiceState;

const MOMENT: Duration = Duration::from_millis(200);

#[test]
fn one_lease_for_all_puts_every_address_on_one_node() {
    let mut fixture = Fixture::new(3, settings(OneForAll));
    fixture.settle();
    for n in 1..=20 {
        fixture.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
    }
    fixture.settle();
    let leader = fixture.holder("10.0.0.1");
    for n in 1..=20 {
        assert_eq!(fixture.holder(&format!("10.0.0.{n}")), leader);
    }
    let lease = fixture.lease("kube-system/plndr-svcs-lock").unwrap();
    assert_eq!(lease.holder, format!("n{}", leader + 1));
}

#[test]
fn a_lease_for_each_address_spreads_them_over_the_nodes() {
    let mut fixture = Fixture::new(3, settings(Each));
    fixture.settle();
    for n in 1..=60 {
        fixture.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
    }
    fixture.settle();
    let mut held = [0; 3];
    for n in 1..=60 {
        held[fixture.holder(&format!("10.0.0.{n}"))] += 1;
        assert!(!fixture.lease(&format!("kubevip-s{n}")).unwrap().holder.is_empty());
    }
    assert!(held.iter().all(|count| *count >= 10), "{held:?}");
}

#[test]
fn an_address_is_announced_in_a_moment_after_its_service_appears() {
    for election in [OneForAll, Each] {
        let mut fixture = Fixture::new(3, settings(election));
        fixture.settle();
        let before = fixture.now;
        fixture.serve(asking("web", "10.0.0.1"));
        fixture.pass(MOMENT);
        let first = fixture.announced.iter().find(|(.., address)| *address == ip("10.0.0.1"));
        let took = first.expect("it is announced").0.since(before);
        assert!(took <= Duration::from_millis(40), "{took:?}");
    }
}

#[test]
fn the_log_says_that_an_address_goes_because_the_process_stops() {
    let mut fixture = Fixture::new(1, settings(OneForAll));
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    fixture.stop(0);
    fixture.settle();
    assert_eq!(
        withdrawals(&fixture),
        ["10.0.0.1/32 on eth0: is withdrawn: this process is stopping"]
    );
}

#[test]
fn the_log_says_that_an_address_goes_because_the_lease_has_run_out() {
    let mut fixture = Fixture::new(1, settings(OneForAll));
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    fixture.unanswered = true;
    fixture.pass(Duration::from_secs(60));
    let why = "10.0.0.1/32 on eth0: is withdrawn: this node's lease kube-system/plndr-svcs-lock has \
               run out";
    let logged = withdrawals(&fixture);
    assert!(matches!(&logged[..], [line] if line.starts_with(why)), "{logged:?}");
}

fn withdrawals(fixture: &Fixture) -> Vec<&str> {
    let lines = fixture.log.iter().map(|(_, line)| line.as_str());
    lines.filter(|line| line.contains("is withdrawn")).collect()
}

#[test]
fn a_node_without_power_loses_its_addresses_to_the_others_within_the_lease() {
    for election in [OneForAll, Each] {
        let mut fixture = Fixture::new(3, settings(election));
        fixture.settle();
        for n in 1..=30 {
            fixture.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
        }
        fixture.settle();
        let gone = fixture.holder("10.0.0.1");
        fixture.power_off(gone);
        fixture.pass(Duration::from_millis(5500));
        for n in 1..=30 {
            assert_ne!(fixture.holder(&format!("10.0.0.{n}")), gone);
        }
    }
}

#[test]
fn a_planned_stop_moves_each_address_in_a_moment_and_leaves_no_lease_behind() {
    let mut fixture = Fixture::new(3, settings(Each));
    fixture.settle();
    for n in 1..=60 {
        fixture.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
    }
    fixture.settle();
    fixture.forget_silence();
    fixture.stop(0);
    let mut silent = 0;
    for _ in 0..3000 {
        fixture.pass(Duration::from_millis(1));
        let nobodys = |n: &u16| fixture.holders(&format!("10.0.0.{n}")).is_empty();
        silent = silent.max((1..=60).filter(nobodys).count());
    }
    assert!(
        (1..=2).contains(&silent),
        "{silent} at once: each is the longer silent the more there are"
    );
    assert!(!fixture.runs(0), "it has stopped");
    for n in 1..=60 {
        assert_ne!(fixture.holder(&format!("10.0.0.{n}")), 0);
        let silence = fixture.longest_silence(&format!("10.0.0.{n}"));
        assert!(silence <= Duration::from_millis(100), "{n}: {silence:?}");
    }
}

#[test]
fn the_only_node_waits_for_no_successor_when_it_stops() {
    let mut fixture = Fixture::new(1, settings(Each));
    fixture.settle();
    for n in 1..=30 {
        fixture.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
    }
    fixture.settle();
    fixture.stop(0);
    fixture.pass(Duration::from_millis(700));
    assert!(!fixture.runs(0), "it has stopped");
}

#[test]
fn a_killed_process_that_comes_back_within_the_lease_keeps_its_addresses() {
    for election in [OneForAll, Each] {
        let mut fixture = Fixture::new(3, settings(election));
        fixture.settle();
        fixture.serve(asking("web", "10.0.0.1"));
        fixture.pass(Duration::from_secs(3));
        let holder = fixture.holder("10.0.0.1");
        fixture.forget_silence();
        let writes = fixture.service_writes;
        fixture.kill(holder);
        fixture.pass(Duration::from_millis(500));
        fixture.start(holder);
        fixture.pass(Duration::from_secs(8));
        assert_eq!(fixture.holder("10.0.0.1"), holder);
        assert_eq!(fixture.longest_silence("10.0.0.1"), Duration::ZERO);
        assert_eq!(fixture.service_writes, writes, "nothing has changed");
    }
}

#[test]
fn losing_one_lease_costs_only_its_own_addresses() {
    let mut fixture = Fixture::new(1, settings(Each));
    fixture.settle();
    fixture.serve(asking("a", "10.0.0.1"));
    fixture.serve(asking("b", "10.0.0.2"));
    fixture.settle();
    fixture.forget_silence();
    fixture.other_holds("kubevip-a", "somebody");
    fixture.pass(Duration::from_secs(2));
    assert_eq!(fixture.holders("10.0.0.1"), [0_usize; 0]);
    assert_eq!(fixture.holder("10.0.0.2"), 0);
    assert_eq!(fixture.longest_silence("10.0.0.2"), Duration::ZERO);
}

#[test]
fn leases_are_renewed_no_more_often_than_they_need_and_losers_write_nothing() {
    let mut fixture = Fixture::new(3, settings(Each));
    fixture.settle();
    for n in 1..=30 {
        fixture.serve(asking(&format!("s{n}"), &format!("10.0.0.{n}")));
    }
    fixture.pass(Duration::from_secs(10));
    let before = (fixture.lease_writes, fixture.service_writes);
    fixture.pass(Duration::from_secs(50));
    let writes = fixture.lease_writes - before.0;
    let most = 30 * 50 * 3 / 5;
    assert!(writes <= most, "{writes} writes, {most} at the most");
    assert_eq!(fixture.service_writes, before.1);
}

#[test]
fn a_local_service_is_held_only_where_it_has_an_endpoint_and_follows_it_at_once() {
    for election in [OneForAll, Each] {
        let mut fixture = Fixture::new(3, settings(election));
        fixture.settle();
        fixture.put(local(asking("web", "10.0.0.1")));
        fixture.endpoints("web", &["n2"]);
        fixture.settle();
        assert_eq!(fixture.holder("10.0.0.1"), 1);
        fixture.endpoints("web", &["n3"]);
        fixture.pass(MOMENT);
        assert_eq!(fixture.holder("10.0.0.1"), 2);
        assert_eq!(fixture.record("web").host(), Some("n3"));
    }
}

#[test]
fn a_local_service_without_endpoints_is_held_nowhere_and_says_so() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.put(local(asking("web", "10.0.0.1")));
    fixture.endpoints("web", &["n1"]);
    fixture.settle();
    assert_eq!(fixture.holder("10.0.0.1"), 0);
    fixture.endpoints("web", &[]);
    fixture.pass(Duration::from_secs(10));
    assert!(fixture.holders("10.0.0.1").is_empty());
    let (state, reason) = fixture.state(1, "web");
    assert_eq!(state, ServiceState::Waiting);
    assert!(reason.contains("no endpoint"), "{reason}");
    let record = fixture.record("web");
    assert_eq!(record.host(), None, "nobody holds it any more");
    let condition = record.condition.expect("a condition");
    assert_eq!(&*condition.reason, "Waiting");
    assert!(fixture.events.iter().any(|event| event.reason == "Waiting"));
    fixture.endpoints("web", &["n2"]);
    fixture.pass(MOMENT);
    assert_eq!(fixture.holder("10.0.0.1"), 1);
}

#[test]
fn endpoints_that_flap_do_not_flap_the_address() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.put(local(asking("web", "10.0.0.1")));
    fixture.endpoints("web", &["n1"]);
    fixture.settle();
    fixture.forget_silence();
    for _ in 0..5 {
        fixture.slice("web", "a", &[("n1", EndpointState::Unready)]);
        fixture.pass(Duration::from_millis(700));
        fixture.endpoints("web", &["n1"]);
        fixture.pass(Duration::from_millis(700));
    }
    assert_eq!(fixture.longest_silence("10.0.0.1"), Duration::ZERO);
    // Where another node can have it, it moves once and does not come back by itself.
    fixture.endpoints("web", &["n2"]);
    fixture.pass(MOMENT);
    fixture.endpoints("web", &["n1", "n2"]);
    fixture.pass(Duration::from_secs(10));
    assert_eq!(fixture.holder("10.0.0.1"), 1);
}

#[test]
fn unready_endpoints_are_no_endpoints_for_the_policy_cluster_either() {
    let mut fixture = Fixture::new(2, settings(OneForAll));
    fixture.settle();
    fixture.put(asking("web", "10.0.0.1"));
    fixture.slice("web", "a", &[("n1", EndpointState::Unready)]);
    fixture.pass(Duration::from_secs(2));
    assert!(fixture.holders("10.0.0.1").is_empty());
    assert!(fixture.state(0, "web").1.contains("none of its 1 endpoints is ready"));
    fixture.endpoints("web", &["n1"]);
    fixture.pass(MOMENT);
    fixture.holder("10.0.0.1");
}

#[test]
fn a_service_may_be_served_without_endpoints_when_it_says_so() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    let mut record = asking("web", "10.0.0.1");
    record.annotations.as_mut().unwrap().rare_mut().without_endpoints = Some("True".into());
    fixture.put(record);
    fixture.settle();
    fixture.holder("10.0.0.1");
}

#[test]
fn with_one_lease_for_all_a_local_service_is_where_its_endpoints_are_and_the_leader_is_preferred() {
    let mut fixture = Fixture::new(3, settings(OneForAll));
    fixture.settle();
    fixture.serve(asking("all", "10.0.0.9"));
    fixture.settle();
    let leader = fixture.holder("10.0.0.9");
    let other = (leader + 1) % 3;
    let (leads, follows) = (format!("n{}", leader + 1), format!("n{}", other + 1));
    fixture.put(local(asking("web", "10.0.0.1")));
    fixture.endpoints("web", &[&follows]);
    fixture.settle();
    assert_eq!(fixture.holder("10.0.0.1"), other);
    assert_eq!(fixture.lease("kubevip-web").unwrap().holder, follows);
    fixture.endpoints("web", &[&follows, &leads]);
    fixture.pass(Duration::from_secs(5));
    assert_eq!(fixture.holder("10.0.0.1"), leader, "the leader has what it can serve");
    fixture.endpoints("web", &[&follows]);
    fixture.pass(MOMENT);
    assert_eq!(fixture.holder("10.0.0.1"), other);
}

#[test]
fn a_policy_that_changes_moves_the_address_without_two_holders_and_keeps_it_up_where_it_may_stay() {
    let mut fixture = Fixture::new(3, settings(OneForAll));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let leader = fixture.holder("10.0.0.1");
    fixture.forget_silence();
    fixture
        .change("web", |record| record.policy = crate::core::cluster::record::TrafficPolicy::Local);
    fixture.pass(Duration::from_secs(3));
    assert_eq!(fixture.holder("10.0.0.1"), leader);
    assert_eq!(fixture.longest_silence("10.0.0.1"), Duration::ZERO, "it never went");
    fixture.change("web", |record| {
        record.policy = crate::core::cluster::record::TrafficPolicy::Cluster
    });
    fixture.pass(Duration::from_secs(3));
    assert_eq!(fixture.longest_silence("10.0.0.1"), Duration::ZERO, "nor on the way back");
    // The leader has no endpoint: with Local it goes to who has.
    let other = (leader + 1) % 3;
    fixture.endpoints("web", &[&format!("n{}", other + 1)]);
    fixture.settle();
    fixture.forget_silence();
    fixture
        .change("web", |record| record.policy = crate::core::cluster::record::TrafficPolicy::Local);
    fixture.pass(Duration::from_secs(2));
    assert_eq!(fixture.holder("10.0.0.1"), other);
    assert!(
        fixture.longest_silence("10.0.0.1") < Duration::from_millis(300),
        "{:?}",
        fixture.longest_silence("10.0.0.1")
    );
}

#[test]
fn a_service_deleted_in_a_gap_of_the_watch_is_withdrawn_when_everything_is_listed_again() {
    let mut fixture = Fixture::new(1, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.serve(asking("api", "10.0.0.2"));
    fixture.settle();
    fixture.cut_watches(0);
    fixture.delete("web");
    fixture.change("api", |record| {
        record.annotations.as_mut().unwrap().addresses = Some("10.0.0.3".into())
    });
    fixture.pass(Duration::from_secs(2));
    fixture.list(0);
    fixture.settle();
    assert!(fixture.holders("10.0.0.1").is_empty() && fixture.holders("10.0.0.2").is_empty());
    fixture.holder("10.0.0.3");
    assert_eq!(fixture.lease("kubevip-web").unwrap().holder, "", "given back");
}

#[test]
fn what_was_deleted_while_nobody_ran_runs_out_and_its_lease_is_given_back_then_and_not_before() {
    let mut fixture = Fixture::new(1, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let ours = fixture.lease("kubevip-web").unwrap().holder.clone();
    fixture.kill(0);
    fixture.delete("web");
    fixture.pass(Duration::from_millis(300));
    assert_eq!(fixture.holder("10.0.0.1"), 0, "the kernel still has it");
    fixture.start(0);
    let mut waited = 0;
    while !fixture.holders("10.0.0.1").is_empty() {
        let lease = fixture.lease("kubevip-web").unwrap();
        assert_eq!(lease.holder, ours, "given back while the address is here");
        fixture.pass(Duration::from_millis(50));
        waited += 1;
        assert!(waited < 1_000, "it never runs out");
    }
    fixture.settle();
    assert_eq!(fixture.lease("kubevip-web").unwrap().holder, "");
}

#[test]
fn an_address_that_is_added_or_taken_away_leaves_the_others_up() {
    let mut fixture = Fixture::new(3, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    fixture.forget_silence();
    let addresses = |text: &str| {
        let text = text.to_owned();
        move |record: &mut crate::core::cluster::record::ServiceRecord| {
            record.annotations.as_mut().unwrap().addresses = Some(text.as_str().into());
        }
    };
    fixture.change("web", addresses("10.0.0.1,fd00::1"));
    fixture.settle();
    assert_eq!(fixture.holder("fd00::1"), fixture.holder("10.0.0.1"));
    fixture.change("web", |record| *record = super::fixture::on_port(443, record.clone()));
    fixture.settle();
    fixture.change("web", addresses("10.0.0.1"));
    fixture.settle();
    assert!(fixture.holders("fd00::1").is_empty());
    assert_eq!(fixture.longest_silence("10.0.0.1"), Duration::ZERO);
    let shown: Vec<_> = fixture.record("web").ingress.iter().map(|entry| entry.address).collect();
    assert_eq!(shown.len(), 1, "{shown:?}");
}

#[test]
fn a_thousand_addresses_are_taken_over_in_a_moment_and_then_announced_evenly() {
    let mut fixture = Fixture::new(1, settings(OneForAll));
    for n in 0..1000 {
        let address = format!("10.1.{}.{}", n / 250, n % 250 + 1);
        fixture.serve(younger(asking(&format!("s{n}"), &address)));
    }
    fixture.pass(Duration::from_secs(10));
    let from = fixture.now;
    fixture.pass(Duration::from_secs(6));
    let mut per_tenth = std::collections::BTreeMap::new();
    for (at, ..) in fixture.announced.iter().filter(|(at, ..)| *at >= from) {
        *per_tenth.entry(at.since(from).as_millis() / 100).or_insert(0) += 1;
    }
    let (most, all) = (per_tenth.values().max().unwrap(), per_tenth.values().sum::<i32>());
    assert!((1900..=2100).contains(&all), "{all} announcements in 6 s");
    assert!(*most <= 60, "{most} in a tenth of a second, 33 are even");
}
