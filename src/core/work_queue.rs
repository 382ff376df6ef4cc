//! What has to be looked at again: now, because something changed, or at some moment.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

use crate::core::cluster::record::ServiceName;
use crate::core::rights::lease::LeaseName;
use crate::core::settings::DnsMode;
use crate::core::time::Moment;

/// Something that can be due by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    /// An address: a refresh, an announcement, a retry.
    Address(IpAddr),
    /// A lease: a renewal, the end of a hold.
    Seat(Rc<LeaseName>),
    /// A Service: a write, an Event that is said again.
    Service(ServiceName),
    /// A DNS name.
    Name(Rc<str>, DnsMode),
}

/// The next time for something that has at most one.
pub(crate) type Due = Option<(Moment, &'static str)>;

/// What has to be looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agenda {
    /// Names to be looked up, or that have been.
    pub(crate) names: BTreeSet<(Rc<str>, DnsMode)>,
    /// Services to be judged anew.
    pub(crate) services: BTreeSet<ServiceName>,
    /// Addresses whose tenants, link, lease or eligibility may have changed.
    pub(crate) plans: BTreeSet<IpAddr>,
    /// Addresses to be reconciled with the kernel.
    pub(crate) pulses: BTreeSet<IpAddr>,
    /// Leases to be driven.
    pub(crate) seats: BTreeSet<Rc<LeaseName>>,
    /// Services for which something may have to be written or said.
    pub(crate) writes: BTreeSet<ServiceName>,
    timers: BTreeSet<(Moment, Item)>,
}

impl Agenda {
    /// Whether there is more to be looked at than one turn was long enough for.
    #[must_use]
    pub(crate) fn is_busy(&self) -> bool {
        !(self.services.is_empty() && self.plans.is_empty() && self.pulses.is_empty())
    }

    /// Moves an item's time from `old` to `new`.
    pub(crate) fn rearm(&mut self, item: &Item, old: &mut Due, new: Due) {
        if *old == new {
            return;
        }
        let (before, after) = (old.map(|(at, _)| at), new.map(|(at, _)| at));
        *old = new;
        if before == after {
            return;
        }
        if let Some(at) = before {
            self.timers.remove(&(at, item.clone()));
        }
        if let Some(at) = after {
            self.timers.insert((at, item.clone()));
        }
    }

    /// Takes out the next item that is due; its owner must be told by [`Agenda::rearm`] that it
    /// has no time any more.
    pub(crate) fn pop(&mut self, now: Moment) -> Option<Item> {
        if self.timers.first()?.0 > now {
            return None;
        }
        self.timers.pop_first().map(|(_, item)| item)
    }

    /// When the next item is due.
    #[must_use]
    pub(crate) fn next(&self) -> Option<&(Moment, Item)> {
        self.timers.first()
    }
}
