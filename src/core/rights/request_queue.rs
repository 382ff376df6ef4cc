//! The order in which requests about many leases are sent: a few at a time, the urgent ones
//! first, so that renewals are paced and none starves.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::core::rights::election::Urgency;
use crate::core::rights::lease::LeaseName;
use crate::core::time::Moment;

/// Requests under way at once: as many as the shell has connections for them, and as many again
/// that wait there.
const MOST: usize = 8;

/// Where a request stands: by urgency, then by the time since when it has waited.
type Place = (Urgency, Moment);

/// Requests that wait, and those that are under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestQueue {
    waiting: BTreeSet<(Place, Rc<LeaseName>)>,
    places: BTreeMap<Rc<LeaseName>, Place>,
    under_way: BTreeSet<Rc<LeaseName>>,
}

impl RequestQueue {
    /// A lease has a request to send, or has none any more.
    pub(crate) fn queue(&mut self, lease: &Rc<LeaseName>, urgency: Option<Urgency>, now: Moment) {
        let before = self.places.get(lease).copied();
        let place = urgency.map(|urgency| match before {
            Some((known, since)) if known <= urgency => (known, since),
            Some((_, since)) => (urgency, since),
            None => (urgency, now),
        });
        if place == before {
            return;
        }
        if let Some(old) = before {
            self.waiting.remove(&(old, Rc::clone(lease)));
            self.places.remove(lease);
        }
        if let Some(place) = place {
            self.waiting.insert((place, Rc::clone(lease)));
            self.places.insert(Rc::clone(lease), place);
        }
    }

    /// The next lease whose request may be sent now; it is under way from here on.
    pub(crate) fn next(&mut self) -> Option<Rc<LeaseName>> {
        if self.under_way.len() >= MOST {
            return None;
        }
        let (_, lease) = self.waiting.pop_first()?;
        self.places.remove(&lease);
        self.under_way.insert(Rc::clone(&lease));
        Some(lease)
    }

    /// Whether addresses wait for requests about leases: what else there is to write can wait.
    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting.iter().next().is_some_and(|((urgency, _), _)| *urgency < Urgency::Routine)
            || self.under_way.len() >= MOST / 2
    }

    /// A request was answered, or given up, or was not sent after all.
    pub(crate) fn done(&mut self, lease: &LeaseName) {
        self.under_way.remove(lease);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn lease(n: usize) -> Rc<LeaseName> {
        Rc::new(LeaseName { namespace: "default".to_owned(), name: format!("kubevip-{n}") })
    }

    fn at(millis: u64) -> Moment {
        Moment::from_boot(Duration::from_millis(millis))
    }

    #[test]
    fn only_a_few_requests_are_under_way_and_all_have_their_turn() {
        let mut queue = RequestQueue::default();
        for n in 0..100 {
            queue.queue(&lease(n), Some(Urgency::Routine), at(n as u64));
        }
        let mut sent = Vec::new();
        while let Some(next) = queue.next() {
            sent.push(next);
        }
        assert_eq!(sent.len(), MOST);
        let mut all = sent.len();
        while let Some(done) = sent.pop() {
            queue.done(&done);
            while let Some(next) = queue.next() {
                sent.insert(0, next);
                all += 1;
            }
        }
        assert_eq!((all, queue.waiting.len()), (100, 0));
    }

    #[test]
    fn a_hold_that_ends_soon_overtakes_renewals_that_have_waited_longer() {
        let mut queue = RequestQueue::default();
        for n in 0..20 {
            queue.queue(&lease(n), Some(Urgency::Routine), at(0));
        }
        queue.queue(&lease(19), Some(Urgency::Ending), at(5));
        assert_eq!(queue.next(), Some(lease(19)));
    }

    #[test]
    fn a_request_that_is_no_longer_needed_is_not_sent() {
        let mut queue = RequestQueue::default();
        queue.queue(&lease(1), Some(Urgency::Waiting), at(0));
        queue.queue(&lease(1), None, at(1));
        assert_eq!(queue.next(), None);
    }
}
