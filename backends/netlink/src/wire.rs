//! Netlink bytes → records. Pure; never panics: what cannot be read is a [`Reject`], which the
//! caller counts and skips.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod link;

use std::net::IpAddr;

use netlink_packet_core::{
    NLA_HEADER_SIZE, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NlasIterator, Parseable,
};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::route::RouteHeader;
use viplet_backend_api::{HardwareAddress, LinkKind, LinkName};

/// `RTM_*` message types (`linux/rtnetlink.h`).
pub(crate) mod rtm {
    pub(crate) const NEWLINK: u16 = 16;
    pub(crate) const DELLINK: u16 = 17;
    pub(crate) const GETLINK: u16 = 18;
    pub(crate) const NEWADDR: u16 = 20;
    pub(crate) const DELADDR: u16 = 21;
    pub(crate) const GETADDR: u16 = 22;
    pub(crate) const NEWROUTE: u16 = 24;
    pub(crate) const DELROUTE: u16 = 25;
    pub(crate) const GETROUTE: u16 = 26;
}

pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_INET6: u8 = 10;
/// The main routing table (`RT_TABLE_MAIN`).
pub(crate) const TABLE_MAIN: u32 = 254;
/// A gateway or direct route (`RTN_UNICAST`).
pub(crate) const UNICAST: u8 = 1;
/// `ifa_valid` and `ifa_prefered`: for ever.
const FOR_EVER: u32 = u32::MAX;
/// `sizeof(struct nlmsghdr)`.
pub(crate) const HEADER: usize = 16;

/// A message that could not be read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reject(pub(crate) &'static str);

/// A link as the kernel described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkRecord {
    pub(crate) index: u32,
    pub(crate) name: LinkName,
    /// `IFLA_ALT_IFNAME`.
    pub(crate) altnames: Vec<String>,
    pub(crate) kind: LinkKind,
    /// `IFF_*`.
    pub(crate) flags: u32,
    /// `IF_OPER_*` (RFC 2863).
    pub(crate) oper: u8,
    pub(crate) hardware: HardwareAddress,
    pub(crate) broadcast: HardwareAddress,
}

/// An address as the kernel described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddressRecord {
    pub(crate) index: u32,
    pub(crate) address: IpAddr,
    pub(crate) prefix_len: u8,
    pub(crate) flags: AddressFlags,
    /// Seconds; `None`: for ever.
    pub(crate) valid: Option<u32>,
    /// `IFA_PROTO`, where the kernel reports one.
    pub(crate) tag: Option<u8>,
    /// When it was put there (`ifa_cacheinfo.cstamp`), in hundredths of a second since boot.
    pub(crate) created: u32,
}

/// A route as the kernel described it, as far as we look into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteRecord {
    pub(crate) family: u8,
    pub(crate) prefix_len: u8,
    pub(crate) table: u32,
    pub(crate) kind: u8,
    pub(crate) protocol: u8,
    pub(crate) metric: u32,
    /// The links that it leaves through, first next hop first.
    pub(crate) links: Vec<u32>,
}

/// What one netlink message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Link(LinkRecord),
    LinkGone(u32),
    Address(AddressRecord),
    AddressGone(AddressRecord),
    Route(RouteRecord),
    RouteGone(RouteRecord),
    /// The answer to a change, or the end of a dump: an errno (0: done) and the kernel's words.
    Outcome {
        errno: i32,
        words: String,
    },
    /// Not for us.
    Other,
}

/// One message's frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

impl Frame<'_> {
    /// The dump that it belongs to saw a change half-way and must be repeated.
    pub(crate) fn interrupted(&self) -> bool {
        self.flags & NLM_F_DUMP_INTR != 0
    }
}

/// Splits a datagram into messages; a length that does not fit ends it with a [`Reject`].
pub(crate) struct Frames<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let parsed = split_frame(self.0);
        self.0 = parsed.as_ref().map_or(&[], |(_, rest)| rest);
        Some(parsed.map(|(frame, _)| frame))
    }
}

fn split_frame(bytes: &[u8]) -> Result<(Frame<'_>, &[u8]), Reject> {
    const SHORT: Reject = Reject("a message is cut off");
    let length = usize::try_from(u32_at(bytes, 0).ok_or(SHORT)?).map_err(|_| SHORT)?;
    let payload = bytes.get(HEADER..length).ok_or(SHORT)?;
    let frame = Frame {
        kind: u16_at(bytes, 4).ok_or(SHORT)?,
        flags: u16_at(bytes, 6).ok_or(SHORT)?,
        sequence: u32_at(bytes, 8).ok_or(SHORT)?,
        payload,
    };
    Ok((frame, bytes.get(length.next_multiple_of(4)..).unwrap_or(&[])))
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_ne_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_ne_bytes)
}

/// The attributes after a fixed header, as (type, value); ends at the first malformed one.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).filter_map(|nla| {
        let whole = nla.into_inner();
        let length = usize::from(u16_at(whole, 0)?);
        let kind = u16_at(whole, 2)? & netlink_packet_core::NLA_TYPE_MASK;
        Some((kind, whole.get(NLA_HEADER_SIZE..length)?))
    })
}

/// Reads one message.
pub(crate) fn decode(frame: &Frame<'_>) -> Result<Message, Reject> {
    let payload = frame.payload;
    Ok(match frame.kind {
        rtm::NEWLINK => link::decode(payload)?.map_or(Message::Other, Message::Link),
        rtm::DELLINK => link::decode_gone(payload)?.map_or(Message::Other, Message::LinkGone),
        rtm::NEWADDR => decode_address(payload)?.map_or(Message::Other, Message::Address),
        rtm::DELADDR => decode_address(payload)?.map_or(Message::Other, Message::AddressGone),
        rtm::NEWROUTE => decode_route(payload)?.map_or(Message::Other, Message::Route),
        rtm::DELROUTE => decode_route(payload)?.map_or(Message::Other, Message::RouteGone),
        NLMSG_ERROR => decode_outcome(payload, 20)?,
        NLMSG_DONE => decode_outcome(payload, 4)?,
        _ => Message::Other,
    })
}

fn decode_address(payload: &[u8]) -> Result<Option<AddressRecord>, Reject> {
    let message =
        AddressMessage::parse(payload).map_err(|_| Reject("an address message is malformed"))?;
    let (mut local, mut peer, mut cache, mut tag, mut created) = (None, None, None, None, 0);
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => peer = Some(*address),
            AddressAttribute::CacheInfo(info) => {
                cache = Some(info.ifa_valid);
                created = info.cstamp;
            }
            AddressAttribute::Flags(all) => flags = *all,
            AddressAttribute::Protocol(proto) => tag = Some(u8::from(*proto)),
            _ => {}
        }
    }
    // On point-to-point links IFA_ADDRESS is the peer's (linux/if_addr.h).
    let Some(address) = local.or(peer) else { return Ok(None) };
    Ok(Some(AddressRecord {
        index: message.header.index,
        address,
        prefix_len: message.header.prefix_len,
        flags,
        valid: cache.filter(|seconds| *seconds != FOR_EVER),
        tag: tag.filter(|tag| *tag != 0),
        created,
    }))
}

/// `RTA_*` (`linux/rtnetlink.h`).
pub(crate) mod rta {
    pub(crate) const OIF: u16 = 4;
    pub(crate) const GATEWAY: u16 = 5;
    pub(crate) const PRIORITY: u16 = 6;
    pub(crate) const MULTIPATH: u16 = 9;
    pub(crate) const CACHEINFO: u16 = 12;
    pub(crate) const TABLE: u16 = 15;
    pub(crate) const VIA: u16 = 18;
    pub(crate) const NH_ID: u16 = 30;
}

/// `RTM_F_CLONED`: a cache entry, not a route.
const CLONED: u32 = 0x200;

pub(crate) fn decode_route(payload: &[u8]) -> Result<Option<RouteRecord>, Reject> {
    let header = RouteHeader::parse(payload).map_err(|_| Reject("a route message is cut off"))?;
    if header.flags.bits() & CLONED != 0 {
        return Ok(None);
    }
    let mut route = RouteRecord {
        family: u8::from(header.address_family),
        prefix_len: header.destination_prefix_length,
        table: u32::from(header.table),
        kind: u8::from(header.kind),
        protocol: u8::from(header.protocol),
        metric: 0,
        links: Vec::new(),
    };
    for (kind, value) in attributes(payload.get(12..).unwrap_or(&[])) {
        match kind {
            rta::OIF => route.links.extend(u32_at(value, 0)),
            rta::PRIORITY => route.metric = u32_at(value, 0).unwrap_or(0),
            rta::TABLE => route.table = u32_at(value, 0).unwrap_or(route.table),
            rta::MULTIPATH => route.links.extend(next_hops(value).filter_map(|hop| u32_at(hop, 4))),
            _ => {}
        }
    }
    Ok(Some(route))
}

/// The `struct rtnexthop`s of `RTA_MULTIPATH`, each with its attributes.
pub(crate) fn next_hops(mut value: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(value, 0)?);
        let hop = value.get(..length).filter(|hop| hop.len() >= 8)?;
        value = value.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(hop)
    })
}

/// The errno of `NLMSG_ERROR` and `NLMSG_DONE`, with the extended ACK's text at `words_at`.
fn decode_outcome(payload: &[u8], words_at: usize) -> Result<Message, Reject> {
    const NLMSGERR_ATTR_MSG: u16 = 1;
    // Old kernels end a dump without a code.
    let code = if payload.is_empty() { 0 } else { u32_at(payload, 0).ok_or(Reject("no errno"))? };
    let words = attributes(payload.get(words_at..).unwrap_or(&[]))
        .find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG)
        .map(|(_, text)| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned())
        .unwrap_or_default();
    Ok(Message::Outcome { errno: code.cast_signed().wrapping_neg(), words })
}

#[cfg(test)]
mod tests;
