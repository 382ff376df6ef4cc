//! Tests of `node_addresses`: router ids and next hops of nodes with one family, with both, with neither.

use std::time::Duration;

use super::*;
use crate::settings::{Distance, PeerAddress, RemoteAs};

fn link(name: &str) -> LinkName {
    LinkName::new(name).unwrap()
}

fn node(addresses: &[(&str, &str)]) -> NodeAddresses {
    let mut node = NodeAddresses::default();
    for (on, address) in addresses {
        node.notice(&Notice::Address(Address {
            link: link(on),
            address: address.parse().unwrap(),
            prefix_len: 24,
            owner: Owner::Node,
            valid_for: None,
            usability: Usability::Usable,
        }));
    }
    node
}

#[test]
fn a_link_may_be_named_by_its_alternative_name() {
    let mut node = node(&[("eth0", "192.0.2.7"), ("eth1", "192.0.2.8")]);
    let named = |altnames: &[&str]| {
        Notice::Link(viplet_backend_api::Link {
            name: link("eth1"),
            altnames: altnames.iter().map(|name| (*name).to_owned()).collect(),
            kind: viplet_backend_api::LinkKind::Ethernet,
            state: viplet_backend_api::LinkState::Up,
            hardware: viplet_backend_api::HardwareAddress::default(),
            default_route: viplet_backend_api::DefaultRoute::None,
        })
    };
    let id = |node: &NodeAddresses| node.router_id(&RouterId::OfLink(link("enp2s0")), &[]);
    node.notice(&named(&["enp2s0"]));
    assert_eq!(id(&node), Ok(Ipv4Addr::new(192, 0, 2, 8)));
    node.notice(&named(&[]));
    assert!(id(&node).is_err());
}

fn peer(families: Families, source: Source) -> Peer {
    Peer {
        address: PeerAddress::Ip("192.0.2.1".parse().unwrap()),
        port: 179,
        remote_as: RemoteAs::External,
        password: None,
        distance: Distance::Direct,
        source,
        families,
        hold: Duration::from_secs(30),
        keepalive: Duration::from_secs(10),
        bfd: None,
    }
}

fn both_of_link() -> Families {
    Families::Both(NextHop::OfSourceLink)
}

#[test]
fn the_router_id_is_the_source_address_else_the_first_of_the_node() {
    let node = node(&[("lo", "127.0.0.1"), ("eth0", "169.254.1.1"), ("eth0", "192.0.2.7")]);
    let id = |peers: &[Peer]| node.router_id(&RouterId::Automatic, peers).unwrap();
    assert_eq!(id(&[]), Ipv4Addr::new(192, 0, 2, 7));
    let source = Source::Address("198.51.100.1".parse().unwrap());
    assert_eq!(id(&[peer(Families::Own, source)]), Ipv4Addr::new(198, 51, 100, 1));
}

#[test]
fn a_node_with_ipv6_only_has_a_router_id_that_stays() {
    let id = |address| {
        node(&[("eth0", address), ("eth0", "fe80::1")]).router_id(&RouterId::Automatic, &[])
    };
    assert_eq!(id("2001:db8::1"), id("2001:db8::1"));
    assert_ne!(id("2001:db8::1"), id("2001:db8::2"));
    let none = node(&[("eth0", "fe80::1")]).router_id(&RouterId::Automatic, &[]);
    assert!(none.unwrap_err().contains("bgp_routerid"));
}

#[test]
fn the_router_id_of_a_link_is_waited_for() {
    let wanted = RouterId::OfLink(link("eth1"));
    let before = node(&[("eth0", "192.0.2.7")]).router_id(&wanted, &[]);
    assert!(before.unwrap_err().contains("eth1"));
    let after = node(&[("eth1", "198.51.100.7")]).router_id(&wanted, &[]);
    assert_eq!(after.unwrap(), Ipv4Addr::new(198, 51, 100, 7));
}

#[test]
fn a_node_with_one_family_has_next_hops_of_that_family_alone() {
    let node = node(&[("eth0", "192.0.2.7"), ("eth0", "fe80::7")]);
    for families in [Families::Own, both_of_link()] {
        let hops = node.hops(&peer(families, Source::Any), "192.0.2.7".parse().unwrap(), None);
        assert_eq!((hops.v4.is_some(), hops.v6, hops.v4_over_v6), (true, None, None));
    }
}

#[test]
fn the_next_hop_of_the_other_family_is_of_the_same_link() {
    let node = node(&[
        ("eth0", "192.0.2.7"),
        ("eth0", "2001:db8::7"),
        ("eth1", "2001:db8:1::7"),
        ("eth1", "198.51.100.7"),
    ]);
    let peer = peer(both_of_link(), Source::Any);
    let hops = node.hops(&peer, "198.51.100.7".parse().unwrap(), None);
    assert_eq!(hops.v6, Some("2001:db8:1::7".parse().unwrap()));
    let hops = node.hops(&peer, "2001:db8::7".parse().unwrap(), None);
    assert_eq!(hops.v4, Some(Ipv4Addr::new(192, 0, 2, 7)));
    assert_eq!(hops.v4_over_v6, Some("2001:db8::7".parse().unwrap()));
}

#[test]
fn fixed_next_hops_are_those_of_the_settings() {
    let v6 = Some("2001:db8::99".parse().unwrap());
    let fixed = Families::Both(NextHop::Fixed { v4: None, v6 });
    let hops = NodeAddresses::default().hops(
        &peer(fixed, Source::Any),
        "192.0.2.7".parse().unwrap(),
        None,
    );
    assert_eq!((hops.v4, hops.v6), (Some(Ipv4Addr::new(192, 0, 2, 7)), v6));
}

#[test]
fn virtual_addresses_are_no_next_hops() {
    let mut node = node(&[]);
    node.notice(&Notice::Address(Address {
        link: link("eth0"),
        address: "192.0.2.100".parse().unwrap(),
        prefix_len: 32,
        owner: Owner::Viplet,
        valid_for: Some(Duration::from_secs(15)),
        usability: Usability::Usable,
    }));
    assert!(node.router_id(&RouterId::Automatic, &[]).is_err());
}
