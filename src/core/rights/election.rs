//! One candidate in one Lease election, compatible with client-go's
//! (`k8s.io/client-go/tools/leaderelection`): same object, same meaning of every field.
//!
//! Beyond it: a released lease is taken as soon as it is seen; a hold has an end (`until`, see
//! [`term`]) and losing it is an event; a candidate may abstain and hands over what it holds.
//!
//! Handle: [`Election::observe`], [`Election::unreadable`], [`Election::written`] take answers in;
//! [`Election::stand`] says whether to compete; [`Election::drive`] acts on what is due and must
//! be called after each of them. At most one request is under way at a time.

pub mod term;

pub mod drive;
mod view;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::core::input::{LeaseSeen, LeaseView, Origin, WriteOutcome};
use crate::core::jitter::{Jitter, backoff};
use crate::core::report::{Level, Report};
use crate::core::rights::lease::{LeaseName, LeaseRecord};
use crate::core::settings::LeaseTiming;
use crate::core::time::Moment;
use view::{Known, Taken};

/// What this node is in the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Somebody else holds the lease, or nobody.
    Following,
    /// This node holds it until then, and not a moment longer.
    Holding {
        /// The end, unless a renewal succeeds.
        until: Moment,
    },
}

/// Whether this node should hold the lease at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// It can do what the holder has to do.
    Fit,
    /// It cannot, for this reason: it does not stand, and hands over what it holds.
    Unfit(String),
    /// The process ends: the same, and nothing is wrong.
    Leaving,
}

impl Fitness {
    /// Why the node should not hold the lease, if it should not.
    #[must_use]
    pub fn obstacle(&self) -> Option<&str> {
        match self {
            Self::Fit => None,
            Self::Unfit(why) => Some(why),
            Self::Leaving => Some("this process is stopping"),
        }
    }
}

/// Who stands, and on what terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The Lease.
    pub lease: LeaseName,
    /// Our `holderIdentity`.
    pub identity: String,
    /// Annotations for a Lease that we create.
    pub annotations: BTreeMap<String, String>,
    /// The times.
    pub timing: LeaseTiming,
    /// How the candidates keep out of each other's way.
    pub courtesy: Courtesy,
}

/// How the candidates of one lease keep out of each other's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Courtesy {
    /// A lease that was released is raced for. After an expiry, when all would ask at the same
    /// moment, each waits up to 1 % of the lease, drawn anew for each record.
    Race,
    /// Each waits for so long whenever the lease is free: its rank, which differs from lease to
    /// lease, so that no node takes them all. Renewals of many leases are spread.
    Rank(Duration),
}

/// How soon a request has to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// The hold ends soon.
    Ending,
    /// An address waits for it: a claim, a release, or a read before one.
    Waiting,
    /// A renewal at its usual time.
    Routine,
}

/// What a request under way is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Read,
    Claim,
    Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    purpose: Purpose,
    attempt: u64,
    sent: Moment,
    timeout: Duration,
}

/// Whether what we know of the object can be written against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freshness {
    Current,
    /// A write was refused or its fate is unknown: read before the next one.
    Doubtful,
}

/// Failures in a row, and when to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Retry {
    failures: u32,
    not_before: Moment,
    reason: Option<String>,
    warning: Warning,
}

/// Whether the log says why requests fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Warning {
    /// Only one has failed, which happens in passing.
    Withheld,
    /// It does.
    Given,
}

impl Retry {
    const fn none(not_before: Moment) -> Self {
        Self { failures: 0, not_before, reason: None, warning: Warning::Withheld }
    }
}

/// Numbers for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Claims and renewals that were stored.
    pub renewals: u64,
    /// Requests that failed.
    pub failures: u64,
    /// Changes of holder that were seen.
    pub transitions: u64,
    /// Answers that made no sense (late, out of order).
    pub rejects: u64,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Election {
    terms: Terms,
    known: Known,
    freshness: Freshness,
    role: Role,
    fitness: Fitness,
    call: Option<Call>,
    attempts: u64,
    retry: Retry,
    /// When our last stored claim or renewal was sent.
    renewed: Option<Moment>,
    /// Ask for a renewal before it is due.
    hurry: bool,
    /// The renewal deadline that was missed was reported.
    overdue_reported: bool,
    /// Time that this candidate lets others go first, drawn anew for each record.
    courtesy: Duration,
    /// When the object's state was seen to change last.
    noticed: Moment,
    /// Since when this node has stood.
    stood: Moment,
    /// Added to the time of the next renewal.
    spread: Duration,
    jitter: Jitter,
    tally: Tally,
    reports: Vec<Report>,
}

impl Election {
    /// A candidate that knows nothing yet.
    #[must_use]
    pub fn new(terms: Terms, seed: u64) -> Self {
        Self {
            terms,
            known: Known::Nothing,
            freshness: Freshness::Current,
            role: Role::Following,
            fitness: Fitness::Fit,
            call: None,
            attempts: 0,
            retry: Retry::none(Moment::default()),
            renewed: None,
            hurry: false,
            overdue_reported: false,
            courtesy: Duration::ZERO,
            noticed: Moment::default(),
            stood: Moment::default(),
            spread: Duration::ZERO,
            jitter: Jitter::new(seed),
            tally: Tally::default(),
            reports: Vec::new(),
        }
    }

    /// What this node is.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether it should be what it is.
    #[must_use]
    pub const fn fitness(&self) -> &Fitness {
        &self.fitness
    }

    /// The terms.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Numbers for the metrics.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// The holder that the lease names; `None` while it is unread or does not exist.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.known.holder()
    }

    /// Whether the lease, or its absence, was ever seen.
    #[must_use]
    pub fn was_read(&self) -> bool {
        self.known != Known::Nothing
    }

    /// The record, where there is one, and when it was seen to be written last by its holder.
    #[must_use]
    pub fn record(&self) -> Option<(&LeaseRecord, Moment)> {
        self.known.object().map(|(_, record, seen)| (record, seen))
    }

    /// `leaseTransitions` of the lease.
    #[must_use]
    pub fn transitions(&self) -> u32 {
        self.known.last().map_or(0, |(record, _)| record.transitions)
    }

    /// When our last renewal was sent, or when the holder's was seen.
    #[must_use]
    pub fn renewal_seen(&self) -> Option<Moment> {
        match self.role {
            Role::Holding { .. } => self.renewed,
            Role::Following => self.known.last().map(|(_, seen)| seen),
        }
    }

    /// Whether a claim is under way that may yet make this node the holder.
    #[must_use]
    pub fn is_claiming(&self) -> bool {
        self.call.is_some_and(|call| call.purpose == Purpose::Claim)
    }

    /// Whether a request is under way.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.call.is_some()
    }

    /// The object as last seen, and when it was seen to change, for who follows it no longer.
    #[must_use]
    pub fn to_note(&self) -> Option<(LeaseSeen, Moment)> {
        let (version, record, seen) = self.known.object()?;
        let lease = self.terms.lease.clone();
        let (version, record) = (version.to_owned(), record.clone());
        Some((LeaseSeen { lease, version, record }, seen))
    }

    /// What is wrong with the requests, to be put behind another reason.
    #[must_use]
    pub fn trouble_suffix(&self) -> String {
        self.retry.reason.as_ref().map_or_else(String::new, |why| format!(" ({why})"))
    }

    /// Takes the reports that have come up since the last call.
    pub fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// Changes how it keeps out of others' way.
    pub fn set_courtesy(&mut self, courtesy: Courtesy) {
        self.terms.courtesy = courtesy;
    }

    /// Says whether this node should compete.
    pub fn stand(&mut self, fitness: Fitness, now: Moment) {
        if fitness == self.fitness {
            return;
        }
        if fitness == Fitness::Fit {
            self.stood = now;
        }
        match &fitness {
            Fitness::Unfit(why) => self.report(Level::Warn, format!("does not stand: {why}")),
            Fitness::Fit => self.report(Level::Info, "stands again".to_owned()),
            Fitness::Leaving => {}
        }
        self.fitness = fitness;
        if self.fitness.obstacle().is_some() {
            self.retry.not_before = Moment::default(); // A release does not wait.
        }
    }

    /// Asks for a renewal now: somebody else claims what we hold. Once a second is enough.
    pub fn make_sure(&mut self, now: Moment) {
        let sure = self.renewed.is_some_and(|sent| now.since(sent) < Duration::from_secs(1));
        self.hurry |= !sure;
    }

    /// The object was read.
    pub fn observe(&mut self, origin: Origin, view: LeaseView, now: Moment) {
        let reading = self.call.is_some_and(|call| call.purpose == Purpose::Read);
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
            self.courtesy = self.jitter.up_to(self.terms.timing.duration / 100);
            if holder_changed {
                self.tally.transitions += 1;
            }
        }
        if self.known.holder().is_none() {
            self.hurry = true;
        }
        self.calm_down(now);
        self.yield_to_other(now);
    }

    /// What failed before does not matter any more once another is seen to hold the lease.
    fn calm_down(&mut self, now: Moment) {
        let others = self.known.holder().is_some_and(|holder| holder != self.me());
        if self.role == Role::Following && others && self.ownerless_since(now).is_none() {
            self.retry = Retry::none(now);
        }
    }

    /// A holder that sees another's name in the lease is no longer one, whatever `until` says.
    fn yield_to_other(&mut self, now: Moment) {
        if !matches!(self.role, Role::Holding { .. }) || self.known.holder() == Some(self.me()) {
            return;
        }
        if let Some(holder) = self.known.holder().map(str::to_owned) {
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
        match outcome {
            WriteOutcome::Stored { version, record } => {
                let named = record.holder.clone();
                self.known.store(version, record, now);
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

    fn failed(&mut self, reason: String, now: Moment) {
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

    fn me(&self) -> &str {
        &self.terms.identity
    }

    fn report(&mut self, level: Level, what: String) {
        self.reports.push(Report { level, text: format!("lease {}: {what}", self.terms.lease) });
    }
}

#[cfg(test)]
mod tests;
