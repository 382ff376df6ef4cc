//! The change of an address from one right to another.
//!
//! A node that cannot hear of Services goes by the Lease before: it renews it, or takes it. So
//! that Lease is marked ([`crate::core::rights::mark`]) before anyone takes the address by the new
//! one. Every write of a Lease is a compare-and-swap: who claims or renews it afterwards has seen
//! the mark.
//!
//! ```text
//!  a node that hears of the change        Lease before (A)      a node that does not hear of it
//!
//!  the address comes under Lease B
//!    Undated: up to which version of
//!    Services is that so?
//!  the watch tells the version
//!    Unmarked ──────── mark ───────────▶  address@version=B
//!    nobody takes the address yet           │
//!                                           ├─ renews A ──────▶ sees the mark: Superseded.
//!  sees the mark on A                       │                   It holds the address no longer
//!    Marked: over when a hold by A that ◀───┘                   than it would have, had it not
//!    began before the mark has ended                            renewed, or until it hears of B
//!  the end of that hold, or the holder
//!  is another, or says that it let go
//!    the predecessor is forgotten; the
//!    holder of B takes the address
//! ```
//!
//! What decided before and cannot be marked (the control plane's own addresses, or nothing was told
//! of versions yet) stays `Undated` and counts as over when its holder says so or its time is up.

mod marking;
mod predecessor;
mod superseded;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::address::Address;
use super::{Authority, Rights};
use crate::core::cluster::record::ServiceRecord;
use crate::core::context::{Around, Site};
use crate::core::control_plane::Stopping;
use crate::core::rights::lease::LeaseName;
use crate::core::time::Moment;
use predecessor::{MARKED_WITHIN, Predecessor, Remains};
use superseded::Superseded;

/// A watch that is stuck is noticed and opened anew well within this: what was to be learnt is
/// known by then, whatever is written.
const FORGOTTEN: Duration = Duration::from_secs(300);

/// One address and what its handover depends on.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) ip: IpAddr,
    pub(super) address: &'a Address,
    pub(super) rights: &'a Rights,
    pub(super) around: &'a Around<'a>,
}

impl<'a> Case<'a> {
    fn node(&self) -> &'a str {
        &self.rights.site().node
    }

    /// Whether something decides that others have to let go for.
    fn is_decided(&self) -> bool {
        !matches!(self.address.authority, Authority::Nobody | Authority::EveryNode)
    }

    fn services(&self) -> impl Iterator<Item = &'a ServiceRecord> {
        let (requesters, cluster) = (&self.address.requesters, self.around.cluster);
        requesters.iter().filter_map(|one| cluster.service(&one.service).map(|record| &**record))
    }
}

/// The handovers of all addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Handovers {
    of: BTreeMap<IpAddr, Box<Handover>>,
    /// Addresses that have come under another right and are not settled there.
    under_way: BTreeSet<IpAddr>,
    /// Addresses with a predecessor whose version is about to be told.
    undated: BTreeSet<IpAddr>,
    /// Addresses that a Lease may have to be marked for in this turn.
    unmarked: BTreeSet<IpAddr>,
    /// Addresses that a mark on their own Lease speaks of.
    superseded: BTreeSet<IpAddr>,
    /// Addresses for which it was not looked for other Leases that are marked for them.
    unsearched: BTreeSet<IpAddr>,
}

/// What there is to know of one address.
#[derive(Clone, Debug, Default)]
struct Handover {
    /// What decided before, and by which somebody may have it still.
    predecessors: Vec<Predecessor>,
    /// The version of the last mark on the Lease that decides that was followed.
    followed: Option<Box<str>>,
    /// Why it may not be held by the Lease by which it is, or would be, from some moment on.
    superseded: Option<Superseded>,
}

impl Handovers {
    /// This node begins to follow an address.
    pub(super) fn begin_to_follow(&mut self, ip: IpAddr) {
        self.unsearched.insert(ip);
    }

    /// An address is not followed any more.
    pub(super) fn forget(&mut self, ip: IpAddr) {
        self.of.remove(&ip);
        self.unsearched.remove(&ip);
        self.index(ip, &Authority::Nobody);
    }

    /// What decides about an address changes `to` something else: also where no Service asks for
    /// it any more, for the node that has it may not have heard of it when the next one does.
    pub(super) fn change(&mut self, case: &Case<'_>, to: &Authority) {
        let now = case.around.now;
        let new = match to {
            Authority::EveryNode => None, // Nobody has to let go.
            _ => Predecessor::of(case),
        };
        if new.is_some() {
            self.undated.insert(case.ip);
        }
        if new.is_none() && !self.of.contains_key(&case.ip) {
            return;
        }
        let handover = self.of.entry(case.ip).or_default();
        let alone = *to == Authority::EveryNode;
        handover.predecessors.retain(|one| !alone && one.authority != *to);
        handover.predecessors.extend(new);
        let open = handover.predecessors.iter_mut().filter(|one| !one.is_marked());
        open.for_each(|one| one.since = now);
        self.index(case.ip, to);
    }

    /// Keeps the sets true after something about one address has changed.
    fn index(&mut self, ip: IpAddr, authority: &Authority) {
        let handover = self.of.get(&ip);
        let waits = handover.is_some_and(|handover| !handover.predecessors.is_empty());
        let superseded = handover.is_some_and(|handover| handover.superseded.is_some());
        let idle = handover.is_some_and(|handover| handover.followed.is_none());
        match waits && *authority != Authority::Nobody {
            true => self.under_way.insert(ip),
            false => self.under_way.remove(&ip),
        };
        match superseded {
            true => self.superseded.insert(ip),
            false => self.superseded.remove(&ip),
        };
        if !waits && !superseded && idle {
            self.of.remove(&ip);
        }
    }

    /// Services were told up to this version: the addresses that it was awaited for.
    pub(super) fn date(&mut self, version: &str) -> BTreeSet<IpAddr> {
        let dated = std::mem::take(&mut self.undated);
        for ip in &dated {
            let handover = self.of.get_mut(ip).into_iter();
            handover.flat_map(|one| &mut one.predecessors).for_each(|one| one.date(version));
        }
        dated
    }

    /// Who has an address still by a right before, as far as is known; empty: that is not known.
    pub(super) fn still_held(&mut self, case: &Case<'_>) -> Option<Box<str>> {
        self.search(case);
        self.follow_marks(case);
        let handover = self.of.get_mut(&case.ip).filter(|one| !one.predecessors.is_empty())?;
        let mut left = None;
        handover.predecessors.retain_mut(|predecessor| {
            let remains = predecessor.remains(case);
            if remains == Remains::Held && left.is_none() {
                left = Some(predecessor.holder.as_deref().unwrap_or_default().into());
            }
            remains != Remains::Gone
        });
        if handover.predecessors.is_empty() {
            self.index(case.ip, &case.address.authority);
        } else {
            self.unmarked.insert(case.ip);
        }
        left
    }

    /// The Leases that decided about an address before.
    pub(super) fn leases_before(&self, ip: IpAddr) -> impl Iterator<Item = &Rc<LeaseName>> {
        self.predecessors(ip).iter().filter_map(|one| one.authority.lease())
    }

    /// Whether somebody may have to let go of an address yet.
    #[must_use]
    pub(super) fn has_predecessors(&self, ip: IpAddr) -> bool {
        !self.predecessors(ip).is_empty()
    }

    fn predecessors(&self, ip: IpAddr) -> &[Predecessor] {
        self.of.get(&ip).map_or(&[], |handover| &handover.predecessors)
    }

    /// Whether time alone may change what an address waits for.
    #[must_use]
    pub(super) fn is_unsettled(&self, ip: IpAddr) -> bool {
        let handover = self.of.get(&ip);
        handover.is_some_and(|one| !one.predecessors.is_empty() || one.superseded.is_some())
    }

    /// Addresses that have come under another right and are not settled there.
    pub(super) fn under_way(&self) -> impl Iterator<Item = &IpAddr> {
        self.under_way.iter()
    }

    /// Addresses that a mark on their own Lease speaks of.
    pub(super) fn superseded(&self) -> impl Iterator<Item = &IpAddr> {
        self.superseded.iter()
    }

    /// The next moment at which something changes by itself.
    #[must_use]
    pub(super) fn next_change(
        &self,
        ip: IpAddr,
        authority: &Authority,
        site: &Site,
        now: Moment,
    ) -> Option<Moment> {
        let handover = self.of.get(&ip)?;
        let before = handover.predecessors.iter().flat_map(|one| one.times(authority, site));
        let superseded = handover.superseded.iter().flat_map(Superseded::times).map(Some);
        before.chain(superseded).flatten().filter(|at| *at > now).min()
    }

    /// Whether a Lease that this node holds has to be marked before it is given back.
    #[must_use]
    pub(super) fn awaits_mark(&self, lease: &LeaseName, around: &Around<'_>) -> bool {
        if around.cluster.version().is_none() || around.stopping != Stopping::No {
            return false;
        }
        self.under_way.iter().flat_map(|ip| self.predecessors(*ip)).any(|one| {
            let this = one.authority.lease().is_some_and(|known| **known == *lease);
            this && !one.is_marked() && around.now < one.since + MARKED_WITHIN
        })
    }
}

#[cfg(test)]
mod tests;
