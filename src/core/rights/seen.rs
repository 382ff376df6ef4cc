//! Leases that the watch over many has seen and that no election of ours follows: the state to
//! begin with when one does, and who holds an address under the Lease that decided before.

use std::collections::BTreeMap;

use crate::core::input::LeaseSeen;
use crate::core::rights::lease::{LeaseName, LeaseRecord};
use crate::core::time::Moment;

/// Whether the watch has told of everything there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Complete {
    /// Not yet.
    #[default]
    No,
    /// What is not here does not exist.
    Yes,
}

/// A Lease as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// `metadata.resourceVersion`.
    pub(crate) version: String,
    /// Its spec.
    pub(crate) record: LeaseRecord,
    /// When its record was seen to change last.
    pub(crate) seen: Moment,
}

/// Leases by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeaseBook {
    pages: BTreeMap<LeaseName, Page>,
    complete: Complete,
}

impl LeaseBook {
    /// Notes a Lease.
    pub(crate) fn note(&mut self, seen: LeaseSeen, now: Moment) {
        let since = match self.pages.get(&seen.lease) {
            Some(page) if page.record.is_same_hold(&seen.record) => page.seen,
            _ => now,
        };
        let page = Page { version: seen.version, record: seen.record, seen: since };
        self.pages.insert(seen.lease, page);
    }

    /// Notes that there is no such Lease.
    pub(crate) fn strike(&mut self, lease: &LeaseName) {
        self.pages.remove(lease);
    }

    /// Everything has been told.
    pub(crate) fn complete(&mut self) {
        self.complete = Complete::Yes;
    }

    /// Whether what is not here does not exist.
    #[must_use]
    pub(crate) const fn is_complete(&self) -> bool {
        matches!(self.complete, Complete::Yes)
    }

    /// A Lease.
    #[must_use]
    pub(crate) fn page(&self, lease: &LeaseName) -> Option<&Page> {
        self.pages.get(lease)
    }

    /// All of them, in order.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (&LeaseName, &Page)> {
        self.pages.iter()
    }

    /// Takes a Lease out: an election follows it from now on.
    pub(crate) fn take(&mut self, lease: &LeaseName) -> Option<Page> {
        self.pages.remove(lease)
    }
}
