//! Where a peer is: its address once it is known, and whose connection one is.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use viplet_backend_api::LinkName;
use viplet_netlink::Kernel;

use super::super::discovery::Discovery;
use super::{Around, Neighbour};
use crate::settings::{PeerAddress, Source};

impl Neighbour {
    /// The peer's address, once it is known.
    pub(in crate::driver) fn address(&self) -> Option<IpAddr> {
        match &self.peer.address {
            PeerAddress::Ip(address) => Some(*address),
            PeerAddress::LinkLocal(address, _) => Some(IpAddr::V6(*address)),
            PeerAddress::Unnumbered(_) => {
                self.discovery.as_ref().and_then(Discovery::neighbour).map(IpAddr::V6)
            }
        }
    }

    pub(super) fn target(&self, around: &Around<'_>) -> Result<SocketAddr, String> {
        let on = |address: Ipv6Addr, link: &LinkName| {
            let known = around.kernel.link_as_known(link);
            let index = known.map(|facts| facts.index);
            let index =
                index.ok_or_else(|| format!("the link {link} does not exist: waiting for it"))?;
            Ok(SocketAddr::V6(SocketAddrV6::new(address, self.peer.port, 0, index)))
        };
        match &self.peer.address {
            PeerAddress::Ip(address) => Ok(SocketAddr::new(*address, self.peer.port)),
            PeerAddress::LinkLocal(address, link) => on(*address, link),
            PeerAddress::Unnumbered(link) => {
                let neighbour = self.discovery.as_ref().and_then(Discovery::neighbour);
                let neighbour = neighbour.ok_or_else(|| {
                    format!(
                        "no router has been seen on {link} yet; asking for one: \
                         is IPv6 on at both ends of the link?"
                    )
                })?;
                on(neighbour, link)
            }
        }
    }

    /// The link that the settings name.
    pub(super) fn link(&self) -> Option<&LinkName> {
        match (&self.peer.address, &self.peer.source) {
            (PeerAddress::LinkLocal(_, link) | PeerAddress::Unnumbered(link), _)
            | (PeerAddress::Ip(_), Source::Link(link)) => Some(link),
            _ => None,
        }
    }

    /// Whether a connection from `from` is this peer's.
    pub(in crate::driver) fn is_at(&self, from: SocketAddr, kernel: &Kernel) -> bool {
        let on = |link: &LinkName| match from {
            SocketAddr::V6(from) => {
                kernel.link_as_known(link).is_some_and(|facts| facts.index == from.scope_id())
            }
            SocketAddr::V4(_) => false,
        };
        match &self.peer.address {
            PeerAddress::Ip(address) => *address == from.ip(),
            PeerAddress::LinkLocal(address, link) => IpAddr::V6(*address) == from.ip() && on(link),
            PeerAddress::Unnumbered(link) => on(link),
        }
    }
}
