//! Tests of `wire`: messages by their bytes, and decoders on any bytes.

mod witness;

use std::net::IpAddr;

use proptest::prelude::*;

use super::notification::{Notification, cease};
use super::open::{AsWidth, Capabilities, NextHops, Open, Phase, Restart};
use super::update::{self, Form, NextHop, Path, Relation};
use super::*;

fn framed(kind: u8, length: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff; 16];
    bytes.extend(length.to_be_bytes());
    bytes.push(kind);
    bytes.extend(body);
    bytes
}

fn answer(bytes: &[u8]) -> (u8, u8, Vec<u8>) {
    let answer = frame(bytes).expect_err("is refused");
    (answer.code, answer.subcode, answer.data)
}

fn open() -> Open {
    Open {
        asn: 4_200_000_001,
        hold: 30,
        identifier: [10, 0, 0, 1].into(),
        capabilities: Capabilities {
            families: Family::BOTH.to_vec(),
            as_width: AsWidth::Four,
            next_hops: NextHops::Extended,
            graceful_restart: Some(Restart {
                phase: Phase::Restarting,
                seconds: 120,
                preserved: Family::BOTH.to_vec(),
            }),
        },
    }
}

fn path(relation: Relation) -> Path {
    Path {
        relation,
        local_as: 65000,
        as_width: AsWidth::Four,
        prepend: 0,
        local_preference: 100,
        med: None,
        communities: Vec::new(),
        large_communities: Vec::new(),
    }
}

fn v4(n: u32) -> Vec<IpAddr> {
    (0..n).map(|n| IpAddr::from((0x0a09_0000 + n).to_be_bytes())).collect()
}

fn v6(n: u16) -> Vec<IpAddr> {
    (0..n).map(|n| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, n])).collect()
}

#[test]
fn a_wrong_marker_length_or_type_gets_its_notification() {
    let mut marker = framed(4, 19, &[]);
    marker[15] = 0;
    assert_eq!(answer(&marker), (1, 1, vec![]));
    assert_eq!(answer(&framed(4, 18, &[])), (1, 2, vec![0, 18]));
    assert_eq!(answer(&framed(2, 4097, &[])), (1, 2, vec![0x10, 1]));
    assert_eq!(answer(&framed(4, 20, &[0])), (1, 2, vec![0, 20]));
    assert_eq!(answer(&framed(1, 28, &[0; 9])), (1, 2, vec![0, 28]));
    assert_eq!(answer(&framed(9, 19, &[])), (1, 3, vec![9]));
}

#[test]
fn a_message_is_waited_for_until_it_is_whole() {
    let bytes = framed(2, 27, &[0; 8]);
    for end in 0..bytes.len() {
        assert_eq!(frame(&bytes[..end]), Ok(None), "{end} bytes");
    }
    let whole = frame(&bytes).unwrap().unwrap();
    assert_eq!((whole.kind, whole.body, whole.length()), (Kind::Update, [0; 8].as_slice(), 27));
}

#[test]
fn an_open_is_read_back_as_it_was_written() {
    let mut bytes = Vec::new();
    open().write(&mut bytes);
    let frame = frame(&bytes).unwrap().unwrap();
    assert_eq!(Open::read(frame.body), Ok(open()));
    // AS_TRANS, for who knows only two bytes.
    assert_eq!(frame.body[1..3], 23456_u16.to_be_bytes());
}

#[test]
fn an_open_of_rfc_9072_says_the_same() {
    let mut bytes = Vec::new();
    open().write(&mut bytes);
    let capabilities = &bytes[HEADER + 12..];
    let length = u8::try_from(capabilities.len()).unwrap();
    let mut body = bytes[HEADER..HEADER + 9].to_vec();
    body.extend([255, 255, 0, length + 3, 2, 0, length]);
    body.extend(capabilities);
    assert_eq!(Open::read(&body), Ok(open()));
}

#[test]
fn lengths_in_an_open_that_do_not_add_up_are_refused() {
    let head = [4, 0xfd, 0xe8, 0, 30, 10, 0, 0, 1];
    let read = |rest: &[u8]| Open::read(&[&head, rest].concat()).map_err(|n| (n.code, n.subcode));
    assert!(read(&[0]).is_ok());
    for bad in [
        [1].as_slice(),
        &[0, 0],
        &[4, 2, 3, 65, 4],
        &[4, 2, 2, 65, 4],
        &[3, 2, 1, 65],
        &[255, 255],
        &[255, 255, 0, 9, 2],
    ] {
        assert_eq!(read(bad), Err((2, 0)), "{bad:?}");
    }
    assert_eq!(read(&[2, 1, 0]), Err((2, 4)), "an optional parameter that is none");
    let mut old = [&head, [0].as_slice()].concat();
    old[0] = 3;
    let refused = Open::read(&old).unwrap_err();
    assert_eq!((refused.code, refused.subcode, refused.data), (2, 1, vec![0, 4]));
}

#[test]
fn unknown_capabilities_are_ignored_and_known_ones_found_after_them() {
    let mut body = vec![4, 0xfd, 0xe8, 0, 30, 10, 0, 0, 1];
    body.extend([16, 2, 6, 70, 0, 73, 2, 1, 2, 2, 6, 1, 4, 0, 2, 0, 1]);
    let read = Open::read(&body).unwrap();
    assert_eq!(read.capabilities.families, [Family::V6]);
    assert_eq!((read.asn, read.capabilities.as_width), (65000, AsWidth::Two));
}

#[test]
fn a_shutdown_has_a_text_that_is_cut_at_a_character() {
    let said = Notification::shutdown(cease::ADMINISTRATIVE_SHUTDOWN, &"ü".repeat(200));
    assert_eq!(said.data.len(), 255);
    assert_eq!(said.text().unwrap(), "ü".repeat(127));
    let evil = Notification { data: vec![3, b'a', b'\n', 0xff], ..Notification::cease(2) };
    assert_eq!(evil.to_string(), "Administrative Shutdown (6/2): a \u{fffd}");
    let lies = Notification { data: vec![9, b'a'], ..Notification::cease(2) };
    assert_eq!(lies.text(), None);
}

#[test]
fn an_ipv4_route_is_announced_as_rfc_4271_has_it() {
    let hop = NextHop::Classic([10, 0, 0, 1].into());
    let mut bytes = Vec::new();
    let told = path(Relation::External).announce(Family::V4, hop, &v4(2), &mut bytes);
    assert_eq!(told, 2);
    #[rustfmt::skip]
    let body = [
        0, 0, 0, 20,
        0x40, 1, 1, 0,
        // One AS_SEQUENCE (2), not an AS_SET (1).
        0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8,
        0x40, 3, 4, 10, 0, 0, 1,
        32, 10, 9, 0, 0, 32, 10, 9, 0, 1,
    ];
    assert_eq!(bytes, framed(2, 19 + 34, &body));
}

#[test]
fn an_ipv6_next_hop_goes_into_the_first_attribute_for_both_families() {
    let hop = NextHop::Multiprotocol("fe80::1".parse().unwrap());
    for (family, addresses, afi, length) in
        [(Family::V4, v4(1), 1, 21 + 5), (Family::V6, v6(1), 2, 21 + 17)]
    {
        let mut bytes = Vec::new();
        path(Relation::Internal).announce(family, hop, &addresses, &mut bytes);
        let body = &bytes[HEADER..];
        assert_eq!(body[4..11], [0x80, 14, length, 0, afi, 1, 16]);
        let rest = &body[7 + usize::from(length)..];
        // ORIGIN, an empty AS_PATH, LOCAL_PREF 100; no NEXT_HOP, no NLRI.
        assert_eq!(rest, [0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 5, 4, 0, 0, 0, 100]);
    }
}

#[test]
fn an_old_speaker_gets_as_trans_and_the_truth_beside_it() {
    let old = Path {
        local_as: 4_200_000_001,
        as_width: AsWidth::Two,
        prepend: 1,
        ..path(Relation::External)
    };
    let mut bytes = Vec::new();
    old.announce(Family::V4, NextHop::Classic([10, 0, 0, 1].into()), &v4(1), &mut bytes);
    let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(has(&[0x40, 2, 6, 2, 2, 0x5b, 0xa0, 0x5b, 0xa0]), "{bytes:x?}");
    assert!(has(&[0xc0, 17, 10, 2, 2, 0xfa, 0x56, 0xea, 1, 0xfa, 0x56, 0xea, 1]), "{bytes:x?}");
}

#[test]
fn a_thousand_addresses_of_each_family_are_a_few_messages() {
    let all = [
        (Family::V4, NextHop::Classic([10, 0, 0, 1].into()), v4(1000)),
        (Family::V6, NextHop::Multiprotocol("fd00::1".parse().unwrap()), v6(1000)),
    ];
    for (family, hop, addresses) in all {
        let (mut rest, mut messages) = (addresses.as_slice(), 0);
        while !rest.is_empty() {
            let mut bytes = Vec::new();
            let told = path(Relation::External).announce(family, hop, rest, &mut bytes);
            assert!(told > 0 && bytes.len() <= LONGEST);
            rest = &rest[told..];
            messages += 1;
        }
        assert!(messages <= 5, "{messages} for {family:?}");
    }
}

#[test]
fn the_longest_attributes_leave_room_for_routes() {
    let longest = Path {
        local_as: 4_200_000_001,
        as_width: AsWidth::Two,
        prepend: 255,
        med: Some(1),
        communities: vec![1; 3000],
        large_communities: vec![[1; 3]; 3000],
        ..path(Relation::External)
    };
    let hop = NextHop::Multiprotocol("fd00::1".parse().unwrap());
    let mut bytes = Vec::new();
    let told = longest.announce(Family::V6, hop, &v6(1000), &mut bytes);
    assert!(told > 10 && bytes.len() <= LONGEST, "{told} in {} bytes", bytes.len());
    assert!(frame(&bytes).unwrap().is_some());
}

#[test]
fn routes_are_withdrawn_in_the_form_in_which_they_were_announced() {
    let mut bytes = Vec::new();
    update::withdraw(Family::V4, Form::Classic, &v4(1), &mut bytes);
    assert_eq!(bytes, framed(2, 28, &[0, 5, 32, 10, 9, 0, 0, 0, 0]));
    bytes.clear();
    update::withdraw(Family::V4, Form::Multiprotocol, &v4(1), &mut bytes);
    assert_eq!(bytes, framed(2, 34, &[0, 0, 0, 11, 0x80, 15, 8, 0, 1, 1, 32, 10, 9, 0, 0]));
    let mut all = v6(1000);
    while !all.is_empty() {
        bytes.clear();
        let told = update::withdraw(Family::V6, Form::Multiprotocol, &all, &mut bytes);
        assert!(told > 200 && bytes.len() <= LONGEST || told == all.len());
        all.drain(..told);
    }
}

#[test]
fn the_end_of_rib_is_an_empty_update_of_its_family() {
    let mut bytes = Vec::new();
    update::end_of_rib(Family::V4, &mut bytes);
    assert_eq!(bytes, framed(2, 23, &[0; 4]));
    bytes.clear();
    update::end_of_rib(Family::V6, &mut bytes);
    assert_eq!(bytes, framed(2, 29, &[0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1]));
}

#[test]
fn a_route_refresh_names_a_family_of_ours_or_is_ignored() {
    assert_eq!(route_refresh(&[0, 1, 0, 1]), Some(Family::V4));
    assert_eq!(route_refresh(&[0, 2, 0, 1]), Some(Family::V6));
    for other in [[0, 1, 1, 1], [0, 1, 0, 128], [0, 25, 0, 70]] {
        assert_eq!(route_refresh(&other), None);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_framed_or_refused_and_never_read_beyond(bytes in any::<Vec<u8>>()) {
        if let Ok(Some(frame)) = frame(&bytes) {
            prop_assert!(frame.length() <= bytes.len());
        }
    }

    #[test]
    fn any_body_is_read_or_refused(body in any::<Vec<u8>>()) {
        if let Err(refused) = Open::read(&body) {
            prop_assert_eq!(refused.code, 2);
        }
        let said = Notification::read(&body).map(|said| said.to_string());
        prop_assert_eq!(said.is_some(), body.len() >= 2);
        route_refresh(&body);
    }

    #[test]
    fn an_open_with_any_byte_changed_is_read_or_refused(at in 0..64_usize, value in any::<u8>()) {
        let mut bytes = Vec::new();
        open().write(&mut bytes);
        let mut body = bytes.split_off(HEADER);
        if let Some(byte) = body.get_mut(at) {
            *byte = value;
        }
        if let Ok(read) = Open::read(&body) {
            let mut again = Vec::new();
            read.write(&mut again);
            prop_assert!(again.len() <= LONGEST);
        }
    }
}
