//! What goes wrong with one thing costs no other: names, labels, writes, endpoints.

use std::time::Duration;

use super::fixture::{Fixture, asking, ip, on_port, settings, younger};
use crate::core::cluster::record::{Change, NodeRecord, ServiceName};
use crate::core::input::Input;
use crate::core::settings::ServiceElection::{Each, OneForAll};
use crate::core::settings::{Labelling, OnDemand, Services};
use crate::core::status::ServiceState;

#[test]
fn a_name_that_does_not_resolve_holds_nothing_up_and_is_served_when_it_does() {
    let mut fixture = Fixture::new(2, settings(OneForAll));
    fixture.names.insert("web.example.com".to_owned(), Err("NXDOMAIN".to_owned()));
    fixture.settle();
    fixture.serve(asking("web", "web.example.com"));
    fixture.serve(asking("api", "10.0.0.2"));
    fixture.pass(Duration::from_millis(100));
    fixture.holder("10.0.0.2");
    let (state, reason) = fixture.state(0, "web");
    assert_eq!(state, ServiceState::Waiting);
    assert!(reason.contains("web.example.com") && reason.contains("NXDOMAIN"), "{reason}");
    fixture.names.insert("web.example.com".to_owned(), Ok(vec![ip("10.0.0.1")]));
    fixture.pass(Duration::from_secs(4));
    fixture.holder("10.0.0.1");
}

#[test]
fn a_name_that_stands_for_another_address_moves_to_it_and_the_old_one_goes_for_good() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.names.insert("web.example.com".to_owned(), Ok(vec![ip("10.0.0.1")]));
    fixture.settle();
    fixture.serve(asking("web", "web.example.com"));
    fixture.settle();
    let holder = fixture.holder("10.0.0.1");
    fixture.names.insert("web.example.com".to_owned(), Ok(vec![ip("10.0.0.2")]));
    fixture.pass(Duration::from_secs(5));
    assert_eq!((fixture.holder("10.0.0.1"), fixture.holder("10.0.0.2")), (holder, holder));
    fixture.pass(Duration::from_secs(65));
    assert!(fixture.holders("10.0.0.1").is_empty());
    fixture.pass(Duration::from_secs(120));
    assert!(fixture.holders("10.0.0.1").is_empty(), "it never comes back");
    assert_eq!(fixture.holder("10.0.0.2"), holder);
}

#[test]
fn labels_that_are_refused_cost_no_address_no_lease_and_few_requests() {
    let labelling = Services { labelling: Labelling::On, ..settings(Each) };
    let mut fixture = Fixture::new(2, labelling);
    fixture.labels_refused = Some("nodes is forbidden".to_owned());
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let holder = fixture.holder("10.0.0.1");
    fixture.forget_silence();
    fixture.pass(Duration::from_secs(60));
    assert_eq!(
        (fixture.holder("10.0.0.1"), fixture.longest_silence("10.0.0.1")),
        (holder, Duration::ZERO)
    );
    assert!(fixture.label_requests <= 20, "{} requests in a minute", fixture.label_requests);
    // Nor does it leave anything half torn down.
    fixture.delete("web");
    fixture.settle();
    assert!(fixture.holders("10.0.0.1").is_empty());
    assert_eq!(fixture.lease("kubevip-web").unwrap().holder, "");
}

#[test]
fn a_status_that_cannot_be_written_costs_few_tries_no_address_and_no_other_service() {
    let mut fixture = Fixture::new(2, settings(OneForAll));
    let bad = ServiceName::new("default", "bad");
    fixture.unwritable.insert(bad.clone(), 0);
    fixture.settle();
    fixture.serve(asking("bad", "10.0.0.1"));
    fixture.settle();
    let before = fixture.now;
    fixture.serve(asking("good", "10.0.0.2"));
    fixture.pass(Duration::from_millis(100));
    assert_eq!(fixture.record("good").ingress.len(), 1, "written since {before}");
    fixture.forget_silence();
    fixture.pass(Duration::from_secs(60));
    let holder = fixture.holder("10.0.0.1");
    assert_eq!(fixture.longest_silence("10.0.0.1"), Duration::ZERO);
    assert!(fixture.unwritable[&bad] <= 15, "{} tries in a minute", fixture.unwritable[&bad]);
    let why = fixture.why(holder, "bad").because.join("; ");
    assert!(why.contains("request timed out"), "{why}");
    fixture.unwritable.clear();
    fixture.pass(Duration::from_secs(31));
    assert_eq!(fixture.record("bad").ingress.len(), 1, "in the end it is written");
}

#[test]
fn services_with_an_election_of_their_own_on_demand_are_each_on_one_node() {
    let on_demand = Services { on_demand: OnDemand::On, ..settings(OneForAll) };
    let mut fixture = Fixture::new(3, on_demand);
    fixture.settle();
    for n in 1..=30 {
        let mut record = asking(&format!("s{n}"), &format!("10.0.0.{n}"));
        record.annotations.as_mut().unwrap().rare_mut().own_election = Some("true".into());
        fixture.serve(record);
    }
    fixture.settle();
    let mut held = [0; 3];
    for n in 1..=30 {
        let holder = fixture.holder(&format!("10.0.0.{n}"));
        held[holder] += 1;
        let lease = fixture.lease(&format!("kubevip-s{n}")).unwrap();
        assert_eq!(lease.holder, format!("n{}", holder + 1));
    }
    assert!(held.iter().all(|count| *count > 0), "{held:?}");
}

#[test]
fn a_service_that_is_deleted_and_made_anew_at_once_is_served_again() {
    for election in [OneForAll, Each] {
        let mut fixture = Fixture::new(2, settings(election));
        fixture.settle();
        fixture.serve(asking("web", "10.0.0.1"));
        fixture.settle();
        for n in 0..5 {
            fixture.delete("web");
            let mut record = asking("web", "10.0.0.1");
            record.uid = format!("uid-{n}").into();
            fixture.serve(record);
            fixture.pass(Duration::from_millis(2));
        }
        fixture.pass(Duration::from_secs(2));
        let holder = fixture.holder("10.0.0.1");
        let record = fixture.record("web");
        assert_eq!(record.host(), Some(&*format!("n{}", holder + 1)));
        assert_eq!(record.ingress.len(), 1);
    }
}

#[test]
fn endpoints_of_a_service_that_is_not_there_change_nothing_and_count_when_it_comes() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.endpoints("api", &["n1"]);
    fixture.settle();
    let holder = fixture.holder("10.0.0.1");
    fixture.put(asking("api", "10.0.0.2"));
    fixture.settle();
    fixture.holder("10.0.0.2");
    fixture.delete("api");
    fixture.endpoints("api", &["n2"]);
    fixture.settle();
    assert!(fixture.holders("10.0.0.2").is_empty());
    assert_eq!(fixture.holder("10.0.0.1"), holder);
}

#[test]
fn a_service_whose_class_becomes_anothers_is_let_go_and_left_clean() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    fixture.change("web", |record| record.class = Some("example.com/other".into()));
    fixture.settle();
    assert!(fixture.holders("10.0.0.1").is_empty());
    let record = fixture.record("web");
    assert!(record.ingress.is_empty() && record.host().is_none(), "{record:?}");
    assert_eq!(fixture.lease("kubevip-web").unwrap().holder, "");
}

#[test]
fn an_interface_that_changes_moves_the_address_to_it_and_leaves_nothing_on_the_old_one() {
    let mut fixture = Fixture::new(2, settings(OneForAll));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let holder = fixture.holder("10.0.0.1");
    assert_eq!(fixture.links(holder, "10.0.0.1"), ["eth0"]);
    fixture.forget_silence();
    for link in ["eth1", "eth0"] {
        fixture.change("web", |record| {
            record.annotations.as_mut().unwrap().rare_mut().interface = Some(link.into());
        });
        fixture.pass(Duration::from_secs(3));
        assert_eq!(fixture.links(holder, "10.0.0.1"), [link]);
    }
    assert_eq!(fixture.longest_silence("10.0.0.1"), Duration::ZERO);
    assert_eq!(fixture.holder("10.0.0.1"), holder);
}

/// What kubelet says of the nodes: the first one reports this address too, or instead.
fn reported(addresses: &[&str]) -> Input {
    let node = |name: &str, addresses: &[&str]| NodeRecord {
        name: name.into(),
        addresses: addresses.iter().map(|text| ip(text)).collect(),
        scheduling: Default::default(),
        labels: Default::default(),
    };
    Input::Nodes(Change::Replaced(vec![node("n1", addresses), node("n2", &["192.168.0.2"])]))
}

#[test]
fn an_address_that_is_held_stays_when_a_node_reports_it_as_its_own() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let holder = fixture.holder("10.0.0.1");
    for n in 0..2 {
        fixture.give(n, reported(&["10.0.0.1"]));
    }
    fixture.pass(Duration::from_secs(120));
    assert_eq!(fixture.holders("10.0.0.1"), [holder]);
    for n in 0..2 {
        assert_ne!(fixture.state(n, "web").0, ServiceState::Refused);
    }
    // A Service that asks for it after that is refused all the same: it is no node's to give.
    fixture.serve(younger(on_port(443, asking("other", "192.168.0.2"))));
    fixture.settle();
    assert_eq!(fixture.state(0, "other").0, ServiceState::Refused);
}

#[test]
fn after_a_restart_what_the_status_shows_as_held_is_not_taken_for_a_nodes_own_address() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let holder = fixture.holder("10.0.0.1");
    fixture.reported.insert(holder, ip("10.0.0.1"));
    fixture.kill(holder);
    fixture.start(holder);
    fixture.pass(Duration::from_secs(30));
    assert_eq!(fixture.holders("10.0.0.1"), [holder]);
    assert_eq!(fixture.state(holder, "web").0, ServiceState::Held);
}
