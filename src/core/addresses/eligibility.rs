//! What keeps this node from holding an address: endpoints, the holder by another right, the node
//! itself.

use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::{LinkName, LinkState};

use super::handover::Case;
use super::link::missing_link;
use super::{Addresses, Authority, Requester, View};
use crate::core::cluster::endpoints::{Anywhere, NodeId};
use crate::core::cluster::record::{ServiceName, TrafficPolicy};
use crate::core::cluster::{Cluster, Listed};
use crate::core::context::Around;
use crate::core::observed::state_text;
use crate::core::rights::{Rights, Scope};
use crate::core::settings::{LinkNotUp, OnLinkDown};

/// An address whose last endpoint anywhere has gone is held so long, for endpoints that flap.
pub(super) const LINGER: Duration = Duration::from_secs(3);
/// The holder of the Lease for all has the better right to a Service that it can serve, once it
/// has been able to for so long.
pub(super) const LEADER_STEADY: Duration = Duration::from_secs(2);

/// Why this node may not hold an address now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ineligibility {
    /// Endpoints have not been read yet.
    Unread,
    /// No usable endpoint anywhere.
    NoEndpoints,
    /// Usable endpoints on other nodes only (`externalTrafficPolicy: Local`).
    EndpointsElsewhere(Box<[NodeId]>),
    /// The holder of the Lease for all has endpoints of its own.
    LeaderServes(Box<str>),
    /// Somebody still has it under the Lease that decided before.
    StillHeld(Box<str>),
    /// The Lease says that another one decides, and this node has not heard of that change.
    Outdated,
    /// Something about this node: its link, the kernel.
    Node(Box<str>),
}

impl Ineligibility {
    /// What it is about.
    #[must_use]
    pub(crate) const fn scope(&self) -> Scope {
        match self {
            Self::Node(_) => Scope::Node,
            _ => Scope::Subject,
        }
    }

    /// The reason for a person; `node` is this one.
    #[must_use]
    pub(crate) fn text(&self, cluster: &Cluster, node: &str) -> String {
        match self {
            Self::Unread => "endpoints have not been read from the API server yet".to_owned(),
            Self::NoEndpoints => "no node has an endpoint that takes traffic".to_owned(),
            Self::EndpointsElsewhere(nodes) => {
                let names: Vec<&str> = nodes.iter().map(|id| cluster.node_name(*id)).collect();
                let names = names.join(", ");
                format!(
                    "its endpoints are on {names} and not on {node} (externalTrafficPolicy Local)"
                )
            }
            Self::LeaderServes(leader) => {
                format!("{leader} holds the lease for all and has an endpoint of its own")
            }
            Self::StillHeld(holder) => {
                format!("{holder} has it still, under the lease that decided before")
            }
            Self::Outdated => "its lease says that another one decides about the address; this \
                node waits to hear of that change from the API server"
                .to_owned(),
            Self::Node(why) => why.to_string(),
        }
    }
}

impl Addresses {
    /// Finds what keeps this node from holding an address now.
    pub(super) fn find_eligibility(
        &mut self,
        ip: IpAddr,
        rights: &mut Rights,
        around: &Around<'_>,
    ) {
        let endpoints = self.by_endpoints(ip, rights, around);
        let endpoints = self.lingering(ip, endpoints, around);
        let handover = self.by_handover(ip, rights, around);
        let view = View { addresses: self, rights, around };
        let node = || view.by_node(ip).map(|why| Ineligibility::Node(why.into()));
        let found = endpoints.or(handover).or_else(node);
        let Some(address) = self.all.get_mut(&ip) else { return };
        if address.ineligible == found {
            return;
        }
        address.ineligible = found;
        let leases = address.authority.lease().into_iter().chain(&address.under);
        leases.for_each(|lease| rights.look_at(lease));
        self.tell_requesters(ip);
    }

    /// Whether an address that came from another right may be taken yet.
    fn by_handover(
        &mut self,
        ip: IpAddr,
        rights: &mut Rights,
        around: &Around<'_>,
    ) -> Option<Ineligibility> {
        let address = self.all.get(&ip)?;
        let case = Case { ip, address, rights, around };
        let still_held = self.handovers.still_held(&case);
        let outdated = self.handovers.outdated(&case);
        self.handovers.leases_before(ip).for_each(|lease| rights.look_at(lease));
        still_held.map(Ineligibility::StillHeld).or(outdated.then_some(Ineligibility::Outdated))
    }

    /// Whether endpoints allow it (EP-2 to EP-4). Services that share an address need a node that
    /// suits all of them; one that no such node is found for gives way to the older ones.
    fn by_endpoints(
        &mut self,
        ip: IpAddr,
        rights: &Rights,
        around: &Around<'_>,
    ) -> Option<Ineligibility> {
        let nodes = around.cluster.nodes_listed();
        let nodes_due = nodes == Listed::No && self.site.is_early(around.now);
        if around.cluster.endpoints_listed() == Listed::No || nodes_due {
            return Some(Ineligibility::Unread);
        }
        let view = View { addresses: self, rights, around };
        view.get(ip)?;
        let places = match view.places(&view.accepted(ip)) {
            Places::None => return Some(Ineligibility::NoEndpoints),
            Places::Anywhere => return None,
            Places::On(nodes) => nodes,
        };
        if !around.cluster.is_among(&self.site.node, &places) {
            return Some(Ineligibility::EndpointsElsewhere(places.into()));
        }
        self.by_leader(ip, &places, rights, around)
    }

    /// With one Lease for all, its holder has what it can serve.
    fn by_leader(
        &mut self,
        ip: IpAddr,
        places: &[NodeId],
        rights: &Rights,
        around: &Around<'_>,
    ) -> Option<Ineligibility> {
        let leader = rights.leader(around).filter(|leader| *leader != self.site.node);
        let serves = leader.filter(|leader| around.cluster.is_among(leader, places));
        let for_all = &self.site.settings.lease;
        let address = self.all.get_mut(&ip)?;
        let own_lease = address.authority.lease().is_some_and(|lease| **lease != *for_all);
        let Some(leader) = serves.filter(|_| own_lease) else {
            address.leader_since = None;
            return None;
        };
        let since = *address.leader_since.get_or_insert(around.now);
        let steady = address.under.is_none() || around.now >= since + LEADER_STEADY;
        steady.then(|| Ineligibility::LeaderServes(leader.into()))
    }

    /// Where no node has an endpoint, whoever holds the address keeps it a moment longer.
    fn lingering(
        &mut self,
        ip: IpAddr,
        found: Option<Ineligibility>,
        around: &Around<'_>,
    ) -> Option<Ineligibility> {
        let address = self.all.get_mut(&ip)?;
        if found != Some(Ineligibility::NoEndpoints) || !address.is_had() {
            address.endless_since = None;
            return found;
        }
        let since = *address.endless_since.get_or_insert(around.now);
        found.filter(|_| around.now >= since + LINGER)
    }
}

impl View<'_> {
    /// Where the endpoints of Services that share an address allow it to be.
    #[must_use]
    pub(crate) fn places(&self, accepted: &[&Requester]) -> Places {
        let mut found = Places::None;
        let cluster = self.around.cluster;
        for record in accepted.iter().filter_map(|one| cluster.service(&one.service)) {
            let reach = cluster.reach(&record.name);
            let served = record.is_served_without_endpoints();
            if reach.anywhere == Anywhere::Nowhere && !served {
                continue;
            }
            let own = match record.policy {
                TrafficPolicy::Cluster => Places::Anywhere,
                TrafficPolicy::Local if reach.nodes.is_empty() => continue,
                TrafficPolicy::Local => Places::On(reach.nodes),
            };
            found = found.and(own);
        }
        found
    }

    /// Where one Service's endpoints allow its address to be.
    #[must_use]
    pub(crate) fn places_for(&self, service: &ServiceName, ip: IpAddr) -> Places {
        let own = self.get(ip);
        let requester =
            own.and_then(|address| address.requesters.iter().find(|one| one.service == *service));
        requester.map_or(Places::Anywhere, |requester| self.places(&[requester]))
    }

    /// Whether a node has no endpoint for an address that needs one there.
    #[must_use]
    pub(crate) fn is_out_of_reach(&self, ip: IpAddr, node: &str) -> bool {
        if self.get(ip).is_none() {
            return false;
        }
        match self.places(&self.accepted(ip)) {
            Places::None | Places::Anywhere => false,
            Places::On(nodes) => !self.around.cluster.is_among(node, &nodes),
        }
    }

    /// What keeps this node from holding any address like this one.
    fn by_node(&self, ip: IpAddr) -> Option<String> {
        let address = self.get(ip)?;
        if address.authority == Authority::ControlPlane {
            return None;
        }
        let vip = match self.vip(ip) {
            Err(why) => return Some(why),
            Ok(vip) => vip,
        };
        let holding = if address.is_had() { Holding::Yes } else { Holding::No };
        if let Some(why) = self.by_link(&vip.link, holding) {
            return Some(why);
        }
        if let Some(own) = self.around.observed.own_of_node(ip, &vip.link) {
            return Some(format!(
                "{ip} is this node's own address on {}: it is never taken and never removed",
                own.link
            ));
        }
        address.claim.as_ref()?.kept_out(self.around.now).map(str::to_owned)
    }

    fn by_link(&self, link: &LinkName, holding: Holding) -> Option<String> {
        let (around, settings) = (self.around, &self.addresses.site.settings);
        let Some(seen) = around.observed.link(link) else {
            return Some(missing_link(link));
        };
        let given_up = match settings.on_link_down {
            OnLinkDown::Keep => false,
            OnLinkDown::Yield(after) => {
                seen.down_since.is_some_and(|since| around.now >= since + after)
            }
        };
        let borne = match holding {
            Holding::Yes => !given_up,
            Holding::No => settings.link_not_up == LinkNotUp::Allow && !given_up,
        };
        let up = seen.link.state == LinkState::Up;
        (!up && !borne)
            .then(|| format!("interface {link} is {}: waiting for it", state_text(seen.link.state)))
    }
}

/// Whether this node has the address in question.
enum Holding {
    No,
    Yes,
}

/// Where endpoints allow an address to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Places {
    /// Nowhere.
    None,
    /// On any node.
    Anywhere,
    /// On these, in order.
    On(Vec<NodeId>),
}

impl Places {
    /// Where both can be; the older one's where there is no such place.
    fn and(self, younger: Self) -> Self {
        match (self, younger) {
            (Self::None | Self::Anywhere, other) | (other, Self::Anywhere | Self::None) => other,
            (Self::On(older), Self::On(younger)) => {
                let both: Vec<NodeId> =
                    older.iter().copied().filter(|node| younger.contains(node)).collect();
                Self::On(if both.is_empty() { older } else { both })
            }
        }
    }
}
