//! Next hops of the family that is not the session's: `mpbgp_nexthop`, `mpbgp_ipv4`, `mpbgp_ipv6`,
//! for all peers or for one.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::peer::Common;
use super::reader::Reader;
use super::{Families, NextHop, Peer, PeerAddress, Source};

const MODES: &str = "fixed, auto_sourceip, auto_sourceif";

/// Each of them, if it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NextHops {
    mode: Option<Mode>,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Fixed,
    SourceAddress,
    SourceLink,
}

impl Mode {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "fixed" => Some(Self::Fixed),
            "auto_sourceip" => Some(Self::SourceAddress),
            "auto_sourceif" => Some(Self::SourceLink),
            _ => None,
        }
    }
}

impl NextHops {
    /// Those for all peers.
    pub(super) fn common(reader: &mut Reader<'_>) -> Self {
        let text = reader.text("mpbgp_nexthop");
        let mode = Mode::parse(text);
        if mode.is_none() && !text.is_empty() {
            reader.refuse("mpbgp_nexthop", format!("it is not known; accepted: {MODES}"));
        }
        Self {
            mode,
            v4: reader.value("mpbgp_ipv4", "an IPv4 address, as 192.0.2.1"),
            v6: reader.value("mpbgp_ipv6", "an IPv6 address, as 2001:db8::1"),
        }
    }

    /// Those that one peer says: `mpbgp_nexthop=fixed;mpbgp_ipv4=192.0.2.1`.
    pub(super) fn of_peer(text: &str) -> Result<Self, String> {
        let mut found = Self::default();
        for item in text.split(';').map(str::trim).filter(|item| !item.is_empty()) {
            let (key, value) = item.split_once('=').unwrap_or((item, ""));
            let plain = value.trim().trim_start_matches('[').trim_end_matches(']');
            let known = match key.trim() {
                "mpbgp_nexthop" => {
                    found.mode = Mode::parse(plain);
                    found.mode.is_some() || plain.is_empty()
                }
                "mpbgp_ipv4" => {
                    found.v4 = plain.parse().ok();
                    found.v4.is_some() || plain.is_empty()
                }
                "mpbgp_ipv6" => {
                    found.v6 = plain.parse().ok();
                    found.v6.is_some() || plain.is_empty()
                }
                _ => false,
            };
            if !known {
                return Err(format!(
                    "its MP-BGP part cannot be read; accepted: mpbgp_nexthop= one of {MODES}, \
                     mpbgp_ipv4= an IPv4 address, mpbgp_ipv6= an IPv6 address, separated by ;"
                ));
            }
        }
        Ok(found)
    }

    /// With what all peers have where this one says nothing.
    pub(super) fn or(self, common: &Self) -> Self {
        Self {
            mode: self.mode.or(common.mode),
            v4: self.v4.or(common.v4),
            v6: self.v6.or(common.v6),
        }
    }

    /// What a session with `peer` carries.
    pub(super) fn families(&self, peer: &Peer, common: &Common) -> Result<Families, String> {
        let next_hop = match self.mode {
            None => return Ok(Families::Own),
            Some(Mode::Fixed) => {
                let missing = match &peer.address {
                    PeerAddress::Ip(IpAddr::V4(_)) if self.v6.is_none() => Some("mpbgp_ipv6"),
                    PeerAddress::Ip(IpAddr::V6(_)) | PeerAddress::LinkLocal(..)
                        if self.v4.is_none() =>
                    {
                        Some("mpbgp_ipv4")
                    }
                    PeerAddress::Unnumbered(_) if self.v4.is_none() && self.v6.is_none() => {
                        Some("mpbgp_ipv4 or mpbgp_ipv6")
                    }
                    _ => None,
                };
                if let Some(missing) = missing {
                    return Err(needs(peer, "fixed", missing));
                }
                NextHop::Fixed { v4: self.v4, v6: self.v6 }
            }
            Some(Mode::SourceAddress) => {
                if !matches!(common.source, Source::Address(_)) {
                    return Err(needs(peer, "auto_sourceip", "bgp_sourceip"));
                }
                NextHop::OfSourceAddress
            }
            Some(Mode::SourceLink) => {
                if !matches!(common.source, Source::Link(_)) {
                    return Err(needs(peer, "auto_sourceif", "bgp_sourceif"));
                }
                NextHop::OfSourceLink
            }
        };
        Ok(Families::Both(next_hop))
    }
}

fn needs(peer: &Peer, mode: &str, what: &str) -> String {
    format!(
        "mpbgp_nexthop {mode} needs {what} for the peer {}; accepted: both, or neither",
        peer.name()
    )
}
