//! This node's part in one Lease election, and what that Lease decides about.

use std::time::Duration;

use super::election::{Courtesy, Election, Role, Terms};
use super::lease::LeaseName;
use super::members::Members;
use crate::core::context::Site;
use crate::core::jitter::rank;
use crate::core::time::Moment;
use crate::core::work_queue::Due;

/// The longest that a candidate waits for its turn when a lease is free. The ranks of a few nodes
/// are some milliseconds apart, longer than a watch event is on its way.
const LONGEST_RANK: Duration = Duration::from_millis(24);
/// A cordoned node lets the others go first.
const RELUCTANCE: Duration = Duration::from_millis(1500);

/// What this node has given away is taken over by another in less, if there is one that can.
pub(super) const SUCCESSION: Duration = Duration::from_millis(100);

/// How keen this node is on a lease that is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keenness {
    /// It has the addresses already: at once.
    First,
    /// In its turn.
    InTurn,
    /// Only when nobody else takes it: the node is cordoned.
    Last,
}

/// How far this node has come in giving a lease away because the process ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Leaving {
    /// It has not begun to.
    #[default]
    No,
    /// It gives it away.
    Begun,
    /// It was not in our name any more at this moment.
    Given(Moment),
}

/// A Lease and what it decides about.
#[derive(Clone, Debug)]
pub(super) struct Candidacy {
    /// The election.
    pub(super) election: Election,
    /// What is to be under the Lease, and what still is.
    pub(super) members: Members,
    /// Its next time.
    pub(super) due: Due,
    leaving: Leaving,
    /// What was known of it when that was handed out last.
    told: LeaseState,
    held_before: bool,
}

/// What those depend on whom a Lease decides about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaseState {
    /// The end of this node's hold.
    pub(crate) until: Option<Moment>,
    /// The holder that it names.
    pub(crate) holder: Option<String>,
    /// Whether it was read.
    pub(crate) read: bool,
    /// Which addresses it says that it decides about no more.
    pub(crate) moved: Option<Box<str>>,
}

impl LeaseState {
    /// What an election has come to.
    #[must_use]
    pub(crate) fn of(election: &Election) -> Self {
        Self {
            until: match election.role() {
                Role::Holding { until } => Some(until),
                Role::Following => None,
            },
            holder: election.holder().map(str::to_owned),
            read: election.was_read(),
            moved: election.record().and_then(|(record, _)| record.moved.clone()),
        }
    }
}

impl Candidacy {
    /// A candidate for `lease`.
    #[must_use]
    pub(super) fn new(lease: &LeaseName, site: &Site) -> Self {
        let terms = Terms {
            lease: lease.clone(),
            identity: site.node.clone(),
            annotations: Default::default(),
            timing: site.settings.timing,
            courtesy: match *lease == site.settings.lease {
                true => Courtesy::Race,
                false => courtesy(lease, &site.node, Keenness::InTurn),
            },
        };
        let own = rank(&[&lease.namespace, &lease.name], Duration::MAX).as_nanos();
        let seed = site.seed ^ u64::try_from(own & u128::from(u64::MAX)).unwrap_or_default();
        Self {
            election: Election::new(terms, seed),
            members: Members::default(),
            due: None,
            leaving: Leaving::No,
            told: LeaseState::default(),
            held_before: false,
        }
    }

    /// Changes how keen this node is; the lease for all Services is raced for.
    pub(super) fn set_keenness(&mut self, keenness: Keenness) {
        let terms = self.election.terms();
        if terms.courtesy == Courtesy::Race {
            return;
        }
        let wanted = courtesy(&terms.lease, &terms.identity, keenness);
        if terms.courtesy != wanted {
            self.election.set_courtesy(wanted);
        }
    }

    /// Notes what the election has come to.
    pub(super) fn note(&mut self, now: Moment) {
        self.held_before |= matches!(self.election.role(), Role::Holding { .. });
        if self.leaving == Leaving::Begun && self.held_before && !self.is_ours() {
            self.leaving = Leaving::Given(now);
        }
    }

    /// What has changed since the last call: before and now.
    pub(super) fn tell(&mut self) -> Option<(LeaseState, &LeaseState)> {
        let now = LeaseState::of(&self.election);
        if now == self.told {
            return None;
        }
        let before = std::mem::replace(&mut self.told, now);
        Some((before, &self.told))
    }

    /// Begins to give it away.
    pub(super) fn leave(&mut self) {
        self.leaving = Leaving::Begun;
    }

    /// Whether it is being given away, or was.
    #[must_use]
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving != Leaving::No
    }

    /// Whether it is in this node's name.
    #[must_use]
    pub(super) fn is_ours(&self) -> bool {
        self.election.holder() == Some(self.election.terms().identity.as_str())
    }

    /// Whether this node has held it since its start.
    #[must_use]
    pub(super) const fn has_held(&self) -> bool {
        self.held_before
    }

    /// When the successor of what was given away has had its time.
    #[must_use]
    pub(super) fn succession_ends(&self) -> Option<Moment> {
        match self.leaving {
            Leaving::Given(at) => Some(at + SUCCESSION),
            Leaving::No | Leaving::Begun => None,
        }
    }

    /// Whether this node gives it away: it is its own, or nobody has taken over yet what others
    /// may still take over.
    #[must_use]
    pub(super) fn is_parting(&self, now: Moment) -> bool {
        let given = self.held_before && self.election.holder().is_none_or(str::is_empty);
        let awaited = self.succession_ends().is_none_or(|end| now < end);
        self.is_leaving() && (self.is_ours() || (given && awaited))
    }

    /// The holder as far as is known, unless its time is up.
    #[must_use]
    pub(super) fn holder(&self, now: Moment) -> Option<&str> {
        let ownerless = self.election.ownerless_since(now).is_some();
        self.election.holder().filter(|holder| !holder.is_empty() && !ownerless)
    }
}

fn courtesy(lease: &LeaseName, node: &str, keenness: Keenness) -> Courtesy {
    let turn = rank(&[node, &lease.namespace, &lease.name], LONGEST_RANK);
    Courtesy::Rank(match keenness {
        Keenness::First => Duration::ZERO,
        Keenness::InTurn => turn,
        Keenness::Last => RELUCTANCE + turn,
    })
}
