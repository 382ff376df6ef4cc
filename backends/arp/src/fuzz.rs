//! A way in for fuzzing: bytes as they might come from the segment. It panics where something does
//! not hold that must.
#![allow(clippy::panic)]

use std::net::{IpAddr, Ipv6Addr};

use crate::wire::{Claim, Form, Station};
use crate::wire::{gratuitous_arp, read_advertisement, read_arp, unsolicited_advertisement};

/// Reads `bytes` as an ARP packet and as a neighbour advertisement; what is read is written and
/// read again as it was.
pub fn frame(bytes: &[u8]) {
    if let Ok(Some(claim)) = read_arp(bytes) {
        let (IpAddr::V4(address), Some(station)) = (claim.address, station(&claim)) else {
            panic!("ARP claims {claim:?}");
        };
        assert!(!address.is_unspecified(), "a probe claims an address");
        for form in [Form::Request, Form::Reply] {
            let written = gratuitous_arp(address, &station, form).unwrap_or_default();
            assert_eq!(read_arp(&written), Ok(Some(claim.clone())), "{form:?}");
        }
    }
    if let Ok(claim) = read_advertisement(bytes) {
        let IpAddr::V6(address) = claim.address else {
            panic!("an advertisement claims {claim:?}");
        };
        if let Some(station) = station(&claim) {
            let source = Ipv6Addr::from_bits(0xfe80 << 112 | 1);
            let written = unsolicited_advertisement(address, source, &station).unwrap_or_default();
            assert_eq!(read_advertisement(&written), Ok(claim));
        }
    }
}

/// Who claims, where its hardware address is one of those that we announce.
fn station(claim: &Claim) -> Option<Station> {
    let hardware = claim.hardware.as_ref()?.0.as_slice();
    let infiniband = || hardware.try_into().map(Station::Infiniband);
    hardware.try_into().map(Station::Ethernet).or_else(|_| infiniband()).ok()
}
