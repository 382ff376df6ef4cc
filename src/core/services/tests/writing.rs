//! What is written to Services and said of them.

use std::rc::Rc;
use std::time::Duration;

use viplet_backend_api::{Class, Refusal};

use super::fixture::{Fixture, asking, ip, service, settings};
use crate::core::cluster::record::{Change, Ingress};
use crate::core::input::{Input, ServiceOutcome};
use crate::core::settings::ServiceElection::{Each, OneForAll};
use crate::core::settings::{Labelling, Services, Updates};
use crate::core::status::ServiceState;

#[test]
fn one_write_tells_holder_and_addresses_and_nothing_is_written_while_nothing_changes() {
    let mut fixture = Fixture::new(3, settings(OneForAll));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1,fd00::1"));
    fixture.settle();
    assert_eq!(fixture.service_writes, 1);
    let (record, holder) = (fixture.record("web"), fixture.holder("10.0.0.1"));
    assert_eq!(record.host(), Some(&*format!("n{}", holder + 1)));
    let shown: Vec<_> = record.ingress.iter().map(|entry| entry.address.unwrap()).collect();
    assert_eq!(shown, [ip("10.0.0.1"), ip("fd00::1")]);
    assert_eq!(record.ingress[0].ports, record.ports);
    fixture.pass(Duration::from_secs(300));
    assert_eq!(fixture.service_writes, 1);
    assert_eq!(fixture.events.len(), 1, "{:?}", fixture.events);
    assert_eq!(fixture.events[0].reason, "Announced");
}

#[test]
fn a_move_is_written_once_and_said() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let old = fixture.holder("10.0.0.1");
    fixture.power_off(old);
    fixture.pass(Duration::from_secs(8));
    assert_eq!(fixture.service_writes, 2);
    let moved = fixture.events.last().unwrap();
    assert_eq!(moved.reason, "Moved");
    assert!(moved.message.contains(&format!("before by n{}", old + 1)), "{}", moved.message);
}

#[test]
fn entries_of_others_in_the_status_stay() {
    let mut fixture = Fixture::new(1, settings(Each));
    fixture.settle();
    let foreign =
        Ingress { address: None, hostname: Some("lb.example.com".into()), ports: Rc::default() };
    let mut record = asking("web", "10.0.0.1");
    record.ingress = [foreign.clone()].into();
    fixture.serve(record);
    fixture.settle();
    let record = fixture.record("web");
    assert!(record.ingress.contains(&foreign), "{:?}", record.ingress);
    assert_eq!(record.ingress.len(), 2);
}

#[test]
fn a_status_that_another_keeps_overwriting_is_not_fought_over() {
    let mut fixture = Fixture::new(1, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    for _ in 0..100 {
        fixture.change("web", |record| record.ingress = Box::default());
        fixture.pass(Duration::from_millis(100));
    }
    assert!(fixture.service_writes < 15, "{} writes in 10 s", fixture.service_writes);
    fixture.pass(Duration::from_secs(120));
    assert_eq!(fixture.record("web").ingress.len(), 1, "in the end it is there");
}

#[test]
fn nothing_is_written_where_updates_are_switched_off_and_the_address_is_held_all_the_same() {
    let off = Services { updates: Updates::Withheld, ..settings(OneForAll) };
    let mut fixture = Fixture::new(2, off);
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.put(asking("bad", "0.0.0.0"));
    fixture.pass(Duration::from_secs(20));
    fixture.holder("10.0.0.1");
    assert_eq!(fixture.service_writes, 0);
}

#[test]
fn a_bad_request_costs_only_its_own_service() {
    let mut fixture = Fixture::new(2, settings(OneForAll));
    fixture.settle();
    fixture.serve(asking("bad", "10.0.0.999"));
    fixture.serve(asking("good", "10.0.0.1"));
    fixture.settle();
    fixture.holder("10.0.0.1");
    let condition = fixture.record("bad").condition.expect("a condition");
    assert!(condition.message.contains("10.0.0.999"), "{}", condition.message);
    assert!(fixture.record("good").condition.is_none());
    assert!(fixture.events.iter().any(|e| e.reason == "Refused" && e.service.name() == "bad"));
}

#[test]
fn a_thousand_services_without_an_address_hold_nothing_up() {
    let mut fixture = Fixture::new(1, settings(OneForAll));
    fixture.settle();
    (0..1000).for_each(|n| fixture.put(service(&format!("s{n}"))));
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.pass(Duration::from_millis(50));
    fixture.holder("10.0.0.1");
    assert_eq!(fixture.state(0, "s7").0, ServiceState::Waiting);
}

#[test]
fn ignoring_a_service_that_is_served_takes_its_address_and_its_status_away() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    fixture.change("web", |record| {
        record.annotations.as_mut().unwrap().rare_mut().ignore = Some("true".into())
    });
    fixture.settle();
    assert!(fixture.holders("10.0.0.1").is_empty());
    let record = fixture.record("web");
    assert!(record.ingress.is_empty() && record.host().is_none(), "{record:?}");
}

#[test]
fn what_the_kernel_refuses_is_said_and_another_node_takes_the_address() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let first = fixture.holder("10.0.0.1");
    fixture.delete("web");
    fixture.settle();
    let reason = "needs the capability NET_ADMIN".to_owned();
    fixture.refuse(first, Some(Refusal { class: Class::Forbidden, reason }));
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.pass(Duration::from_secs(3));
    assert_eq!(fixture.holder("10.0.0.1"), 1 - first);
    let why = fixture.why(first, "web").because.join("; ");
    assert!(why.contains("NET_ADMIN"), "{why}");
}

#[test]
fn the_node_has_a_valid_label_for_each_service_that_it_holds_and_none_after_its_stop() {
    let labelling = Services { labelling: Labelling::On, ..settings(OneForAll) };
    let mut fixture = Fixture::new(1, labelling);
    fixture.settle();
    let long = "x".repeat(63);
    fixture.serve(asking(&long, "10.0.0.1,fd00::1"));
    fixture.settle();
    let labels = fixture.labels[&0].clone();
    let (key, value) = labels.iter().next().unwrap();
    let (prefix, name) = key.split_once('/').unwrap();
    let value = value.clone().unwrap();
    assert_eq!(prefix, "service-provided.kube-vip.io");
    assert!(name.len() <= 63 && value.len() <= 63 && !value.contains(','), "{key}={value}");
    assert!(value.starts_with("10.0.0.1_fd00"), "{value}");
    fixture.stop(0);
    fixture.settle();
    assert_eq!(fixture.labels[&0][key], None);
    assert!(!fixture.runs(0));
}

#[test]
fn why_tells_the_causes_in_order_from_any_node() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let (holder, other) = (fixture.holder("10.0.0.1"), 1 - fixture.holder("10.0.0.1"));
    let here = fixture.why(holder, "web");
    assert_eq!(here.status.state, ServiceState::Held);
    assert_eq!(here.status.holder, format!("n{}", holder + 1));
    let there = fixture.why(other, "web");
    assert_eq!(
        (there.status.state, &there.status.holder),
        (ServiceState::Elsewhere, &here.status.holder)
    );
    assert!(there.because[0].contains("10.0.0.1"), "{:?}", there.because);
    assert!(there.because[2].contains("default/kubevip-web"), "{:?}", there.because);
}

#[test]
fn a_name_is_resolved_and_what_it_stands_for_is_held() {
    let mut fixture = Fixture::new(2, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "web.example.com"));
    fixture.settle();
    fixture.holder("10.0.0.77");
    assert_eq!(fixture.record("web").ingress[0].address, Some(ip("10.0.0.77")));
}

#[test]
fn a_late_answer_to_an_earlier_write_does_not_end_the_clean_up_of_a_service_that_was_let_go() {
    let mut fixture = Fixture::new(1, settings(Each));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1"));
    fixture.settle();
    let name = fixture.record("web").name;
    fixture.unwritable.insert(name.clone(), 0);
    fixture.cut_watches(0);
    // It is another type now. Its clean-up is under way when the answer to the first write arrives.
    fixture.give(0, Input::Services(Change::Deleted(name.clone())));
    fixture.pass(Duration::from_millis(100));
    let outcome = ServiceOutcome::Done;
    fixture.give(0, Input::ServiceWritten { service: name.clone(), attempt: 1, outcome });
    assert_eq!(fixture.unwritable.remove(&name), Some(1));
    fixture.pass(Duration::from_secs(60));
    assert_eq!(fixture.record("web").host(), None, "the annotation is still there");
}

#[test]
fn a_mistyped_address_among_several_is_said_and_the_others_are_served() {
    let mut fixture = Fixture::new(1, settings(Each));
    fixture.names.insert("10.0.0.12o".to_owned(), Err("no such name".to_owned()));
    fixture.settle();
    fixture.serve(asking("web", "10.0.0.1,10.0.0.12O"));
    fixture.pass(Duration::from_secs(10));
    assert_eq!(fixture.holders("10.0.0.1"), [0]);
    let (state, reason) = fixture.state(0, "web");
    assert_eq!(state, ServiceState::Held);
    assert!(reason.contains("10.0.0.12o is not resolved: no such name"), "{reason}");
    let why = fixture.why(0, "web").because;
    assert!(why.iter().any(|line| line.contains("10.0.0.12o is not resolved")), "{why:?}");
    let event = fixture.events.last().unwrap();
    assert_eq!(event.reason, "Unresolved", "{:?}", fixture.events);
    assert!(event.message.contains("10.0.0.12o"), "{}", event.message);
    let said = fixture.events.len();
    fixture.pass(Duration::from_secs(60));
    assert_eq!(fixture.events.len(), said, "it is said once");
    fixture.names.insert("10.0.0.12o".to_owned(), Err("the resolver is away".to_owned()));
    fixture.pass(Duration::from_secs(10));
    let event = fixture.events.last().unwrap();
    assert!(event.message.contains("the resolver is away"), "{}", event.message);
}
