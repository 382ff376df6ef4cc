//! What the removal of an IPv4 address takes along, and how it is put back.
//!
//! With the last IPv4 address of a link the kernel flushes every route through that link, in all
//! tables and without a message; with a primary address it removes its secondaries (unless
//! `promote_secondaries` is set). Both are read before, and what is missing after is added again
//! from the kernel's own bytes, so that no attribute is lost.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE};

use crate::error::errno;
use crate::request::{Failure, Requests};
use crate::wire::{self, AddressRecord, Dump, Frame, Message, rta, rtm};

/// `RTPROT_KERNEL`: routes that the kernel makes for addresses by itself.
const PROTOCOL_KERNEL: u8 = 2;
/// `RTNH_F_ONLINK`, the only next-hop flag that a request may carry.
const ONLINK: u8 = 4;
/// `RTNH_F_DEAD`.
const DEAD: u8 = 1;

/// The IPv4 addresses and routes of one link, as the kernel dumped them.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    index: u32,
    addresses: Vec<(AddressRecord, Vec<u8>)>,
    routes: Vec<Route>,
}

/// A route's request: the dumped bytes without what a request may not carry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Route {
    request: Vec<u8>,
    /// Dead next hops, and routes through a gateway, which need the others first.
    liveness: Liveness,
    reach: Reach,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Liveness {
    Alive,
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Direct,
    Gateway,
}

impl Kept {
    /// Reads them; what cannot be read cannot be restored, and is said.
    pub(crate) fn read(requests: &mut Requests, index: u32) -> Self {
        let addresses = read_addresses(requests, index).unwrap_or_else(warn_unread);
        let routes = read_routes(requests, index).unwrap_or_else(warn_unread);
        Self { index, addresses, routes }
    }

    /// Adds what is missing now, except `removed` itself.
    pub(crate) fn restore(mut self, requests: &mut Requests, removed: &AddressRecord) {
        let now = Self::read(requests, self.index);
        let same = |a: &AddressRecord, b: &AddressRecord| {
            (a.address, a.prefix_len) == (b.address, b.prefix_len)
        };
        for (record, payload) in &self.addresses {
            let there = now.addresses.iter().any(|(other, _)| same(other, record));
            if !there && !same(record, removed) {
                let added = requests.change(rtm::NEWADDR, NLM_F_CREATE, payload);
                report(&format!("{}/{}", record.address, record.prefix_len), added);
            }
        }
        self.routes.sort_by_key(|route| route.reach);
        for route in self.routes.iter().filter(|route| route.liveness == Liveness::Alive) {
            let found = now.routes.iter().find(|other| other.request == route.request);
            let flags = match found.map(|other| other.liveness) {
                Some(Liveness::Alive) => continue,
                Some(Liveness::Dead) => NLM_F_CREATE | NLM_F_REPLACE,
                None => NLM_F_CREATE | NLM_F_APPEND,
            };
            report("a route", requests.change(rtm::NEWROUTE, flags, &route.request));
        }
    }
}

fn report(what: &str, outcome: Result<(), Failure>) {
    match outcome {
        Ok(()) => log::info!("netlink: restored {what}, which went with a virtual address"),
        Err(failure) if failure.is(errno::EEXIST) => {}
        // A route through the virtual address itself cannot outlive it.
        Err(failure) => log::warn!(
            "netlink: {what} went with a virtual address and cannot be restored: {}",
            failure.error
        ),
    }
}

fn warn_unread<T: Default>(failure: Failure) -> T {
    log::warn!("netlink: cannot read what must outlive an address: {}", failure.error);
    T::default()
}

fn read_addresses(
    requests: &mut Requests,
    index: u32,
) -> Result<Vec<(AddressRecord, Vec<u8>)>, Failure> {
    requests.dump(Dump::AddressesV4, |found: &mut Vec<_>, frame: Frame<'_>| {
        if let Ok(Message::Address(record)) = wire::decode(&frame)
            && record.index == index
        {
            found.push((record, frame.payload.to_vec()));
        }
    })
}

fn read_routes(requests: &mut Requests, index: u32) -> Result<Vec<Route>, Failure> {
    requests.dump(Dump::RoutesV4, |found: &mut Vec<_>, frame: Frame<'_>| {
        if let Ok(Message::Route(record)) = wire::decode(&frame)
            && record.links.contains(&index)
            && record.protocol != PROTOCOL_KERNEL
        {
            found.extend(request_of(frame.payload));
        }
    })
}

/// Turns a dumped route into the request that makes it again.
fn request_of(payload: &[u8]) -> Option<Route> {
    let (header, body) = payload.split_at_checked(12)?;
    let (fixed, flags) = header.split_at_checked(8)?;
    let flags = u32::from_ne_bytes(flags.try_into().ok()?);
    let dead = flags & u32::from(DEAD) != 0;
    let mut liveness = if dead { Liveness::Dead } else { Liveness::Alive };
    let mut reach = Reach::Direct;
    let mut request = fixed.to_vec();
    request.extend_from_slice(&(flags & u32::from(ONLINK)).to_ne_bytes());
    // A next-hop object says all about the way; the kernel refuses both at once.
    let by_object = wire::attributes(body).any(|(kind, _)| kind == rta::NH_ID);
    for (kind, value) in wire::attributes(body) {
        let way = matches!(kind, rta::OIF | rta::GATEWAY | rta::VIA | rta::MULTIPATH);
        if kind == rta::CACHEINFO || (way && by_object) {
            continue;
        }
        if matches!(kind, rta::GATEWAY | rta::VIA) {
            reach = Reach::Gateway;
        }
        if kind == rta::MULTIPATH {
            reach = Reach::Gateway;
            let hops = clean_hops(value, &mut liveness);
            push_attribute(&mut request, kind, &hops);
        } else {
            push_attribute(&mut request, kind, value);
        }
    }
    Some(Route { request, liveness, reach })
}

/// `struct rtnexthop`: length (2), flags (1), hops (1), link (4), attributes.
fn clean_hops(value: &[u8], liveness: &mut Liveness) -> Vec<u8> {
    let mut cleaned = Vec::with_capacity(value.len());
    for hop in wire::next_hops(value) {
        let start = cleaned.len();
        cleaned.extend_from_slice(hop);
        if let Some(flags) = cleaned.get_mut(start + 2) {
            if *flags & DEAD != 0 {
                *liveness = Liveness::Dead;
            }
            *flags &= ONLINK;
        }
        cleaned.resize(cleaned.len().next_multiple_of(4), 0);
    }
    cleaned
}

fn push_attribute(request: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let Ok(length) = u16::try_from(value.len() + 4) else { return };
    request.extend_from_slice(&length.to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(value);
    request.resize(request.len().next_multiple_of(4), 0);
}
