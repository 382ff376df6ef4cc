//! The programs run in the kernel's own BPF machine, on a pair of local datagram sockets: the
//! kernel filters those just as packet sockets, and no privilege is needed.

use std::io::{Read, Write};

use proptest::prelude::*;
use socket2::{Domain, SockFilter, Socket, Type};

use super::*;
use crate::wire::{Form, Station, gratuitous_arp, unsolicited_advertisement};

/// Which of `frames` pass, by their place.
fn passed(program: &[Instruction], frames: &[Vec<u8>]) -> Vec<usize> {
    let (mut sender, mut receiver) = Socket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
    let program: Vec<SockFilter> = program
        .iter()
        .map(|i| SockFilter::new(i.code, i.jump_true, i.jump_false, i.operand))
        .collect();
    receiver.attach_filter(&program).unwrap();
    receiver.set_nonblocking(true).unwrap();
    let mut places = Vec::new();
    for (place, frame) in frames.iter().enumerate() {
        sender.write_all(frame).unwrap();
        let mut buffer = [0; 256];
        if let Ok(length) = receiver.read(&mut buffer) {
            assert_eq!(&buffer[..length], frame, "cut off");
            places.push(place);
        }
    }
    places
}

fn arp(address: Ipv4Addr, station: &Station) -> Vec<u8> {
    gratuitous_arp(address, station, Form::Reply).unwrap()
}

fn advertisement(address: Ipv6Addr) -> Vec<u8> {
    let source = "fe80::9".parse().unwrap();
    unsolicited_advertisement(address, source, &Station::Ethernet([2; 6])).unwrap()
}

#[test]
fn only_claims_of_the_held_ipv4_addresses_pass() {
    let vips: Vec<Ipv4Addr> = (0..=255).map(|last| Ipv4Addr::new(10, 0, 0, last)).collect();
    let other = Ipv4Addr::new(10, 0, 1, 5);
    let (ethernet, infiniband) = (Station::Ethernet([2; 6]), Station::Infiniband([2; 20]));
    let mut asks_for_us = arp(other, &ethernet);
    asks_for_us[24..28].copy_from_slice(&vips[5].octets());
    let frames = [
        arp(vips[0], &ethernet),
        arp(other, &ethernet),
        arp(vips[255], &infiniband),
        arp(other, &infiniband),
        asks_for_us,
        vec![0; 10],
    ];
    assert_eq!(passed(&arp_claims(&vips), &frames), [0, 2]);
    assert_eq!(passed(&arp_claims(&[]), &frames), []);
}

#[test]
fn only_advertisements_of_the_held_ipv6_addresses_pass() {
    let vip = |last| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last);
    let vips: Vec<Ipv6Addr> = (1..=200).map(vip).collect();
    let changed = |at: usize, value: u8| {
        let mut frame = advertisement(vips[0]);
        frame[at] = value;
        frame
    };
    let frames = [
        advertisement(vips[0]),
        advertisement(vips[199]),
        advertisement(vip(300)),
        // A solicitation, UDP, another prefix, and too little of a frame.
        changed(40, 135),
        changed(6, 17),
        changed(48, 0xfe),
        advertisement(vips[0])[..40].to_vec(),
    ];
    assert_eq!(passed(&advertisements(&vips), &frames), [0, 1]);
    assert_eq!(passed(&advertisements(&[]), &frames), []);
}

#[test]
fn a_pool_of_addresses_is_one_range() {
    let pool: Vec<Ipv4Addr> = (0..10_000).map(|n| Ipv4Addr::from(0x0a40_0000 + n)).collect();
    let program = arp_claims(&pool);
    assert_eq!(program.len(), 7);
    let station = Station::Ethernet([2; 6]);
    let before = Ipv4Addr::from(0x0a3f_ffff);
    let after = Ipv4Addr::from(0x0a40_0000 + 10_000);
    let frames = [before, pool[0], pool[5000], pool[9999], after].map(|vip| arp(vip, &station));
    assert_eq!(passed(&program, &frames), [1, 2, 3]);
}

#[test]
fn a_thousand_scattered_addresses_fill_a_program_that_the_kernel_takes() {
    for count in [998, 1000, 1001, 2000, 10_000] {
        let vip = |n: u32| Ipv4Addr::from(0x0a00_0000 + n * 3 + u32::from(n > count / 2) * 4096);
        let vips: Vec<Ipv4Addr> = (0..count).map(vip).collect();
        let program = arp_claims(&vips);
        assert!(program.len() <= 2000, "{count} addresses: {} instructions", program.len());
        let station = Station::Ethernet([2; 6]);
        let mut frames: Vec<_> = vips.iter().map(|vip| arp(*vip, &station)).collect();
        // In the widest gap, far away, and a probe.
        let gap = Ipv4Addr::from(u32::from(vip(count / 2)) + 2000);
        frames.extend([gap, [10, 255, 9, 9].into(), [0; 4].into()].map(|a| arp(a, &station)));
        let wanted: Vec<usize> = (0..vips.len()).collect();
        assert_eq!(passed(&program, &frames), wanted, "{count} addresses");
    }
}

#[test]
fn too_many_ipv6_addresses_for_a_program_let_all_claims_through_and_nothing_else() {
    let many: Vec<Ipv6Addr> = (0..2000).map(|n| Ipv6Addr::from(n as u128)).collect();
    let frames = [advertisement("fd00::9".parse().unwrap()), vec![0; 64]];
    assert_eq!(passed(&advertisements(&many), &frames), [0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_program_passes_what_is_held_and_nothing_else(
        held in prop::collection::vec((any::<[u8; 4]>(), any::<[u8; 16]>()), 1..12),
        other in any::<([u8; 4], [u8; 16])>(),
    ) {
        let mut v4: Vec<Ipv4Addr> = held.iter().map(|(v4, _)| (*v4).into()).collect();
        v4.sort();
        let v6: Vec<Ipv6Addr> = held.iter().map(|(_, v6)| (*v6).into()).collect();
        prop_assume!(!v4.contains(&other.0.into()) && !v6.contains(&other.1.into()));
        let station = Station::Ethernet([2; 6]);
        let wanted: Vec<usize> = (0..held.len()).collect();
        let mut frames: Vec<_> = v4.iter().map(|vip| arp(*vip, &station)).collect();
        frames.push(arp(other.0.into(), &station));
        prop_assert_eq!(&passed(&arp_claims(&v4), &frames), &wanted);
        let mut frames: Vec<_> = v6.iter().map(|vip| advertisement(*vip)).collect();
        frames.push(advertisement(other.1.into()));
        prop_assert_eq!(&passed(&advertisements(&v6), &frames), &wanted);
    }
}
