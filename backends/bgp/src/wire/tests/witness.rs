//! Our messages as somebody else's decoder reads them: zettabgp is the witness.
//!
//! The program does without it: its UPDATEs have AS_SEQUENCE as AS_SET (seen in 0.6.0), it knows
//! no RFC 8950, and its decoder is not for bytes of strangers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use zettabgp::prelude::*;

use super::super::open::{AsWidth, Capabilities, NextHops, Open, Phase, Restart};
use super::super::update::{self, Form, NextHop, Path, Relation};
use super::super::*;

const HEADER: usize = 19;

fn session() -> BgpSessionParams {
    let id = Ipv4Addr::new(10, 0, 0, 1);
    let mut session = BgpSessionParams::new(65000, 30, BgpTransportMode::IPv4, id, Vec::new());
    session.fuzzy_pathid = false;
    session
}

fn read(message: &[u8]) -> BgpUpdateMessage {
    let mut update = BgpUpdateMessage::new();
    update.decode_from(&session(), &message[HEADER..]).expect("it is read");
    update
}

fn addresses(found: &BgpAddrs) -> Vec<IpAddr> {
    match found {
        BgpAddrs::None => Vec::new(),
        BgpAddrs::IPV4U(all) => {
            all.iter().map(|one| host(one.addr.into(), one.prefixlen)).collect()
        }
        BgpAddrs::IPV6U(all) => {
            all.iter().map(|one| host(one.addr.into(), one.prefixlen)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn host(address: IpAddr, prefix_len: u8) -> IpAddr {
    assert_eq!(prefix_len, if address.is_ipv4() { 32 } else { 128 });
    address
}

fn path() -> Path {
    Path {
        relation: Relation::External,
        local_as: 4_200_000_001,
        as_width: AsWidth::Four,
        prepend: 2,
        local_preference: 100,
        med: Some(7),
        communities: vec![(65000 << 16) + 1],
        large_communities: vec![[65000, 1, 2]],
    }
}

/// Everything that is announced, as the witness reads it.
fn announced(family: Family, hop: NextHop, all: &[IpAddr]) -> Vec<IpAddr> {
    let (mut found, mut rest) = (Vec::new(), all);
    while !rest.is_empty() {
        let mut bytes = Vec::new();
        let told = path().announce(family, hop, rest, &mut bytes);
        let update = read(&bytes);
        found.extend(addresses(&update.updates));
        found.extend(update.get_mpupdates().iter().flat_map(|all| addresses(&all.addrs)));
        let as_path = update.get_attr_aspath().expect("AS_PATH").to_string();
        assert_eq!(as_path.matches("4200000001").count(), 3, "{as_path}");
        assert!(update.get_attr_communitylist().is_some());
        assert!(update.get_attr_largecommunitylist().is_some());
        rest = &rest[told..];
    }
    found
}

proptest! {
    #[test]
    fn every_ipv4_address_that_is_announced_is_read(all in prop::collection::vec(any::<u32>(), 1..900)) {
        let all: Vec<IpAddr> = all.into_iter().map(|n| Ipv4Addr::from(n).into()).collect();
        let hop = NextHop::Classic(Ipv4Addr::new(10, 0, 0, 9));
        prop_assert_eq!(announced(Family::V4, hop, &all), all);
    }

    #[test]
    fn every_ipv6_address_that_is_announced_is_read(all in prop::collection::vec(any::<u128>(), 1..300)) {
        let all: Vec<IpAddr> = all.into_iter().map(|n| Ipv6Addr::from(n).into()).collect();
        let hop = NextHop::Multiprotocol(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 9));
        prop_assert_eq!(announced(Family::V6, hop, &all), all);
    }

    #[test]
    fn every_address_that_is_withdrawn_is_read(all in prop::collection::vec(any::<u32>(), 1..300)) {
        let v4: Vec<IpAddr> = all.iter().map(|n| Ipv4Addr::from(*n).into()).collect();
        let v6: Vec<IpAddr> = all.iter().map(|n| Ipv6Addr::from(u128::from(*n)).into()).collect();
        let mut bytes = Vec::new();
        let told = update::withdraw(Family::V4, Form::Classic, &v4, &mut bytes);
        prop_assert_eq!(addresses(&read(&bytes).withdraws), &v4[..told]);
        bytes.clear();
        let told = update::withdraw(Family::V6, Form::Multiprotocol, &v6, &mut bytes);
        let update = read(&bytes);
        let withdrawn = update.get_mpwithdraws().map(|all| addresses(&all.addrs));
        prop_assert_eq!(withdrawn.unwrap_or_default(), &v6[..told]);
    }
}

#[test]
fn an_open_is_read_with_our_numbers_and_its_capabilities() {
    let open = Open {
        asn: 4_200_000_001,
        hold: 30,
        identifier: [10, 0, 0, 1].into(),
        capabilities: Capabilities {
            families: Family::BOTH.to_vec(),
            as_width: AsWidth::Four,
            next_hops: NextHops::SameFamily,
            graceful_restart: Some(Restart {
                phase: Phase::Settled,
                seconds: 15,
                preserved: Family::BOTH.to_vec(),
            }),
        },
    };
    let mut bytes = Vec::new();
    open.write(&mut bytes);
    let mut read = BgpOpenMessage::new();
    read.decode_from(&session(), &bytes[HEADER..]).expect("it is read");
    assert_eq!((read.hold_time, read.router_id), (30, Ipv4Addr::new(10, 0, 0, 1)));
    for wanted in
        [BgpCapability::CapASN32(4_200_000_001), BgpCapability::SafiIPv4u, BgpCapability::SafiIPv6u]
    {
        assert!(read.caps.contains(&wanted), "{wanted:?} is not in {:?}", read.caps);
    }
}
