//! Which links the default routes leave through. Pure.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use viplet_backend_api::DefaultRoute;

use crate::wire::{AF_INET, AF_INET6, RouteRecord, TABLE_MAIN, UNICAST};

/// The links that the default routes of the main table leave through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Defaults {
    pub(super) v4: Option<u32>,
    pub(super) v6: Option<u32>,
}

impl Defaults {
    /// The lowest metric wins, then the order of the dump; multipath: the first next hop.
    pub(crate) fn choose(routes: &[RouteRecord]) -> Self {
        let best = |family| {
            routes
                .iter()
                .filter(|route| route.family == family && is_default(route))
                .min_by_key(|route| route.metric)
                .and_then(|route| route.links.first().copied())
        };
        Self { v4: best(AF_INET), v6: best(AF_INET6) }
    }

    /// Which default route leaves through a link.
    pub(super) fn of(self, index: u32) -> DefaultRoute {
        if self.v4 == Some(index) {
            DefaultRoute::V4
        } else if self.v6 == Some(index) {
            DefaultRoute::V6
        } else {
            DefaultRoute::None
        }
    }
}

/// Whether a route is a default route of the main table through some link.
pub(crate) fn is_default(route: &RouteRecord) -> bool {
    route.prefix_len == 0
        && route.table == TABLE_MAIN
        && route.kind == UNICAST
        && !route.links.is_empty()
}
