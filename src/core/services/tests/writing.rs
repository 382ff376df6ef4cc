//! What is written to Services and said of them.

use std::rc::Rc;
use std::time::Duration;

use viplet_backend_api::{Class, Refusal};

use super::town::{Town, asking, ip, service, settings};
use crate::core::services::record::Ingress;
use crate::core::settings::ServiceElection::{Each, OneForAll};
use crate::core::settings::{Labelling, Services, Updates};
use crate::core::status::ServiceState;

#[test]
fn one_write_tells_holder_and_addresses_and_nothing_is_written_while_nothing_changes() {
    let mut town = Town::new(3, settings(OneForAll));
    town.settle();
    town.serve(asking("web", "10.0.0.1,fd00::1"));
    town.settle();
    assert_eq!(town.service_writes, 1);
    let (record, holder) = (town.record("web"), town.holder("10.0.0.1"));
    assert_eq!(record.host(), Some(&*format!("n{}", holder + 1)));
    let shown: Vec<_> = record.ingress.iter().map(|entry| entry.address.unwrap()).collect();
    assert_eq!(shown, [ip("10.0.0.1"), ip("fd00::1")]);
    assert_eq!(record.ingress[0].ports, record.ports);
    town.pass(Duration::from_secs(300));
    assert_eq!(town.service_writes, 1);
    assert_eq!(town.events.len(), 1, "{:?}", town.events);
    assert_eq!(town.events[0].reason, "Announced");
}

#[test]
fn a_move_is_written_once_and_said() {
    let mut town = Town::new(2, settings(Each));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    let old = town.holder("10.0.0.1");
    town.power_off(old);
    town.pass(Duration::from_secs(8));
    assert_eq!(town.service_writes, 2);
    let moved = town.events.last().unwrap();
    assert_eq!(moved.reason, "Moved");
    assert!(moved.message.contains(&format!("before by n{}", old + 1)), "{}", moved.message);
}

#[test]
fn entries_of_others_in_the_status_stay() {
    let mut town = Town::new(1, settings(Each));
    town.settle();
    let foreign =
        Ingress { address: None, hostname: Some("lb.example.com".into()), ports: Rc::default() };
    let mut record = asking("web", "10.0.0.1");
    record.ingress = [foreign.clone()].into();
    town.serve(record);
    town.settle();
    let record = town.record("web");
    assert!(record.ingress.contains(&foreign), "{:?}", record.ingress);
    assert_eq!(record.ingress.len(), 2);
}

#[test]
fn a_status_that_another_keeps_overwriting_is_not_fought_over() {
    let mut town = Town::new(1, settings(Each));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    for _ in 0..100 {
        town.change("web", |record| record.ingress = Box::default());
        town.pass(Duration::from_millis(100));
    }
    assert!(town.service_writes < 15, "{} writes in 10 s", town.service_writes);
    town.pass(Duration::from_secs(120));
    assert_eq!(town.record("web").ingress.len(), 1, "in the end it is there");
}

#[test]
fn nothing_is_written_where_updates_are_switched_off_and_the_address_is_held_all_the_same() {
    let off = Services { updates: Updates::Withheld, ..settings(OneForAll) };
    let mut town = Town::new(2, off);
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.put(asking("bad", "0.0.0.0"));
    town.pass(Duration::from_secs(20));
    town.holder("10.0.0.1");
    assert_eq!(town.service_writes, 0);
}

#[test]
fn a_bad_request_costs_only_its_own_service() {
    let mut town = Town::new(2, settings(OneForAll));
    town.settle();
    town.serve(asking("bad", "10.0.0.999"));
    town.serve(asking("good", "10.0.0.1"));
    town.settle();
    town.holder("10.0.0.1");
    let condition = town.record("bad").condition.expect("a condition");
    assert!(condition.message.contains("10.0.0.999"), "{}", condition.message);
    assert!(town.record("good").condition.is_none());
    assert!(town.events.iter().any(|e| e.reason == "Refused" && e.service.name() == "bad"));
}

#[test]
fn a_thousand_services_without_an_address_hold_nothing_up() {
    let mut town = Town::new(1, settings(OneForAll));
    town.settle();
    (0..1000).for_each(|n| town.put(service(&format!("s{n}"))));
    town.serve(asking("web", "10.0.0.1"));
    town.pass(Duration::from_millis(50));
    town.holder("10.0.0.1");
    assert_eq!(town.state(0, "s7").0, ServiceState::Waiting);
}

#[test]
fn ignoring_a_service_that_is_served_takes_its_address_and_its_status_away() {
    let mut town = Town::new(2, settings(Each));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    town.change("web", |record| {
        record.annotations.as_mut().unwrap().rare_mut().ignore = Some("true".into())
    });
    town.settle();
    assert!(town.holders("10.0.0.1").is_empty());
    let record = town.record("web");
    assert!(record.ingress.is_empty() && record.host().is_none(), "{record:?}");
}

#[test]
fn what_the_kernel_refuses_is_said_and_another_node_takes_the_address() {
    let mut town = Town::new(2, settings(Each));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    let first = town.holder("10.0.0.1");
    town.delete("web");
    town.settle();
    let reason = "needs the capability NET_ADMIN".to_owned();
    town.refuse(first, Some(Refusal { class: Class::Forbidden, reason }));
    town.serve(asking("web", "10.0.0.1"));
    town.pass(Duration::from_secs(3));
    assert_eq!(town.holder("10.0.0.1"), 1 - first);
    let why = town.why(first, "web").because.join("; ");
    assert!(why.contains("NET_ADMIN"), "{why}");
}

#[test]
fn the_node_has_a_valid_label_for_each_service_that_it_holds_and_none_after_its_stop() {
    let labelling = Services { labelling: Labelling::On, ..settings(OneForAll) };
    let mut town = Town::new(1, labelling);
    town.settle();
    let long = "x".repeat(63);
    town.serve(asking(&long, "10.0.0.1,fd00::1"));
    town.settle();
    let labels = town.labels[&0].clone();
    let (key, value) = labels.iter().next().unwrap();
    let (prefix, name) = key.split_once('/').unwrap();
    let value = value.clone().unwrap();
    assert_eq!(prefix, "service-provided.kube-vip.io");
    assert!(name.len() <= 63 && value.len() <= 63 && !value.contains(','), "{key}={value}");
    assert!(value.starts_with("10.0.0.1_fd00"), "{value}");
    town.stop(0);
    town.settle();
    assert_eq!(town.labels[&0][key], None);
    assert!(!town.runs(0));
}

#[test]
fn why_tells_the_causes_in_order_from_any_node() {
    let mut town = Town::new(2, settings(Each));
    town.settle();
    town.serve(asking("web", "10.0.0.1"));
    town.settle();
    let (holder, other) = (town.holder("10.0.0.1"), 1 - town.holder("10.0.0.1"));
    let here = town.why(holder, "web");
    assert_eq!(here.status.state, ServiceState::Held);
    assert_eq!(here.status.holder, format!("n{}", holder + 1));
    let there = town.why(other, "web");
    assert_eq!(
        (there.status.state, &there.status.holder),
        (ServiceState::Elsewhere, &here.status.holder)
    );
    assert!(there.because[0].contains("10.0.0.1"), "{:?}", there.because);
    assert!(there.because[2].contains("default/kubevip-web"), "{:?}", there.because);
}

#[test]
fn a_name_is_resolved_and_what_it_stands_for_is_held() {
    let mut town = Town::new(2, settings(Each));
    town.settle();
    town.serve(asking("web", "web.example.com"));
    town.settle();
    town.holder("10.0.0.77");
    assert_eq!(town.record("web").ingress[0].address, Some(ip("10.0.0.77")));
}
