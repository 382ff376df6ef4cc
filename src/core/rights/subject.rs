//! What a right is about, and what an election has to know of it.

use std::net::IpAddr;

use super::lease::LeaseName;
use super::members::Members;
use crate::core::cluster::record::ServiceName;

/// What can stand in an election.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// An address.
    Address(IpAddr),
    /// The request of a Service for an address that it does not have yet: the node that has the
    /// right asks for one (by DHCP, say).
    #[cfg_attr(not(test), expect(dead_code, reason = "sources of addresses make such requests"))]
    Request {
        /// The Service.
        service: ServiceName,
        /// Which of its addresses, counted from zero.
        index: u8,
    },
}

impl From<IpAddr> for Subject {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl Subject {
    /// The address, where there is one already.
    #[must_use]
    pub(crate) const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Request { .. } => None,
        }
    }
}

/// What keeps this node from a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Something about this node: no right is of use to it.
    Node,
    /// Something about this subject.
    Subject,
}

/// What elections ask the owner of their subjects.
pub(crate) trait Subjects {
    /// What keeps this node from holding the subject, if something does.
    fn ineligible(&self, subject: &Subject) -> Option<Scope>;

    /// The same for a person.
    fn reason(&self, subject: &Subject) -> String;

    /// Whether this node holds any of them.
    fn holds_any(&self, members: &Members) -> bool;

    /// Whether any of them may still be on this node by this Lease.
    fn lingers_any(&self, members: &Members, lease: &LeaseName) -> bool;

    /// Whether a Lease that this node holds has to be marked before it is given back.
    fn awaits_mark(&self, lease: &LeaseName) -> bool;
}
