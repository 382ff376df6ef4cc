//! One Lease that decides about addresses of Services: its election, and which addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::core::jitter::rank;
use crate::core::rights::election::{Courtesy, Election, Role, Terms};
use crate::core::rights::lease::LeaseName;
use crate::core::settings::Services;
use crate::core::time::Moment;
use crate::core::work_queue::Due;

/// The longest that a candidate waits for its turn when a lease is free. The ranks of a few nodes
/// are some milliseconds apart, longer than a watch event is on its way.
const LONGEST_RANK: Duration = Duration::from_millis(24);
/// A cordoned node lets the others go first.
const RELUCTANCE: Duration = Duration::from_millis(1500);

/// What this node has given away is taken over by another in less, if there is one that can.
pub(in crate::core) const SUCCESSION: Duration = Duration::from_millis(100);

/// How keen this node is on a lease that is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keenness {
    /// It has the addresses already: at once.
    First,
    /// In its turn.
    InTurn,
    /// Only when nobody else takes it: the node is cordoned.
    Last,
}

/// Whether the lease is about to be given away because the process ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// No, or not yet.
    #[default]
    No,
    /// Yes.
    Yes,
}

/// A Lease and the addresses that it decides about.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    /// The election.
    pub(crate) election: Election,
    /// The addresses: those that are to be under it, and those that still are.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Its next time.
    pub(crate) due: Due,
    /// Being given away.
    pub(crate) leaving: Leaving,
    /// When this node had given it away.
    pub(crate) parted: Option<Moment>,
    /// What was known of it when its addresses were told last.
    pub(crate) told: Told,
    /// This node has held it.
    pub(crate) held_before: bool,
}

/// What addresses depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The end of this node's hold.
    pub(crate) until: Option<Moment>,
    /// The holder that it names.
    pub(crate) holder: Option<String>,
    /// Whether it was read.
    pub(crate) read: bool,
    /// Which addresses it says that it decides about no more.
    pub(crate) moved: Option<Box<str>>,
}

impl Told {
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

impl Seat {
    /// A candidate for `lease`.
    #[must_use]
    pub(crate) fn new(lease: &LeaseName, settings: &Services, node: &str, seed: u64) -> Self {
        let terms = Terms {
            lease: lease.clone(),
            identity: node.to_owned(),
            annotations: Default::default(),
            timing: settings.timing,
            courtesy: match *lease == settings.lease {
                true => Courtesy::Race,
                false => courtesy(lease, node, Keenness::InTurn),
            },
        };
        let own = rank(&[&lease.namespace, &lease.name], Duration::MAX).as_nanos();
        let seed = seed ^ u64::try_from(own & u128::from(u64::MAX)).unwrap_or_default();
        Self {
            election: Election::new(terms, seed),
            addresses: BTreeSet::new(),
            due: None,
            leaving: Leaving::No,
            parted: None,
            told: Told::default(),
            held_before: false,
        }
    }

    /// Changes how keen this node is; the lease for all Services is raced for.
    pub(crate) fn set_keenness(&mut self, keenness: Keenness) {
        let terms = self.election.terms();
        if terms.courtesy == Courtesy::Race {
            return;
        }
        let wanted = courtesy(&terms.lease, &terms.identity, keenness);
        if terms.courtesy != wanted {
            self.election.set_courtesy(wanted);
        }
    }

    /// Whether it is in this node's name.
    #[must_use]
    pub(crate) fn is_ours(&self) -> bool {
        self.election.holder() == Some(self.election.terms().identity.as_str())
    }

    /// Whether this node gives it away: it is its own, or nobody has taken over yet what others
    /// may still take over.
    #[must_use]
    pub(crate) fn is_parting(&self, now: Moment) -> bool {
        let given = self.held_before && self.election.holder().is_none_or(str::is_empty);
        let awaited = self.parted.is_none_or(|at| now < at + SUCCESSION);
        self.leaving == Leaving::Yes && (self.is_ours() || (given && awaited))
    }

    /// The holder as far as is known, unless its time is up.
    #[must_use]
    pub(crate) fn holder(&self, now: Moment) -> Option<&str> {
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
