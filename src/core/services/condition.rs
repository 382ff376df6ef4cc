//! When it is worth a word, in the condition or an Event, that a Service is not served.

use std::time::Duration;

use super::{Entry, Services};
use crate::core::addresses::View;
use crate::core::cluster::record::{Condition, Served};
use crate::core::input::ConditionChange;
use crate::core::jitter::rank;
use crate::core::status::ServiceState;
use crate::core::time::Moment;

/// Every node sees why a Service is refused; they wait up to so long for the first to write it.
const REFUSED_RANK: Duration = Duration::from_millis(300);
/// A Service that waits has so long to get what it waits for before that is worth a word.
const WAITING_DELAY: Duration = Duration::from_secs(5);
/// And nodes that see it wait are up to so far apart.
const WAITING_RANK: Duration = Duration::from_millis(500);

/// The longest time after which a state that lasts is worth a word.
pub(super) const fn longest_delay(state: ServiceState) -> Option<Duration> {
    match state {
        ServiceState::Refused => Some(REFUSED_RANK),
        ServiceState::Waiting | ServiceState::Pending => {
            Some(WAITING_DELAY.saturating_add(WAITING_RANK))
        }
        _ => None,
    }
}

impl Services {
    /// The condition that says why a Service is not served, when it has not been for long enough.
    pub(super) fn trouble_condition(&self, entry: &Entry, view: &View<'_>) -> ConditionChange {
        let (state, text) = self.state_of(entry, view);
        let reason = match state {
            ServiceState::Refused => "Refused",
            ServiceState::Waiting => "Waiting",
            _ => return ConditionChange::Keep,
        };
        let known = entry.record.condition.as_deref().filter(|c| c.served == Served::No);
        // Nodes may have different words for what they wait for.
        let same = known.is_some_and(|known| {
            *known.reason == *reason && (state == ServiceState::Waiting || *known.message == *text)
        });
        if same || !self.is_worth_a_word(entry, state, view.around.now) {
            return ConditionChange::Keep;
        }
        let (reason, message) = (reason.into(), text.into());
        ConditionChange::Set(Condition { served: Served::No, reason, message })
    }

    /// Whether it has been like this for long enough, this node's rank among all that see it
    /// included.
    pub(super) fn is_worth_a_word(&self, entry: &Entry, state: ServiceState, now: Moment) -> bool {
        let name = &entry.record.name;
        let parts = [self.site.node.as_str(), name.namespace(), name.name()];
        let delay = match state {
            ServiceState::Refused => rank(&parts, REFUSED_RANK),
            _ => WAITING_DELAY + rank(&parts, WAITING_RANK),
        };
        let (known, since) = entry.writer.state();
        known == Some(state) && now >= since + delay
    }
}
