//! The answer to «may this node hold it?», the same whatever decides.

use std::rc::Rc;

use super::Rights;
use super::election::author::CURE;
use super::election::{Role, term};
use super::lease::{LeaseName, LeaseRecord};
use super::mark::{Moved, moved};
use crate::core::context::{Around, Site};
use crate::core::settings::ServiceElection;
use crate::core::time::Moment;

/// What decides about an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Authority {
    /// Nothing: no Service asks for it.
    #[default]
    Nobody,
    /// It is one of the control plane's addresses and goes where that goes.
    ControlPlane,
    /// The control plane's Lease, which is the Services' too (ELE-4).
    ControlPlaneLease,
    /// This Lease.
    Lease(Rc<LeaseName>),
    /// No Lease: every node that can has it.
    EveryNode,
}

impl Authority {
    /// The Lease, where it is one that only Services go by.
    #[must_use]
    pub(crate) const fn lease(&self) -> Option<&Rc<LeaseName>> {
        match self {
            Self::Lease(lease) => Some(lease),
            _ => None,
        }
    }
}

/// Whether this node may hold something, and who holds it instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Right<'a> {
    until: Option<Moment>,
    holder: Option<&'a str>,
    node: &'a str,
}

impl<'a> Right<'a> {
    /// Until when this node may hold it, and not a moment longer; `None`: it may not.
    #[must_use]
    pub(crate) const fn until(&self) -> Option<Moment> {
        self.until
    }

    /// Whether this node may hold it now.
    #[must_use]
    pub(crate) const fn is_held(&self) -> bool {
        self.until.is_some()
    }

    /// The node in whose name it is, as far as is known and its time is not up. It may be this
    /// node's and not held: an earlier run had it.
    #[must_use]
    pub(crate) const fn holder(&self) -> Option<&'a str> {
        self.holder
    }

    /// Whether it is in this node's name.
    #[must_use]
    pub(crate) fn is_ours(&self) -> bool {
        self.holder == Some(self.node)
    }

    /// Whether another machine of this node's name holds it: that one is called by more than the
    /// name.
    #[must_use]
    pub(crate) fn is_at_namesake(&self) -> bool {
        let rest = self.holder.and_then(|holder| holder.strip_prefix(self.node));
        rest.is_some_and(|rest| rest.starts_with(' '))
    }

    /// What is to be done about the holder, behind its name.
    #[must_use]
    pub(crate) fn advice(&self) -> String {
        match self.is_at_namesake() {
            true => format!(": {CURE}"),
            false => String::new(),
        }
    }

    /// The other node that holds it.
    #[must_use]
    pub(crate) fn elsewhere(&self) -> Option<&'a str> {
        self.holder.filter(|holder| *holder != self.node)
    }
}

impl Rights {
    /// What does not change while the process runs.
    #[must_use]
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// The right to what an authority decides about.
    #[must_use]
    pub(crate) fn right<'a>(&'a self, authority: &Authority, around: &Around<'a>) -> Right<'a> {
        let (role, holder) = match authority {
            Authority::Nobody => (Role::Following, None),
            Authority::EveryNode => {
                let until = term::rolling(around.now, &self.site.settings.timing);
                (Role::Holding { until }, None)
            }
            Authority::ControlPlane | Authority::ControlPlaneLease => {
                self.right_of_control_plane(around)
            }
            Authority::Lease(lease) => self.right_by_lease(lease, around.now),
        };
        let until = match role {
            Role::Holding { until } => Some(until),
            Role::Following => None,
        };
        Right { until, holder: holder.filter(|holder| !holder.is_empty()), node: &self.site.node }
    }

    fn right_of_control_plane<'a>(&self, around: &Around<'a>) -> (Role, Option<&'a str>) {
        let Some(group) = around.control_plane else { return (Role::Following, None) };
        let ownerless = group.election.ownerless_since(around.now).is_some();
        (group.role(around.now), group.election.holder().filter(|_| !ownerless))
    }

    fn right_by_lease(&self, lease: &LeaseName, now: Moment) -> (Role, Option<&str>) {
        match self.candidacies.get(lease) {
            Some(candidacy) => (candidacy.election.role(), candidacy.holder(now)),
            None => {
                let timing = &self.site.settings.timing;
                let valid = |record: &LeaseRecord, seen| now < term::free_at(record, seen, timing);
                let known = self.seen.get(lease).filter(|known| valid(&known.record, known.seen));
                (Role::Following, known.map(|known| known.record.holder.as_str()))
            }
        }
    }

    /// The end of a hold by a Lease that is not being given away.
    #[must_use]
    pub(crate) fn held_in_peace(&self, lease: &LeaseName) -> Option<Moment> {
        match self.candidacies.get(lease).filter(|candidacy| !candidacy.is_leaving()) {
            Some(candidacy) => match candidacy.election.role() {
                Role::Holding { until } => Some(until),
                Role::Following => None,
            },
            None => None,
        }
    }

    /// The node that holds the Lease for all, where there is one Lease for all.
    #[must_use]
    pub(crate) fn leader<'a>(&'a self, around: &Around<'a>) -> Option<&'a str> {
        if self.site.settings.election != ServiceElection::OneForAll {
            return None;
        }
        let lease = &self.site.settings.lease;
        let of_control_plane = around.control_plane.map(|group| &group.settings.lease);
        let (_, holder) = if of_control_plane == Some(lease) {
            self.right_of_control_plane(around)
        } else {
            self.right_by_lease(lease, around.now)
        };
        holder.filter(|holder| !holder.is_empty())
    }

    /// Whether what an earlier run held by this authority may be confirmed yet: the Lease is
    /// unread, or in our name and not claimed again.
    #[must_use]
    pub(crate) fn may_be_ours_still(&self, authority: &Authority, around: &Around<'_>) -> bool {
        let unread = |read: bool, holder: Option<&str>| match holder {
            None => !read,
            Some(holder) => holder == self.site.node,
        };
        match authority {
            Authority::Nobody | Authority::ControlPlane => false,
            Authority::EveryNode => true,
            Authority::ControlPlaneLease => around.control_plane.is_some_and(|group| {
                unread(group.election.was_read(), group.election.holder()) && !group.has_held()
            }),
            Authority::Lease(lease) => self.candidacies.get(lease).is_some_and(|candidacy| {
                let election = &candidacy.election;
                unread(election.was_read(), election.holder()) && !candidacy.has_held()
            }),
        }
    }

    /// The authority that a Lease is.
    #[must_use]
    pub(crate) fn authority_of(&self, lease: &LeaseName, around: &Around<'_>) -> Authority {
        match around.control_plane {
            Some(group) if group.lease() == Some(lease) => Authority::ControlPlaneLease,
            _ => Authority::Lease(self.name(lease)),
        }
    }

    /// The Lease of an authority, where it is one that Services go by.
    #[must_use]
    pub(crate) fn lease_of(
        &self,
        authority: &Authority,
        around: &Around<'_>,
    ) -> Option<Rc<LeaseName>> {
        match authority {
            Authority::Nobody | Authority::EveryNode | Authority::ControlPlane => None,
            Authority::ControlPlaneLease => {
                Some(Rc::new(around.control_plane?.settings.lease.clone()))
            }
            Authority::Lease(lease) => Some(Rc::clone(lease)),
        }
    }

    /// From when on nobody holds by a Lease who has not renewed it since it was seen last.
    #[must_use]
    pub(crate) fn free_at(&self, lease: &LeaseName, around: &Around<'_>) -> Option<Moment> {
        let (record, seen) = self.record(lease, around)?;
        Some(term::free_at(record, seen, &self.site.settings.timing))
    }

    fn record<'a>(
        &'a self,
        lease: &LeaseName,
        around: &Around<'a>,
    ) -> Option<(&'a LeaseRecord, Moment)> {
        match around.control_plane {
            Some(group) if group.lease() == Some(lease) => group.election.record(),
            _ => match self.candidacies.get(lease) {
                Some(candidacy) => candidacy.election.record(),
                None => self.seen.get(lease).map(|known| (&known.record, known.seen)),
            },
        }
    }

    /// What a Lease says of an address that it decides about no more.
    #[must_use]
    pub(crate) fn mark_on<'a>(
        &'a self,
        lease: &LeaseName,
        address: std::net::IpAddr,
        around: &Around<'a>,
    ) -> Option<Moved<'a>> {
        let (record, _) = self.record(lease, around)?;
        moved(record.moved.as_deref(), address)
    }

    /// Leases that were seen to be marked.
    pub(crate) fn marked(&self) -> impl Iterator<Item = &LeaseName> {
        self.seen.marked()
    }

    /// Whether every Lease there is was seen.
    #[must_use]
    pub(crate) const fn has_seen_all(&self) -> bool {
        self.seen.is_complete()
    }

    /// What an authority's requests have met with, to be put behind another reason.
    #[must_use]
    pub(crate) fn trouble(&self, authority: &Authority) -> String {
        let candidacy = authority.lease().and_then(|lease| self.candidacies.get(lease));
        candidacy.map(|candidacy| candidacy.election.trouble_suffix()).unwrap_or_default()
    }
}
