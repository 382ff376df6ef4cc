//! Where no lease decides, several nodes have an address and see the same to write: they take
//! turns, and whoever finds it written has nothing left to do.

use std::net::IpAddr;
use std::time::Duration;

use crate::core::addresses::eligibility::Places;
use crate::core::addresses::requester::Authority;
use crate::core::cluster::record::ServiceName;
use crate::core::jitter::rank;
use crate::core::services::{Around, Entry, Services};

/// So long after a node that should have written and has not, the next one does.
const TURN: Duration = Duration::from_millis(60);
/// The last of many nodes does not wait longer.
const LAST_TURN: Duration = Duration::from_secs(1);

impl Services {
    /// How long this node leaves writes to a Service to others; zero where a lease decides.
    pub(in crate::core) fn turn(&self, name: &ServiceName, around: &Around<'_>) -> Duration {
        let Some(entry) = self.entries.get(name) else { return Duration::ZERO };
        if !self.is_everywhere(entry, around) {
            return Duration::ZERO;
        }
        let draw = |node: &str| rank(&[node, name.namespace(), name.name()], LAST_TURN);
        let own = draw(&self.node);
        let before = match self.places_of(entry) {
            Places::On(nodes) => {
                nodes.iter().filter(|id| draw(self.endpoints.name(**id)) < own).count()
            }
            _ => self.nodes.names().filter(|node| draw(node) < own).count(),
        };
        let before = u32::try_from(before).unwrap_or(u32::MAX);
        TURN.saturating_mul(before).min(LAST_TURN)
    }

    /// Whether every node that can has the Service's first address.
    fn is_everywhere(&self, entry: &Entry, around: &Around<'_>) -> bool {
        entry.addresses.first().is_some_and(|first| self.is_for_every_node(*first, around))
    }

    /// Whether no lease decides about an address: it is for every node that can have it.
    pub(in crate::core) fn is_for_every_node(&self, ip: IpAddr, around: &Around<'_>) -> bool {
        self.addresses.get(&ip).is_some_and(|address| match address.authority {
            Authority::EveryNode => true,
            Authority::ControlPlane => around.control_plane.is_some_and(|g| g.lease().is_none()),
            _ => false,
        })
    }

    /// Whether the node that a Service names may as well stay named: it is one of several.
    pub(in crate::core) fn is_as_good(
        &self,
        entry: &Entry,
        host: &str,
        around: &Around<'_>,
    ) -> bool {
        let Some(first) = entry.addresses.first().filter(|_| self.is_everywhere(entry, around))
        else {
            return false;
        };
        let plane = around.has_control_plane(*first); // It follows no endpoints.
        let in_reach = plane || !self.is_out_of_reach(*first, host, around);
        self.nodes.get(host).is_some() && in_reach
    }

    fn places_of(&self, entry: &Entry) -> Places {
        let own = entry.addresses.first().and_then(|ip| self.addresses.get(ip));
        let tenant =
            own.and_then(|address| address.tenants.iter().find(|t| t.service == entry.record.name));
        tenant.map_or(Places::Anywhere, |tenant| self.places(&[tenant]))
    }
}
