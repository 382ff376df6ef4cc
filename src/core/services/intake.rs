//! What the watches tell, taken in: each change only marks what has to be looked at again. A new
//! list swaps the whole store, so that nothing that happened in a gap is lost.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::core::cluster::nodes::Moved;
use crate::core::cluster::record::{
    Change, NodeRecord, ServiceName, ServiceRecord, SliceName, SliceRecord, TrafficPolicy,
    Unreadable,
};
use crate::core::input::{LeaseSeen, LeaseView, Origin};
use crate::core::names::Name;
use crate::core::rights::lease::LeaseName;
use crate::core::services::writer::{Parting, Writer};
use crate::core::services::{Entry, Listed, Services, Standing};
use crate::core::time::Moment;
use crate::core::version::is_older;
use crate::ordered;

impl Services {
    /// Services were listed, changed or deleted.
    pub fn take_services(&mut self, change: Change<ServiceRecord, ServiceName>, now: Moment) {
        match change {
            Change::Replaced(all) => self.replace_services(all, Vec::new(), now),
            Change::ReplacedExcept(all, unreadable) => {
                self.replace_services(all, unreadable, now);
            }
            Change::Applied(record) => self.keep(record, now),
            Change::Unreadable(one) => self.unreadable.services.add(one),
            Change::Deleted(name) => {
                self.unreadable.services.remove(&name);
                *self.counters.seen.entry("DELETED".to_owned()).or_default() += 1;
                self.forget(&name, now);
            }
        }
    }

    fn replace_services(
        &mut self,
        all: Vec<ServiceRecord>,
        unreadable: Vec<Unreadable<ServiceName>>,
        now: Moment,
    ) {
        self.unreadable.services.replace(unreadable);
        let there = all.iter().map(|record| &record.name).chain(self.unreadable.services.keys());
        let there = ordered::set(there.cloned());
        let known = self.entries.keys();
        let gone: Vec<ServiceName> = known.filter(|name| !there.contains(*name)).cloned().collect();
        gone.iter().for_each(|name| self.forget(name, now));
        all.into_iter().for_each(|record| self.keep(record, now));
        if self.services_listed == Listed::No {
            self.services_listed = Listed::Yes;
            self.release_what_is_left();
        }
    }

    fn keep(&mut self, mut record: ServiceRecord, now: Moment) {
        self.unreadable.services.remove(&record.name);
        let name = self.shared_name(record.name);
        record.name = name.clone();
        match self.entries.get_mut(&name) {
            Some(entry) if entry.record.uid == record.uid => {
                if record.version.is_older(&entry.record.version) {
                    return;
                }
                if entry.record.version == record.version {
                    return;
                }
                *self.counters.seen.entry("MODIFIED".to_owned()).or_default() += 1;
                entry.record = record;
                entry.writer.seen(now);
            }
            known => {
                *self.counters.seen.entry("ADDED".to_owned()).or_default() += 1;
                if known.is_some() {
                    // Deleted and made anew without our seeing it.
                    self.forget(&name, now);
                }
                self.partings.remove(&name);
                let entry = Entry {
                    record,
                    standing: Standing::Waiting("it has not been looked at yet".into()),
                    addresses: Box::default(),
                    retiring: Box::default(),
                    names: Box::default(),
                    writer: Writer::new(now),
                    due: None,
                };
                self.entries.insert(name.clone(), Box::new(entry));
            }
        }
        self.agenda.services.insert(name);
    }

    fn forget(&mut self, name: &ServiceName, now: Moment) {
        let ours =
            self.entries.get(name).is_some_and(|entry| entry.record.host() == Some(&self.node));
        self.settle_tenancy(name, &[], &[]);
        self.set_names(name, Box::default(), now);
        let Some(mut entry) = self.entries.remove(name) else { return };
        self.agenda.rearm(&super::Item::Service(name.clone()), &mut entry.due, None);
        self.voice.forget(name);
        if ours {
            let parting = Parting::new(entry.record.uid, &entry.addresses);
            self.partings.insert(name.clone(), parting);
            self.agenda.writes.insert(name.clone());
        }
    }

    /// The same name, with the text that is kept already.
    fn shared_name(&self, name: ServiceName) -> ServiceName {
        let known = self.entries.get_key_value(&name).map(|(known, _)| known);
        known.or_else(|| self.endpoints.known(&name)).cloned().unwrap_or(name)
    }

    /// Endpoints were listed, changed or deleted.
    pub fn take_endpoints(&mut self, change: Change<SliceRecord, SliceName>) {
        let changed: BTreeSet<ServiceName> = match change {
            Change::Replaced(all) => self.replace_endpoints(all, Vec::new()),
            Change::ReplacedExcept(all, unreadable) => self.replace_endpoints(all, unreadable),
            Change::Unreadable(one) => {
                self.unreadable.slices.add(one);
                return;
            }
            Change::Applied(mut slice) => {
                let name = SliceName { service: slice.service.clone(), name: slice.name.clone() };
                self.unreadable.slices.remove(&name);
                slice.service = self.shared_name(slice.service);
                ordered::set(self.endpoints.apply(slice))
            }
            Change::Deleted(slice) => {
                self.unreadable.slices.remove(&slice);
                ordered::set(self.endpoints.remove(slice))
            }
        };
        for name in changed {
            let Some(entry) = self.entries.get(&name) else { continue };
            self.agenda.plans.extend(entry.addresses.iter().chain(&entry.retiring));
            self.agenda.writes.insert(name);
        }
    }

    fn replace_endpoints(
        &mut self,
        all: Vec<SliceRecord>,
        unreadable: Vec<Unreadable<SliceName>>,
    ) -> BTreeSet<ServiceName> {
        if self.endpoints_listed == Listed::No {
            self.endpoints_listed = Listed::Yes;
            self.look_at_addresses();
        }
        self.unreadable.slices.replace(unreadable);
        let shared =
            |slice: SliceRecord| SliceRecord { service: self.shared_name(slice.service), ..slice };
        let all = all.into_iter().map(shared).collect();
        self.endpoints.replace(all, self.unreadable.slices.keys())
    }

    /// Nodes were listed, changed or deleted.
    pub fn take_nodes(&mut self, change: Change<NodeRecord, Box<str>>) {
        if self.nodes_listed == Listed::No {
            self.nodes_listed = Listed::Yes;
            self.look_at_addresses();
        }
        let before = self.nodes.scheduling(&self.node);
        if self.nodes.take(change, &mut self.unreadable.nodes) == Moved::Yes {
            self.agenda.services.extend(self.entries.keys().cloned());
        }
        if self.nodes.scheduling(&self.node) != before {
            self.look_at_addresses();
        }
    }

    /// Leases were listed, changed or deleted.
    pub fn take_leases(&mut self, change: Change<LeaseSeen, LeaseName>, now: Moment) {
        match change {
            Change::Replaced(all) => self.replace_leases(all, Vec::new(), now),
            Change::ReplacedExcept(all, unreadable) => self.replace_leases(all, unreadable, now),
            Change::Unreadable(one) => {
                let reason = one.reason.clone();
                self.with_seat(&one.key, |seat| seat.election.unreadable(reason, now));
                self.unreadable.leases.add(one);
            }
            Change::Applied(seen) => {
                self.unreadable.leases.remove(&seen.lease);
                let known = self.book.page(&seen.lease);
                if known.is_none_or(|known| !is_older(&seen.version, &known.version)) {
                    self.take_lease(seen, now);
                }
            }
            Change::Deleted(lease) => {
                self.unreadable.leases.remove(&lease);
                self.book.strike(&lease);
                self.lease_is_absent(&lease, now);
            }
        }
        self.agenda.plans.extend(&self.movers);
    }

    fn replace_leases(
        &mut self,
        all: Vec<LeaseSeen>,
        unreadable: Vec<Unreadable<LeaseName>>,
        now: Moment,
    ) {
        for one in &unreadable {
            let reason = one.reason.clone();
            self.with_seat(&one.key, |seat| seat.election.unreadable(reason, now));
        }
        self.unreadable.leases.replace(unreadable);
        let there = all.iter().map(|seen| &seen.lease).chain(self.unreadable.leases.keys());
        let names = ordered::set(there.cloned());
        all.into_iter().for_each(|seen| self.take_lease(seen, now));
        let gone =
            self.seats.keys().filter(|lease| self.is_covered(lease) && !names.contains(&***lease));
        let gone: Vec<Rc<LeaseName>> = gone.cloned().collect();
        gone.iter().for_each(|lease| self.lease_is_absent(lease, now));
        let pages = self.book.pages().map(|(lease, _)| lease.clone());
        let struck: Vec<LeaseName> = pages.filter(|lease| !names.contains(lease)).collect();
        struck.iter().for_each(|lease| self.book.strike(lease));
        if !self.book.is_complete() {
            self.book.complete();
            self.agenda.seats.extend(self.seats.keys().cloned());
            self.look_at_addresses();
            self.release_what_is_left();
        }
    }

    fn take_lease(&mut self, seen: LeaseSeen, now: Moment) {
        if seen.record.moved.is_some() && !self.marked.contains(&seen.lease) {
            self.marked.insert(seen.lease.clone());
        }
        if self.seats.contains_key(&seen.lease) {
            let view = LeaseView::Present { version: seen.version, record: seen.record };
            self.with_seat(&seen.lease, |seat| {
                seat.election.observe(Origin::Watch, view, now);
            });
        } else {
            self.book.note(seen, now);
        }
    }

    fn lease_is_absent(&mut self, lease: &LeaseName, now: Moment) {
        self.with_seat(lease, |seat| {
            seat.election.observe(Origin::Watch, LeaseView::Absent, now);
        });
    }

    /// Whether the watch over many leases sees this one.
    pub(in crate::core) fn is_covered(&self, lease: &LeaseName) -> bool {
        self.settings.namespace.as_ref().is_none_or(|namespace| lease.namespace == *namespace)
    }

    /// A name was looked up.
    pub fn resolved(
        &mut self,
        name: &str,
        outcome: &Result<Vec<std::net::IpAddr>, String>,
        now: Moment,
    ) -> Known {
        let mut known = Known::No;
        for (key, lookup) in &mut self.lookups {
            if *key.0 != *name {
                continue;
            }
            self.agenda.names.insert(key.clone());
            known = Known::Yes;
            let before = lookup.name.addresses().to_vec();
            lookup.name.resolved(outcome.clone(), now);
            retire(lookup, &before, now);
            self.agenda.services.extend(lookup.users.iter().cloned());
        }
        known
    }

    /// A Service's names are these from now on.
    pub(in crate::core) fn set_names(
        &mut self,
        service: &ServiceName,
        names: Box<[(Rc<str>, super::DnsMode)]>,
        now: Moment,
    ) {
        let Some(entry) = self.entries.get_mut(service) else { return };
        let before = std::mem::replace(&mut entry.names, names.clone());
        for key in before.iter().filter(|key| !names.contains(key)) {
            let Some(lookup) = self.lookups.get_mut(key) else { continue };
            lookup.users.remove(service);
            if lookup.users.is_empty()
                && let Some(mut lookup) = self.lookups.remove(key)
            {
                let item = super::Item::Name(Rc::clone(&key.0), key.1);
                self.agenda.rearm(&item, &mut lookup.due, None);
            }
        }
        for key in &names {
            let lookup = self.lookups.entry(key.clone()).or_insert_with(|| super::Lookup {
                name: Name::new(key.0.to_string(), key.1),
                users: BTreeSet::new(),
                former: Vec::new(),
                due: None,
            });
            lookup.users.insert(service.clone());
            let item = super::Item::Name(Rc::clone(&key.0), key.1);
            if lookup.due.is_none() && lookup.name.deadline() <= now {
                self.agenda.rearm(&item, &mut lookup.due, Some((now, "a DNS look-up")));
            }
        }
    }

    /// After the start: leases in our name for Services that are gone are given back.
    fn release_what_is_left(&mut self) {
        if self.services_listed == Listed::No || !self.book.is_complete() {
            return;
        }
        let is_left = |lease: &LeaseName| {
            let service = lease.name.strip_prefix("kubevip-")?;
            let service = ServiceName::new(&lease.namespace, service);
            (!self.entries.contains_key(&service)).then_some(())
        };
        let ours = self.book.pages().filter(|(_, page)| page.record.holder == self.node);
        let left = ours.filter(|(lease, _)| is_left(lease).is_some());
        let left: Vec<LeaseName> = left.map(|(lease, _)| lease.clone()).collect();
        for lease in left {
            self.seat(&lease);
        }
    }

    /// Whether any of the accepted tenants follows its own endpoints.
    pub(in crate::core) fn is_local(
        &self,
        tenants: &[&crate::core::addresses::requester::Tenant],
    ) -> bool {
        tenants.iter().any(|tenant| {
            self.entries
                .get(&tenant.service)
                .is_some_and(|entry| entry.record.policy == TrafficPolicy::Local)
        })
    }
}

/// Whether a name is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// No Service asks for it.
    No,
    /// Some do.
    Yes,
}

/// How long an address is held that a name no longer stands for (VIP-4).
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(60);

fn retire(lookup: &mut super::Lookup, before: &[std::net::IpAddr], now: Moment) {
    let current = lookup.name.addresses();
    lookup.former.retain(|(address, until)| *until > now && !current.contains(address));
    for address in before.iter().filter(|address| !current.contains(address)) {
        if !lookup.former.iter().any(|(known, _)| known == address) {
            lookup.former.push((*address, now + FAREWELL));
        }
    }
}
