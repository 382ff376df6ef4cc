//! Addresses as others see them: read only, with all that their state depends on.

use std::net::IpAddr;

use viplet_backend_api::Owner;

use super::address::{Address, Requester};
use super::claim::Claim;
use super::eligibility::Ineligibility;
use super::{Addresses, Authority};
use crate::core::cluster::record::{Protocol, ServiceName, ServicePort, ServiceRecord};
use crate::core::context::Around;
use crate::core::control_plane::{Group, Stopping};
use crate::core::observed::unheard;
use crate::core::rights::election::drive::Handover;
use crate::core::rights::lease::LeaseName;
use crate::core::rights::{Members, Right, Rights, Scope, Subject, Subjects};

/// Addresses, and what their state depends on.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) addresses: &'a Addresses,
    pub(crate) rights: &'a Rights,
    pub(crate) around: &'a Around<'a>,
}

impl Addresses {
    /// Whether an address is present and announced here.
    #[must_use]
    pub(crate) fn is_held(&self, ip: IpAddr, around: &Around<'_>) -> bool {
        let Some(address) = self.all.get(&ip) else { return false };
        let claim = match address.authority {
            Authority::ControlPlane => around.control_plane.and_then(|group| group.claims.get(&ip)),
            _ => address.claim.as_deref(),
        };
        let heard = around.observed.reach(ip).is_none_or(|reach| reach.told > 0);
        claim.is_some_and(|claim| {
            let announced = claim.is_announcing() && claim.muted().is_none();
            announced && heard && claim.is_usable(around.observed)
        })
    }

    /// Whether an address may still be on this node by Services' doing.
    #[must_use]
    pub(crate) fn lingers(&self, ip: IpAddr, around: &Around<'_>) -> bool {
        let Some(address) = self.all.get(&ip) else { return false };
        if around.has_control_plane(ip) {
            return false;
        }
        address.claim.as_ref().is_some_and(|claim| claim.lingers(around.observed))
            || around.observed.everywhere(ip).any(|seen| seen.owner == Owner::Viplet)
    }

    /// Whether anything under the control plane's Lease is still here by our doing.
    #[must_use]
    pub(crate) fn handover_under_control_plane(&self, around: &Around<'_>) -> Handover {
        let here = |ip: &&IpAddr| self.lingers(**ip, around);
        let (few, many) = match self.under_control_plane.len() < self.here.len() {
            true => (&self.under_control_plane, &self.here),
            false => (&self.here, &self.under_control_plane),
        };
        match few.iter().filter(|ip| many.contains(*ip)).any(|ip| here(&ip)) {
            true => Handover::NotYet,
            false => Handover::Clear,
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn get(&self, ip: IpAddr) -> Option<&'a Address> {
        self.addresses.all.get(&ip).map(|address| &**address)
    }

    /// Whether an address is present and announced here.
    #[must_use]
    pub(crate) fn is_held(&self, ip: IpAddr) -> bool {
        self.addresses.is_held(ip, self.around)
    }

    /// Whether an address may still be on this node by Services' doing.
    #[must_use]
    pub(crate) fn lingers(&self, ip: IpAddr) -> bool {
        self.addresses.lingers(ip, self.around)
    }

    /// Whether this node has it, as far as elections go.
    #[must_use]
    pub(crate) fn is_had(&self, ip: IpAddr) -> bool {
        self.get(ip).is_some_and(Address::is_had)
    }

    /// What decides about an address.
    #[must_use]
    pub(crate) fn authority(&self, ip: IpAddr) -> Option<&'a Authority> {
        self.get(ip).map(|address| &address.authority)
    }

    /// The right to an address.
    #[must_use]
    pub(crate) fn right(&self, ip: IpAddr) -> Right<'a> {
        let authority = self.authority(ip).unwrap_or(&Authority::Nobody);
        self.rights.right(authority, self.around)
    }

    /// Why this node may not hold an address.
    #[must_use]
    pub(crate) fn ineligible(&self, ip: IpAddr) -> Option<&'a Ineligibility> {
        self.get(ip)?.ineligible.as_ref()
    }

    /// The same for a person.
    #[must_use]
    pub(crate) fn words(&self, why: &Ineligibility) -> String {
        why.text(self.around.cluster, &self.addresses.site.node)
    }

    /// Whether it is held only for endpoints that may come back.
    #[must_use]
    pub(crate) fn is_without_endpoints(&self, ip: IpAddr) -> bool {
        self.get(ip).is_some_and(|address| address.endless_since.is_some())
    }

    /// Whether no lease decides about an address: it is for every node that can have it.
    #[must_use]
    pub(crate) fn is_for_every_node(&self, ip: IpAddr) -> bool {
        self.authority(ip).is_some_and(|authority| match authority {
            Authority::EveryNode => true,
            Authority::ControlPlane => {
                self.around.control_plane.is_some_and(|group| group.lease().is_none())
            }
            _ => false,
        })
    }

    /// Whether it goes where the control plane's own addresses do.
    #[must_use]
    pub(crate) fn has_control_plane(&self, ip: IpAddr) -> bool {
        self.around.has_control_plane(ip)
    }

    /// Whether an address is about to be held here: nothing stands in its way, and an IPv6
    /// address may still be probed for duplicates.
    #[must_use]
    pub(crate) fn is_coming(&self, ip: IpAddr) -> bool {
        self.get(ip).is_some_and(|address| {
            let lingers = |claim: &Claim| claim.lingers(self.around.observed);
            let claim = address.claim.as_deref();
            let installed = claim.is_some_and(|c| c.setback().is_none() && lingers(c));
            address.ineligible.is_none() && installed && self.right(ip).is_held()
        })
    }

    /// Ports of an address that no Service may have.
    pub(super) fn taken(&self, ip: IpAddr) -> Vec<ServicePort> {
        let port = self.addresses.site.settings.control_plane_port;
        let shared = self.around.control_plane.is_some_and(|group| group.wants(ip));
        let own = shared.then_some(ServicePort { port, protocol: Protocol::Tcp });
        own.into_iter().collect()
    }

    /// A Service's ports, in order.
    fn ports(&self, service: &ServiceName) -> &'a [ServicePort] {
        self.around.cluster.service(service).map_or(&[], |record| &record.ports)
    }

    /// The Services that share an address, the oldest first; those that clash with an older one
    /// are left out.
    pub(super) fn accepted(&self, ip: IpAddr) -> Vec<&'a Requester> {
        let taken = self.taken(ip);
        let address = self.get(ip);
        address.map(|address| address.accepted(&taken, |s| self.ports(s))).unwrap_or_default()
    }

    /// The oldest of them.
    pub(super) fn lead(&self, accepted: &[&Requester]) -> Option<&'a ServiceRecord> {
        let lead = accepted.first()?;
        self.around.cluster.service(&lead.service).map(|record| &**record)
    }

    /// Who has a port of an address that a Service wants too.
    #[must_use]
    pub(crate) fn clash(
        &self,
        service: &ServiceName,
        ip: IpAddr,
    ) -> Option<(ServicePort, Option<&'a ServiceName>)> {
        let taken = self.taken(ip);
        self.get(ip)?.clash(service, &taken, |service| self.ports(service))
    }

    /// The Services that ask for an address.
    pub(crate) fn services(&self, ip: IpAddr) -> impl Iterator<Item = &'a ServiceRecord> {
        let requesters = self.get(ip).map(|address| &*address.requesters).unwrap_or_default();
        let cluster = self.around.cluster;
        requesters.iter().filter_map(|one| cluster.service(&one.service).map(|record| &**record))
    }

    /// Whether another Service of an address says that this node holds it.
    #[must_use]
    pub(crate) fn another_names(&self, service: &ServiceName, ip: IpAddr, node: &str) -> bool {
        let mut others = self.services(ip).filter(|other| other.name != *service);
        others.any(|other| other.host() == Some(node))
    }

    /// The Lease that decides about an address, for a person; empty where none does.
    #[must_use]
    pub(crate) fn lease_text(&self, ip: IpAddr) -> String {
        match self.authority(ip) {
            None | Some(Authority::Nobody | Authority::EveryNode) => String::new(),
            Some(Authority::ControlPlane | Authority::ControlPlaneLease) => {
                let lease = self.around.control_plane.and_then(Group::lease);
                lease.map(ToString::to_string).unwrap_or_default()
            }
            Some(Authority::Lease(lease)) => lease.to_string(),
        }
    }

    /// What keeps an address that should be here from being here and announced.
    #[must_use]
    pub(crate) fn pending(&self, ip: IpAddr) -> String {
        let claim = self.get(ip).and_then(|address| address.claim.as_deref());
        let refused = claim.and_then(|claim| claim.setback()).map(|back| back.refusal.to_string());
        let muted = claim.and_then(|claim| claim.muted());
        let deaf = self.around.observed.reach(ip).filter(|reach| reach.told == 0);
        refused
            .or_else(|| muted.map(|refusal| format!("present, not announced: {refusal}")))
            .or_else(|| deaf.map(unheard))
            .unwrap_or_else(|| format!("{ip} is being put on its link"))
    }

    /// Why an address is or is not on this node, in one line.
    #[must_use]
    pub(crate) fn why_here(&self, ip: IpAddr) -> String {
        let Some(address) = self.get(ip) else {
            return "nothing asks for it".to_owned();
        };
        if address.requesters.is_empty() {
            return "no Service asks for it any more".to_owned();
        }
        if self.around.stopping != Stopping::No {
            return "this process is stopping".to_owned();
        }
        if let Some(why) = &address.ineligible {
            return self.words(why);
        }
        if address.authority == Authority::EveryNode {
            return "every node that can has it (no election)".to_owned();
        }
        let (lease, right) = (self.lease_text(ip), self.right(ip));
        match right.holder() {
            Some(_) if right.is_held() => format!("this node holds the lease {lease}"),
            Some(_) if right.is_ours() => {
                let trouble = self.rights.trouble(&address.authority);
                format!("this node's lease {lease} has run out{trouble}")
            }
            Some(holder) => format!("{holder} holds the lease {lease}{}", right.advice()),
            None => {
                let trouble = self.rights.trouble(&address.authority);
                format!("nobody holds the lease {lease} yet{trouble}")
            }
        }
    }
}

/// Addresses as elections see them.
pub(crate) struct Candidates<'a> {
    pub(crate) addresses: &'a Addresses,
    pub(crate) around: &'a Around<'a>,
}

impl Candidates<'_> {
    /// Whether something is so of any of these addresses that may be here: the smaller set is
    /// gone through.
    fn any_here(&self, members: &Members, is_so: impl Fn(IpAddr) -> bool) -> bool {
        let here = &self.addresses.here;
        if members.len() < here.len() {
            let mut ips = members.iter().filter_map(Subject::address);
            ips.any(|ip| here.contains(&ip) && is_so(ip))
        } else {
            here.iter().any(|ip| members.contains(&Subject::Address(*ip)) && is_so(*ip))
        }
    }

    fn get(&self, subject: &Subject) -> Option<&Address> {
        self.addresses.all.get(&subject.address()?).map(|address| &**address)
    }
}

impl Subjects for Candidates<'_> {
    fn ineligible(&self, subject: &Subject) -> Option<Scope> {
        self.get(subject)?.ineligible.as_ref().map(Ineligibility::scope)
    }

    fn reason(&self, subject: &Subject) -> String {
        let why = self.get(subject).and_then(|address| address.ineligible.as_ref());
        why.map(|why| why.text(self.around.cluster, &self.addresses.site.node)).unwrap_or_default()
    }

    fn holds_any(&self, members: &Members) -> bool {
        self.any_here(members, |ip| {
            self.addresses.all.get(&ip).is_some_and(|address| address.under.is_some())
        })
    }

    fn lingers_any(&self, members: &Members, lease: &LeaseName) -> bool {
        self.any_here(members, |ip| {
            let address = self.addresses.all.get(&ip);
            let under = address.and_then(|address| address.under.as_ref());
            let elsewhere = under.is_some_and(|under| **under != *lease);
            !elsewhere && self.addresses.lingers(ip, self.around)
        })
    }

    fn awaits_mark(&self, lease: &LeaseName) -> bool {
        self.addresses.handovers.awaits_mark(lease, self.around)
    }
}
