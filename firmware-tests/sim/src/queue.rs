//! What will happen, in order of true time; ties in the order in which it was arranged.

use std::collections::BTreeMap;

use crate::clock::Nanos;

/// A queue of events.
#[derive(Debug)]
pub struct Queue<E> {
    events: BTreeMap<(Nanos, u64), E>,
    arranged: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { events: BTreeMap::new(), arranged: 0 }
    }
}

impl<E> Queue<E> {
    /// Arranges for `event` to happen at `at`.
    pub fn at(&mut self, at: Nanos, event: E) {
        self.arranged += 1;
        self.events.insert((at, self.arranged), event);
    }

    /// Takes the next event out.
    pub fn pop(&mut self) -> Option<(Nanos, E)> {
        self.events.pop_first().map(|((at, _), event)| (at, event))
    }
}
