//! What stands in the way of holding an address on this node: endpoints, a former holder, the
//! node itself.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use viplet_backend_api::{LinkName, LinkState};

use crate::core::addresses::requester::{Authority, Obstacle, Tenant};
use crate::core::cluster::endpoints::{Anywhere, NodeId};
use crate::core::observed::state_text;
use crate::core::services::{Around, Entry, Listed, PATIENCE, Services};
use crate::core::settings::{LinkNotUp, OnLinkDown};
use crate::core::time::Moment;

/// An address whose last endpoint anywhere has gone is held so long, for endpoints that flap.
pub(in crate::core) const LINGER: Duration = Duration::from_secs(3);
/// The holder of the Lease for all has the better right to a Service that it can serve, once it
/// has been able to for so long.
pub(in crate::core) const LEADER_STEADY: Duration = Duration::from_secs(2);

impl Services {
    /// Finds what stands in the way of an address on this node now.
    pub(in crate::core) fn plan_obstacle(&mut self, ip: IpAddr, around: &Around<'_>) {
        let found = self.find_obstacle(ip, around);
        let Some(address) = self.addresses.get_mut(&ip) else { return };
        if address.obstacle == found {
            return;
        }
        address.obstacle = found;
        let lease = match &address.authority {
            Authority::Lease(lease) => Some(Rc::clone(lease)),
            _ => None,
        };
        self.agenda.seats.extend(lease.into_iter().chain(address.under.clone()));
        self.tell_tenants(ip);
    }

    fn find_obstacle(&mut self, ip: IpAddr, around: &Around<'_>) -> Option<Obstacle> {
        let endpoints = self.endpoint_obstacle(ip, around);
        let endpoints = self.lingering(ip, endpoints, around.now);
        let former = self.former_obstacle(ip, around);
        let bar = self.bar(ip, around);
        let node = || self.node_obstacle(ip, around).map(|why| Obstacle::Node(why.into()));
        endpoints.or(former).or(bar).or_else(node)
    }

    /// Whether endpoints allow it (EP-2 to EP-4). Services that share an address need a node that
    /// suits all of them; one that no such node is found for gives way to the older ones.
    fn endpoint_obstacle(&mut self, ip: IpAddr, around: &Around<'_>) -> Option<Obstacle> {
        let nodes_due = around.now < self.started + PATIENCE;
        if self.endpoints_listed == Listed::No || (self.nodes_listed == Listed::No && nodes_due) {
            return Some(Obstacle::Unread);
        }
        let taken = self.taken(ip, around);
        let address = self.addresses.get(&ip)?;
        let tenants = address.accepted(&taken, |service| self.ports(service));
        let places = match self.places(&tenants) {
            Places::None => return Some(Obstacle::NoEndpoints),
            Places::Anywhere => return None,
            Places::On(nodes) => nodes,
        };
        let here = self.endpoints.id(&self.node).is_some_and(|id| places.contains(&id));
        if !here {
            return Some(Obstacle::EndpointsElsewhere(places.into()));
        }
        self.leader_obstacle(ip, &places, around)
    }

    /// Where the endpoints of an address' Services allow it to be.
    pub(in crate::core) fn places(&self, tenants: &[&Tenant]) -> Places {
        let mut found = Places::None;
        for entry in tenants.iter().filter_map(|tenant| self.entries.get(&tenant.service)) {
            let reach = self.endpoints.reach(&entry.record.name);
            let served = entry.record.is_served_without_endpoints();
            if reach.anywhere == Anywhere::Nowhere && !served {
                continue;
            }
            let own = match entry.record.policy {
                crate::core::cluster::record::TrafficPolicy::Cluster => Places::Anywhere,
                crate::core::cluster::record::TrafficPolicy::Local if reach.nodes.is_empty() => {
                    continue;
                }
                crate::core::cluster::record::TrafficPolicy::Local => Places::On(reach.nodes),
            };
            found = found.and(own);
        }
        found
    }

    /// Whether a node has no endpoint for an address that needs one there.
    pub(in crate::core) fn is_out_of_reach(
        &self,
        ip: IpAddr,
        node: &str,
        around: &Around<'_>,
    ) -> bool {
        let Some(address) = self.addresses.get(&ip) else { return false };
        let taken = self.taken(ip, around);
        let tenants = address.accepted(&taken, |service| self.ports(service));
        match self.places(&tenants) {
            Places::None | Places::Anywhere => false,
            Places::On(nodes) => !self.endpoints.id(node).is_some_and(|id| nodes.contains(&id)),
        }
    }

    /// With one Lease for all, its holder has what it can serve.
    fn leader_obstacle(
        &mut self,
        ip: IpAddr,
        places: &[NodeId],
        around: &Around<'_>,
    ) -> Option<Obstacle> {
        let leader = self.leader(around).filter(|leader| *leader != self.node);
        let serves = leader
            .filter(|leader| self.endpoints.id(leader).is_some_and(|id| places.contains(&id)));
        let now = around.now;
        let address = self.addresses.get_mut(&ip)?;
        let own_lease =
            matches!(&address.authority, Authority::Lease(l) if **l != self.settings.lease);
        let Some(leader) = serves.filter(|_| own_lease) else {
            address.leader_since = None;
            return None;
        };
        let since = *address.leader_since.get_or_insert(now);
        let steady = address.under.is_none() || now >= since + LEADER_STEADY;
        steady.then(|| Obstacle::LeaderServes(leader.into()))
    }

    /// Where no node has an endpoint, whoever holds the address keeps it a moment longer.
    fn lingering(
        &mut self,
        ip: IpAddr,
        obstacle: Option<Obstacle>,
        now: Moment,
    ) -> Option<Obstacle> {
        let address = self.addresses.get_mut(&ip)?;
        if obstacle != Some(Obstacle::NoEndpoints) || !address.is_had() {
            address.endless_since = None;
            return obstacle;
        }
        let since = *address.endless_since.get_or_insert(now);
        obstacle.filter(|_| now >= since + LINGER)
    }

    /// Whether it is held only for endpoints that may come back.
    pub(in crate::core) fn is_without_endpoints(&self, ip: IpAddr) -> bool {
        self.addresses.get(&ip).is_some_and(|address| address.endless_since.is_some())
    }

    pub(in crate::core) fn tenants_of(&self, ip: IpAddr) -> impl Iterator<Item = &Entry> {
        let tenants = self.addresses.get(&ip).map(|address| &*address.tenants).unwrap_or_default();
        tenants.iter().filter_map(|tenant| Some(&**self.entries.get(&tenant.service)?))
    }

    /// Whether a Service of an address says that this node holds it.
    pub(in crate::core) fn names_as_host(&self, ip: IpAddr, node: &str) -> bool {
        self.tenants_of(ip).any(|entry| entry.record.host() == Some(node))
    }

    /// Whether another Service of an address says so.
    pub(in crate::core) fn another_names(&self, entry: &Entry, ip: IpAddr, node: &str) -> bool {
        let others = self.tenants_of(ip).filter(|other| other.record.name != entry.record.name);
        others.into_iter().any(|other| other.record.host() == Some(node))
    }

    /// What keeps this node from holding any address like this one.
    fn node_obstacle(&self, ip: IpAddr, around: &Around<'_>) -> Option<String> {
        let address = self.addresses.get(&ip)?;
        if address.authority == Authority::ControlPlane {
            return None;
        }
        let vip = match self.vip(ip, around) {
            Err(why) => return Some(why),
            Ok(vip) => vip,
        };
        let holding = if address.is_had() { Holding::Yes } else { Holding::No };
        if let Some(why) = self.link_obstacle(&vip.link, holding, around) {
            return Some(why);
        }
        if let Some(own) = around.observed.own_of_node(ip, &vip.link) {
            return Some(format!(
                "{ip} is this node's own address on {}: it is never taken and never removed",
                own.link
            ));
        }
        address.claim.as_ref()?.kept_out(around.now).map(str::to_owned)
    }

    fn link_obstacle(
        &self,
        link: &LinkName,
        holding: Holding,
        around: &Around<'_>,
    ) -> Option<String> {
        let Some(seen) = around.observed.link(link) else {
            return Some(super::hold::missing_link(link));
        };
        let given_up = match self.settings.on_link_down {
            OnLinkDown::Keep => false,
            OnLinkDown::Yield(after) => {
                seen.down_since.is_some_and(|since| around.now >= since + after)
            }
        };
        let borne = match holding {
            Holding::Yes => !given_up,
            Holding::No => self.settings.link_not_up == LinkNotUp::Allow && !given_up,
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
