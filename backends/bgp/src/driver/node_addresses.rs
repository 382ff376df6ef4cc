//! The node's own addresses as the kernel reported them: router id, next hops, indices of links.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use viplet_backend_api::{Address, Link, LinkName, Notice, Observation, Owner, Usability};

use crate::settings::{Families, NextHop, Peer, RouterId, Source};
use crate::wire::open::NextHops;

/// The node's own addresses: no virtual ones.
#[derive(Debug, Default)]
pub(super) struct NodeAddresses {
    addresses: BTreeSet<(LinkName, IpAddr)>,
    /// Alternative names by which settings may call a link, and its own name.
    altnames: BTreeMap<LinkName, LinkName>,
}

/// Next hops for one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LocalNextHops {
    /// For IPv4 routes.
    pub(super) v4: Option<Ipv4Addr>,
    /// For IPv6 routes.
    pub(super) v6: Option<Ipv6Addr>,
    /// For IPv4 routes to a peer that can do RFC 8950.
    pub(super) v4_over_v6: Option<Ipv6Addr>,
}

impl LocalNextHops {
    pub(super) fn extended(&self) -> NextHops {
        if self.v4_over_v6.is_some() { NextHops::Extended } else { NextHops::SameFamily }
    }
}

impl NodeAddresses {
    pub(super) fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Snapshot(observation) => self.replace(observation),
            Notice::Address(address) => self.address(address),
            Notice::AddressGone { link, address } => {
                self.addresses.remove(&(link.clone(), *address));
            }
            Notice::Link(link) => self.names_of(link),
            Notice::LinkGone(gone) => {
                self.addresses.retain(|(link, _)| link != gone);
                self.altnames.retain(|_, link| link != gone);
            }
            _ => {}
        }
    }

    pub(super) fn replace(&mut self, observation: &Observation) {
        self.addresses.clear();
        self.altnames.clear();
        observation.links.iter().for_each(|link| self.names_of(link));
        observation.addresses.iter().for_each(|address| self.address(address));
    }

    fn names_of(&mut self, link: &Link) {
        self.altnames.retain(|_, known| *known != link.name);
        let names = link.altnames.iter().filter_map(|name| LinkName::new(name));
        self.altnames.extend(names.map(|name| (name, link.name.clone())));
    }

    fn address(&mut self, address: &Address) {
        let key = (address.link.clone(), address.address);
        if address.owner == Owner::Node && address.usability == Usability::Usable {
            self.addresses.insert(key);
        } else {
            self.addresses.remove(&key);
        }
    }

    /// The link that has `wanted`.
    pub(super) fn link_of(&self, wanted: IpAddr) -> Option<&LinkName> {
        self.addresses.iter().find(|(_, address)| *address == wanted).map(|(link, _)| link)
    }

    /// The addresses of a link, by its own name or an alternative one.
    fn on(&self, wanted: &LinkName) -> impl Iterator<Item = IpAddr> {
        let wanted = self.altnames.get(wanted).unwrap_or(wanted).clone();
        self.addresses.iter().filter(move |(link, _)| *link == wanted).map(|(_, address)| *address)
    }

    fn v4_on(&self, link: &LinkName) -> Option<Ipv4Addr> {
        self.on(link).find_map(global_v4)
    }

    fn v6_on(&self, link: &LinkName) -> Option<Ipv6Addr> {
        self.on(link).find_map(global_v6)
    }

    fn all(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().map(|(_, address)| *address)
    }

    /// The BGP Identifier.
    ///
    /// # Errors
    /// With what is missing.
    pub(super) fn router_id(&self, wanted: &RouterId, peers: &[Peer]) -> Result<Ipv4Addr, String> {
        match wanted {
            RouterId::Fixed(id) => Ok(*id),
            RouterId::OfLink(link) => self.v4_on(link).ok_or_else(|| {
                format!("{link} (bgp_routerinterface) has no IPv4 address to be the router id: waiting for one, or set bgp_routerid")
            }),
            RouterId::Automatic => self.automatic(peers).ok_or_else(|| {
                "the node has no address to make a router id of: waiting for one, or set bgp_routerid".to_owned()
            }),
        }
    }

    fn automatic(&self, peers: &[Peer]) -> Option<Ipv4Addr> {
        let source = peers.iter().find_map(|peer| match &peer.source {
            Source::Address(IpAddr::V4(address)) => Some(*address),
            Source::Link(link) => self.v4_on(link),
            _ => None,
        });
        let made = || self.all().find_map(global_v6).map(|address| made_of(&address));
        source.or_else(|| self.all().find_map(global_v4)).or_else(made)
    }

    /// Next hops for a connection from `local`; `on` is the link that the settings name, if they do.
    pub(super) fn hops(&self, peer: &Peer, local: IpAddr, on: Option<&LinkName>) -> LocalNextHops {
        let link = on.or_else(|| self.link_of(local));
        let v4_near = || link.and_then(|link| self.v4_on(link));
        let v6_near = || link.and_then(|link| self.v6_on(link));
        let (other_v4, other_v6) = match &peer.families {
            Families::Own => (
                v4_near().or_else(|| self.all().find_map(global_v4)),
                v6_near().or_else(|| self.all().find_map(global_v6)),
            ),
            Families::Both(NextHop::Fixed { v4, v6 }) => (*v4, *v6),
            Families::Both(NextHop::OfSourceAddress | NextHop::OfSourceLink) => {
                (v4_near(), v6_near())
            }
        };
        match local {
            IpAddr::V4(local) => LocalNextHops { v4: Some(local), v6: other_v6, v4_over_v6: None },
            IpAddr::V6(local) => {
                LocalNextHops { v4: other_v4, v6: Some(local), v4_over_v6: Some(local) }
            }
        }
    }
}

fn global_v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(v4) if !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified() => {
            Some(v4)
        }
        _ => None,
    }
}

fn global_v6(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(v6)
            if !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified() =>
        {
            Some(v6)
        }
        _ => None,
    }
}

/// An identifier that is the same on every run, and most likely no other node's.
fn made_of(address: &Ipv6Addr) -> Ipv4Addr {
    let hash = address
        .octets()
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    Ipv4Addr::from(hash.max(1))
}

#[cfg(test)]
mod tests;
