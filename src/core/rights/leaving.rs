//! The process ends: its leases are given away, a few at a time, so that each address is silent
//! only while its own changes hands.

use std::rc::Rc;
use std::time::Duration;

use super::candidacy::Candidacy;
use super::lease::LeaseName;
use super::{Authority, Rights};
use crate::core::cluster::Cluster;
use crate::core::control_plane::Stopping;
use crate::core::time::Moment;

/// Leases that change hands at once when the process ends: each address is silent only while its
/// own does, the longer the more do so at once.
const LEAST_AT_ONCE: usize = 2;
/// At most so many do when there is little time, or no other node.
const MOST_AT_ONCE: usize = 8;
/// What it takes to give one away.
const PARTING: Duration = Duration::from_millis(50);

impl Rights {
    /// Begins to give the next few leases away, all of them by `limit`; those that it began with.
    pub(crate) fn leave_some(
        &mut self,
        cluster: &Cluster,
        now: Moment,
        limit: Moment,
    ) -> Vec<Rc<LeaseName>> {
        let all = || self.candidacies.values();
        let busy = all().filter(|candidacy| candidacy.is_parting(now)).count();
        let left = all().filter(|candidacy| candidacy.is_ours()).count();
        let alone = cluster.nodes().names().eq([self.site.node.as_str()]);
        let at_once = if alone { MOST_AT_ONCE } else { at_once(left, limit.since(now)) };
        let mut free = at_once.saturating_sub(busy);
        let mut begun = Vec::new();
        for (lease, candidacy) in &mut self.candidacies {
            if candidacy.is_leaving() {
                continue;
            }
            let holds = candidacy.is_ours() || candidacy.election.is_claiming();
            if holds && free == 0 {
                continue;
            }
            free -= usize::from(holds);
            candidacy.leave();
            begun.push(Rc::clone(lease));
        }
        self.pending.extend(begun.iter().cloned());
        begun
    }

    /// Whether what this authority decides about is being given away.
    #[must_use]
    pub(crate) fn is_leaving(&self, authority: &Authority, stopping: Stopping) -> bool {
        match authority {
            Authority::Lease(lease) => {
                self.candidacies.get(lease).is_some_and(Candidacy::is_leaving)
            }
            _ => stopping != Stopping::No,
        }
    }

    /// Whether no lease is in our name, nor may come to be.
    #[must_use]
    pub(crate) fn are_given_back(&self) -> bool {
        let ours = |candidacy: &Candidacy| candidacy.is_ours() || candidacy.election.is_claiming();
        !self.candidacies.values().any(ours)
    }

    /// How many leases are in our name.
    #[must_use]
    pub(crate) fn held(&self) -> usize {
        self.candidacies.values().filter(|candidacy| candidacy.is_ours()).count()
    }
}

/// How many of `left` leases are given away at once when there is so much time for all of them; a
/// quarter of it is not reckoned with.
fn at_once(left: usize, time: Duration) -> usize {
    let whole = PARTING.saturating_mul(u32::try_from(left).unwrap_or(u32::MAX)).as_nanos();
    let needed = whole.div_ceil((time * 3 / 4).as_nanos().max(1));
    usize::try_from(needed).unwrap_or(usize::MAX).clamp(LEAST_AT_ONCE, MOST_AT_ONCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_given_away_few_at_once_unless_there_are_many_for_the_time() {
        let seconds = Duration::from_secs;
        for (left, time, expected) in [
            (1, seconds(1), 2),
            (100, seconds(4), 2),
            (300, seconds(8), 3),
            (1_000, seconds(8), 8),
            (3, Duration::ZERO, 8),
        ] {
            assert_eq!(at_once(left, time), expected, "{left} in {time:?}");
        }
    }
}
