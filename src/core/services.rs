//! Services of type LoadBalancer: what each asks for, and what is written and said about it.
//!
//! [`Services::follow`] takes in what changed in the cluster and only notes what has to be looked
//! at. Once a turn [`Services::judge_some`] finds what a few of them ask for, and after addresses
//! and leases were seen to [`Services::write_some`] writes and says what is due (design law 7).

mod condition;
mod events;
mod judge;
mod labels;
mod names;
mod parting;
pub(crate) mod request;
mod state;
mod view;
mod wish;
mod write;
mod write_order;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::addresses::Addresses;
use super::cluster::record::{ServiceName, ServiceRecord};
use super::cluster::{Changed, Cluster};
use super::context::Site;
use super::settings::DnsMode;
use super::status::ServiceCounters;
use super::time::Moment;
use super::work_queue::{Due, Timers, next_due};
use events::Events;
use labels::Labels;
use names::Names;
use parting::Parting;
use write::Writes;
use writer::Writer;

/// Everything is looked at once in this time, whatever happened: a few Services at a time, and
/// very many in more time, as there is a while between two looks.
const FULL_PASS: Duration = Duration::from_secs(60);
const SHORTEST_SWEEP: Duration = Duration::from_secs(1);

/// A Service and what was made of it.
#[derive(Clone, Debug)]
struct Entry {
    record: Rc<ServiceRecord>,
    standing: Standing,
    /// The addresses that it is to have now.
    addresses: Box<[IpAddr]>,
    /// Addresses that one of its names stood for until lately: held a little longer.
    retiring: Box<[IpAddr]>,
    names: Box<[(Rc<str>, DnsMode)]>,
    writer: Writer,
    due: Due,
}

/// What the request amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    Ignored(Box<str>),
    Refused(Box<request::Refused>),
    Waiting(Box<str>),
    Asking,
}

/// How far everything has been looked at.
#[derive(Clone, Debug)]
struct Sweep {
    next: Moment,
    /// How many Services, in order, were looked at since the first.
    done: usize,
}

/// All Services of one node's core.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    site: Rc<Site>,
    entries: BTreeMap<ServiceName, Box<Entry>>,
    /// Services that are gone for us, and to be left clean.
    partings: BTreeMap<ServiceName, Parting>,
    names: Names,
    /// Services to be judged anew.
    unjudged: BTreeSet<ServiceName>,
    timers: Timers<ServiceName>,
    writes: Writes,
    events: Events,
    labels: Labels,
    sweep: Sweep,
    counters: ServiceCounters,
}

impl Services {
    /// No Service is known yet.
    #[must_use]
    pub(crate) fn new(site: Rc<Site>) -> Self {
        let now = site.started;
        Self {
            site,
            entries: BTreeMap::new(),
            partings: BTreeMap::new(),
            names: Names::default(),
            unjudged: BTreeSet::new(),
            timers: Timers::default(),
            writes: Writes::default(),
            events: Events::new(now),
            labels: Labels::default(),
            sweep: Sweep { next: now + FULL_PASS, done: 0 },
            counters: ServiceCounters::default(),
        }
    }

    /// Takes in what has changed in the cluster.
    pub(crate) fn follow(
        &mut self,
        changes: Vec<Changed>,
        cluster: &Cluster,
        addresses: &mut Addresses,
        now: Moment,
    ) {
        for change in changes {
            match change {
                Changed::Created(name) => self.create(name, cluster, now),
                Changed::Modified(name) => self.modify(name, cluster, now),
                Changed::Deleted(record) => self.delete(&record, addresses, now),
                Changed::Endpoints(name) => self.look_at_endpoints(name, addresses),
                Changed::NodeAddresses => self.unjudged.extend(self.entries.keys().cloned()),
                Changed::FirstList | Changed::Scheduling => addresses.look_at_all(),
                Changed::ServicesListed => {}
            }
        }
    }

    fn create(&mut self, name: ServiceName, cluster: &Cluster, now: Moment) {
        let Some(record) = cluster.service(&name).map(Rc::clone) else { return };
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
        self.unjudged.insert(name);
    }

    fn modify(&mut self, name: ServiceName, cluster: &Cluster, now: Moment) {
        let (Some(entry), Some(record)) = (self.entries.get_mut(&name), cluster.service(&name))
        else {
            return;
        };
        entry.record = Rc::clone(record);
        entry.writer.seen(now);
        self.unjudged.insert(name);
    }

    fn delete(&mut self, record: &ServiceRecord, addresses: &mut Addresses, now: Moment) {
        let name = &record.name;
        let Some(mut entry) = self.entries.remove(name) else { return };
        addresses.ask(record, &entry.asked(), &[]);
        self.names.set_users(name, &entry.names, &[], now);
        self.timers.rearm(name, &mut entry.due, None);
        self.events.forget(name);
        if record.host() == Some(&self.site.node) {
            let parting = Parting::new(record.uid.clone(), &entry.addresses);
            self.partings.insert(name.clone(), parting);
            self.writes.pending.insert(name.clone());
        }
    }

    fn look_at_endpoints(&mut self, name: ServiceName, addresses: &mut Addresses) {
        let Some(entry) = self.entries.get(&name) else { return };
        addresses.plan_anew(entry.asked());
        self.writes.pending.insert(name);
    }

    /// These Services may have something to be written or said about them.
    pub(crate) fn look_at(&mut self, names: BTreeSet<ServiceName>) {
        self.writes.pending.extend(names);
    }

    /// Whether every Service was judged: it is known which addresses are asked for.
    #[must_use]
    pub(crate) fn are_judged(&self) -> bool {
        self.unjudged.is_empty()
    }

    /// Whether all names stand for addresses.
    #[must_use]
    pub(crate) fn are_resolved(&self) -> bool {
        self.names.are_resolved()
    }

    /// Whether there is more to be written than one turn was long enough for.
    #[must_use]
    pub(crate) fn has_writes(&self) -> bool {
        !self.writes.pending.is_empty()
    }

    /// What is due by now is looked at with the rest. Whether a whole pass ends with it.
    pub(crate) fn wake(&mut self, now: Moment) -> Pass {
        let pass = match now >= self.sweep.next {
            true => self.sweep(now),
            false => Pass::GoesOn,
        };
        while let Some(name) = self.timers.pop(now) {
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.due = None;
            }
            if let Some(parting) = self.partings.get_mut(&name) {
                parting.due = None;
            }
            self.writes.pending.insert(name);
        }
        self.names.wake(now);
        pass
    }

    /// The next few Services are looked at.
    fn sweep(&mut self, now: Moment) -> Pass {
        let (size, most) = (self.entries.len(), self.site.settings.per_turn);
        let times = u32::try_from(size.div_ceil(most).max(1)).unwrap_or(u32::MAX);
        self.sweep.next = now + (FULL_PASS / times).max(SHORTEST_SWEEP);
        self.unjudged.extend(self.entries.keys().skip(self.sweep.done).take(most).cloned());
        self.sweep.done += most;
        if self.sweep.done < size {
            return Pass::GoesOn;
        }
        self.sweep.done = 0;
        Pass::Ends
    }

    /// When a Service or a name is due next.
    #[must_use]
    pub(crate) fn deadline(&self) -> Due {
        let services = next_due(&self.timers, |name| {
            let parting = self.partings.get(name).and_then(|parting| parting.due);
            parting.or_else(|| self.entries.get(name)?.due)
        });
        services.into_iter().chain(self.names.deadline()).min_by_key(|(at, _)| *at)
    }

    /// When the next few Services are looked at, whatever happens.
    #[must_use]
    pub(crate) const fn next_sweep(&self) -> Moment {
        self.sweep.next
    }

    /// When the next Event may be said.
    #[must_use]
    pub(crate) fn next_event(&self) -> Due {
        self.events.deadline()
    }
}

/// Whether all Services were looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Some are left.
    GoesOn,
    /// All were.
    Ends,
}

impl Entry {
    /// All addresses that it asks for, those that it will not for long included.
    fn asked(&self) -> Vec<IpAddr> {
        self.addresses.iter().chain(&self.retiring).copied().collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
