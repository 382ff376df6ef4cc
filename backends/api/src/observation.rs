//! What a backend reports: the state it observed, whole or piece by piece.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::LinkName;

/// A hardware address: 6 bytes on Ethernet, 20 on IPoIB, none on `lo`-like links.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HardwareAddress(pub Vec<u8>);

impl fmt::Display for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// What sort of link it is: its link layer by `ARPHRD_*` (`linux/if_arp.h`), and whether it has one
/// at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LinkKind {
    /// `ARPHRD_ETHER`.
    Ethernet,
    /// `ARPHRD_INFINIBAND` (RFC 4391).
    Infiniband,
    /// `ARPHRD_LOOPBACK`.
    Loopback,
    /// Drops or hands back what is sent, whatever it looks like (`IFLA_INFO_KIND` is `dummy`, `ifb`
    /// or `nlmon`). Service proxies bind every Service's address to such a link, on every node
    /// (kube-proxy's `kube-ipvs0`, kube-router's `kube-dummy-if`).
    Dummy,
    /// Anything else: addresses can be put on it, nothing is announced.
    Other,
}

impl LinkKind {
    /// Whether other stations can be on the link.
    #[must_use]
    pub const fn is_on_a_segment(self) -> bool {
        !matches!(self, Self::Loopback | Self::Dummy)
    }
}

/// RFC 2863 operational state, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LinkState {
    /// Administratively up, with carrier; `IF_OPER_UNKNOWN` with carrier counts as up.
    Up,
    /// Administratively up, without carrier (cable, bridge port, lower link).
    NoCarrier,
    /// `IFF_UP` is not set.
    AdminDown,
}

/// Whether a default route of the main table leaves through the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum DefaultRoute {
    /// No.
    None,
    /// Only the IPv6 one.
    V6,
    /// The IPv4 one (and maybe the IPv6 one too).
    V4,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Link {
    /// Its name.
    pub name: LinkName,
    /// Its other names (`IFLA_ALT_IFNAME`), which settings may use as well.
    pub altnames: Vec<String>,
    /// Its link layer.
    pub kind: LinkKind,
    /// Whether it can carry traffic.
    pub state: LinkState,
    /// Its hardware address.
    pub hardware: HardwareAddress,
    /// Whether the default route leaves through it (multipath: the first next hop).
    pub default_route: DefaultRoute,
}

/// Whose an address on a link is (design law 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Owner {
    /// Ours: it carries our `IFA_PROTO` tag (or, before Linux 5.18, looks exactly as we install).
    Viplet,
    /// No tag, deprecated (`preferred_lft` 0) and permanent: the form in which kube-vip leaves
    /// its VIPs behind. Ours to take over if, and only if, it is an address that we want.
    Predecessor,
    /// No tag, for ever, with the length of a single host, and not the node's main address: put
    /// there by hand (`ip address`, cloud-init) or by kube-vip up to 0.8. Ours to take over if it
    /// is an address that we want on that very link; otherwise the node's.
    Unmarked,
    /// The node's own: never taken, never removed.
    Node,
}

/// Whether the kernel uses an address yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Usability {
    /// It answers.
    Usable,
    /// Duplicate detection is still running (`IFA_F_TENTATIVE`).
    Tentative,
    /// Duplicate detection found another (`IFA_F_DADFAILED`).
    Duplicate,
}

/// One address on one link. Where a backend makes addresses known without putting them on a link,
/// those that it makes known are reported as being on the link that the command named.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Address {
    /// The link that carries it.
    pub link: LinkName,
    /// IPv4 or IPv6, without a prefix length.
    pub address: IpAddr,
    /// Its prefix length, 0 to 32 or 128.
    pub prefix_len: u8,
    /// Whether viplet may touch it.
    pub owner: Owner,
    /// What was left of its valid lifetime when this was reported; `None`: for ever.
    pub valid_for: Option<Duration>,
    /// Whether it answers.
    pub usability: Usability,
}

/// All links and addresses at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Observation {
    /// Every link.
    pub links: Vec<Link>,
    /// Every address.
    pub addresses: Vec<Address>,
}

/// Somebody else on the segment claims an address that is held here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rival {
    /// The address that both claim.
    pub address: IpAddr,
    /// The link on which it was heard.
    pub link: LinkName,
    /// Who claims it.
    pub hardware: HardwareAddress,
}

/// Something that a backend observed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Notice {
    /// Everything afresh: swap it in whole.
    Snapshot(Observation),
    /// The monitor failed; a snapshot follows when the dump works again.
    Blind(crate::Refusal),
    /// A link appeared or changed.
    Link(Link),
    /// A link is gone, and its addresses with it.
    LinkGone(LinkName),
    /// An address appeared or changed.
    Address(Address),
    /// An address is gone from a link.
    AddressGone {
        /// The link that no longer carries it.
        link: LinkName,
        /// The address, whatever its prefix length was.
        address: IpAddr,
    },
    /// Another station announced one of the addresses held here.
    Rival(Rival),
    /// More or fewer peers have heard of an address.
    Reach(Reach),
}

/// How many of its peers a backend has told of an address that is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Reach {
    /// The address that is announced to peers.
    pub address: IpAddr,
    /// Peers that were told.
    pub told: u32,
    /// All peers.
    pub of: u32,
}
