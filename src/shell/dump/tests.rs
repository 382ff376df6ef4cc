//! The text of the dump, and what it hides.

use std::collections::BTreeMap;

use viplet_backend_api::{BgpSession, DuplicateDetection, InterfaceName, PeerStatus, Session};

use super::*;
use crate::core::LeaseName;
use crate::core::settings::{
    ClassFilter, LeaseTiming, LinkNotUp, PrefixLength, PrefixLengths, ServiceElection, ServiceLink,
    ServicePrefixes, Services, Unclassed,
};
use crate::shell::source::Source as _;
use crate::shell::source::fixture::{Fixture, holding, service};

fn settings() -> Settings {
    Settings {
        node: "node-a".into(),
        control_plane: Some(ControlPlane {
            lease: LeaseName { namespace: "kube-system".into(), name: "plndr-cp-lock".into() },
            lease_annotations: BTreeMap::new(),
            timing: LeaseTiming {
                duration: Duration::from_secs(15),
                renew_deadline: Duration::from_secs(10),
                retry_period: Duration::from_secs(2),
            },
            election: crate::core::settings::PlaneElection::ByLease,
            health: crate::core::settings::HealthGate::Open,
            targets: vec![
                Target::Address("192.0.2.10".parse().unwrap()),
                Target::Name("api.example".into()),
            ],
            dns_mode: DnsMode::First,
            prefix: PrefixLengths { v4: 32, v6: 128 },
            link: LinkChoice::Named(InterfaceName::new("eth0").unwrap()),
            loopback_scope: LoopbackScope::Host,
            duplicate_detection: DuplicateDetection::Kernel,
            announce_every: Duration::from_secs(3),
            on_loss: OnLoss::Withdraw,
            on_link_down: OnLinkDown::Keep,
            link_not_up: LinkNotUp::Wait,
            labelling: Labelling::Off,
        }),
        services: None,
        seed: 0,
    }
}

fn dump(settings: &Settings) -> String {
    dump_of(settings, &holding())
}

fn dump_of(settings: &Settings, source: &Fixture) -> String {
    Dump {
        settings,
        port: 6443,
        mode: Mode::Arp,
        backend: Vec::new(),
        page: &StatusPage::of(source),
        counters: &source.counters(),
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890),
        process: 4711,
        metrics_at: ":2112",
        health_port: 0,
    }
    .text()
}

#[test]
fn the_sections_come_in_kube_vips_order() {
    let text = dump(&settings());
    let titles: Vec<&str> = text.lines().filter(|line| line.starts_with("---")).collect();
    assert_eq!(
        titles,
        [
            "--- BASIC CONFIGURATION ---",
            "--- BGP CONFIGURATION ---",
            "--- ARP/NDP CONFIGURATION ---",
            "--- SERVICES CONFIGURATION ---",
            "--- NETWORK INTERFACES ---",
            "--- LEADER ELECTION CONFIGURATION ---",
            "--- RUNTIME STATISTICS ---",
            "--- STATE ---",
        ]
    );
    let rules = text.lines().filter(|line| *line == "=".repeat(80)).count();
    assert_eq!(rules, 5);
    let header = text.lines().position(|line| line.trim() == "KUBE-VIP CONFIGURATION DUMP");
    let footer = text.lines().position(|line| line.trim() == "END OF CONFIGURATION DUMP");
    assert!(header.unwrap() < footer.unwrap());
}

#[test]
fn each_value_is_a_line_with_its_name() {
    let text = dump(&settings());
    for expected in [
        "Timestamp: 2009-02-13T23:31:30Z",
        "Node Name: node-a",
        "Process ID: 4711",
        "VIP: 192.0.2.10,api.example",
        "VIP Subnet: 32,128",
        "Port: 6443",
        "ARP Enabled: true",
        "ARP Broadcast Rate: 3000",
        "eth0: up",
        "Lease Name: plndr-cp-lock",
        "Lease Duration: 15 seconds",
        "Prometheus HTTP Server: :2112",
        "Lease Renewals: 41",
        "Rejected Input: 5 times: lease: bad \"json\" here",
        "  holder: node-a (this node)",
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn services_and_their_settings_are_in_a_section_of_their_own() {
    let services = Services {
        class: ClassFilter::Legacy { name: "a.b/c".into(), unclassed: Unclassed::Served },
        link: ServiceLink::OfSubnet(LinkChoice::DefaultRoute),
        prefix: ServicePrefixes { v4: PrefixLength::OfSubnet, v6: PrefixLength::Fixed(64) },
        dns_mode: DnsMode::Dual,
        ..crate::core::services::tests::settings(ServiceElection::Each)
    };
    let source = holding();
    let known = service("default/web", ServiceState::Elsewhere);
    source.status.borrow_mut().services.push(known);
    let text = dump_of(&Settings { services: Some(services), ..settings() }, &source);
    for expected in [
        "Services Enabled: true",
        "Services Namespace: all",
        "Load Balancer Class: a.b/c or none",
        "Services Election: true",
        "Services Lease Name: kube-system/plndr-svcs-lock",
        "Services Interface: auto, else of the default route",
        "Services Subnet: auto,64",
        "Services DNS Mode: dual",
        "Enable Endpoints: false",
        "Service: default/web elsewhere addresses=192.0.2.20 holder=node-b \
         lease=kube-system/plndr-svcs-lock: as it should be",
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected:?} is not in\n{text}");
    }
    assert_eq!(text.matches("default/web").count(), 1, "{text}");
    assert!(dump(&settings()).contains("Services Enabled: false\n"));
}

#[test]
fn without_a_control_plane_there_is_less_to_say() {
    let text = dump(&Settings { control_plane: None, ..settings() });
    assert!(text.contains("Control Plane Enabled: false\n") && !text.contains("Lease Name:"));
}

#[test]
fn bgp_has_its_settings_its_peers_and_what_is_announced() {
    let source = holding();
    let mut page = StatusPage::of(&source);
    page.peers = vec![PeerStatus {
        name: "192.0.2.1".to_owned(),
        session: Session::Up,
        since: Duration::from_secs(5),
        addresses: 2,
        last_error: None,
        established: 1,
        lost: 0,
        bgp: Some(BgpSession {
            remote_as: Some(65001),
            state: "Established".into(),
            bfd: None,
            sent: 1,
            received: 1,
            updates: 1,
        }),
    }];
    let text = Dump {
        settings: &settings(),
        port: 6443,
        mode: Mode::Bgp,
        backend: vec![("BGP AS", "65000".to_owned())],
        page: &page,
        counters: &source.counters(),
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890),
        process: 4711,
        metrics_at: ":2112",
        health_port: 0,
    }
    .text();
    let (_, rib) = text.split_once("--- ACTIVE BGP RIB STATE ---").unwrap();
    assert!(text.contains("BGP AS: 65000"), "{text}");
    assert!(rib.contains("Peer 192.0.2.1: Established, 2 prefixes sent"), "{text}");
    assert!(rib.contains("Announced: 192.0.2.10"), "{text}");
}
