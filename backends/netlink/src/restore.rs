//! What the removal of an IPv4 address takes along, and how it is put back.
//!
//! With the last IPv4 address of a link the kernel flushes every route through that link, in all
//! tables and without a message; with a primary address it removes its secondaries (unless
//! `promote_secondaries` is set). Both are read before, and what is missing after is added again
//! from the kernel's own bytes, so that no attribute is lost.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE};

use viplet_backend_api::LinkName;

use crate::encode::{Dump, push_attribute};
use crate::error::errno;
use crate::request::{Change, Failure, Requests};
use crate::wire::{self, AddressRecord, Frame, Message, rta, rtm};

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
                let added = requests.change(&Change::heard(rtm::NEWADDR, NLM_F_CREATE, payload));
                report(&format!("{}/{}", record.address, record.prefix_len), added);
            }
        }
        self.routes.sort_by_key(|route| route.reach);
        for route in self.routes.iter().filter(|route| route.liveness == Liveness::Alive) {
            let found = now.routes.iter().find(|other| other.request == route.request);
            match found.map(|other| other.liveness) {
                Some(Liveness::Alive) => continue,
                // A replace would find the next hops equal and leave the dead one dead.
                Some(Liveness::Dead) => {
                    drop(requests.change(&Change::heard(rtm::DELROUTE, 0, &route.request)));
                }
                None => {}
            }
            let flags = NLM_F_CREATE | NLM_F_APPEND;
            let addition = Change::heard(rtm::NEWROUTE, flags, &route.request);
            report("a route", requests.change(&addition));
        }
    }
}

/// Whether the kernel makes a secondary address of the link the primary one when that goes; if it
/// cannot be read: no.
pub(crate) fn promotes_secondaries(link: &LinkName) -> bool {
    ["all", link.as_str()].iter().any(|name| {
        let path = format!("/proc/sys/net/ipv4/conf/{name}/promote_secondaries");
        std::fs::read_to_string(path).is_ok_and(|value| value.trim() != "0")
    })
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

/// The link's IPv4 addresses in the kernel's order, each with the bytes that describe it.
pub(crate) fn read_addresses(
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A route header with `flags`, then `attributes`.
    fn dumped(flags: u32, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![2, 16, 0, 0, 254, 4, 0, 1];
        bytes.extend_from_slice(&flags.to_ne_bytes());
        for (kind, value) in attributes {
            push_attribute(&mut bytes, *kind, value);
        }
        bytes
    }

    #[test]
    fn a_route_by_a_next_hop_object_is_asked_for_by_the_object_alone() {
        let bytes =
            dumped(0, &[(rta::OIF, &[1; 4]), (rta::GATEWAY, &[2; 4]), (rta::NH_ID, &[3; 4])]);
        let route = request_of(&bytes).unwrap();
        assert_eq!(route.request, dumped(0, &[(rta::NH_ID, &[3; 4])]));
    }

    #[test]
    fn what_the_kernel_says_of_liveness_is_not_asked_for() {
        let hop = |flags: u8| [8, 0, flags, 0, 7, 0, 0, 0];
        for flags in [DEAD, DEAD | ONLINK | 16] {
            let bytes = dumped(u32::from(flags), &[(rta::OIF, &[1; 4])]);
            let route = request_of(&bytes).unwrap();
            let expected = dumped(u32::from(flags & ONLINK), &[(rta::OIF, &[1; 4])]);
            assert_eq!((route.request, route.liveness), (expected, Liveness::Dead));
            let bytes = dumped(0, &[(rta::MULTIPATH, &[hop(0), hop(flags)].concat())]);
            let route = request_of(&bytes).unwrap();
            let hops = [hop(0), hop(flags & ONLINK)].concat();
            let expected = dumped(0, &[(rta::MULTIPATH, &hops)]);
            assert_eq!((route.request, route.liveness), (expected, Liveness::Dead));
        }
    }

    proptest! {
        #[test]
        fn bytes_from_nowhere_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = request_of(&bytes);
        }

        #[test]
        fn hops_from_nowhere_never_panic(hops in prop::collection::vec(0_u8..24, 0..100)) {
            let _ = request_of(&dumped(0, &[(rta::MULTIPATH, &hops)]));
        }
    }
}
