//! What a person says about this speaker and its peers: read from text in `read`, once; completed
//! by the node's annotations and files of passwords in `declared`.

mod attributes;
mod declared;
mod next_hop;
mod node;
mod password;
mod peer;
mod read;
mod reader;

pub use declared::{Declared, Reading};
pub use password::{File, from_disk};
pub use read::declare;
pub use viplet_bfd::Settings as Bfd;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use viplet_backend_api::LinkName;

/// This speaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `bgp_as`: our AS number, not 0.
    pub local_as: u32,
    /// `bgp_routerid`, `bgp_routerinterface`: the BGP Identifier (RFC 4271 §4.2).
    pub router_id: RouterId,
    /// What every route carries beside the mandatory attributes.
    pub attributes: Attributes,
    /// How long peers keep our routes while we restart (RFC 4724).
    pub graceful_restart: GracefulRestart,
    /// How long a planned stop lasts between GRACEFUL_SHUTDOWN (RFC 8326) and the withdrawal.
    pub graceful_shutdown: Duration,
    /// Whether connections are taken too, and at which port.
    pub listen: Listen,
    /// The peers, each key ([`Peer::name`]) once.
    pub peers: Vec<Peer>,
}

/// Where the BGP Identifier comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouterId {
    /// This one.
    Fixed(Ipv4Addr),
    /// The first IPv4 address of this link.
    OfLink(LinkName),
    /// The source address, else the node's first global IPv4 address, else one made of the node's
    /// IPv6 address.
    Automatic,
}

/// Path attributes beyond the mandatory ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// COMMUNITIES (RFC 1997), `65000:1` as its 32 bits.
    pub communities: Vec<u32>,
    /// LARGE_COMMUNITY (RFC 8092).
    pub large_communities: Vec<[u32; 3]>,
    /// LOCAL_PREF, to iBGP peers only.
    pub local_preference: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// How often our AS number is prepended beyond once, to eBGP peers only.
    pub prepend: u8,
}

/// Graceful restart, RFC 4724.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GracefulRestart {
    /// The capability is not announced.
    Off,
    /// Peers keep our routes for so many seconds, 1 to 4095.
    Within(u16),
}

/// Whether connections of peers are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// We connect (kube-vip does only that).
    No,
    /// At this port too.
    Port(u16),
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Whom to reach.
    pub address: PeerAddress,
    /// The TCP port, 179 unless said otherwise.
    pub port: u16,
    /// Its AS number.
    pub remote_as: RemoteAs,
    /// TCP MD5 (RFC 2385).
    pub password: Option<Password>,
    /// How far away it may be.
    pub distance: Distance,
    /// Where we speak from.
    pub source: Source,
    /// Next hops of the families.
    pub families: Families,
    /// Hold time that we propose: zero, or three seconds and more (RFC 4271 §4.2).
    pub hold: Duration,
    /// Time between two KEEPALIVEs; at most a third of the negotiated hold time is used.
    pub keepalive: Duration,
    /// BFD, when it is wanted.
    pub bfd: Option<Bfd>,
}

/// How to find a peer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerAddress {
    /// At this address; a link-local one needs a link: [`PeerAddress::LinkLocal`].
    Ip(IpAddr),
    /// At this link-local address.
    LinkLocal(Ipv6Addr, LinkName),
    /// Whoever is the router at the other end of this link (`unnumbered:eth0`), by its link-local
    /// address, learned from router advertisements or the neighbour table.
    Unnumbered(LinkName),
}

/// The AS number that a peer has to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteAs {
    /// This one.
    Number(u32),
    /// Any but ours (`unnumbered:eth0` without a number).
    External,
}

/// A secret that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(********)")
    }
}

/// How far away a peer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// On the same link: sent with TTL 1 to an eBGP peer, any TTL to an iBGP peer.
    Direct,
    /// `multihop`: sent with this TTL.
    Multihop(u8),
    /// GTSM (RFC 5082): sent with 255; what has come over more than so many hops is not heard.
    Secured(u8),
}

/// Where we speak from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Wherever the kernel says.
    Any,
    /// `bgp_sourceip`.
    Address(IpAddr),
    /// `bgp_sourceif`: the socket is bound to the link.
    Link(LinkName),
}

/// Which families a session carries, and the next hops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Families {
    /// That of the session, next hop self (kube-vip without MP-BGP); the other family too where
    /// the peer can do RFC 8950 (IPv4 over an IPv6 next hop) or the node has an address of it.
    Own,
    /// `mpbgp_nexthop`: both (RFC 4760); the next hop of the family that is not the session's.
    Both(NextHop),
}

/// The next hop of the family that is not the session's (BGP-6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// `fixed`: `mpbgp_ipv4` and `mpbgp_ipv6`.
    Fixed {
        /// For IPv4 routes.
        v4: Option<Ipv4Addr>,
        /// For IPv6 routes.
        v6: Option<Ipv6Addr>,
    },
    /// `auto_sourceip`: the first address that is not link-local of the link which has the source address.
    OfSourceAddress,
    /// `auto_sourceif`: the first address that is not link-local of the source link.
    OfSourceLink,
}

impl Peer {
    /// How a peer is called in status, metrics and logs: its address, or its link.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.address {
            PeerAddress::Ip(address) => address.to_string(),
            PeerAddress::LinkLocal(address, link) => format!("{address}%{link}"),
            PeerAddress::Unnumbered(link) => format!("unnumbered:{link}"),
        }
    }
}
