//! Writing to Services: one write per change, none when nothing changes, and never against a newer
//! state (STA).

use std::collections::BTreeSet;
use std::time::Duration;

use super::writer::LOST;
use super::{Services, condition, events};
use crate::core::addresses::View;
use crate::core::cluster::record::ServiceName;
use crate::core::input::{Effect, KubernetesRequest, ServiceOutcome, ServiceUpdate};
use crate::core::status::ServiceState;
use crate::core::time::Moment;

/// Writes under way at once, and while leases change hands.
const MOST: usize = 8;
const MOST_BESIDE_LEASES: usize = 1;

/// Which Services are written to, and which wait for that.
#[derive(Clone, Debug, Default)]
pub(super) struct Writes {
    /// Services for which something may have to be written or said.
    pub(super) pending: BTreeSet<ServiceName>,
    under_way: BTreeSet<ServiceName>,
    /// Those whose write waits for one that is under way.
    queued: BTreeSet<ServiceName>,
    /// Writes so far: each has its number.
    attempts: u64,
}

impl Writes {
    /// Whether so many are under way that this one has to wait.
    fn is_full(&self, name: &ServiceName, most: usize) -> bool {
        self.under_way.len() >= most && !self.under_way.contains(name)
    }

    /// One begins; its number.
    fn begin(&mut self, name: &ServiceName) -> u64 {
        self.under_way.insert(name.clone());
        self.number()
    }

    /// The next write's number.
    pub(super) fn number(&mut self) -> u64 {
        self.attempts += 1;
        self.attempts
    }

    /// One has ended: those that have waited are looked at.
    fn end(&mut self, name: &ServiceName) {
        self.under_way.remove(name);
        self.pending.insert(name.clone());
        let next = std::iter::from_fn(|| self.queued.pop_first()).take(MOST);
        self.pending.extend(next);
    }
}

impl Services {
    /// A write was answered.
    pub(crate) fn written(
        &mut self,
        name: &ServiceName,
        attempt: u64,
        outcome: &ServiceOutcome,
        now: Moment,
    ) {
        if !matches!(outcome, ServiceOutcome::Done | ServiceOutcome::Gone) {
            self.counters.write_failures += 1;
        }
        self.writes.end(name);
        if self.partings.contains_key(name) {
            return self.part_answered(name, attempt, outcome, now);
        }
        let Some(entry) = self.entries.get_mut(name) else { return };
        if entry.writer.under_way().is_some_and(|(known, _)| known == attempt) {
            entry.writer.answered(outcome, now);
        }
    }

    /// Writes and says what is due about the next few Services.
    pub(crate) fn write_some(&mut self, view: &View<'_>, effects: &mut Vec<Effect>) {
        for _ in 0..self.site.settings.per_turn {
            let Some(name) = self.writes.pending.pop_first() else { return };
            if self.partings.contains_key(&name) {
                self.part(&name, view.around.now, effects);
            } else if self.entries.contains_key(&name) {
                self.look_for_news(&name, view);
                self.write(&name, view, effects);
            }
        }
    }

    fn write(&mut self, name: &ServiceName, view: &View<'_>, effects: &mut Vec<Effect>) {
        let now = view.around.now;
        let wish = self.wish(name, view);
        let most = if view.rights.is_crowded() { MOST_BESIDE_LEASES } else { MOST };
        let full = self.writes.is_full(name, most);
        let turn = wish.as_ref().map_or(Duration::ZERO, |_| self.turn(name, view));
        let Some(entry) = self.entries.get_mut(name) else { return };
        let writer = &mut entry.writer;
        if writer.under_way().is_some_and(|(_, sent)| now >= sent + LOST) {
            writer.answered(&ServiceOutcome::Failed("no answer".to_owned()), now);
            self.writes.under_way.remove(name);
        }
        if wish.is_none() {
            writer.settled();
        }
        let news = wish.filter(|wish| !writer.has_stored(wish));
        let ready = writer.under_way().is_none() && now >= writer.not_before();
        match news.filter(|_| ready) {
            Some(_) if full => {
                self.writes.queued.insert(name.clone());
            }
            Some(wish) if writer.is_our_turn(turn, now) => {
                let attempt = self.writes.begin(name);
                writer.begin(attempt, wish.clone(), now);
                self.counters.writes += 1;
                let update = ServiceUpdate {
                    service: name.clone(),
                    uid: entry.record.uid.clone(),
                    attempt,
                    host: wish.host,
                    ingress: wish.ingress,
                    condition: wish.condition,
                };
                effects.push(Effect::Kubernetes(KubernetesRequest::Service(update)));
            }
            Some(_) | None => {}
        }
        self.rearm(name, now);
    }

    /// When a Service is to be looked at again by itself.
    fn rearm(&mut self, name: &ServiceName, now: Moment) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let unresolved = !self.names.unresolved(&entry.names).is_empty();
        entry.writer.rest(now);
        let writer = &entry.writer;
        let (state, since) = writer.state();
        let lost = writer.under_way().map(|(_, sent)| sent + LOST);
        let held = state == Some(ServiceState::Held);
        let unresolved = (held && unresolved).then_some(events::UNRESOLVED);
        let delay = state.and_then(condition::longest_delay).or(unresolved);
        let patience = delay.map(|delay| since + delay);
        let repeat = writer.said.map(|(_, at)| at + events::REPEAT);
        let times = [
            lost.map(|at| (at, "an answer about a Service is overdue")),
            Some((writer.not_before(), "a Service is to be written again")),
            writer.turn_at().map(|at| (at, "nobody else has written it")),
            patience.map(|at| (at, "a Service has waited")),
            repeat.filter(|_| delay.is_some()).map(|at| (at, "an Event is to be repeated")),
        ];
        let next =
            times.into_iter().flatten().filter(|(at, _)| *at > now).min_by_key(|(at, _)| *at);
        self.timers.rearm(name, &mut entry.due, next);
    }
}
