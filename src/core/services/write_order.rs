//! Where no lease decides, several nodes have an address and see the same to write: they take
//! turns, and whoever finds it written has nothing left to do.

use std::time::Duration;

use super::{Entry, Services};
use crate::core::addresses::View;
use crate::core::addresses::eligibility::Places;
use crate::core::cluster::record::ServiceName;
use crate::core::jitter::rank;

/// So long after a node that should have written and has not, the next one does.
const TURN: Duration = Duration::from_millis(60);
/// The last of many nodes does not wait longer.
const LAST_TURN: Duration = Duration::from_secs(1);

impl Services {
    /// How long this node leaves writes to a Service to others; zero where a lease decides.
    pub(super) fn turn(&self, name: &ServiceName, view: &View<'_>) -> Duration {
        let Some(entry) = self.entries.get(name) else { return Duration::ZERO };
        if !self.is_everywhere(entry, view) {
            return Duration::ZERO;
        }
        let draw = |node: &str| rank(&[node, name.namespace(), name.name()], LAST_TURN);
        let own = draw(&self.site.node);
        let before = match places(entry, view) {
            Places::On(nodes) => {
                nodes.iter().filter(|id| draw(view.around.cluster.node_name(**id)) < own).count()
            }
            _ => view.around.cluster.nodes().names().filter(|node| draw(node) < own).count(),
        };
        let before = u32::try_from(before).unwrap_or(u32::MAX);
        TURN.saturating_mul(before).min(LAST_TURN)
    }

    /// Whether every node that can has the Service's first address.
    fn is_everywhere(&self, entry: &Entry, view: &View<'_>) -> bool {
        entry.addresses.first().is_some_and(|first| view.is_for_every_node(*first))
    }

    /// Whether the node that a Service names may as well stay named: it is one of several.
    pub(super) fn is_as_good(&self, entry: &Entry, host: &str, view: &View<'_>) -> bool {
        let Some(first) = entry.addresses.first().filter(|_| self.is_everywhere(entry, view))
        else {
            return false;
        };
        let plane = view.has_control_plane(*first); // It follows no endpoints.
        let in_reach = plane || !view.is_out_of_reach(*first, host);
        view.around.cluster.nodes().get(host).is_some() && in_reach
    }
}

/// Where endpoints allow the Service's first address to be.
fn places(entry: &Entry, view: &View<'_>) -> Places {
    let first = entry.addresses.first();
    first.map_or(Places::Anywhere, |ip| view.places_for(&entry.record.name, *ip))
}
