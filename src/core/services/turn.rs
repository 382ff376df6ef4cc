//! Where no lease decides, several nodes have an address and see the same to write: they take
//! turns, and whoever finds it written has nothing left to do.

use std::time::Duration;

use super::obstacle::Places;
use super::record::ServiceName;
use super::tenancy::Authority;
use super::{Around, Entry, Services};
use crate::core::jitter::rank;

/// So long after a node that should have written and has not, the next one does.
const TURN: Duration = Duration::from_millis(60);
/// The last of many nodes does not wait longer.
const LAST_TURN: Duration = Duration::from_secs(1);

impl Services {
    /// How long this node leaves writes to a Service to others; zero where a lease decides.
    pub(super) fn turn(&self, name: &ServiceName) -> Duration {
        let Some(entry) = self.entries.get(name) else { return Duration::ZERO };
        if !self.is_everywhere(entry) {
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
    pub(super) fn is_everywhere(&self, entry: &Entry) -> bool {
        let first = entry.addresses.first().and_then(|ip| self.addresses.get(ip));
        first.is_some_and(|address| address.authority == Authority::EveryNode)
    }

    /// Whether the node that a Service names may as well stay named: it is one of several.
    pub(super) fn is_as_good(&self, entry: &Entry, host: &str, around: &Around<'_>) -> bool {
        let Some(first) = entry.addresses.first().filter(|_| self.is_everywhere(entry)) else {
            return false;
        };
        self.nodes.get(host).is_some() && !self.is_out_of_reach(*first, host, around)
    }

    fn places_of(&self, entry: &Entry) -> Places {
        let own = entry.addresses.first().and_then(|ip| self.addresses.get(ip));
        let tenant =
            own.and_then(|address| address.tenants.iter().find(|t| t.service == entry.record.name));
        tenant.map_or(Places::Anywhere, |tenant| self.places(&[tenant]))
    }
}
