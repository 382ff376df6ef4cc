//! From requesters to what decides about an address.

use std::net::IpAddr;

use super::address::Placement;
use super::handover::Case;
use super::{Addresses, Authority, Requester, View};
use crate::core::cluster::record::TrafficPolicy;
use crate::core::context::Around;
use crate::core::rights::Rights;
use crate::core::services::request::{AskedLease, asked_lease};

impl Addresses {
    /// Plans the next few addresses, once it is known which Services ask for them.
    pub(crate) fn plan_some(&mut self, rights: &mut Rights, around: &Around<'_>) {
        for _ in 0..self.site.settings.per_turn {
            let Some(ip) = self.plans.pop_first() else { return };
            self.plan(ip, rights, around);
        }
    }

    fn plan(&mut self, ip: IpAddr, rights: &mut Rights, around: &Around<'_>) {
        if !self.all.contains_key(&ip) {
            return;
        }
        let authority = View { addresses: self, rights, around }.wanted_authority(ip);
        self.put_under(ip, authority, rights, around);
        self.find_eligibility(ip, rights, around);
        if let Some(address) = self.all.get_mut(&ip) {
            address.placement = Placement::Unsettled;
        }
        self.pulses.insert(ip);
    }

    fn put_under(
        &mut self,
        ip: IpAddr,
        authority: Authority,
        rights: &mut Rights,
        around: &Around<'_>,
    ) {
        let Some(address) = self.all.get(&ip) else { return };
        if address.authority == authority {
            return;
        }
        if let Authority::Lease(old) = &address.authority
            && address.under.as_ref() != Some(old)
        {
            rights.leave(old, &ip.into());
        }
        if let Authority::Lease(new) = &authority {
            rights.join(new, ip.into(), around.now);
        }
        let case = Case { ip, address, rights, around };
        self.handovers.change(&case, &authority);
        match authority {
            Authority::ControlPlaneLease => self.under_control_plane.insert(ip),
            _ => self.under_control_plane.remove(&ip),
        };
        if let Some(address) = self.all.get_mut(&ip) {
            address.authority = authority;
            address.leader_since = None;
        }
        self.tell_requesters(ip);
    }
}

impl View<'_> {
    /// What is to decide about an address.
    fn wanted_authority(&self, ip: IpAddr) -> Authority {
        let accepted = self.accepted(ip);
        let Some(lead) = self.lead(&accepted) else { return Authority::Nobody };
        if self.around.control_plane.is_some_and(|group| group.wants(ip)) {
            return Authority::ControlPlane;
        }
        let settings = &self.addresses.site.settings;
        let lease = match asked_lease(lead, settings) {
            Err(_) => return Authority::Nobody,
            Ok(AskedLease::Own(lease)) => lease,
            // The holder of a Lease that is for other addresses too may have no endpoint: then
            // another node holds it, so it has a Lease of its own, and one Lease decides about
            // it at any time.
            Ok(AskedLease::Shared(_) | AskedLease::ForAll) if self.follows_endpoints(&accepted) => {
                lead.own_lease()
            }
            Ok(AskedLease::Shared(lease)) => lease,
            Ok(AskedLease::ForAll) => settings.lease.clone(),
            Ok(AskedLease::None) => return Authority::EveryNode,
        };
        self.rights.authority_of(&lease, self.around)
    }

    /// Whether any of these Services follows its own endpoints.
    fn follows_endpoints(&self, accepted: &[&Requester]) -> bool {
        accepted.iter().any(|requester| {
            let record = self.around.cluster.service(&requester.service);
            record.is_some_and(|record| record.policy == TrafficPolicy::Local)
        })
    }
}
