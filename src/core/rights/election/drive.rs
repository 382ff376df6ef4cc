//! What the election does by itself: it ends holds, renews, takes over, releases.

use std::time::Duration;

use super::view::Known;
use super::{Call, Courtesy, Election, Freshness, Purpose, Role, Urgency, term};
use crate::core::input::{LeaseRequest, LeaseVerb};
use crate::core::report::Level;
use crate::core::rights::lease::{LeaseRecord, Stamp};
use crate::core::time::Moment;

/// Whether the lease may be given away: not while what it stands for is still here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// Nothing is left here.
    Clear,
    /// Addresses are still present here.
    NotYet,
}

/// The API server stores `spec.leaseTransitions` as an `int32` and refuses more: the count stays there.
const MOST_TRANSITIONS: u32 = i32::MAX.unsigned_abs();

/// What the election wants of the object now.
enum Wish {
    Read,
    Claim,
    Release,
}

impl Election {
    /// Whether it is known if this node holds the lease: one that is in its name from an earlier
    /// run has to be claimed again first.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        let ours = self.holder() == Some(self.terms.identity.as_str());
        let holding = matches!(self.role(), Role::Holding { .. });
        self.was_read() && (holding || !ours) && !self.is_claiming()
    }

    /// Acts on what is due at `now`.
    pub fn drive(&mut self, now: Moment, handover: Handover) -> Option<LeaseRequest> {
        self.tick(now);
        if self.call.is_some() || now < self.retry.not_before {
            return None;
        }
        let wish = self.wish(now, handover)?;
        Some(self.request(&wish, now))
    }

    /// Lets end what has run out at `now`; sends nothing.
    pub fn tick(&mut self, now: Moment) {
        self.end_hold(now);
        self.report_overdue(now);
        self.give_up_on_lost_answer(now);
    }

    /// Whether [`Election::drive`] would send a request now, and how urgent that is.
    #[must_use]
    pub fn urgency(&self, now: Moment, handover: Handover) -> Option<Urgency> {
        if self.call.is_some() || now < self.retry.not_before {
            return None;
        }
        self.wish(now, handover)?;
        Some(match self.role {
            Role::Following => Urgency::Waiting,
            _ if self.fitness.ineligible().is_some() => Urgency::Waiting,
            Role::Holding { until } if until.since(now) < self.terms.timing.duration / 3 => {
                Urgency::Ending
            }
            Role::Holding { .. } => Urgency::Routine,
        })
    }

    /// The next moment at which [`Election::tick`] has something to do.
    #[must_use]
    pub fn tick_deadline(&self) -> Option<(Moment, &'static str)> {
        let hold = match self.role {
            Role::Holding { until } => Some((until, "the hold of the lease ends")),
            Role::Following => None,
        };
        let answer = self.call.map(|call| (lost(&call), "an answer about the lease is overdue"));
        let overdue = self.overdue_at().map(|at| (at, "the renew deadline"));
        [hold, answer, overdue].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// The next moment at which [`Election::drive`] has something to do.
    #[must_use]
    pub fn deadline(&self, handover: Handover) -> Option<(Moment, &'static str)> {
        let act = match self.call {
            Some(_) => None,
            None => self.next_wish(handover).map(|(at, why)| (at.max(self.retry.not_before), why)),
        };
        [act, self.tick_deadline()].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    fn end_hold(&mut self, now: Moment) {
        let Role::Holding { until } = self.role else { return };
        if now < until {
            return;
        }
        self.role = Role::Following;
        let why = self.retry.reason.clone().unwrap_or_else(|| "no answer came in time".to_owned());
        let silence = self.renewed.map_or(Duration::ZERO, |sent| now.since(sent)).as_secs_f64();
        let text = format!("lost: not renewed for {silence:.1} s ({why}); it is tried again");
        self.report(Level::Error, text);
    }

    fn overdue_at(&self) -> Option<Moment> {
        let holding = matches!(self.role, Role::Holding { .. }) && !self.overdue_reported;
        self.renewed.filter(|_| holding).map(|sent| sent + self.terms.timing.renew_deadline)
    }

    fn report_overdue(&mut self, now: Moment) {
        if self.overdue_at().is_none_or(|at| now < at) {
            return;
        }
        self.overdue_reported = true;
        let left = match self.role {
            Role::Holding { until } => until.since(now).as_secs_f64(),
            Role::Following => 0.0,
        };
        let why = self.retry.reason.clone().unwrap_or_else(|| "no answer yet".to_owned());
        let text = format!("the renew deadline is missed ({why}); held for {left:.1} s more");
        self.report(Level::Warn, text);
    }

    fn give_up_on_lost_answer(&mut self, now: Moment) {
        if let Some(call) = self.call.filter(|call| now >= lost(call)) {
            self.call = None;
            self.note_lost(call);
            self.freshness = Freshness::Doubtful;
            self.failed("the request was never answered".to_owned(), now);
        }
    }

    /// What to do now. `None`: wait.
    fn wish(&self, now: Moment, handover: Handover) -> Option<Wish> {
        let (at, _) = self.next_wish(handover)?;
        if now < at {
            return None;
        }
        if self.freshness == Freshness::Doubtful || self.known == Known::Nothing {
            return Some(Wish::Read);
        }
        let stands = self.fitness.ineligible().is_none();
        Some(if stands { Wish::Claim } else { Wish::Release })
    }

    /// When there is something to ask the API server for, if nothing happens before.
    fn next_wish(&self, handover: Handover) -> Option<(Moment, &'static str)> {
        let now = self.retry.not_before;
        if self.known == Known::Nothing {
            return Some((now, "the lease has not been read"));
        }
        if self.fitness.ineligible().is_some() {
            let due = self.is_ours() && handover == Handover::Clear;
            return due.then_some((now, "the lease is to be released"));
        }
        if let (Role::Holding { .. }, Some(sent)) = (self.role, self.renewed) {
            let hurry = self.hurry || self.freshness == Freshness::Doubtful;
            let failing = self.retry.failures > 0;
            let due = sent + term::renew_every(&self.terms.timing) + self.spread;
            let at = if hurry || failing { now } else { due };
            return Some((at, "the lease is to be renewed"));
        }
        Some((self.free_at().unwrap_or(now), "the lease can be taken"))
    }

    /// When the lease can be taken, as far as is known; `None`: now.
    fn free_at(&self) -> Option<Moment> {
        let last = self.known.last();
        if self.was_ours() {
            return None;
        }
        let free = last.map(|(record, seen)| term::free_at(record, seen, &self.terms.timing));
        match self.terms.courtesy {
            Courtesy::Rank(rank) => Some(free.unwrap_or(self.noticed).max(self.stood) + rank),
            Courtesy::Race => {
                // Those who wait for an expiry would all ask at the same moment.
                let released = last.is_some_and(|(record, _)| record.holder.is_empty());
                free.map(|free| if released { free } else { free + self.courtesy })
            }
        }
    }

    /// When the lease was free for anyone to take and still is, since when.
    #[must_use]
    pub fn ownerless_since(&self, now: Moment) -> Option<Moment> {
        let (record, seen) = self.known.last()?;
        let free = term::free_at(record, seen, &self.terms.timing);
        (self.role == Role::Following && free <= now).then_some(free)
    }

    fn request(&mut self, wish: &Wish, now: Moment) -> LeaseRequest {
        self.attempts += 1;
        let purpose = match wish {
            Wish::Read => Purpose::Read,
            Wish::Claim => Purpose::Claim,
            Wish::Release => Purpose::Release,
        };
        if purpose == Purpose::Release {
            // From here on another may take it, whether or not the answer reaches us.
            self.role = Role::Following;
            self.renewed = None;
        }
        let timeout = (self.terms.timing.renew_deadline / 2).max(Duration::from_secs(1));
        self.call = Some(Call { purpose, attempt: self.attempts, sent: now, timeout });
        LeaseRequest { lease: self.terms.lease.clone(), verb: self.verb(wish), timeout }
    }

    fn verb(&self, wish: &Wish) -> LeaseVerb {
        let attempt = self.attempts;
        match (wish, &self.known) {
            (Wish::Read, _) | (_, Known::Nothing) => LeaseVerb::Read,
            (_, Known::Absent { .. }) => LeaseVerb::Create {
                attempt,
                record: self.first_record(),
                annotations: self.terms.annotations.clone(),
            },
            (Wish::Claim, Known::Present { version, record, .. }) => LeaseVerb::Replace {
                attempt,
                version: version.clone(),
                record: self.claim_record(record),
            },
            (Wish::Release, Known::Present { version, record, .. }) => LeaseVerb::Replace {
                attempt,
                version: version.clone(),
                record: release_record(record),
            },
        }
    }

    fn first_record(&self) -> LeaseRecord {
        LeaseRecord {
            holder: self.me().to_owned(),
            duration_seconds: term::duration_seconds(&self.terms.timing),
            acquired: Stamp::Now,
            renewed: Stamp::Now,
            transitions: 0,
            moved: None,
            writer: self.machine.name().map(|machine| format!("{} {machine}", self.me()).into()),
        }
    }

    /// client-go, `tryAcquireOrRenew`: a renewal keeps the time and the count of the acquisition.
    fn claim_record(&self, current: &LeaseRecord) -> LeaseRecord {
        let first = self.first_record();
        if self.was_ours() {
            let (acquired, transitions) = (current.acquired.clone(), current.transitions);
            return LeaseRecord { acquired, transitions, ..first };
        }
        let transitions = current.transitions.saturating_add(1).min(MOST_TRANSITIONS);
        LeaseRecord { transitions, ..first }
    }
}

/// client-go, `release`: no holder, one second, the count stays.
fn release_record(current: &LeaseRecord) -> LeaseRecord {
    LeaseRecord {
        holder: String::new(),
        duration_seconds: 1,
        acquired: Stamp::Now,
        renewed: Stamp::Now,
        transitions: current.transitions,
        moved: None,
        writer: None,
    }
}

/// The shell answers within the timeout; an answer that is a second late is lost.
fn lost(call: &Call) -> Moment {
    call.sent + call.timeout + Duration::from_secs(1)
}
