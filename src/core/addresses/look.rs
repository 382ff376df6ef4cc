//! What makes addresses be looked at again.

use std::net::IpAddr;
use std::rc::Rc;

use super::{Addresses, Authority};
use crate::core::context::Around;
use crate::core::rights::lease::LeaseName;
use crate::core::rights::{LeaseState, News, Rights, Subject, What};

impl Addresses {
    /// Something about this node's links or own addresses changed, or a list was read.
    pub(crate) fn look_at_all(&mut self) {
        self.plans.extend(self.all.keys());
        self.here.extend(self.all.keys());
    }

    /// One address was seen, or seen to be gone.
    pub(crate) fn look_at(&mut self, ip: IpAddr) {
        if self.all.contains_key(&ip) {
            self.pulses.insert(ip);
            self.here.insert(ip);
        }
    }

    /// An address that was the node's own may be ours to take now.
    pub(crate) fn look_at_own(&mut self, ip: IpAddr) {
        if self.all.contains_key(&ip) {
            self.plans.insert(ip);
        }
    }

    /// More or fewer peers were told of an address.
    pub(crate) fn look_at_reach(&mut self, ip: IpAddr) {
        self.tell_requesters(ip);
    }

    /// What a Service asks for may be decided anew: its endpoints changed, or it was judged.
    pub(crate) fn plan_anew(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.plans.extend(addresses);
    }

    /// Whatever no Service asks for is looked at once in a while too.
    pub(crate) fn look_at_forsaken(&mut self) {
        let free = self.all.iter().filter(|(_, address)| address.requesters.is_empty());
        self.plans.extend(free.map(|(ip, _)| *ip));
    }

    /// Leases were told of: a handover may go on.
    pub(crate) fn look_at_handovers(&mut self) {
        self.plans.extend(self.handovers.under_way());
    }

    /// Services were told up to this version.
    pub(crate) fn take_version(&mut self, version: &str) {
        self.plans.extend(self.handovers.date(version));
        self.plans.extend(self.handovers.under_way().chain(self.handovers.superseded()));
    }

    /// The process is about to end: what no lease of ours decides about is let go at once.
    pub(crate) fn prepare_to_stop(&mut self) {
        self.plans.extend(&self.under_control_plane);
        let everywhere = self.all.iter().filter(|(_, a)| a.authority == Authority::EveryNode);
        self.plans.extend(everywhere.map(|(ip, _)| ip));
    }

    /// Leases are being given away.
    pub(crate) fn leave(&mut self, leases: &[Rc<LeaseName>], rights: &Rights) {
        let members = leases.iter().flat_map(|lease| rights.members(lease).iter());
        self.plans.extend(members.filter_map(Subject::address));
    }

    /// Something about Leases has changed: their addresses are looked at.
    pub(crate) fn take_news(&mut self, news: &[News], rights: &Rights) {
        for News { lease, what } in news {
            let members = rights.members(lease).iter().filter_map(Subject::address);
            match what {
                What::Hold => self.pulses.extend(members),
                What::Marks => {
                    self.plans.extend(members);
                    self.look_at_handovers();
                }
                What::Holder => {
                    members.for_each(|ip| self.tell_requesters(ip));
                    self.look_at_handovers();
                    if **lease == self.site.settings.lease {
                        self.look_at_followers();
                    }
                }
            }
        }
    }

    /// A new holder of the Lease for all: it may have a better right to what has a Lease of its
    /// own for its endpoints' sake.
    fn look_at_followers(&mut self) {
        let for_all = &self.site.settings.lease;
        let own = self.all.iter().filter(|(_, address)| {
            address.authority.lease().is_some_and(|lease| **lease != *for_all)
        });
        self.plans.extend(own.map(|(ip, _)| *ip));
    }

    /// The control plane's Lease may decide about addresses here.
    pub(crate) fn look_at_control_plane(&mut self, around: &Around<'_>) {
        let Some(group) = around.control_plane else { return };
        let now = LeaseState::of(&group.election);
        let shared = group.claims.keys().filter(|ip| self.all.contains_key(*ip));
        let shared: Vec<(IpAddr, bool)> =
            shared.map(|ip| (*ip, self.is_held(*ip, around))).collect();
        if shared != self.shared {
            self.plans.extend(shared.iter().chain(&self.shared).map(|(ip, _)| *ip));
            shared.iter().for_each(|(ip, _)| self.tell_requesters(*ip));
            self.shared = shared;
        }
        if now == self.control_plane {
            return;
        }
        self.control_plane = now;
        self.plans.extend(self.handovers.under_way().chain(self.handovers.superseded()));
        let shared: Vec<IpAddr> = self.shared.iter().map(|(ip, _)| *ip).collect();
        shared.into_iter().for_each(|ip| self.tell_requesters(ip));
        self.plans.extend(&self.under_control_plane);
        if group.lease() == Some(&self.site.settings.lease) {
            self.look_at_all();
        }
    }
}
