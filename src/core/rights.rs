//! Who may hold what, and until when. Everybody else asks for a [`Right`] and does not know how it
//! came about: by a Lease of Services' own, by the control plane's Lease, or because every node
//! may. Peers that watch each other, and etcd, will be further variants of [`Authority`] with an
//! arm each in [`Rights::right`].
//!
//! Take in: [`Rights::take_leases`], [`Rights::with_election`]. Drive: [`Rights::drive`] lets
//! elections act and hands out what changed as [`News`]; [`Rights::send_requests`] sends what they
//! want of the API server, in the order and at the pace of the request queue.

pub(crate) mod candidacies;
pub(crate) mod candidacy;
pub mod election;
pub mod lease;
mod leaving;
pub mod machine;
pub mod mark;
mod members;
pub(crate) mod request_queue;
mod right;
mod seen;
mod subject;
mod warned;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::cluster::unreadable::Reasons;
use super::context::Site;
use super::work_queue::Timers;
use candidacy::Candidacy;
pub(crate) use candidacy::LeaseState;
use election::Tally;
use lease::LeaseName;
use machine::Machine;
pub(crate) use members::Members;
use request_queue::RequestQueue;
pub(crate) use right::{Authority, Right};
use seen::SeenLeases;
pub(crate) use subject::{Scope, Subject, Subjects};
use warned::Warned;
pub(crate) use watch::FirstList;

/// The rights of one node.
#[derive(Clone, Debug)]
pub(crate) struct Rights {
    site: Rc<Site>,
    candidacies: BTreeMap<Rc<LeaseName>, Candidacy>,
    /// Leases that no election of ours follows.
    seen: SeenLeases,
    queue: RequestQueue,
    /// Elections to be driven.
    pending: BTreeSet<Rc<LeaseName>>,
    timers: Timers<Rc<LeaseName>>,
    /// This machine, by which elections know their own records.
    machine: Rc<Machine>,
    /// Leases that are there and could not be read.
    unreadable: Reasons<LeaseName>,
    /// What was warned of about them.
    warned: Warned,
    /// Numbers of elections that are not followed any more.
    past: Tally,
}

/// What has changed about a Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// The Lease.
    pub(crate) lease: Rc<LeaseName>,
    /// What is different.
    pub(crate) what: What,
}

/// What can change about a Lease. Whatever else does, the end of a hold does too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The end of this node's hold, or anything else.
    Hold,
    /// Who holds it, or that this node does not any more.
    Holder,
    /// Which addresses it says that it decides about no more.
    Marks,
}

#[cfg(test)]
mod tests;
