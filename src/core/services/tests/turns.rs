//! A turn looks at a few of very many; nothing is lost by that, and nothing is done too early.

use std::rc::Rc;
use std::time::Duration;

use super::fixture::{Fixture, asking, on_port, service, settings, younger};
use crate::core::Moment;
use crate::core::addresses::Addresses;
use crate::core::cluster::Cluster;
use crate::core::cluster::record::Change;
use crate::core::context::Site;
use crate::core::input::LeaseSeen;
use crate::core::settings::ServiceElection::{Each, OneForAll};
use crate::core::settings::Services;
use crate::core::status::ServiceState;
use crate::core::{Input, LeaseName, LeaseRecord};

fn one_per_turn(services: Services) -> Services {
    Services { per_turn: 1, ..services }
}

#[test]
fn what_an_earlier_run_left_stays_while_services_are_looked_at_one_by_one() {
    for election in [OneForAll, Each] {
        let mut fixture = Fixture::new(1, one_per_turn(settings(election)));
        let addresses: Vec<String> = (1..=9).map(|n| format!("10.0.0.{n}")).collect();
        for (n, address) in addresses.iter().enumerate() {
            fixture.serve(asking(&format!("s{n}"), address));
        }
        fixture.settle();
        fixture.kill(0);
        fixture.start(0);
        while fixture.core(0).why(&service("s1").name, fixture.now).is_none() {
            fixture.step();
        }
        fixture.see(0, &addresses[0]); // Before it is known which Lease decides about it.
        fixture.settle();
        for address in addresses {
            assert_eq!(fixture.holder(&address), 0);
            assert_eq!(fixture.longest_silence(&address), Duration::ZERO, "{address}");
        }
    }
}

#[test]
fn of_two_that_clash_the_younger_is_refused_even_if_it_is_looked_at_turns_earlier() {
    let mut fixture = Fixture::new(1, one_per_turn(settings(Each)));
    fixture.kill(0);
    fixture.serve(younger(on_port(80, asking("a-younger", "10.0.0.1"))));
    for n in 1..=9 {
        fixture.serve(asking(&format!("m{n}"), &format!("10.0.1.{n}")));
    }
    fixture.serve(on_port(80, asking("z-older", "10.0.0.1")));
    fixture.start(0);
    fixture.settle();
    assert_eq!(fixture.state(0, "z-older").0, ServiceState::Held);
    assert_eq!(fixture.state(0, "a-younger").0, ServiceState::Refused);
    assert!(fixture.lease("kubevip-a-younger").is_none());
    let of_younger = fixture.events.iter().filter(|event| event.service.name() == "a-younger");
    let said: Vec<&str> = of_younger.map(|event| event.reason.as_str()).collect();
    assert!(!said.iter().any(|reason| reason.contains("Announced")), "{said:?}");
}

#[test]
fn a_turn_has_its_limit_however_many_services_are_told_of_at_once() {
    let most = settings(OneForAll).per_turn;
    let mut fixture = Fixture::new(1, settings(OneForAll));
    fixture.kill(0);
    for n in 1..=200 {
        fixture.serve(asking(&format!("s{n}"), &format!("10.0.1.{n}")));
    }
    fixture.start(0);
    let judged = |fixture: &Fixture| {
        let services = fixture.core(0).status(fixture.now).services.into_iter();
        services.filter(|service| !service.reason.contains("not been looked at yet")).count()
    };
    let mut before = 0;
    while before < 200 {
        fixture.step();
        let now = judged(&fixture);
        assert!(now <= before + most, "{before}, then {now}");
        before = now;
    }
}

#[test]
fn a_turn_has_its_limit_however_many_leases_are_told_of_at_once() {
    let mut fixture = Fixture::new(1, Services { per_turn: 2, ..settings(Each) });
    for n in 1..=20 {
        fixture.serve(asking(&format!("s{n}"), &format!("10.0.1.{n}")));
    }
    fixture.settle();
    let seen = |(lease, (version, record)): (&LeaseName, &(String, LeaseRecord))| LeaseSeen {
        lease: lease.clone(),
        version: version.clone(),
        record: record.clone(),
    };
    let all: Vec<LeaseSeen> = fixture.leases.iter().map(seen).collect();
    assert!(all.len() >= 20, "{all:?}");
    fixture.give(0, Input::Leases(Change::Replaced(all)));
    let waiting =
        |fixture: &Fixture| fixture.core(0).next_deadline(fixture.now).map(|(_, what)| what);
    for turn in 0..4 {
        assert_eq!(waiting(&fixture), Some("what this turn was too short for"), "turn {turn}");
        fixture.give(0, Input::Deadline);
    }
    fixture.settle();
    assert_ne!(waiting(&fixture), Some("what this turn was too short for"));
    for n in 1..=20 {
        assert_eq!(fixture.longest_silence(&format!("10.0.1.{n}")), Duration::ZERO, "{n}");
    }
}

#[test]
fn a_minute_later_everything_has_been_looked_at_again_a_few_services_at_a_time() {
    let now = Moment::default();
    let settings = Services { per_turn: 2, ..settings(OneForAll) };
    let site = Rc::new(Site { settings, node: "n1".to_owned(), seed: 1, started: now });
    let (mut cluster, mut addresses) = (Cluster::default(), Addresses::new(Rc::clone(&site)));
    let mut services = crate::core::services::Services::new(site);
    for n in 1..=7 {
        let record = asking(&format!("s{n}"), &format!("10.0.0.{n}"));
        let changes = cluster.take_services(Change::Applied(record));
        services.follow(changes, &cluster, &mut addresses, now);
    }
    let mut seen = Vec::new();
    let mut at = now;
    while seen.len() < 7 {
        services.unjudged.clear();
        at = at.max(services.sweep.next);
        let _ = services.wake(at);
        assert!((1..=2).contains(&services.unjudged.len()), "{:?}", services.unjudged);
        seen.extend(services.unjudged.iter().map(|name| name.name().to_owned()));
    }
    assert_eq!(seen, ["s1", "s2", "s3", "s4", "s5", "s6", "s7"]);
    assert!(at.since(now) <= Duration::from_secs(120), "{:?}", at.since(now));
}
