//! What answers and watch events do to an election.

use std::time::Duration;

use super::author::Before;
use super::view::{Known, Taken};
use super::{Call, Courtesy, Election, Freshness, Purpose, Retry, Role, Warning, term};
use crate::core::input::{LeaseView, Origin, WriteOutcome};
use crate::core::jitter::backoff;
use crate::core::report::Level;
use crate::core::time::Moment;
use crate::core::version::is_older;

impl Election {
    /// The object was read.
    pub fn observe(&mut self, origin: Origin, view: LeaseView, now: Moment) {
        let reading = self.call.is_some_and(|call| call.purpose == Purpose::Read);
        let before = self.before(&view);
        let taken = self.known.take(view, now, origin);
        if taken == Taken::Older {
            self.tally.rejects += 1;
            return;
        }
        if reading && origin == Origin::Read {
            self.call = None;
            self.freshness = Freshness::Current;
        }
        if let Taken::Changed { holder_changed } = taken {
            self.noticed = now;
            // Whatever was written against an older version is stored in this one, or never will be.
            self.freshness = Freshness::Current;
            self.note_change(before);
            self.courtesy = self.jitter.up_to(self.terms.timing.duration / 100);
            if holder_changed {
                self.tally.transitions += 1;
            }
        }
        self.look_for_namesake();
        if self.known.holder().is_none() {
            self.hurry = true;
        }
        self.calm_down(now);
        self.yield_to_other(now);
    }

    fn before(&self, view: &LeaseView) -> Before {
        match (self.known.object(), view) {
            (Some((known, ..)), LeaseView::Present { version, .. }) if is_older(version, known) => {
                Before::Later
            }
            (None, _) if self.known == Known::Nothing => Before::Unread,
            _ => Before::Earlier,
        }
    }

    /// What failed before does not matter any more once another is seen to hold the lease.
    fn calm_down(&mut self, now: Moment) {
        let others = self.holder().is_some_and(|holder| holder != self.me());
        if self.role == Role::Following && others && self.ownerless_since(now).is_none() {
            self.retry = Retry::none(now);
        }
    }

    /// A holder that sees another's name in the lease is no longer one, whatever `until` says.
    fn yield_to_other(&mut self, now: Moment) {
        if !matches!(self.role, Role::Holding { .. }) || self.is_ours() {
            return;
        }
        if let Some(holder) = self.holder().map(str::to_owned) {
            self.role = Role::Following;
            let who = if holder.is_empty() { "nobody".to_owned() } else { holder };
            self.report(Level::Warn, format!("lost: the lease now names {who} as its holder"));
            self.retry.not_before = now;
        }
    }

    /// A read failed.
    pub fn unreadable(&mut self, reason: String, now: Moment) {
        if self.call.is_some_and(|call| call.purpose == Purpose::Read) {
            self.call = None;
            self.failed(reason, now);
        }
    }

    /// A write was answered, or never will be.
    pub fn written(&mut self, attempt: u64, outcome: WriteOutcome, now: Moment) {
        let Some(call) = self.call.filter(|call| call.attempt == attempt) else {
            self.tally.rejects += 1;
            return;
        };
        self.call = None;
        match &outcome {
            WriteOutcome::Stored { .. } => {}
            WriteOutcome::Unknown(_) => self.note_lost(call),
            _ => self.note_refused(),
        }
        match outcome {
            WriteOutcome::Stored { version, record } => {
                let named = record.holder.clone();
                self.known.store(version.clone(), record, now);
                self.note_stored(&version);
                self.look_for_namesake();
                self.stored(call, &named, now);
            }
            WriteOutcome::Conflict => {
                self.freshness = Freshness::Doubtful;
                self.failed("somebody else wrote the lease first (409)".to_owned(), now);
                // The watch tells soon who it was; where one is raced for, it is asked at once.
                if self.retry.failures == 1 && self.terms.courtesy == Courtesy::Race {
                    self.retry.not_before = now;
                }
            }
            WriteOutcome::Gone => {
                self.known.forget();
                self.failed("the lease was deleted (404)".to_owned(), now);
            }
            WriteOutcome::Rejected(why) => self.failed(why, now),
            WriteOutcome::Unknown(why) => {
                self.freshness = Freshness::Doubtful;
                self.failed(why, now);
            }
        }
        self.look_for_namesake();
    }

    fn stored(&mut self, call: Call, named: &str, now: Moment) {
        let expected = if call.purpose == Purpose::Release { "" } else { self.me() };
        if named != expected {
            self.tally.rejects += 1;
            self.freshness = Freshness::Doubtful;
            return self.failed(format!("the answer names {named:?} as the holder"), now);
        }
        self.freshness = Freshness::Current;
        self.retry.failures = 0;
        self.retry.not_before = now;
        if call.purpose == Purpose::Release {
            self.role = Role::Following;
            self.renewed = None;
            return self.report(Level::Info, "released".to_owned());
        }
        self.tally.renewals += 1;
        self.claimed(call.sent, now);
        self.yield_to_other(now); // The watch may have been faster with what came after.
    }

    fn claimed(&mut self, sent: Moment, now: Moment) {
        self.renewed = Some(sent);
        self.spread = match self.terms.courtesy {
            Courtesy::Race => Duration::ZERO,
            Courtesy::Rank(_) => self.jitter.up_to(term::renew_every(&self.terms.timing) / 7),
        };
        self.hurry = false;
        let overdue = std::mem::take(&mut self.overdue_reported);
        let warned = std::mem::replace(&mut self.retry.warning, Warning::Withheld);
        if overdue || warned == Warning::Given {
            self.report(Level::Info, "its requests succeed again".to_owned());
        }
        self.retry.reason = None;
        let until = term::until(sent, &self.terms.timing);
        if until <= now {
            let took = now.since(sent).as_secs_f64();
            return self.report(
                Level::Warn,
                format!("a renewal came too late to count: the API server took {took:.1} s"),
            );
        }
        if self.role == Role::Following {
            self.report(Level::Info, format!("held by this node ({})", self.me()));
        }
        self.role = Role::Holding { until };
    }

    pub(super) fn failed(&mut self, reason: String, now: Moment) {
        self.tally.failures += 1;
        self.retry.failures += 1;
        let first = Duration::from_millis(100);
        let wait = backoff(first, self.terms.timing.retry_period, self.retry.failures);
        self.retry.not_before = now + self.jitter.around(wait);
        let news = self.retry.reason.as_ref() != Some(&reason);
        let due = self.retry.failures > 1 && self.retry.warning == Warning::Withheld;
        if news || due {
            let level = if self.retry.failures > 1 { Level::Warn } else { Level::Debug };
            if level == Level::Warn {
                self.retry.warning = Warning::Given;
            }
            self.report(level, format!("a request failed, tried again soon: {reason}"));
            self.retry.reason = Some(reason);
        }
    }
}
