//! What an earlier run of this instance may have left: addresses with our tag that were here when
//! this process started, and that nobody claims since.
//!
//! Another instance on this node may hold them as well. So nobody takes them away: either they are
//! refreshed, or the kernel drops them at the end of their lifetime. Until then a Lease that this
//! node still has, and that no address stands under any more, is not given back: it may be theirs.

use std::collections::BTreeMap;
use std::net::IpAddr;

use viplet_backend_api::{LinkName, Observation, Owner};

use super::observed::Observed;
use super::time::Moment;

/// The addresses, each with the end of the lifetime that it had at the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct EarlierRun(BTreeMap<(IpAddr, LinkName), Moment>);

/// Whether something of an earlier run may still be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leftovers {
    /// Nothing.
    None,
    /// Something.
    Possible,
}

impl EarlierRun {
    /// What there was at the start.
    pub(crate) fn found(&mut self, all: &Observation, now: Moment) {
        let ours = all.addresses.iter().filter(|address| address.owner == Owner::Viplet);
        self.0.extend(ours.filter_map(|address| {
            Some(((address.address, address.link.clone()), now + address.valid_for?))
        }));
    }

    /// Forgets what is gone, claimed or refreshed by another since; what is left.
    pub(crate) fn look(
        &mut self,
        observed: &Observed,
        claimed: impl Fn(IpAddr) -> bool,
        now: Moment,
    ) -> Leftovers {
        self.0.retain(|(address, link), end| {
            let there = observed.on(*address, link).is_some_and(|at| at.owner == Owner::Viplet);
            now < *end && there && !claimed(*address)
        });
        self.leftovers()
    }

    /// As [`EarlierRun::look`] found it.
    pub(crate) fn leftovers(&self) -> Leftovers {
        if self.0.is_empty() { Leftovers::None } else { Leftovers::Possible }
    }

    /// When the next one is certain not to be of an earlier run.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.0.values().min().copied()
    }
}
