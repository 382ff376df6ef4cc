//! When something is to be looked at again by itself: each item has at most one time.

use std::collections::BTreeSet;

use super::time::Moment;

/// A moment, and what is due then; `None`: nothing is.
pub(crate) type Due = Option<(Moment, &'static str)>;

/// The times of many items.
#[derive(Clone, Debug)]
pub(crate) struct Timers<K> {
    times: BTreeSet<(Moment, K)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { times: BTreeSet::new() }
    }
}

impl<K: Clone + Ord> Timers<K> {
    /// Moves an item's time from `old`, which its owner keeps, to `new`.
    pub(crate) fn rearm(&mut self, item: &K, old: &mut Due, new: Due) {
        if *old == new {
            return;
        }
        let (before, after) = (old.map(|(at, _)| at), new.map(|(at, _)| at));
        *old = new;
        if before == after {
            return;
        }
        if let Some(at) = before {
            self.times.remove(&(at, item.clone()));
        }
        if let Some(at) = after {
            self.times.insert((at, item.clone()));
        }
    }

    /// Takes out the next item that is due; its owner notes that it has no time any more.
    pub(crate) fn pop(&mut self, now: Moment) -> Option<K> {
        if self.times.first()?.0 > now {
            return None;
        }
        self.times.pop_first().map(|(_, item)| item)
    }

    /// The item that is due next, and when.
    #[must_use]
    pub(crate) fn next(&self) -> Option<&(Moment, K)> {
        self.times.first()
    }
}

/// When the next item of `timers` is due, and what for, as its owner has noted.
#[must_use]
pub(crate) fn next_due<K: Clone + Ord>(timers: &Timers<K>, noted: impl Fn(&K) -> Due) -> Due {
    let (at, item) = timers.next()?;
    Some((*at, noted(item).map_or("something of Services", |(_, why)| why)))
}
