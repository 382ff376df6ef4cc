//! The table: whose an address is, what counts as a change, and which link is the default.

use super::*;
use crate::wire::{AF_INET, AF_INET6, RouteRecord, TABLE_MAIN, UNICAST};

const TAG: Tag = Tag::DEFAULT;

fn link(index: u32, name: &str) -> LinkRecord {
    LinkRecord {
        index,
        name: LinkName::new(name).unwrap(),
        altnames: Vec::new(),
        kind: LinkKind::Ethernet,
        flags: IFF_UP | IFF_LOWER_UP,
        oper: 6,
        hardware: HardwareAddress(vec![2, 0, 0, 0, 0, 1]),
        broadcast: HardwareAddress(vec![0xff; 6]),
    }
}

fn address(text: &str, prefix_len: u8) -> AddressRecord {
    AddressRecord {
        index: 1,
        address: text.parse().unwrap(),
        prefix_len,
        flags: AddressFlags::Permanent,
        valid: None,
        tag: None,
        created: 0,
    }
}

fn ours(text: &str) -> AddressRecord {
    AddressRecord {
        flags: AddressFlags::Deprecated,
        valid: Some(15),
        tag: Some(TAG.value()),
        ..address(text, 32)
    }
}

fn table() -> Table {
    let mut table = Table::new(TAG, TagSupport::Reported);
    table.replace(vec![link(1, "eth0"), link(2, "eth1")], vec![], Defaults::default());
    table
}

fn apply(table: &mut Table, message: Message) -> Vec<Notice> {
    let mut notices = Vec::new();
    table.apply(message, &mut notices);
    notices
}

#[test]
fn whose_an_address_is_follows_from_its_tag_its_lifetime_and_its_deprecation() {
    let deprecated = AddressFlags::Deprecated | AddressFlags::Permanent;
    let plain = address("10.0.0.5", 32);
    let left_behind = AddressRecord { flags: deprecated, ..plain.clone() };
    let dns = AddressRecord { flags: deprecated, valid: Some(60), ..plain.clone() };
    let slaac = AddressRecord { valid: Some(3600), ..dns.clone() };
    let foreign = AddressRecord { tag: Some(4), ..left_behind.clone() };
    let fresh = AddressRecord { valid: Some(30), ..plain.clone() };
    let kernel_made = AddressRecord { tag: Some(2), ..slaac.clone() };
    use Owner::{Node, Predecessor, Viplet};
    for (record, modern, old) in [
        (ours("10.0.0.5"), Viplet, Viplet),
        (plain, Node, Node),
        (left_behind, Predecessor, Predecessor),
        (dns, Predecessor, Predecessor),
        (slaac, Node, Predecessor),
        (foreign, Node, Node),
        (fresh, Node, Node),
        (kernel_made, Node, Node),
    ] {
        assert_eq!(table().owner(&record), modern, "{record:?}");
        let before_5_18 = Table::new(TAG, TagSupport::Absent);
        assert_eq!(before_5_18.owner(&record), old, "before 5.18: {record:?}");
    }
}

#[test]
fn one_tag_in_a_dump_shows_that_the_kernel_reports_them() {
    let mut table = Table::new(TAG, TagSupport::Absent);
    let slaac = AddressRecord { valid: Some(3600), ..ours("fd00::7") };
    let slaac = AddressRecord { tag: None, ..slaac };
    let lo = AddressRecord { tag: Some(1), ..address("127.0.0.1", 8) };
    table.replace(vec![link(1, "eth0")], vec![lo], Defaults::default());
    assert_eq!(table.owner(&slaac), Owner::Node);
}

#[test]
fn a_refresh_is_no_notice_and_no_change_of_what_is_held() {
    let mut table = table();
    let held = |seconds| AddressRecord { valid: Some(seconds), ..ours("10.0.0.5") };
    assert_eq!(apply(&mut table, Message::Address(held(15))).len(), 1);
    let revision = table.held_revision();
    assert_eq!(apply(&mut table, Message::Address(held(14))), []);
    assert_eq!(apply(&mut table, Message::Address(held(15))), []);
    assert_eq!(table.held_revision(), revision);
    let leased = |valid| AddressRecord { valid: Some(valid), ..address("10.0.0.9", 24) };
    assert_eq!(apply(&mut table, Message::Address(leased(100))).len(), 1);
    assert_eq!(apply(&mut table, Message::Address(leased(200))), []);
    assert_eq!(table.held_revision(), revision, "the node's own is not held");
}

#[test]
fn an_address_of_ours_that_stays_for_ever_or_does_not_answer_any_more_is_a_notice() {
    let mut table = table();
    apply(&mut table, Message::Address(ours("10.0.0.5")));
    let for_ever = AddressRecord { valid: None, ..ours("10.0.0.5") };
    assert_eq!(apply(&mut table, Message::Address(for_ever)).len(), 1);
    let duplicate = AddressRecord {
        flags: AddressFlags::Deprecated | AddressFlags::Dadfailed,
        ..ours("10.0.0.5")
    };
    assert_eq!(apply(&mut table, Message::Address(duplicate)).len(), 1);
    let nodes = AddressRecord { tag: None, ..address("10.0.0.5", 32) };
    let said = apply(&mut table, Message::Address(nodes));
    assert!(matches!(&said[..], [Notice::Address(a)] if a.owner == Owner::Node), "{said:?}");
}

/// Found by scripts/fuzz.
#[test]
fn an_address_of_ours_that_comes_before_its_link_is_a_change_of_what_is_held() {
    let mut table = table();
    let revision = table.held_revision();
    let early = AddressRecord { index: 3, ..ours("10.0.0.5") };
    assert_eq!(apply(&mut table, Message::Address(early)), [], "nothing is told without its link");
    assert_eq!(table.held().count(), 1);
    assert_ne!(table.held_revision(), revision);
}

#[test]
fn what_is_held_changes_with_ours_and_with_nobody_elses() {
    let mut table = table();
    let mut changes = |message| {
        let before = table.held_revision();
        apply(&mut table, message);
        table.held_revision() != before
    };
    assert!(changes(Message::Address(ours("10.0.0.5"))));
    let of_a_pod = AddressRecord { index: 2, ..address("fe80::1", 64) };
    assert!(!changes(Message::Address(of_a_pod.clone())));
    assert!(!changes(Message::AddressGone(of_a_pod)));
    assert!(!changes(Message::LinkGone(2)));
    assert!(changes(Message::AddressGone(ours("10.0.0.5"))));
    changes(Message::Address(ours("10.0.0.6")));
    assert!(changes(Message::LinkGone(1)));
}

#[test]
fn what_changes_nothing_is_no_notice() {
    let mut table = table();
    assert_eq!(apply(&mut table, Message::Link(link(1, "eth0"))), []);
    let unseen = LinkRecord { broadcast: HardwareAddress(vec![0; 6]), ..link(1, "eth0") };
    assert_eq!(apply(&mut table, Message::Link(unseen)), []);
    assert_eq!(apply(&mut table, Message::AddressGone(address("10.0.0.9", 24))), []);
    assert_eq!(apply(&mut table, Message::LinkGone(9)), []);
}

#[test]
fn an_address_is_gone_when_its_last_entry_is() {
    let mut table = table();
    let (wide, narrow) = (address("10.0.0.5", 24), address("10.0.0.5", 32));
    apply(&mut table, Message::Address(wide.clone()));
    apply(&mut table, Message::Address(narrow.clone()));
    let said = apply(&mut table, Message::AddressGone(narrow));
    assert!(matches!(&said[..], [Notice::Address(left)] if left.prefix_len == 24), "{said:?}");
    let said = apply(&mut table, Message::AddressGone(wide));
    assert!(matches!(&said[..], [Notice::AddressGone { .. }]), "{said:?}");
}

#[test]
fn carrier_and_operational_state_make_the_link_state() {
    for (flags, oper, expected) in [
        (0, 2, LinkState::AdminDown),
        (IFF_UP | IFF_LOWER_UP, 6, LinkState::Up),
        (IFF_UP | IFF_LOWER_UP, 0, LinkState::Up),
        (IFF_UP, 0, LinkState::NoCarrier),
        (IFF_UP, 2, LinkState::NoCarrier),
        (IFF_UP | IFF_LOWER_UP, 5, LinkState::NoCarrier),
        (IFF_UP, 3, LinkState::NoCarrier),
    ] {
        let record = LinkRecord { flags, oper, ..link(1, "eth0") };
        assert_eq!(state(&record), expected, "flags {flags:#x} oper {oper}");
    }
}

fn route(family: u8, metric: u32, links: &[u32]) -> RouteRecord {
    RouteRecord {
        family,
        prefix_len: 0,
        table: TABLE_MAIN,
        kind: UNICAST,
        protocol: 4,
        metric,
        links: links.to_vec(),
    }
}

#[test]
fn the_best_default_route_is_the_first_of_the_lowest_metric() {
    let routes = [
        route(AF_INET, 100, &[2]),
        route(AF_INET, 50, &[1, 2]),
        route(AF_INET, 50, &[2]),
        route(AF_INET6, 1024, &[2]),
        RouteRecord { table: 100, ..route(AF_INET, 0, &[2]) },
        RouteRecord { kind: 7, ..route(AF_INET, 0, &[2]) },
        RouteRecord { prefix_len: 8, ..route(AF_INET, 0, &[2]) },
    ];
    assert_eq!(Defaults::choose(&routes), Defaults { v4: Some(1), v6: Some(2) });
    assert_eq!(Defaults::choose(&[]), Defaults::default());
}

#[test]
fn default_routes_are_read_again_only_when_they_may_have_changed() {
    let mut table = table();
    let follow = |table: &mut Table, message| table.apply(message, &mut Vec::new());
    let gone = |index| Message::AddressGone(AddressRecord { index, ..address("10.0.0.9", 24) });
    let there = |index| Message::Address(AddressRecord { index, ..address("10.0.0.9", 24) });
    table.apply_defaults(Defaults { v4: Some(1), v6: None }, &mut Vec::new());
    follow(&mut table, there(1));
    follow(&mut table, there(2));
    assert_eq!(follow(&mut table, gone(2)), Follow::Nothing);
    assert_eq!(follow(&mut table, gone(1)), Follow::ReadRoutes);
    // A host address of ours among others takes no route along, the last one of the link does.
    follow(&mut table, Message::Address(ours("10.0.0.20")));
    follow(&mut table, Message::Address(ours("10.0.0.21")));
    assert_eq!(follow(&mut table, Message::AddressGone(ours("10.0.0.20"))), Follow::Nothing);
    assert_eq!(follow(&mut table, Message::AddressGone(ours("10.0.0.21"))), Follow::ReadRoutes);
    let down = |index, name| Message::Link(LinkRecord { flags: 0, ..link(index, name) });
    assert_eq!(follow(&mut table, down(2, "eth1")), Follow::Nothing);
    assert_eq!(follow(&mut table, down(1, "eth0")), Follow::ReadRoutes);
    let other = RouteRecord { prefix_len: 24, ..route(AF_INET, 0, &[1]) };
    assert_eq!(follow(&mut table, Message::Route(other)), Follow::Nothing);
    let default = route(AF_INET6, 0, &[2]);
    assert_eq!(follow(&mut table, Message::RouteGone(default)), Follow::ReadRoutes);
}

#[test]
fn a_link_is_found_by_its_alternative_name_too() {
    let mut table = table();
    let altnames = vec!["enp1s0".to_owned()];
    apply(&mut table, Message::Link(LinkRecord { altnames, ..link(1, "eth0") }));
    for (name, index) in [("enp1s0", Some(1)), ("eth0", Some(1)), ("eth1", Some(2)), ("en", None)] {
        assert_eq!(table.index(&LinkName::new(name).unwrap()), index, "{name}");
    }
}

/// A dummy link with the index 3.
fn dummy(name: &str) -> LinkRecord {
    LinkRecord { kind: LinkKind::Dummy, ..link(3, name) }
}

#[test]
fn what_a_service_proxy_binds_to_a_link_that_carries_nothing_is_not_the_nodes() {
    for name in ["kube-ipvs0", "kube-dummy-if", "whatever0"] {
        let mut table = table();
        apply(&mut table, Message::Link(dummy(name)));
        let bound = AddressRecord { index: 3, ..address("10.0.0.5", 32) };
        assert_eq!(apply(&mut table, Message::Address(bound)), [], "nobody is told of it");
        assert_eq!(table.node_own(ip("10.0.0.5"), 1), None);
        apply(&mut table, Message::Address(address("10.0.0.5", 24)));
        assert_eq!(table.node_own(ip("10.0.0.5"), 1).map(LinkName::as_str), Some("eth0"));
    }
}

#[test]
fn ours_on_a_link_that_carries_nothing_are_ours() {
    let mut table = table();
    apply(&mut table, Message::Link(dummy("dummy0")));
    let said = apply(&mut table, Message::Address(AddressRecord { index: 3, ..ours("10.0.0.5") }));
    assert!(matches!(&said[..], [Notice::Address(a)] if a.owner == Owner::Viplet), "{said:?}");
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_plain_host_address_is_unmarked_beside_the_nodes_main_one_and_the_nodes_without_it() {
    for (plain, main) in [
        (address("10.0.0.5", 32), address("10.0.0.1", 24)),
        (address("fd00::5", 128), address("fd00::1", 64)),
        (AddressRecord { created: 9, ..address("10.0.0.5", 32) }, address("10.0.0.1", 32)),
    ] {
        let mut table = table();
        apply(&mut table, Message::Address(plain.clone()));
        assert_eq!(table.owner(&plain), Owner::Node, "the only one is the node's");
        let said = apply(&mut table, Message::Address(main.clone()));
        let told = said.iter().any(|notice| {
            matches!(notice, Notice::Address(a) if a.address == plain.address && a.owner == Owner::Unmarked)
        });
        assert!(told, "{said:?}");
        assert_eq!(table.node_own(plain.address, 1), None);
        assert_eq!(table.node_own(main.address, 1).map(LinkName::as_str), Some("eth0"));
        // On another link than the wanted one it stays the node's.
        assert_eq!(table.node_own(plain.address, 2).map(LinkName::as_str), Some("eth0"));
        apply(&mut table, Message::AddressGone(main));
        assert_eq!(table.owner(&plain), Owner::Node);
    }
}

#[test]
fn an_address_with_a_networks_length_or_a_lifetime_or_a_tag_stays_the_nodes() {
    let mut table = table();
    apply(&mut table, Message::Address(address("10.0.0.1", 24)));
    let plain = address("10.0.0.5", 32);
    for own in [
        address("10.0.0.5", 24),
        AddressRecord { valid: Some(900), ..plain.clone() },
        AddressRecord { tag: Some(4), ..plain.clone() },
        // As old as the first one: which of the two is the main one cannot be told.
        address("10.0.0.1", 32),
    ] {
        apply(&mut table, Message::Address(own.clone()));
        assert_eq!(table.owner(&own), Owner::Node, "{own:?}");
        apply(&mut table, Message::AddressGone(own));
    }
}

#[test]
fn the_default_routes_link_tells_the_nodes_main_address_from_a_virtual_one_on_lo() {
    let mut table = table();
    let lo = LinkRecord { kind: LinkKind::Loopback, ..link(3, "lo") };
    apply(&mut table, Message::Link(lo));
    let on_lo = AddressRecord { index: 3, created: 9, ..address("10.0.0.5", 32) };
    apply(&mut table, Message::Address(on_lo.clone()));
    apply(&mut table, Message::Address(address("10.0.0.1", 24)));
    assert_eq!(table.owner(&on_lo), Owner::Node, "eth0 has no default route");
    let mut said = Vec::new();
    table.apply_defaults(Defaults { v4: Some(1), v6: None }, &mut said);
    assert_eq!(table.owner(&on_lo), Owner::Unmarked);
    assert!(said.iter().any(|notice| matches!(notice, Notice::Address(_))), "{said:?}");
    assert_eq!(table.node_own(on_lo.address, 3), None, "wanted on lo: taken over");
    assert_eq!(table.node_own(on_lo.address, 1), None, "it answers nobody on eth0");
}

#[test]
fn a_link_is_bereft_when_the_nodes_last_ipv4_address_went_and_until_one_came() {
    let mut table = table();
    let (own, vip) = (address("10.0.0.1", 24), ours("10.0.0.5"));
    assert!(!table.is_bereft(1), "it never had one");
    for record in [&own, &vip, &address("fd00::1", 64)] {
        apply(&mut table, Message::Address(record.clone()));
    }
    assert!(table.take_returned(1));
    assert!(!table.take_returned(1), "asked already");
    apply(&mut table, Message::AddressGone(own.clone()));
    assert!(table.is_bereft(1));
    table.replace(vec![link(1, "eth0")], vec![vip.clone()], Defaults::default());
    assert!(table.is_bereft(1), "a dump does not bring it back");
    table.replace(vec![link(1, "eth0")], vec![vip, own], Defaults::default());
    assert!(!table.is_bereft(1) && table.take_returned(1));
}
