//! The registry of addresses: who asks for each, what decides about it, what this node does.
//!
//! [`Addresses::ask`] says what a Service asks for. [`Addresses::plan_some`] finds what decides
//! about an address and what stands in its way here, [`Addresses::pulse_some`] reconciles it with
//! the kernel. The change from one right to another is [`handover`]'s. Everybody else reads
//! through [`View`].

mod address;
pub mod announce;
pub mod claim;
pub(crate) mod eligibility;
mod handover;
mod hold;
mod link;
mod look;
mod plan;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use viplet_backend_api::{Command, LinkName, Refusal};

use super::cluster::record::{ServiceName, ServiceRecord};
use super::context::{Around, Site};
use super::input::Effect;
use super::report::{Level, Report};
use super::rights::{Authority, LeaseState, Rights};
use super::time::Moment;
use super::work_queue::{Due, Timers, next_due};
pub(crate) use address::clash_text;
use address::{Address, Requester};
use handover::Handovers;
pub(crate) use view::{Candidates, View};

/// All addresses that Services ask for, or that are not wholly gone yet.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    site: Rc<Site>,
    all: BTreeMap<IpAddr, Box<Address>>,
    handovers: Handovers,
    /// Addresses that may be on this node by our doing; those that are not are found out.
    here: BTreeSet<IpAddr>,
    /// Addresses under the control plane's Lease, beside its own.
    under_control_plane: BTreeSet<IpAddr>,
    /// Addresses whose requesters, link, right or eligibility may have changed.
    plans: BTreeSet<IpAddr>,
    /// Addresses to be reconciled with the kernel.
    pulses: BTreeSet<IpAddr>,
    timers: Timers<IpAddr>,
    /// Services about whose addresses there may be something to write or to say.
    touched: BTreeSet<ServiceName>,
    /// The link of Services that name none; kept while it exists.
    link: Option<LinkName>,
    /// What was known of the control plane's Lease when addresses under it were looked at last.
    control_plane: LeaseState,
    /// Addresses that are the control plane's too, and whether they were held here.
    shared: Vec<(IpAddr, bool)>,
}

impl Addresses {
    /// No Service asks for any address yet.
    #[must_use]
    pub(crate) fn new(site: Rc<Site>) -> Self {
        Self {
            site,
            all: BTreeMap::new(),
            handovers: Handovers::default(),
            here: BTreeSet::new(),
            under_control_plane: BTreeSet::new(),
            plans: BTreeSet::new(),
            pulses: BTreeSet::new(),
            timers: Timers::default(),
            touched: BTreeSet::new(),
            link: None,
            control_plane: LeaseState::default(),
            shared: Vec::new(),
        }
    }

    /// A Service asks for the addresses `now`, and for none any more of those that it asked for
    /// `before`.
    pub(crate) fn ask(&mut self, record: &ServiceRecord, before: &[IpAddr], now: &[IpAddr]) {
        let name = &record.name;
        let requester = Requester { created: record.created, service: name.clone() };
        for ip in before.iter().filter(|ip| !now.contains(ip)) {
            if let Some(address) = self.all.get_mut(ip) {
                address.leave(name);
            }
            self.tell_requesters(*ip);
            self.plans.insert(*ip);
        }
        for ip in now {
            let handovers = &mut self.handovers;
            let address = self.all.entry(*ip).or_insert_with(|| {
                handovers.begin_to_follow(*ip);
                Box::default()
            });
            address.join(requester.clone());
            self.here.insert(*ip);
            self.tell_requesters(*ip);
            self.plans.insert(*ip);
        }
    }

    /// The Services of an address may have something to write or to say.
    fn tell_requesters(&mut self, ip: IpAddr) {
        let requesters = self.all.get(&ip).map(|address| &*address.requesters).unwrap_or_default();
        self.touched.extend(requesters.iter().map(|requester| requester.service.clone()));
    }

    /// Takes the Services about whose addresses there may be something to write or to say.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<ServiceName> {
        std::mem::take(&mut self.touched)
    }

    /// Whether this address is one that Services ask for, or that is not wholly gone yet.
    #[must_use]
    pub(crate) fn claims(&self, address: IpAddr) -> bool {
        self.all.contains_key(&address)
    }

    /// Whether there is more to be looked at than one turn was long enough for.
    #[must_use]
    pub(crate) fn is_busy(&self) -> bool {
        !(self.plans.is_empty() && self.pulses.is_empty())
    }

    /// Addresses whose time has come are looked at with the others.
    pub(crate) fn wake(&mut self, now: Moment) {
        while let Some(ip) = self.timers.pop(now) {
            let Some(address) = self.all.get_mut(&ip) else { continue };
            address.due = None;
            if address.is_unsettled() || self.handovers.is_unsettled(ip) {
                self.plans.insert(ip);
            }
            self.pulses.insert(ip);
        }
    }

    /// When something is due next.
    #[must_use]
    pub(crate) fn deadline(&self) -> Due {
        next_due(&self.timers, |ip| self.all.get(ip)?.due)
    }

    /// The backend refused a command: what to say of it, if it is news.
    pub(crate) fn refused(
        &mut self,
        command: &Command,
        refusal: &Refusal,
        now: Moment,
    ) -> Option<Report> {
        let ip = command.address();
        let text = format!("{ip} on {}: {refusal}", command.link());
        let report = Some(Report { level: Level::Error, text });
        let address = self.all.get_mut(&ip)?;
        self.plans.insert(ip);
        let Some(claim) = &mut address.claim else { return report };
        let known = claim.setback().is_some_and(|back| back.refusal == *refusal)
            || claim.muted() == Some(refusal);
        claim.refused(command, refusal.clone(), now);
        report.filter(|_| !known)
    }

    /// A command was too late to be carried out.
    pub(crate) fn late(&mut self, command: &Command, now: Moment) {
        let address = self.all.get_mut(&command.address());
        if let Some(claim) = address.and_then(|address| address.claim.as_mut()) {
            claim.late(command, now);
            self.pulses.insert(command.address());
        }
    }

    /// Another station announced one of our addresses: whether this node holds and defends it.
    pub(crate) fn contested(&mut self, ip: IpAddr, rights: &mut Rights, now: Moment) -> bool {
        let Some(address) = self.all.get_mut(&ip) else { return false };
        let Some(claim) = address.claim.as_mut().filter(|claim| claim.is_announcing()) else {
            return false;
        };
        claim.contested(now);
        if let Some(lease) = &address.under {
            rights.make_sure(lease, now);
        }
        self.pulses.insert(ip);
        true
    }

    /// Asks for the marks on Leases that are due.
    pub(crate) fn mark_leases(
        &mut self,
        rights: &Rights,
        around: &Around<'_>,
        effects: &mut Vec<Effect>,
    ) {
        self.handovers.mark_all(&self.all, rights, around, effects);
    }

    /// How many addresses this node does something about: what a stop has to withdraw.
    #[must_use]
    pub(crate) fn claimed(&self) -> usize {
        self.all.values().filter(|address| address.claim.is_some()).count()
    }

    /// Whether none of them is on this node any more.
    #[must_use]
    pub(crate) fn are_gone(&self, around: &Around<'_>) -> bool {
        !self.here.iter().any(|ip| self.lingers(*ip, around))
    }
}
