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

mod answers;
pub mod author;
pub mod drive;
mod view;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::core::input::LeaseSeen;
use crate::core::jitter::Jitter;
use crate::core::report::{Level, Report};
use crate::core::rights::lease::{LeaseName, LeaseRecord};
use crate::core::rights::machine::Machine;
use crate::core::settings::LeaseTiming;
use crate::core::time::Moment;
use author::{Author, LostClaim};
use view::Known;

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
    pub fn ineligible(&self) -> Option<&str> {
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
    /// Whose the record is, where it is in our name.
    author: Author,
    lost_claim: LostClaim,
    machine: Rc<Machine>,
    /// The holder, where it is another machine of our name.
    namesake: Option<String>,
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
            author: Author::EarlierRun,
            lost_claim: LostClaim::No,
            machine: Rc::default(),
            namesake: None,
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

    /// The holder; `None` while the lease is unread or does not exist. It is our identity only
    /// where the record is this machine's: another of the same name is called by more than that.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.namesake.as_deref().or_else(|| self.known.holder())
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
        if self.fitness.ineligible().is_some() {
            self.retry.not_before = Moment::default(); // A release does not wait.
        }
    }

    /// Asks for a renewal now: somebody else claims what we hold. Once a second is enough.
    pub fn make_sure(&mut self, now: Moment) {
        let sure = self.renewed.is_some_and(|sent| now.since(sent) < Duration::from_secs(1));
        self.hurry |= !sure;
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
