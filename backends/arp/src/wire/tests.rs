//! Golden frames, round trips, and bytes from nowhere.

use proptest::prelude::*;

use super::*;

const ETHERNET: Station = Station::Ethernet([2, 0, 0, 0, 0, 1]);
const INFINIBAND_STATION: Station =
    Station::Infiniband([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 5);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

#[rustfmt::skip]
const REQUEST: [u8; 28] = [
    0, 1, 8, 0, 6, 4, 0, 1,
    2, 0, 0, 0, 0, 1, 10, 0, 0, 5,
    0, 0, 0, 0, 0, 0, 10, 0, 0, 5,
];

#[rustfmt::skip]
const REPLY: [u8; 28] = [
    0, 1, 8, 0, 6, 4, 0, 2,
    2, 0, 0, 0, 0, 1, 10, 0, 0, 5,
    2, 0, 0, 0, 0, 1, 10, 0, 0, 5,
];

#[rustfmt::skip]
const INFINIBAND_REQUEST: [u8; 56] = [
    0, 32, 8, 0, 20, 4, 0, 1,
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 10, 0, 0, 5,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 5,
];

// The checksums come from an independent calculation (RFC 4443 §2.3, RFC 8200 §8.1).
#[rustfmt::skip]
const ADVERTISEMENT: [u8; 72] = [
    0x60, 0, 0, 0, 0, 32, 58, 255,
    0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    136, 0, 0x59, 0x17, 0x20, 0, 0, 0,
    0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5,
    2, 1, 2, 0, 0, 0, 0, 1,
];

#[rustfmt::skip]
const INFINIBAND_ADVERTISEMENT: [u8; 88] = [
    0x60, 0, 0, 0, 0, 48, 58, 255,
    0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    136, 0, 0xf6, 0x97, 0x20, 0, 0, 0,
    0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5,
    2, 3, 0, 0,
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
];

#[test]
fn gratuitous_arp_has_exactly_the_bytes_of_rfc_826_and_5227() {
    assert_eq!(gratuitous_arp(VIP, &ETHERNET, Form::Request).unwrap(), REQUEST);
    assert_eq!(gratuitous_arp(VIP, &ETHERNET, Form::Reply).unwrap(), REPLY);
}

#[test]
fn gratuitous_arp_on_infiniband_has_20_byte_addresses() {
    let request = gratuitous_arp(VIP, &INFINIBAND_STATION, Form::Request).unwrap();
    assert_eq!(request, INFINIBAND_REQUEST);
    let reply = gratuitous_arp(VIP, &INFINIBAND_STATION, Form::Reply).unwrap();
    assert_eq!((reply.len(), &reply[32..52]), (56, INFINIBAND_STATION.hardware()));
}

#[test]
fn an_advertisement_has_exactly_the_bytes_of_rfc_4861() {
    let packet = unsolicited_advertisement(VIP6, ROUTER, &ETHERNET).unwrap();
    assert_eq!(packet, ADVERTISEMENT);
    let packet = unsolicited_advertisement(VIP6, ROUTER, &INFINIBAND_STATION).unwrap();
    assert_eq!(packet, INFINIBAND_ADVERTISEMENT);
}

#[test]
fn all_nodes_have_the_links_own_group_address() {
    assert_eq!(ETHERNET.all_nodes(&[0xff; 6]), [0x33, 0x33, 0, 0, 0, 1]);
    let broadcast: [u8; 20] =
        [0, 255, 255, 255, 255, 0x12, 0x40, 0x1b, 0x80, 0x07, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
    let group = INFINIBAND_STATION.all_nodes(&broadcast);
    let expected: [u8; 20] =
        [0, 255, 255, 255, 255, 0x12, 0x60, 0x1b, 0x80, 0x07, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(group, expected);
}

#[test]
fn an_arp_probe_claims_nothing() {
    let mut probe = REQUEST;
    probe[14..18].fill(0);
    assert_eq!(read_arp(&probe), Ok(None));
}

#[test]
fn arp_of_other_kinds_is_rejected() {
    for (at, value) in [(1, 6), (2, 9), (4, 5), (5, 3)] {
        let mut odd = REQUEST;
        odd[at] = value;
        assert!(read_arp(&odd).is_err(), "byte {at}");
    }
    assert!(read_arp(&REQUEST[..27]).is_err());
}

#[test]
fn an_advertisement_from_off_link_or_with_a_wrong_checksum_is_rejected() {
    assert!(read_advertisement(&ADVERTISEMENT).is_ok());
    for (at, value) in [(6, 17), (7, 254), (40, 135), (42, 0), (65, 0), (63, 6)] {
        let mut odd = ADVERTISEMENT;
        odd[at] = value;
        assert!(read_advertisement(&odd).is_err(), "byte {at}");
    }
}

#[test]
fn an_advertisement_without_the_option_leaves_the_hardware_to_the_frame() {
    let mut bare = ADVERTISEMENT[..64].to_vec();
    bare[5] = 24;
    // The option's words and the length are no longer summed up: 0x0201 + 0x0200 + 1 + 8.
    let sum = u32::from(0x5917_u16) + 0x0201 + 0x0200 + 0x0001 + 8;
    bare[42..44].copy_from_slice(&u16::try_from(sum).unwrap().to_be_bytes());
    let claim = read_advertisement(&bare).unwrap();
    assert_eq!(claim, Claim { address: IpAddr::V6(VIP6), hardware: None });
}

fn stations() -> impl Strategy<Value = Station> {
    prop_oneof![
        any::<[u8; 6]>().prop_map(Station::Ethernet),
        any::<[u8; 20]>().prop_map(Station::Infiniband),
    ]
}

/// Known frames with some bytes changed, and cut off somewhere.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let known = prop_oneof![
        Just(REQUEST.to_vec()),
        Just(INFINIBAND_REQUEST.to_vec()),
        Just(ADVERTISEMENT.to_vec()),
        Just(INFINIBAND_ADVERTISEMENT.to_vec()),
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

proptest! {
    #[test]
    fn what_is_announced_is_read_back(
        vip: [u8; 4], vip6: [u8; 16], source: [u8; 16], station in stations(),
    ) {
        prop_assume!(vip != [0; 4]);
        let hardware = Some(HardwareAddress(station.hardware().to_vec()));
        for form in [Form::Request, Form::Reply] {
            let frame = gratuitous_arp(vip.into(), &station, form).unwrap();
            let claim = Claim { address: IpAddr::from(vip), hardware: hardware.clone() };
            prop_assert_eq!(read_arp(&frame), Ok(Some(claim)));
        }
        let packet = unsolicited_advertisement(vip6.into(), source.into(), &station).unwrap();
        let claim = Claim { address: IpAddr::from(vip6), hardware };
        prop_assert_eq!(read_advertisement(&packet), Ok(claim));
    }

    #[test]
    fn bytes_from_nowhere_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (read_arp(&bytes), read_advertisement(&bytes));
    }

    #[test]
    fn damaged_frames_never_panic(bytes in mutated()) {
        let _ = (read_arp(&bytes), read_advertisement(&bytes));
        let _ = link_layer_in(bytes.get(64..).unwrap_or(&[]));
    }

    #[test]
    fn options_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = link_layer_in(&bytes);
    }
}
