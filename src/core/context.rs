//! What the rooms of the core are told: once, at the start ([`Site`]), and at each call ([`Around`]).

use std::net::IpAddr;
use std::time::Duration;

use super::cluster::Cluster;
use super::control_plane::{Group, Stopping};
use super::earlier_run::Leftovers;
use super::observed::Observed;
use super::settings::Services as Settings;
use super::time::Moment;

/// How long after the start one list waits for another: leases that the watch over many covers
/// are not read one by one before this time, and nodes are expected.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// What does not change while the process runs.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// How Services are served.
    pub(crate) settings: Settings,
    /// This node's name.
    pub(crate) node: String,
    /// The seed of every jitter.
    pub(crate) seed: u64,
    /// When the process started.
    pub(crate) started: Moment,
}

impl Site {
    /// Whether lists that have not arrived yet are still waited for.
    #[must_use]
    pub(crate) fn is_early(&self, now: Moment) -> bool {
        now < self.started + PATIENCE
    }

    /// Whether what an earlier run left may still be confirmed: its leases have not run out.
    #[must_use]
    pub(crate) fn is_young(&self, now: Moment) -> bool {
        now.since(self.started) < self.settings.timing.duration
    }
}

/// What is so while one input is dealt with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around<'a> {
    /// The API server's objects.
    pub(crate) cluster: &'a Cluster,
    /// The kernel.
    pub(crate) observed: &'a Observed,
    /// The control plane's addresses and Lease.
    pub(crate) control_plane: Option<&'a Group>,
    /// Whether the process is about to end.
    pub(crate) stopping: Stopping,
    /// What an earlier run may have left here, under a Lease that is not known any more.
    pub(crate) leftovers: Leftovers,
    /// The time.
    pub(crate) now: Moment,
}

impl Around<'_> {
    /// Whether an address is one of the control plane's, whose own claim sees to it.
    #[must_use]
    pub(crate) fn has_control_plane(&self, address: IpAddr) -> bool {
        let claims = |group: &Group| group.claims.contains_key(&address) || group.wants(address);
        self.control_plane.is_some_and(claims)
    }
}
