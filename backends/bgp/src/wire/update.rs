//! UPDATE, written only (RFC 4271 §4.3; RFC 4760 for IPv6 and for IPv4 with IPv6 next hops).
//!
//! Written by ourselves: zettabgp 0.6 gives AS_SEQUENCE the type of AS_SET (1 instead of 2,
//! RFC 4271 §4.3), which eBGP peers refuse.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::open::{AS_TRANS, AsWidth};
use super::{Family, Kind, LONGEST, message, patch};

/// `GRACEFUL_SHUTDOWN` (RFC 8326 §5).
pub(crate) const GRACEFUL_SHUTDOWN: u32 = 0xffff_0000;
/// More does not leave room for routes in every message.
const COMMUNITIES: usize = 256;
const LARGE_COMMUNITIES: usize = 128;
/// More makes no path longer than all others; so that attributes always fit.
pub(crate) const PREPENDED: u8 = 100;
/// Header, and the lengths of withdrawn routes and of attributes.
const FIXED: usize = 23;

mod flags {
    pub(super) const TRANSITIVE: u8 = 0x40;
    pub(super) const OPTIONAL: u8 = 0x80;
    pub(super) const OPTIONAL_TRANSITIVE: u8 = 0xc0;
    pub(super) const EXTENDED_LENGTH: u8 = 0x10;
}

/// Where a route's packets are to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextHop {
    /// NEXT_HOP.
    Classic(Ipv4Addr),
    /// In MP_REACH_NLRI: for IPv6, and for IPv4 where the peer can (RFC 8950).
    Multiprotocol(Ipv6Addr),
}

/// Whether the peer is in our AS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Internal,
    External,
}

/// What all routes to one peer carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) relation: Relation,
    pub(crate) local_as: u32,
    pub(crate) as_width: AsWidth,
    /// To external peers, beyond once.
    pub(crate) prepend: u8,
    /// To internal peers.
    pub(crate) local_preference: u32,
    pub(crate) med: Option<u32>,
    pub(crate) communities: Vec<u32>,
    pub(crate) large_communities: Vec<[u32; 3]>,
}

impl Path {
    /// One UPDATE with as many of `addresses` (all of the family `family`) as fit; gives their number.
    pub(crate) fn announce(
        &self,
        family: Family,
        next_hop: NextHop,
        addresses: &[IpAddr],
        to: &mut Vec<u8>,
    ) -> usize {
        let start = to.len();
        let mut attributes = Vec::new();
        self.attributes(next_hop, &mut attributes);
        // The header of MP_REACH_NLRI, at its longest.
        let spare = LONGEST.saturating_sub(FIXED + attributes.len() + 4 + 21);
        let some = addresses.get(..fitting(family, spare).min(addresses.len())).unwrap_or_default();
        message(Kind::Update, to, |to| {
            to.extend([0, 0]);
            lengthened(to, |to| {
                // First of all attributes, as RFC 7606 §5.1 wants.
                if let NextHop::Multiprotocol(hop) = next_hop {
                    reachable_routes(family, hop, some, to);
                }
                to.append(&mut attributes);
            });
            if let NextHop::Classic(_) = next_hop {
                some.iter().for_each(|address| prefix(*address, to));
            }
        });
        debug_assert!(to.len() - start <= LONGEST);
        some.len()
    }

    fn attributes(&self, next_hop: NextHop, to: &mut Vec<u8>) {
        const IGP: u8 = 0;
        attribute(to, flags::TRANSITIVE, 1, |to| to.push(IGP));
        attribute(to, flags::TRANSITIVE, 2, |to| self.as_path(self.as_width, to));
        if let NextHop::Classic(hop) = next_hop {
            attribute(to, flags::TRANSITIVE, 3, |to| to.extend(hop.octets()));
        }
        if let Some(med) = self.med {
            attribute(to, flags::OPTIONAL, 4, |to| to.extend(med.to_be_bytes()));
        }
        if self.relation == Relation::Internal {
            attribute(to, flags::TRANSITIVE, 5, |to| {
                to.extend(self.local_preference.to_be_bytes());
            });
        }
        if !self.communities.is_empty() {
            attribute(to, flags::OPTIONAL_TRANSITIVE, 8, |to| {
                let some = self.communities.iter().take(COMMUNITIES);
                to.extend(some.flat_map(|community| community.to_be_bytes()));
            });
        }
        if self.needs_as4_path() {
            attribute(to, flags::OPTIONAL_TRANSITIVE, 17, |to| self.as_path(AsWidth::Four, to));
        }
        if !self.large_communities.is_empty() {
            attribute(to, flags::OPTIONAL_TRANSITIVE, 32, |to| {
                let some = self.large_communities.iter().take(LARGE_COMMUNITIES).flatten();
                to.extend(some.flat_map(|part| part.to_be_bytes()));
            });
        }
    }

    /// RFC 6793 §4.2.2: an old speaker gets AS_TRANS, and the truth in AS4_PATH.
    fn needs_as4_path(&self) -> bool {
        self.relation == Relation::External
            && self.as_width == AsWidth::Two
            && u16::try_from(self.local_as).is_err()
    }

    /// Empty inside our AS (RFC 4271 §5.1.2).
    fn as_path(&self, width: AsWidth, to: &mut Vec<u8>) {
        const AS_SEQUENCE: u8 = 2;
        if self.relation == Relation::Internal {
            return;
        }
        let count = self.prepend.min(PREPENDED) + 1;
        to.extend([AS_SEQUENCE, count]);
        for _ in 0..count {
            match width {
                AsWidth::Four => to.extend(self.local_as.to_be_bytes()),
                AsWidth::Two => {
                    to.extend(u16::try_from(self.local_as).unwrap_or(AS_TRANS).to_be_bytes());
                }
            }
        }
    }
}

/// Where the routes of a family stand in an UPDATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// IPv4 in the fields of RFC 4271.
    Classic,
    /// In MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760).
    Multiprotocol,
}

impl NextHop {
    pub(crate) const fn form(self) -> Form {
        match self {
            Self::Classic(_) => Form::Classic,
            Self::Multiprotocol(_) => Form::Multiprotocol,
        }
    }
}

/// One UPDATE that withdraws as many of `addresses` as fit; gives their number.
pub(crate) fn withdraw(
    family: Family,
    form: Form,
    addresses: &[IpAddr],
    to: &mut Vec<u8>,
) -> usize {
    let spare = LONGEST - FIXED - 7;
    let some = addresses.get(..fitting(family, spare).min(addresses.len())).unwrap_or_default();
    let prefixes = |to: &mut Vec<u8>| some.iter().for_each(|address| prefix(*address, to));
    message(Kind::Update, to, |to| match form {
        Form::Classic => {
            lengthened(to, prefixes);
            to.extend([0, 0]);
        }
        Form::Multiprotocol => {
            to.extend([0, 0]);
            lengthened(to, |to| unreachable_routes(family, to, prefixes));
        }
    });
    some.len()
}

/// End-of-RIB (RFC 4724 §2).
pub(crate) fn end_of_rib(family: Family, to: &mut Vec<u8>) {
    match family {
        Family::V4 => message(Kind::Update, to, |to| to.extend([0; 4])),
        Family::V6 => {
            withdraw(family, Form::Multiprotocol, &[], to);
        }
    }
}

fn reachable_routes(family: Family, hop: Ipv6Addr, addresses: &[IpAddr], to: &mut Vec<u8>) {
    attribute(to, flags::OPTIONAL, 14, |to| {
        to.extend(family.afi().to_be_bytes());
        to.extend([Family::UNICAST, 16]);
        to.extend(hop.octets());
        to.push(0);
        addresses.iter().for_each(|address| prefix(*address, to));
    });
}

fn unreachable_routes(family: Family, to: &mut Vec<u8>, prefixes: impl FnOnce(&mut Vec<u8>)) {
    attribute(to, flags::OPTIONAL, 15, |to| {
        to.extend(family.afi().to_be_bytes());
        to.push(Family::UNICAST);
        prefixes(to);
    });
}

/// How many host routes fit into so many bytes.
const fn fitting(family: Family, bytes: usize) -> usize {
    match family {
        Family::V4 => bytes / 5,
        Family::V6 => bytes / 17,
    }
}

/// A host route as NLRI (RFC 4271 §4.3).
fn prefix(address: IpAddr, to: &mut Vec<u8>) {
    match address {
        IpAddr::V4(v4) => {
            to.push(32);
            to.extend(v4.octets());
        }
        IpAddr::V6(v6) => {
            to.push(128);
            to.extend(v6.octets());
        }
    }
}

fn attribute(to: &mut Vec<u8>, flags: u8, code: u8, value: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    value(&mut content);
    match u8::try_from(content.len()) {
        Ok(length) => to.extend([flags, code, length]),
        Err(_) => {
            to.extend([flags | flags::EXTENDED_LENGTH, code]);
            to.extend(u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    to.append(&mut content);
}

/// Writes what `content` appends with its length in two bytes before it.
fn lengthened(to: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    to.extend([0, 0]);
    content(to);
    let length = u16::try_from(to.len() - start - 2).unwrap_or(u16::MAX);
    patch(to, start, length);
}
