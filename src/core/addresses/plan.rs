//! From requests to tenants, and from tenants to the Lease that decides about an address.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

use crate::core::addresses::requester::{Authority, Place, Tenant};
use crate::core::cluster::record::{Protocol, ServiceName, ServicePort};
use crate::core::input::Effect;
use crate::core::rights::election::{Role, term};
use crate::core::rights::lease::LeaseName;
use crate::core::services::request::{self, Ask, AskedLease, Verdict};
use crate::core::services::{Around, Services, Standing};
use crate::core::settings::{ServiceElection, Target};
use crate::core::time::Moment;
use crate::core::work_queue::Item;

impl Services {
    /// Judges Services on the agenda.
    pub(in crate::core) fn judge_some(&mut self, now: Moment) {
        for _ in 0..self.settings.per_turn {
            let Some(name) = self.agenda.services.pop_first() else { return };
            self.judge(&name, now);
        }
    }

    fn judge(&mut self, name: &ServiceName, now: Moment) {
        let Some(entry) = self.entries.get(name) else { return };
        let verdict = request::judge(&entry.record, &self.settings, &self.nodes, &entry.addresses);
        let (standing, ask) = match verdict {
            Verdict::Ignored(why) => (Standing::Ignored(why.into()), None),
            Verdict::Refused(refused) => (Standing::Refused(Box::new(refused)), None),
            Verdict::Waiting(why) => (Standing::Waiting(why.into()), None),
            Verdict::Asks(ask) => (Standing::Asking, Some(ask)),
        };
        let names = ask.as_ref().map(names_of).unwrap_or_default();
        self.set_names(name, names, now);
        let (addresses, retiring) =
            ask.as_ref().map(|ask| self.addresses_of(name, ask)).unwrap_or_default();
        let standing = match (&standing, addresses.is_empty()) {
            (Standing::Asking, true) => Standing::Waiting(self.unresolved(name).into()),
            _ => standing,
        };
        self.count_refusal(name, &standing);
        self.settle_tenancy(name, &addresses, &retiring);
        let Some(entry) = self.entries.get_mut(name) else { return };
        entry.standing = standing;
        entry.addresses = addresses.into();
        entry.retiring = retiring.into();
        self.agenda.plans.extend(entry.addresses.iter().chain(&entry.retiring));
        self.agenda.writes.insert(name.clone());
    }

    fn count_refusal(&mut self, name: &ServiceName, standing: &Standing) {
        let known = self.entries.get(name).is_some_and(|entry| entry.standing == *standing);
        if let Standing::Refused(refused) = standing
            && !known
        {
            *self.counters.refused.entry(refused.word.to_owned()).or_default() += 1;
        }
    }

    /// The addresses that a request stands for now, and those that its names stood for until
    /// lately.
    fn addresses_of(&self, name: &ServiceName, ask: &Ask) -> (Vec<IpAddr>, Vec<IpAddr>) {
        let (mut addresses, mut retiring) = (Vec::new(), Vec::new());
        for target in &ask.targets {
            match target {
                Target::Address(address) => addresses.push(*address),
                Target::Name(name) => {
                    let key = (Rc::from(name.as_str()), ask.dns_mode);
                    let Some(lookup) = self.lookups.get(&key) else { continue };
                    addresses.extend(lookup.name.addresses());
                    retiring.extend(lookup.former.iter().map(|(address, _)| *address));
                }
            }
        }
        let free = |address: &IpAddr| {
            let entry = self.entries.get(name);
            let taken = |entry: &Box<crate::core::services::Entry>| {
                request::node_of(&entry.record, &self.nodes, &entry.addresses, *address).is_some()
            };
            !entry.is_some_and(taken)
        };
        addresses.retain(free);
        let mut seen = BTreeSet::new();
        addresses.retain(|address| seen.insert(*address));
        retiring.retain(|address| seen.insert(*address));
        (addresses, retiring)
    }

    /// The names that a Service asks for and that stand for nothing, each with its reason; empty
    /// where there are none.
    pub(in crate::core) fn unresolved(&self, name: &ServiceName) -> String {
        let names = self.entries.get(name).map(|entry| &*entry.names).unwrap_or_default();
        let lookups = names.iter().filter_map(|key| self.lookups.get(key));
        let without = lookups.filter(|lookup| lookup.name.addresses().is_empty());
        let why = without.map(|lookup| match lookup.name.trouble() {
            Some(why) => format!("{} is not resolved: {why}", lookup.name.name()),
            None => format!("{} is being resolved", lookup.name.name()),
        });
        why.collect::<Vec<_>>().join("; ")
    }

    /// A Service asks for exactly these addresses from now on.
    pub(in crate::core) fn settle_tenancy(
        &mut self,
        name: &ServiceName,
        addresses: &[IpAddr],
        retiring: &[IpAddr],
    ) {
        let Some(entry) = self.entries.get(name) else { return };
        let tenant = Tenant { created: entry.record.created, service: name.clone() };
        let before: Vec<IpAddr> = entry.addresses.iter().chain(&entry.retiring).copied().collect();
        for ip in before.iter().filter(|ip| !addresses.contains(ip) && !retiring.contains(ip)) {
            if let Some(address) = self.addresses.get_mut(ip) {
                address.leave(name);
            }
            self.tell_tenants(*ip);
            self.agenda.plans.insert(*ip);
        }
        for ip in addresses.iter().chain(retiring) {
            self.addresses.entry(*ip).or_default().join(tenant.clone());
            self.here.insert(*ip);
            self.tell_tenants(*ip);
            self.agenda.plans.insert(*ip);
        }
    }

    /// The Services of an address may have something to write or to say.
    pub(in crate::core) fn tell_tenants(&mut self, ip: IpAddr) {
        let tenants = self.addresses.get(&ip).map(|address| &*address.tenants).unwrap_or_default();
        self.agenda.writes.extend(tenants.iter().map(|tenant| tenant.service.clone()));
    }

    /// A Service's ports, in order.
    pub(in crate::core) fn ports<'a>(&'a self, service: &ServiceName) -> &'a [ServicePort] {
        self.entries.get(service).map_or(&[], |entry| &entry.record.ports)
    }

    /// Ports of an address that no Service may have.
    pub(in crate::core) fn taken(&self, ip: IpAddr, around: &Around<'_>) -> Vec<ServicePort> {
        let port = self.settings.control_plane_port;
        let shared = around.control_plane.is_some_and(|group| group.wants(ip));
        let own = shared.then_some(ServicePort { port, protocol: Protocol::Tcp });
        own.into_iter().collect()
    }

    /// Plans addresses on the agenda, once it is known which Services ask for them.
    pub(in crate::core) fn plan_some(&mut self, around: &Around<'_>) {
        if !self.agenda.services.is_empty() {
            return;
        }
        for _ in 0..self.settings.per_turn {
            let Some(ip) = self.agenda.plans.pop_first() else { return };
            self.plan(ip, around);
        }
    }

    fn plan(&mut self, ip: IpAddr, around: &Around<'_>) {
        if !self.addresses.contains_key(&ip) {
            return;
        }
        let authority = self.authority(ip, around);
        self.put_under(ip, authority, around);
        self.plan_obstacle(ip, around);
        if let Some(address) = self.addresses.get_mut(&ip) {
            address.place = Place::Unsettled;
        }
        self.agenda.pulses.insert(ip);
    }

    /// Who is to decide about an address.
    fn authority(&self, ip: IpAddr, around: &Around<'_>) -> Authority {
        let Some(address) = self.addresses.get(&ip) else { return Authority::Nobody };
        let taken = self.taken(ip, around);
        let tenants = address.accepted(&taken, |service| self.ports(service));
        let lead = tenants.first().and_then(|tenant| self.entries.get(&tenant.service));
        let Some(lead) = lead else { return Authority::Nobody };
        if around.control_plane.is_some_and(|group| group.wants(ip)) {
            return Authority::ControlPlane;
        }
        let lease = match request::asked_lease(&lead.record, &self.settings) {
            Err(_) => return Authority::Nobody,
            Ok(AskedLease::Own(lease)) => lease,
            // The holder of a Lease that is for other addresses too may have no endpoint: then
            // another node holds it, so it has a Lease of its own, and one Lease decides about
            // it at any time.
            Ok(AskedLease::Shared(_) | AskedLease::ForAll) if self.is_local(&tenants) => {
                lead.record.own_lease()
            }
            Ok(AskedLease::Shared(lease)) => lease,
            Ok(AskedLease::ForAll) => self.settings.lease.clone(),
            Ok(AskedLease::None) => return Authority::EveryNode,
        };
        match around.control_plane {
            Some(group) if group.lease() == Some(&lease) => Authority::ControlPlaneLease,
            _ => Authority::Lease(self.lease_name(&lease)),
        }
    }

    /// The name as it is kept, so that each text is kept once.
    pub(in crate::core) fn lease_name(&self, lease: &LeaseName) -> Rc<LeaseName> {
        match self.seats.get_key_value(lease) {
            Some((known, _)) => Rc::clone(known),
            None => Rc::new(lease.clone()),
        }
    }

    fn put_under(&mut self, ip: IpAddr, authority: Authority, around: &Around<'_>) {
        let Some(address) = self.addresses.get(&ip) else { return };
        if address.authority == authority {
            return;
        }
        let before = address.authority.clone();
        let kept = address.under.clone();
        if let Authority::Lease(old) = &before
            && kept.as_ref() != Some(old)
        {
            self.leave_seat(old, ip);
        }
        if let Authority::Lease(new) = &authority {
            self.join_seat(new, ip);
        }
        let former = match authority {
            Authority::EveryNode => None, // Nobody has to let go.
            _ => self.former(ip, before, around),
        };
        let Some(address) = self.addresses.get_mut(&ip) else { return };
        let alone = authority != Authority::EveryNode;
        address.former.retain(|former| alone && former.authority != authority);
        address.former.extend(former);
        let marked = address.former.iter_mut().filter(|former| former.over.is_none());
        marked.for_each(|former| former.since = around.now);
        match authority {
            Authority::ControlPlaneLease => self.lodgers.insert(ip),
            _ => self.lodgers.remove(&ip),
        };
        address.authority = authority;
        address.leader_since = None;
        match address.former.is_empty() || address.authority == Authority::Nobody {
            false => self.movers.insert(ip),
            true => self.movers.remove(&ip),
        };
        self.tell_tenants(ip);
    }

    /// Who holds what is under an authority, as far as is known and its time is not up.
    pub(in crate::core) fn holder_under(
        &self,
        authority: &Authority,
        around: &Around<'_>,
    ) -> Option<String> {
        let holder = match authority {
            Authority::Nobody | Authority::EveryNode => None,
            Authority::ControlPlane | Authority::ControlPlaneLease => {
                let election = &around.control_plane?.election;
                let ownerless = election.ownerless_since(around.now).is_some();
                election.holder().filter(|_| !ownerless)
            }
            Authority::Lease(lease) => match self.seats.get(&**lease) {
                Some(seat) => seat.holder(around.now),
                None => {
                    self.book.page(lease).map(|page| page.record.holder.as_str()).filter(|_| {
                        let page = self.book.page(lease);
                        page.is_some_and(|page| {
                            let timing = &self.settings.timing;
                            let free = term::free_at(&page.record, page.seen, timing);
                            around.now < free
                        })
                    })
                }
            },
        };
        holder.filter(|holder| !holder.is_empty()).map(str::to_owned)
    }

    /// This node's part in the election that decides about an address.
    pub(in crate::core) fn role_under(&self, authority: &Authority, around: &Around<'_>) -> Role {
        match authority {
            Authority::Nobody => Role::Following,
            Authority::EveryNode => {
                Role::Holding { until: term::rolling(around.now, &self.settings.timing) }
            }
            Authority::ControlPlane | Authority::ControlPlaneLease => {
                around.control_plane.map_or(Role::Following, |group| group.role(around.now))
            }
            Authority::Lease(lease) => {
                self.seats.get(&**lease).map_or(Role::Following, |seat| seat.election.role())
            }
        }
    }

    /// The node that holds the Lease for all, where there is one Lease for all.
    pub(in crate::core) fn leader(&self, around: &Around<'_>) -> Option<String> {
        if self.settings.election != ServiceElection::OneForAll {
            return None;
        }
        let of_control_plane = around.control_plane.map(|group| &group.settings.lease);
        let authority = if of_control_plane == Some(&self.settings.lease) {
            Authority::ControlPlaneLease
        } else {
            Authority::Lease(self.lease_name(&self.settings.lease))
        };
        self.holder_under(&authority, around)
    }

    /// Asks for every name that is due.
    pub(in crate::core) fn look_names_up(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let mut asked = BTreeSet::new();
        for (name, mode) in std::mem::take(&mut self.agenda.names) {
            let Some(lookup) = self.lookups.get_mut(&(Rc::clone(&name), mode)) else { continue };
            let gone = lookup.former.iter().any(|(_, until)| *until <= now);
            if gone {
                lookup.former.retain(|(_, until)| *until > now);
                self.agenda.services.extend(lookup.users.iter().cloned());
            }
            if lookup.name.due(now) && asked.insert(Rc::clone(&name)) {
                effects.push(Effect::Resolve { name: name.to_string() });
            }
            let farewell = lookup.former.iter().map(|(_, until)| *until).min();
            let next = farewell.map_or(lookup.name.deadline(), |at| at.min(lookup.name.deadline()));
            let item = Item::Name(Rc::clone(&name), mode);
            self.agenda.rearm(&item, &mut lookup.due, Some((next, "a DNS look-up")));
        }
    }
}

fn names_of(ask: &Ask) -> Box<[(Rc<str>, crate::core::settings::DnsMode)]> {
    let names = ask.targets.iter().filter_map(|target| match target {
        Target::Address(_) => None,
        Target::Name(name) => Some((Rc::from(name.as_str()), ask.dns_mode)),
    });
    names.collect()
}
