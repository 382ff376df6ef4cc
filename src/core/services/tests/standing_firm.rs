//! What goes wrong with one thing costs no other: names, labels, writes, endpoints.

use std::time::Duration;

use super::town::{Town, asking, ip, settings};
use crate::core::services::record::ServiceName;
use crate::core::settings::ServiceElection::{Each, OneForAll};
use crate::core::settings::{Labelling, OnDemand, Services};
use crate::core::status::ServiceState;

#[test]
fn a_name_that_does_not_resolve_holds_nothing_up_and_is_served_when_it_does() {
    let mut town = Town::new(2, settings(OneForAll));
    town.names.insert("web.example.com".to_owned(), Err("NXDOMAIN".to_owned()));
    town.settle();
    town.serve(asking("web", "web.example.com"));
    town.serve(asking("api", "10.0.0.2"));
    town.pass(Duration::from_millis(100));
    town.holder("10.0.0.2");
    let (state, reason) = town.state(0, "web");
    assert_eq!(state, ServiceState::Waiting);
    assert!(reason.contains("web.example.com") && reason.contains("NXDOMAIN"), "{reason}");
    town.names.insert("web.example.com".to_owned(), Ok(vec![ip("10.0.0.1")]));
    town.pass(Duration::from_secs(4));
    town.holder("10.0.0.1");
}

#[test]
fn a_name_that_stands_for_another_address_moves_to_it_and_the_old_one_goes_for_good() {
    let mut town = Town::new(2, settings(Each));
    town.names.insert("web.example.com".to_owned(), Ok(vec![ip("10.0.0.1")]));
    town.settle();
    town.serve(asking("web", "web.example.com"));
    town.settle();
    let holder = town.holder("10.0.0.1");
    town.names.insert("web.example.com".to_owned(), Ok(vec![ip("10.0.0.2")]));
    town.pass(Duration::from_secs(5));
    assert_eq!((town.holder("10.0.0.1"), town.holder("10.0.0.2")), (holder, holder));
    town.pass(Duration::from_secs(65));
    assert!(town.holders("10.0.0.1").is_empty());
    town.pass(Duration::from_secs(120));
    assert!(town.holders("10.0.0.1").is_empty(), "it never comes back");
    assert_eq!(town.holder("10.0.0.2"), holder);
}

#[test]
fn labels_that_are_refused_cost_no_address_no_lease_and_few_requests() {
    let labelling = Services { labelling: Labelling::On, ..settings(Each) };
    let mut town = Town::new(2, labelling);
    town.labels_refused = Some("nodes is forbidden".to_owned());
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    let holder = town.holder("10.0.0.1");
    town.forget_silence();
    town.pass(Duration::from_secs(60));
    assert_eq!(
        (town.holder("10.0.0.1"), town.longest_silence("10.0.0.1")),
        (holder, Duration::ZERO)
    );
    assert!(town.label_requests <= 20, "{} requests in a minute", town.label_requests);
    // Nor does it leave anything half torn down.
    town.delete("web");
    town.settle();
    assert!(town.holders("10.0.0.1").is_empty());
    assert_eq!(town.lease("kubevip-web").unwrap().holder, "");
}

#[test]
fn a_status_that_cannot_be_written_costs_few_tries_no_address_and_no_other_service() {
    let mut town = Town::new(2, settings(OneForAll));
    let bad = ServiceName::new("default", "bad");
    town.unwritable.insert(bad.clone(), 0);
    town.settle();
    town.serve(asking("bad", "10.0.0.1"));
    town.settle();
    let before = town.now;
    town.serve(asking("good", "10.0.0.2"));
    town.pass(Duration::from_millis(100));
    assert_eq!(town.record("good").ingress.len(), 1, "written since {before}");
    town.forget_silence();
    town.pass(Duration::from_secs(60));
    let holder = town.holder("10.0.0.1");
    assert_eq!(town.longest_silence("10.0.0.1"), Duration::ZERO);
    assert!(town.unwritable[&bad] <= 15, "{} tries in a minute", town.unwritable[&bad]);
    let why = town.why(holder, "bad").because.join("; ");
    assert!(why.contains("request timed out"), "{why}");
    town.unwritable.clear();
    town.pass(Duration::from_secs(31));
    assert_eq!(town.record("bad").ingress.len(), 1, "in the end it is written");
}

#[test]
fn services_with_an_election_of_their_own_on_demand_are_each_on_one_node() {
    let on_demand = Services { on_demand: OnDemand::On, ..settings(OneForAll) };
    let mut town = Town::new(3, on_demand);
    town.settle();
    for n in 1..=30 {
        let mut record = asking(&format!("s{n}"), &format!("10.0.0.{n}"));
        record.annotations.as_mut().unwrap().rare_mut().own_election = Some("true".into());
        town.serve(record);
    }
    town.settle();
    let mut held = [0; 3];
    for n in 1..=30 {
        let holder = town.holder(&format!("10.0.0.{n}"));
        held[holder] += 1;
        let lease = town.lease(&format!("kubevip-s{n}")).unwrap();
        assert_eq!(lease.holder, format!("n{}", holder + 1));
    }
    assert!(held.iter().all(|count| *count > 0), "{held:?}");
}

#[test]
fn a_service_that_is_deleted_and_made_anew_at_once_is_served_again() {
    for election in [OneForAll, Each] {
        let mut town = Town::new(2, settings(election));
        town.settle();
        town.serve(asking("web", "10.0.0.1"));
        town.settle();
        for n in 0..5 {
            town.delete("web");
            let mut record = asking("web", "10.0.0.1");
            record.uid = format!("uid-{n}").into();
            town.serve(record);
            town.pass(Duration::from_millis(2));
        }
        town.pass(Duration::from_secs(2));
        let holder = town.holder("10.0.0.1");
        let record = town.record("web");
        assert_eq!(record.host(), Some(&*format!("n{}", holder + 1)));
        assert_eq!(record.ingress.len(), 1);
    }
}

#[test]
fn endpoints_of_a_service_that_is_not_there_change_nothing_and_count_when_it_comes() {
    let mut town = Town::new(2, settings(Each));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.endpoints("api", &["n1"]);
    town.settle();
    let holder = town.holder("10.0.0.1");
    town.put(asking("api", "10.0.0.2"));
    town.settle();
    town.holder("10.0.0.2");
    town.delete("api");
    town.endpoints("api", &["n2"]);
    town.settle();
    assert!(town.holders("10.0.0.2").is_empty());
    assert_eq!(town.holder("10.0.0.1"), holder);
}

#[test]
fn a_service_whose_class_becomes_anothers_is_let_go_and_left_clean() {
    let mut town = Town::new(2, settings(Each));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    town.change("web", |record| record.class = Some("example.com/other".into()));
    town.settle();
    assert!(town.holders("10.0.0.1").is_empty());
    let record = town.record("web");
    assert!(record.ingress.is_empty() && record.host().is_none(), "{record:?}");
    assert_eq!(town.lease("kubevip-web").unwrap().holder, "");
}

#[test]
fn an_interface_that_changes_moves_the_address_to_it_and_leaves_nothing_on_the_old_one() {
    let mut town = Town::new(2, settings(OneForAll));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    let holder = town.holder("10.0.0.1");
    assert_eq!(town.links(holder, "10.0.0.1"), ["eth0"]);
    town.forget_silence();
    for link in ["eth1", "eth0"] {
        town.change("web", |record| {
            record.annotations.as_mut().unwrap().rare_mut().interface = Some(link.into());
        });
        town.pass(Duration::from_secs(3));
        assert_eq!(town.links(holder, "10.0.0.1"), [link]);
    }
    assert_eq!(town.longest_silence("10.0.0.1"), Duration::ZERO);
    assert_eq!(town.holder("10.0.0.1"), holder);
}
