//! Leases that the watch over many has seen and that no election of ours follows: the state to
//! begin with when one does, and who holds an address under the Lease that decided before.

use std::collections::{BTreeMap, BTreeSet};

use super::lease::{LeaseName, LeaseRecord};
use crate::core::input::LeaseSeen;
use crate::core::time::Moment;

/// Whether the watch has told of everything there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Complete {
    #[default]
    No,
    /// What is not here does not exist.
    Yes,
}

/// A Lease as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// `metadata.resourceVersion`.
    pub(super) version: String,
    /// Its spec.
    pub(super) record: LeaseRecord,
    /// When its record was seen to change last.
    pub(super) seen: Moment,
}

/// Leases by name.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenLeases {
    leases: BTreeMap<LeaseName, Seen>,
    complete: Complete,
    /// Those that were ever seen to be marked, followed or not.
    marked: BTreeSet<LeaseName>,
}

impl SeenLeases {
    /// Notes a Lease.
    pub(super) fn note(&mut self, seen: LeaseSeen, now: Moment) {
        let since = match self.leases.get(&seen.lease) {
            Some(known) if known.record.is_same_hold(&seen.record) => known.seen,
            _ => now,
        };
        let known = Seen { version: seen.version, record: seen.record, seen: since };
        self.leases.insert(seen.lease, known);
    }

    /// Notes that a Lease is marked, if it is.
    pub(super) fn note_mark(&mut self, seen: &LeaseSeen) {
        if seen.record.moved.is_some() && !self.marked.contains(&seen.lease) {
            self.marked.insert(seen.lease.clone());
        }
    }

    /// Those that were ever seen to be marked, in order.
    pub(super) fn marked(&self) -> impl Iterator<Item = &LeaseName> {
        self.marked.iter()
    }

    /// Notes that there is no such Lease.
    pub(super) fn strike(&mut self, lease: &LeaseName) {
        self.leases.remove(lease);
    }

    /// Notes that there are no others than these.
    pub(super) fn keep_only(&mut self, names: &BTreeSet<LeaseName>) {
        self.leases.retain(|lease, _| names.contains(lease));
    }

    /// Everything has been told: whether that is news.
    pub(super) fn complete(&mut self) -> bool {
        std::mem::replace(&mut self.complete, Complete::Yes) == Complete::No
    }

    /// Whether what is not here does not exist.
    #[must_use]
    pub(super) const fn is_complete(&self) -> bool {
        matches!(self.complete, Complete::Yes)
    }

    /// A Lease.
    #[must_use]
    pub(super) fn get(&self, lease: &LeaseName) -> Option<&Seen> {
        self.leases.get(lease)
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&LeaseName, &Seen)> {
        self.leases.iter()
    }

    /// Takes a Lease out: an election follows it from now on.
    pub(super) fn take(&mut self, lease: &LeaseName) -> Option<Seen> {
        self.leases.remove(lease)
    }
}
