//! What is offered to a peer: our OPEN, next hops, and the attributes of routes.

use std::net::Ipv4Addr;

use viplet_backend_api::LinkName;

use super::neighbour::{Around, Leaving};
use super::node_addresses::{LocalNextHops, NodeAddresses};
use crate::machine::Terms;
use crate::settings::{Families, GracefulRestart, Peer, Source};
use crate::wire::Family;
use crate::wire::open::{AsWidth, Capabilities, NextHops, Open, Restart};
use crate::wire::update::{GRACEFUL_SHUTDOWN, NextHop, Path, Relation};

/// Without `bgp_local_preference` (the default of most speakers).
const LOCAL_PREFERENCE: u32 = 100;

/// What we say of ourselves.
pub(super) fn open(
    peer: &Peer,
    identifier: Ipv4Addr,
    hops: &LocalNextHops,
    around: &Around<'_>,
) -> Open {
    let mut families = Vec::new();
    families.extend((hops.v4.is_some() || hops.v4_over_v6.is_some()).then_some(Family::V4));
    families.extend(hops.v6.is_some().then_some(Family::V6));
    let graceful_restart = match around.settings.graceful_restart {
        GracefulRestart::Off => None,
        GracefulRestart::Within(seconds) => {
            Some(Restart { phase: around.phase, seconds, preserved: families.clone() })
        }
    };
    Open {
        asn: around.settings.local_as,
        hold: u16::try_from(peer.hold.as_secs()).unwrap_or(u16::MAX),
        identifier,
        capabilities: Capabilities {
            families,
            as_width: AsWidth::Four,
            next_hops: hops.extended(),
            graceful_restart,
        },
    }
}

/// The link whose addresses are next hops, where the settings say so.
pub(super) fn hop_link<'a>(peer: &'a Peer, node: &'a NodeAddresses) -> Option<&'a LinkName> {
    use crate::settings::NextHop::{OfSourceAddress, OfSourceLink};
    match (&peer.families, &peer.source) {
        (Families::Both(OfSourceAddress), Source::Address(address)) => node.link_of(*address),
        (Families::Both(OfSourceLink), Source::Link(link)) => Some(link),
        _ => None,
    }
}

/// MP-BGP where one family has no next hop costs that family, not the session.
pub(super) fn missing(peer: &Peer, hops: &LocalNextHops) -> Option<String> {
    if peer.families == Families::Own {
        return None;
    }
    let (family, setting) = match (hops.v4, hops.v6) {
        (None, _) if hops.v4_over_v6.is_none() => (Family::V4, "mpbgp_ipv4"),
        (_, None) => (Family::V6, "mpbgp_ipv6"),
        _ => return None,
    };
    Some(format!(
        "no next hop for {} (mpbgp_nexthop): its addresses are not announced to this peer; \
         give the node an address of it, or set {setting}",
        family.name()
    ))
}

/// What all routes to a peer carry now.
pub(super) fn path(around: &Around<'_>, relation: Relation, as_width: AsWidth) -> Path {
    let attributes = &around.settings.attributes;
    let mut communities = attributes.communities.clone();
    let mut local_preference = attributes.local_preference.unwrap_or(LOCAL_PREFERENCE);
    if around.leaving == Leaving::Soon {
        communities.insert(0, GRACEFUL_SHUTDOWN);
        local_preference = 0;
    }
    Path {
        relation,
        local_as: around.settings.local_as,
        as_width,
        prepend: attributes.prepend,
        local_preference,
        med: attributes.med,
        communities,
        large_communities: attributes.large_communities.clone(),
    }
}

/// Where a family's routes go over a session; `None`: the peer cannot use any next hop of ours.
pub(super) fn next_hop(
    family: Family,
    hops: &LocalNextHops,
    terms: &Terms,
    peer: &Peer,
) -> Option<NextHop> {
    let extended = hops.v4_over_v6.filter(|_| terms.next_hops == NextHops::Extended);
    let extended = extended.map(NextHop::Multiprotocol);
    let classic = hops.v4.map(NextHop::Classic);
    match (family, &peer.families) {
        (Family::V6, _) => hops.v6.map(NextHop::Multiprotocol),
        (Family::V4, Families::Own) => extended.or(classic),
        // What the settings name comes first.
        (Family::V4, Families::Both(_)) => classic.or(extended),
    }
}
