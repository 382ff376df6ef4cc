//! Reads the output back with a small strict parser of the format, and looks for kube-vip's
//! weaknesses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::core::status::{ServiceCounters, ServiceState};
use crate::shell::source::fixture::{Fixture, address, holding, service};

/// kube-vip's only counter without the usual ending.
const KUBE_VIPS_ODD_COUNTER: &str = "kube_vip_manager_all_services_events";

type Series = BTreeMap<(String, Vec<(String, String)>), f64>;

/// Parses an exposition, and fails on whatever Prometheus would refuse or a person would miss.
fn parse(text: &str) -> Series {
    assert!(text.ends_with('\n'));
    let mut series = Series::new();
    let mut helped = BTreeSet::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            family = name.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family);
            let counter = name.ends_with("_total") || name == KUBE_VIPS_ODD_COUNTER;
            assert_eq!(kind, if counter { "counter" } else { "gauge" }, "{name}");
        } else {
            let (name, labels, value) = parse_sample(line);
            assert_eq!(name, family, "a sample outside its family");
            assert!(series.insert((name, labels), value).is_none(), "twice: {line}");
        }
    }
    series
}

fn parse_sample(line: &str) -> (String, Vec<(String, String)>, f64) {
    let at = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(at);
    assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
    let mut labels = Vec::new();
    while let Some(label) = rest.strip_prefix(['{', ',']) {
        let (key, quoted) = label.split_once("=\"").unwrap();
        assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{key}");
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        let end = loop {
            match chars.next().unwrap() {
                (_, '\\') => value.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    c => panic!("escape {c}"),
                }),
                (at, '"') => break at + 1,
                (_, c) => value.push(c),
            }
        };
        labels.push((key.to_owned(), value));
        rest = quoted.split_at(end).1;
        if let Some(after) = rest.strip_prefix('}') {
            rest = after;
            break;
        }
    }
    (name.to_owned(), labels, rest.strip_prefix(' ').unwrap().parse().unwrap())
}

fn scrape(source: &Fixture) -> Series {
    parse(&render(source, Process::now(Some(1_700_000_000.25))))
}

/// The value of the one series of `name` that carries all of `labels`.
fn value(series: &Series, name: &str, labels: &[(&str, &str)]) -> f64 {
    let carries = |of: &[(String, String)]| {
        labels.iter().all(|(k, v)| of.iter().any(|(key, value)| key == k && value == v))
    };
    let found: Vec<f64> = series
        .iter()
        .filter(|((n, of), _)| n == name && carries(of))
        .map(|(_, value)| *value)
        .collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}");
    found[0]
}

#[test]
fn kube_vips_series_keep_their_names_labels_and_meaning() {
    let series = scrape(&holding());
    let exact = |name: &str, labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        series.get(&(name.to_owned(), labels)).copied()
    };
    let build = [("version", VERSION), ("build", BUILD), ("node", "node-a")];
    assert_eq!(exact("kube_vip_build_info", &build), Some(1.0));
    let leader = [("node", "node-a"), ("lease_name", "plndr-cp-lock")];
    assert_eq!(exact("kube_vip_is_leader", &leader), Some(1.0));
    assert_eq!(
        exact("kube_vip_leader_election_transitions_total", &[("lease_name", "plndr-cp-lock")]),
        Some(2.0)
    );
}

#[test]
fn a_follower_is_visible_from_the_first_scrape_on() {
    let source = holding();
    source.status.borrow_mut().leases[0].role = RoleStatus::Following;
    *source.counters.borrow_mut() = Counters::default();
    let series = scrape(&source);
    assert_eq!(value(&series, "kube_vip_is_leader", &[]), 0.0);
    assert_eq!(value(&series, "kube_vip_leader_election_transitions_total", &[]), 0.0);
    assert_eq!(value(&series, "viplet_lease_renewals_total", &[]), 0.0);
}

#[test]
fn leases_of_one_name_in_two_namespaces_are_told_apart() {
    let source = holding();
    let mut other = source.status.borrow().leases[0].clone();
    other.lease = "edge/plndr-cp-lock".into();
    other.role = RoleStatus::Following;
    other.held_for = None;
    source.status.borrow_mut().leases.insert(0, other);
    source.counters.borrow_mut().transitions.insert("edge/plndr-cp-lock".into(), 5);
    let series = scrape(&source);
    let held = |namespace| value(&series, "viplet_lease_held", &[("lease_namespace", namespace)]);
    assert_eq!((held("edge"), held("kube-system")), (0.0, 1.0));
    assert_eq!(value(&series, "kube_vip_is_leader", &[]), 1.0);
    assert_eq!(value(&series, "kube_vip_leader_election_transitions_total", &[]), 7.0);
}

#[test]
fn each_address_is_in_exactly_one_state() {
    let source = holding();
    source.status.borrow_mut().addresses.push(crate::core::status::AddressStatus {
        address: None,
        name: Some("api.example".into()),
        ..address("192.0.2.99", AddressState::Blocked, "")
    });
    let series = scrape(&source);
    for (labels, expected) in [
        ([("address", "192.0.2.10"), ("name", "")], "held"),
        ([("address", "2001:db8::10"), ("name", "")], "pending"),
        ([("address", ""), ("name", "api.example")], "blocked"),
    ] {
        for (_, word) in STATES {
            let all = [labels[0], labels[1], ("state", word)];
            let is = value(&series, "viplet_address_state", &all);
            assert_eq!(is, f64::from(u8::from(word == expected)), "{labels:?} {word}");
        }
    }
}

#[test]
fn label_values_come_back_as_they_were() {
    let series = scrape(&holding());
    let reason = [("reason", "lease: bad \"json\"\nhere")];
    assert_eq!(value(&series, "viplet_rejects_total", &reason), 5.0);
}

#[test]
fn the_same_address_twice_does_not_spoil_the_scrape() {
    let source = holding();
    let twice = source.status.borrow().addresses[0].clone();
    source.status.borrow_mut().addresses.push(twice);
    scrape(&source);
}

#[test]
fn the_hold_and_the_api_server_are_shown_as_they_are() {
    let source = holding();
    let series = scrape(&source);
    assert_eq!(value(&series, "viplet_lease_hold_remaining_seconds", &[]), 12.5);
    assert_eq!(value(&series, "viplet_lease_last_renewal_age_seconds", &[]), 1.5);
    assert_eq!(value(&series, "viplet_api_reachable", &[]), 1.0);
    *source.api.borrow_mut() = ApiHealth::unreachable(Duration::from_secs(9), "refused");
    source.status.borrow_mut().not_ready.push("no API server".into());
    *source.health.borrow_mut() = Err("stuck".into());
    let series = scrape(&source);
    assert_eq!(value(&series, "viplet_api_reachable", &[]), 0.0);
    assert_eq!(value(&series, "viplet_api_state_seconds", &[]), 9.0);
    assert_eq!(value(&series, "viplet_ready", &[]), 0.0);
    assert_eq!(value(&series, "viplet_healthy", &[]), 0.0);
    *source.api.borrow_mut() = ApiHealth::Unknown;
    assert!(!scrape(&source).keys().any(|(name, _)| name == "viplet_api_reachable"));
}

#[test]
fn the_process_is_accounted_for() {
    let series = scrape(&holding());
    assert!(value(&series, "process_resident_memory_bytes", &[]) > 100_000.0);
    assert!(value(&series, "process_open_fds", &[]) >= 3.0);
    assert!(value(&series, "process_cpu_seconds_total", &[]) > 0.0);
    assert_eq!(value(&series, "process_start_time_seconds", &[]), 1_700_000_000.25);
}

#[test]
fn services_are_counted_by_state_and_never_named() {
    let source = holding();
    let empty = scrape(&source);
    let states = ["held", "pending", "elsewhere", "waiting", "refused", "ignored"];
    for state in states {
        assert_eq!(value(&empty, "viplet_services", &[("state", state)]), 0.0, "{state}");
    }
    let mut names = Vec::new();
    for (state, count) in [
        (ServiceState::Held, 2),
        (ServiceState::Elsewhere, 300),
        (ServiceState::Waiting, 3),
        (ServiceState::Refused, 1),
    ] {
        for _ in 0..count {
            let name = format!("space-{}/web-{}", names.len() % 2, names.len());
            source.status.borrow_mut().services.push(service(&name, state));
            names.push(name);
        }
    }
    let series = scrape(&source);
    for (state, count) in states.into_iter().zip([2.0, 0.0, 300.0, 3.0, 1.0, 0.0]) {
        assert_eq!(value(&series, "viplet_services", &[("state", state)]), count, "{state}");
    }
    for namespace in ["space-0", "space-1"] {
        let held = value(&series, "kube_vip_active_services", &[("namespace", namespace)]);
        assert_eq!(held, 1.0, "{namespace}");
    }
    assert_eq!(series.len(), empty.len() + 2);
}

#[test]
fn counters_about_services_are_there_before_anything_was_counted() {
    let source = holding();
    let series = scrape(&source);
    for word in ["ADDED", "MODIFIED", "DELETED"] {
        assert_eq!(value(&series, KUBE_VIPS_ODD_COUNTER, &[("type", word)]), 0.0);
    }
    source.counters.borrow_mut().services = ServiceCounters {
        seen: BTreeMap::from([("MODIFIED".to_owned(), 4)]),
        refused: BTreeMap::from([("AddressInUse".to_owned(), 5)]),
        writes: 6,
        write_failures: 7,
        events: 8,
        renewals: 9,
        renewal_failures: 10,
        transitions: 11,
    };
    let series = scrape(&source);
    for (name, labels, count) in [
        (KUBE_VIPS_ODD_COUNTER, &[("type", "MODIFIED")][..], 4.0),
        ("viplet_services_refused_total", &[("reason", "AddressInUse")], 5.0),
        ("viplet_service_writes_total", &[], 6.0),
        ("viplet_service_write_failures_total", &[], 7.0),
        ("viplet_service_events_total", &[], 8.0),
        ("viplet_service_lease_renewals_total", &[], 9.0),
        ("viplet_service_lease_renewal_failures_total", &[], 10.0),
        ("viplet_service_lease_transitions_total", &[], 11.0),
    ] {
        assert_eq!(value(&series, name, labels), count, "{name}");
    }
}
