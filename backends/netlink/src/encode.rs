//! Records → netlink bytes: the requests. Pure.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::net::IpAddr;

use netlink_packet_core::{Emitable, NLA_HEADER_SIZE, NLM_F_DUMP, NLM_F_REQUEST};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo,
};
use viplet_backend_api::{DuplicateDetection, Lifetime, Scope, Tag, Vip};

use crate::wire::{AF_INET, AF_INET6, HEADER, rtm};

/// What to ask the kernel for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dump {
    Links,
    Addresses,
    AddressesV4,
    RoutesV4,
    RoutesV6,
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Links => "the links",
            Self::Addresses | Self::AddressesV4 => "the addresses",
            Self::RoutesV4 => "the IPv4 routes",
            Self::RoutesV6 => "the IPv6 routes",
        })
    }
}

/// The request for a dump.
pub(crate) fn encode_dump(dump: Dump, sequence: u32) -> Vec<u8> {
    // The fixed headers (ifinfomsg, ifaddrmsg, rtmsg) begin with the family; the rest is zero.
    let (kind, family, length) = match dump {
        Dump::Links => (rtm::GETLINK, 0, 16),
        Dump::Addresses => (rtm::GETADDR, 0, 8),
        Dump::AddressesV4 => (rtm::GETADDR, AF_INET, 8),
        Dump::RoutesV4 => (rtm::GETROUTE, AF_INET, 12),
        Dump::RoutesV6 => (rtm::GETROUTE, AF_INET6, 12),
    };
    let mut payload = vec![0; length];
    if let Some(first) = payload.first_mut() {
        *first = family;
    }
    if dump == Dump::Links {
        // Without counters, which are most of a link's bytes (`IFLA_EXT_MASK`).
        const SKIP_STATS: u32 = 8;
        push_attribute(&mut payload, 29, &SKIP_STATS.to_ne_bytes());
    }
    encode(kind, NLM_F_DUMP, sequence, &payload)
}

/// Adds an attribute, padded; one too long for its length field is left out.
pub(crate) fn push_attribute(payload: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let Ok(length) = u16::try_from(value.len() + NLA_HEADER_SIZE) else { return };
    payload.extend_from_slice(&length.to_ne_bytes());
    payload.extend_from_slice(&kind.to_ne_bytes());
    payload.extend_from_slice(value);
    payload.resize(payload.len().next_multiple_of(4), 0);
}

/// A whole message around a payload, which is padded already.
pub(crate) fn encode(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    bytes.extend_from_slice(&0_u32.to_ne_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// `RTM_NEWADDR`'s payload for a VIP: deprecated from the start, so that it is never a source
/// address, and gone when nobody refreshes it.
pub(crate) fn encode_install(vip: &Vip, index: u32, lifetime: Lifetime, tag: Tag) -> Vec<u8> {
    let mut message = address_message(vip.address, vip.prefix_len, index);
    message.header.scope = match vip.scope {
        Scope::Universe => AddressScope::Universe,
        Scope::Host => AddressScope::Host,
    };
    let mut cache = CacheInfo::default();
    cache.ifa_valid = lifetime.as_secs();
    message.attributes.push(AddressAttribute::CacheInfo(cache));
    if vip.address.is_ipv6() && vip.duplicate_detection == DuplicateDetection::Skip {
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    message.attributes.push(AddressAttribute::Protocol(AddressProtocol::from(tag.value())));
    emit(&message)
}

/// `RTM_DELADDR`'s payload.
pub(crate) fn encode_remove(address: IpAddr, prefix_len: u8, index: u32) -> Vec<u8> {
    emit(&address_message(address, prefix_len, index))
}

fn address_message(address: IpAddr, prefix_len: u8, index: u32) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family =
        if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.prefix_len = prefix_len;
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    message
}

fn emit(message: &AddressMessage) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}
