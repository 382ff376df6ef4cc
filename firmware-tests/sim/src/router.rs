//! The model router: what it has heard from each node, and how long it believes a node that it
//! does not hear any more. Nodes speak BGP to it; here a session is up or it is not.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::clock::{Nanos, S};

/// Routes of a node that has come back are kept so long for an End-of-RIB that never comes
/// (RFC 4724 §4.1 leaves the time to the router; FRR's `stalepath-time` is longer).
const STALE_PATHS: Nanos = 120 * S;

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The connection was closed without a word: the node's process is gone (RFC 4724 §4.2).
    Closed,
    /// With a NOTIFICATION, or by the hold timer: its routes go at once (RFC 4271 §6, §8).
    Ceased,
}

/// A session with one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Session {
    #[default]
    Down,
    Up {
        /// Which run of the node's process it is with.
        life: u64,
        /// Since when nothing was heard.
        silent: Option<Nanos>,
    },
}

/// What the router knows of one node.
#[derive(Clone, Debug, Default)]
pub struct Peering {
    session: Session,
    /// When the next session comes up, if nothing gets in the way.
    pub connect_at: Option<Nanos>,
    /// When the session came up or went down last.
    pub changed_at: Nanos,
    routes: BTreeSet<IpAddr>,
    stale: BTreeSet<IpAddr>,
    stale_until: Nanos,
}

impl Peering {
    /// The run of the node's process that the session is with, if it is up.
    #[must_use]
    pub fn life(&self) -> Option<u64> {
        match self.session {
            Session::Up { life, .. } => Some(life),
            Session::Down => None,
        }
    }

    /// Whether the router has a route to the address by this node.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.routes.contains(&address) || self.stale.contains(&address)
    }

    /// Routes that an earlier session left.
    #[must_use]
    pub fn stale(&self) -> &BTreeSet<IpAddr> {
        &self.stale
    }

    /// The session comes up.
    pub fn open(&mut self, life: u64, now: Nanos) {
        self.session = Session::Up { life, silent: None };
        (self.connect_at, self.changed_at) = (None, now);
        self.stale_until = now + STALE_PATHS;
    }

    /// The node is heard, and announces these.
    pub fn hear(&mut self, announced: &BTreeSet<IpAddr>) {
        if let Session::Up { silent, .. } = &mut self.session {
            *silent = None;
            self.routes.clone_from(announced);
            self.stale.retain(|address| !announced.contains(address));
        }
    }

    /// The node has said all that it has to say (End-of-RIB): which routes go with that.
    pub fn end_of_rib(&mut self) -> BTreeSet<IpAddr> {
        std::mem::take(&mut self.stale)
    }

    /// The node is not heard: since when.
    pub fn silent(&mut self, now: Nanos) -> Nanos {
        match &mut self.session {
            Session::Up { silent, .. } => *silent.get_or_insert(now),
            Session::Down => now,
        }
    }

    /// The session ends. `restart`: how long its routes stay, where graceful restart was agreed.
    pub fn end(&mut self, how: Ending, restart: Option<Nanos>, now: Nanos) {
        (self.session, self.changed_at) = (Session::Down, now);
        let routes = std::mem::take(&mut self.routes);
        match (how, restart) {
            (Ending::Closed, Some(restart)) => {
                self.stale.extend(routes);
                self.stale_until = now + restart;
            }
            _ => self.stale.clear(),
        }
    }

    /// Time passes: stale routes do not stay for ever.
    pub fn pass(&mut self, now: Nanos) {
        if now >= self.stale_until {
            self.stale.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn announcing(all: &[u8]) -> Peering {
        let mut peering = Peering::default();
        peering.open(1, 0);
        peering.hear(&all.iter().map(|last| vip(*last)).collect());
        peering
    }

    #[test]
    fn a_crash_costs_the_routes_unless_graceful_restart_was_agreed() {
        let mut peering = announcing(&[1]);
        peering.end(Ending::Closed, None, 5 * S);
        assert!(!peering.has(vip(1)));
        let mut peering = announcing(&[1]);
        peering.end(Ending::Closed, Some(10 * S), 5 * S);
        peering.pass(14 * S);
        assert!(peering.has(vip(1)));
        peering.pass(15 * S);
        assert!(!peering.has(vip(1)));
    }

    #[test]
    fn after_a_restart_what_is_not_announced_again_goes_with_end_of_rib() {
        let mut peering = announcing(&[1, 2]);
        peering.end(Ending::Closed, Some(10 * S), 5 * S);
        peering.open(2, 6 * S);
        peering.hear(&[vip(1)].into());
        assert!(peering.has(vip(2)));
        assert_eq!(peering.end_of_rib(), [vip(2)].into());
        assert!(peering.has(vip(1)) && !peering.has(vip(2)));
    }

    #[test]
    fn a_notification_costs_the_routes_at_once() {
        let mut peering = announcing(&[1]);
        peering.end(Ending::Ceased, Some(10 * S), 5 * S);
        assert!(!peering.has(vip(1)));
    }
}
