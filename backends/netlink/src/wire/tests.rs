//! Messages as the kernel writes them, and bytes from nowhere.

use netlink_packet_route::address::{AddressProtocol, CacheInfo};
use proptest::prelude::*;
use viplet_backend_api::{DuplicateDetection, Lifetime, Scope, Tag, Vip};

use super::*;
use crate::encode::{encode, encode_install, push_attribute};

/// `RTM_NEWLINK` of `eth0`: Ethernet, up, with carrier.
fn link_message(family: u8, kind: u16) -> Vec<u8> {
    let mut payload = vec![family, 0, 1, 0];
    payload.extend(7_u32.to_ne_bytes());
    payload.extend(0x1_0041_u32.to_ne_bytes());
    payload.extend([0; 4]);
    push_attribute(&mut payload, 3, b"eth0\0");
    push_attribute(&mut payload, 16, &[6]);
    push_attribute(&mut payload, 1, &[2, 0, 0, 0, 0, 1]);
    push_attribute(&mut payload, 2, &[0xff; 6]);
    encode(kind, 0, 1, &payload)
}

/// `eth0`, of this driver, with these alternative names. The kernel marks nested attributes.
fn link_of_driver(driver: &[u8], altnames: &[&[u8]]) -> LinkRecord {
    const NESTED: u16 = 1 << 15;
    let mut payload = link_message(0, rtm::NEWLINK).split_off(HEADER);
    let (mut info, mut names) = (Vec::new(), Vec::new());
    push_attribute(&mut info, 1, driver);
    push_attribute(&mut payload, 18, &info);
    altnames.iter().for_each(|name| push_attribute(&mut names, 53, name));
    push_attribute(&mut payload, 52 | NESTED, &names);
    let Message::Link(link) = only(&encode(rtm::NEWLINK, 0, 1, &payload)) else { panic!() };
    link
}

/// A default route through two next hops.
fn route_message() -> Vec<u8> {
    let mut payload = vec![AF_INET, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
    push_attribute(&mut payload, rta::PRIORITY, &50_u32.to_ne_bytes());
    push_attribute(&mut payload, rta::MULTIPATH, &[8, 0, 0, 0, 3, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0]);
    encode(rtm::NEWROUTE, 0, 1, &payload)
}

fn vip(address: &str, prefix_len: u8) -> Vip {
    Vip {
        address: address.parse().unwrap(),
        prefix_len,
        link: LinkName::new("eth0").unwrap(),
        presence: viplet_backend_api::Presence::OnLink,
        scope: Scope::Universe,
        duplicate_detection: DuplicateDetection::Skip,
    }
}

fn address_bytes(vip: &Vip) -> Vec<u8> {
    encode(
        rtm::NEWADDR,
        0,
        1,
        &encode_install(vip, 7, Lifetime::from_secs(15).unwrap(), Tag::DEFAULT),
    )
}

fn only(bytes: &[u8]) -> Message {
    let mut frames = Frames(bytes);
    let message = decode(&frames.next().unwrap().unwrap()).unwrap();
    assert!(frames.next().is_none());
    message
}

#[test]
fn a_link_is_read_with_its_addresses_and_state() {
    let Message::Link(link) = only(&link_message(0, rtm::NEWLINK)) else { panic!() };
    let expected = LinkRecord {
        index: 7,
        name: LinkName::new("eth0").unwrap(),
        altnames: Vec::new(),
        kind: LinkKind::Ethernet,
        flags: 0x1_0041,
        oper: 6,
        hardware: HardwareAddress(vec![2, 0, 0, 0, 0, 1]),
        broadcast: HardwareAddress(vec![0xff; 6]),
    };
    assert_eq!(link, expected);
    assert_eq!(only(&link_message(0, rtm::DELLINK)), Message::LinkGone(7));
}

#[test]
fn a_link_that_carries_nothing_is_told_by_its_driver_and_not_by_its_name() {
    for (driver, kind) in [
        (&b"dummy\0"[..], LinkKind::Dummy),
        (b"ifb\0", LinkKind::Dummy),
        (b"dummy", LinkKind::Dummy),
        (b"veth\0", LinkKind::Ethernet),
        (b"", LinkKind::Ethernet),
        (b"\xff", LinkKind::Ethernet),
    ] {
        assert_eq!(link_of_driver(driver, &[]).kind, kind, "{driver:?}");
    }
}

#[test]
fn a_link_is_read_with_its_alternative_names() {
    let long = [[b'x'; 127].as_slice(), b"\0"].concat();
    let link = link_of_driver(b"veth\0", &[b"enp1s0\0", &long]);
    assert_eq!(link.altnames, ["enp1s0".to_owned(), "x".repeat(127)]);
}

#[test]
fn a_link_that_leaves_a_bridge_is_not_gone() {
    const AF_BRIDGE: u8 = 7;
    for kind in [rtm::NEWLINK, rtm::DELLINK] {
        assert_eq!(only(&link_message(AF_BRIDGE, kind)), Message::Other);
    }
}

#[test]
fn an_install_is_deprecated_finite_and_tagged() {
    let message = AddressMessage::parse(
        &encode_install(&vip("fd00::5", 64), 7, Lifetime::from_secs(15).unwrap(), Tag::DEFAULT)[..],
    )
    .unwrap();
    let mut cache = CacheInfo::default();
    cache.ifa_valid = 15;
    for expected in [
        AddressAttribute::CacheInfo(cache),
        AddressAttribute::Flags(AddressFlags::Nodad),
        AddressAttribute::Protocol(AddressProtocol::Other(118)),
    ] {
        assert!(message.attributes.contains(&expected), "{expected:?} in {message:?}");
    }
}

#[test]
fn a_multipath_route_names_its_links_in_order() {
    let Message::Route(route) = only(&route_message()) else { panic!() };
    assert_eq!((route.metric, route.table, route.links), (50, TABLE_MAIN, vec![3, 4]));
}

#[test]
fn an_error_has_its_errno_and_the_kernels_words() {
    let mut payload = (-13_i32).to_ne_bytes().to_vec();
    payload.extend([0; 16]);
    push_attribute(&mut payload, 1, b"IPv6 is disabled on this device\0");
    let expected =
        Message::Outcome { errno: 13, words: "IPv6 is disabled on this device".to_owned() };
    assert_eq!(only(&encode(NLMSG_ERROR, 0, 1, &payload)), expected);
    let done = Message::Outcome { errno: 0, words: String::new() };
    assert_eq!(only(&encode(NLMSG_DONE, 0, 1, &[0; 4])), done);
    assert_eq!(only(&encode(NLMSG_DONE, 0, 1, &[])), done);
}

#[test]
fn a_message_that_is_cut_off_is_rejected_and_those_before_it_are_kept() {
    let whole = [link_message(0, rtm::NEWLINK), route_message()].concat();
    let first = link_message(0, rtm::NEWLINK).len();
    for cut in first + 1..whole.len() {
        let read: Vec<_> = Frames(&whole[..cut]).collect();
        assert_eq!(read.len(), 2);
        assert!(read[0].is_ok() && read[1].is_err(), "cut at {cut}");
    }
}

#[test]
fn a_link_without_a_usable_name_is_rejected() {
    let mut bytes = link_message(0, rtm::NEWLINK);
    let at = bytes.windows(4).position(|window| window == b"eth0").unwrap();
    for name in [*b"e/h0", [0xff; 4], [0; 4]] {
        bytes[at..at + 4].copy_from_slice(&name);
        let frame = Frames(&bytes).next().unwrap().unwrap();
        assert!(decode(&frame).is_err(), "{name:?}");
    }
}

/// Known messages with some bytes changed, and cut off somewhere.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let known = prop_oneof![
        Just(link_message(0, rtm::NEWLINK)),
        Just(address_bytes(&vip("10.0.0.5", 32))),
        Just(address_bytes(&vip("fd00::5", 128))),
        Just(route_message()),
        Just(encode(NLMSG_ERROR, 0, 1, &[0; 36])),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    (known, changes, any::<prop::sample::Index>()).prop_map(|(mut bytes, changes, cut)| {
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        bytes
    })
}

/// Reads everything; comes to an end, whatever the bytes.
fn read_all(bytes: &[u8]) {
    for frame in Frames(bytes).flatten() {
        let _ = decode(&frame);
    }
}

proptest! {
    #[test]
    fn bytes_from_nowhere_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn payloads_from_nowhere_never_panic(
        kind in 0_u16..30, payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        read_all(&encode(kind, 0, 1, &payload));
    }

    #[test]
    fn damaged_messages_never_panic(bytes in mutated()) {
        read_all(&bytes);
    }

    #[test]
    fn an_installed_address_is_read_back(
        v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>(), prefix_len in 0_u8..33,
    ) {
        for address in [IpAddr::from(v4), IpAddr::from(v6)] {
            let vip = Vip { address, ..vip("10.0.0.5", prefix_len) };
            let Message::Address(read) = only(&address_bytes(&vip)) else { panic!() };
            prop_assert_eq!((read.address, read.prefix_len), (address, prefix_len));
            prop_assert_eq!((read.valid, read.tag, read.index), (Some(15), Some(118), 7));
        }
    }
}
