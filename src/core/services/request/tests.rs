//! What Services ask for, one behaviour per test.

use super::super::tests::{service, settings};
use super::*;
use crate::core::cluster::record::{
    Change, Ingress, NodeRecord, Protocol, ServiceAnnotations, ServicePort,
};

fn annotated(set: impl FnOnce(&mut ServiceAnnotations)) -> ServiceRecord {
    let mut record = service("web");
    let mut annotations = ServiceAnnotations::default();
    set(&mut annotations);
    record.annotations = Some(Box::new(annotations));
    record
}

fn verdict(record: &ServiceRecord) -> Verdict {
    judge(record, &settings(ServiceElection::Each), &Nodes::default(), &[])
}

fn targets(record: &ServiceRecord) -> Vec<String> {
    match verdict(record) {
        Verdict::Asks(ask) => ask.targets.iter().map(Target::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

fn refusal(record: &ServiceRecord) -> String {
    match verdict(record) {
        Verdict::Refused(refused) => refused.text,
        other => panic!("{other:?}"),
    }
}

fn entry(text: &str, ports: &[u16]) -> Ingress {
    let port = |port: &u16| ServicePort { port: *port, protocol: Protocol::Tcp };
    Ingress {
        address: Some(text.parse().unwrap()),
        hostname: None,
        ports: ports.iter().map(port).collect(),
    }
}

#[test]
fn the_annotation_goes_before_the_spec_and_the_spec_before_the_status() {
    let mut record = annotated(|a| a.addresses = Some("10.0.0.1, fd00::1 ,web.example.com".into()));
    record.load_balancer_ip = Some("10.0.0.2".into());
    record.ingress = [entry("10.0.0.3", &[80])].into();
    assert_eq!(targets(&record), ["10.0.0.1", "fd00::1", "web.example.com"]);
    record.annotations = None;
    assert_eq!(targets(&record), ["10.0.0.2"]);
    record.load_balancer_ip = None;
    assert_eq!(targets(&record), ["10.0.0.3"]);
}

#[test]
fn an_empty_annotation_does_not_hide_the_address_in_the_spec() {
    let mut record = annotated(|a| a.addresses = Some(" ".into()));
    record.load_balancer_ip = Some("10.0.0.2".into());
    assert_eq!(targets(&record), ["10.0.0.2"]);
}

#[test]
fn what_other_controllers_wrote_into_the_status_is_never_taken() {
    let mut record = service("web");
    record.ingress = [entry("10.0.0.11", &[])].into();
    assert!(matches!(verdict(&record), Verdict::Waiting(_)));
    let mut nodes = Nodes::default();
    let node = NodeRecord {
        name: "n1".into(),
        addresses: ["10.0.0.11".parse().unwrap()].into(),
        scheduling: Default::default(),
        labels: Default::default(),
    };
    nodes.take(Change::Replaced(vec![node]), &mut Default::default());
    record.ingress = [entry("10.0.0.11", &[80])].into();
    let judged = judge(&record, &settings(ServiceElection::Each), &nodes, &[]);
    assert!(matches!(judged, Verdict::Waiting(_)), "{judged:?}");
    record.load_balancer_ip = Some("10.0.0.11".into());
    match judge(&record, &settings(ServiceElection::Each), &nodes, &[]) {
        Verdict::Refused(refused) => assert!(refused.text.contains("node n1"), "{}", refused.text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_is_refused_with_the_value_and_what_is_accepted() {
    for (value, word) in [
        ("10.0.0.300", "neither an IP address nor a DNS name"),
        ("10.0.0.1/24", "no prefix length here"),
        ("0.0.0.0", "DHCP"),
        ("::", "DHCP"),
        ("224.0.0.1", "multicast"),
        ("127.0.0.1", "loopback"),
        ("fe80::1", "link-local"),
    ] {
        let text = refusal(&annotated(|a| a.addresses = Some(value.into())));
        assert!(text.contains(word) && text.contains(value.split('/').next().unwrap()), "{text}");
    }
    let text = refusal(&annotated(|a| a.rare_mut().vlan = Some("eth0.200".into())));
    assert!(text.contains("serviceVLAN"), "{text}");
    let text = refusal(&annotated(|a| a.rare_mut().interface = Some("no such name!".into())));
    assert!(text.contains("serviceInterface"), "{text}");
    let text = refusal(&annotated(|a| a.rare_mut().lease = Some("A/b".into())));
    assert!(text.contains("leaseName"), "{text}");
}

#[test]
fn a_lease_of_several_services_needs_the_policy_cluster() {
    let mut record = annotated(|a| {
        a.rare_mut().lease = Some("shared".into());
        a.addresses = Some("10.0.0.1".into());
    });
    assert!(matches!(verdict(&record), Verdict::Asks(_)));
    match asked_lease(&record, &settings(ServiceElection::Each)) {
        Ok(AskedLease::Shared(lease)) => assert_eq!(lease.to_string(), "default/shared"),
        other => panic!("{other:?}"),
    }
    record.policy = TrafficPolicy::Local;
    assert!(refusal(&record).contains("externalTrafficPolicy"));
}

#[test]
fn classes_count_as_the_settings_say() {
    let ignores = |class: ClassFilter, of: Option<&str>| {
        let settings = Services { class, ..settings(ServiceElection::Each) };
        let mut record = service("web");
        record.load_balancer_ip = Some("10.0.0.1".into());
        record.class = of.map(Into::into);
        matches!(judge(&record, &settings, &Nodes::default(), &[]), Verdict::Ignored(_))
    };
    let legacy = |unclassed| ClassFilter::Legacy { name: "ours".to_owned(), unclassed };
    let strict = |name: &str| ClassFilter::Strict { name: name.to_owned() };
    assert!(!ignores(legacy(Unclassed::Served), None));
    assert!(!ignores(legacy(Unclassed::Served), Some("ours")));
    assert!(ignores(legacy(Unclassed::Served), Some("theirs")));
    assert!(ignores(legacy(Unclassed::Ignored), None));
    assert!(!ignores(strict(""), None));
    assert!(ignores(strict(""), Some("ours")));
    assert!(ignores(strict("ours"), None));
    assert!(!ignores(strict("ours"), Some("ours")));
}

#[test]
fn a_service_is_ignored_only_when_the_annotation_is_exactly_true() {
    let ignored = |value: &str| {
        let record = annotated(|a| {
            a.rare_mut().ignore = Some(value.into());
            a.addresses = Some("10.0.0.1".into());
        });
        matches!(verdict(&record), Verdict::Ignored(_))
    };
    assert!(ignored("true"));
    assert!(!ignored("false") && !ignored("yes"));
}

#[test]
fn an_own_election_on_demand_works_with_the_switch_and_the_annotation_alone_does_no_harm() {
    let record = annotated(|a| {
        a.rare_mut().own_election = Some("true".into());
        a.addresses = Some("10.0.0.1".into());
    });
    let lease = |election, on_demand| {
        let settings = Services { on_demand, ..settings(election) };
        asked_lease(&record, &settings).unwrap()
    };
    let own = AskedLease::Own(record.own_lease());
    assert_eq!(lease(ServiceElection::OneForAll, OnDemand::Off), AskedLease::ForAll);
    assert_eq!(lease(ServiceElection::OneForAll, OnDemand::On), own);
    assert_eq!(lease(ServiceElection::Each, OnDemand::Off), own);
    assert_eq!(
        own,
        AskedLease::Own(LeaseName {
            namespace: "default".to_owned(),
            name: "kubevip-web".to_owned()
        })
    );
}

#[test]
fn the_families_of_a_service_choose_among_the_addresses_of_its_names_before_dns_mode_does() {
    let mut record = annotated(|a| a.addresses = Some("web.example.com".into()));
    let settings = Services { dns_mode: DnsMode::Ipv6, ..settings(ServiceElection::Each) };
    for (families, mode) in [
        (Families::Any, DnsMode::Ipv6),
        (Families::V4, DnsMode::Ipv4),
        (Families::V6, DnsMode::Ipv6),
        (Families::Dual, DnsMode::Dual),
        (Families::DualRequired, DnsMode::Dual),
    ] {
        record.families = families;
        match judge(&record, &settings, &Nodes::default(), &[]) {
            Verdict::Asks(ask) => assert_eq!(ask.dns_mode, mode, "{families:?}"),
            other => panic!("{other:?}"),
        }
    }
}
