//! Services of type LoadBalancer: which addresses each asks for, who holds them, what is written.
//!
//! Take in: [`Services::take_services`] and its like; they only note what has to be looked at.
//! Drive: [`Services::drive`] looks at it, once per turn, and gives the effects in order:
//! Services are judged, addresses planned, leases driven, addresses reconciled with the kernel,
//! lease requests sent, and only then anything written or said (design law 7).
//! Beside edges everything is looked at after every new list and every snapshot of the kernel, and
//! on a slow timer. A turn has its limit: of very many, each has a few at a time.

pub(crate) mod events;
mod intake;
pub(crate) mod request;
mod view;
pub(crate) mod write;
pub(crate) mod write_order;
pub(crate) mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use viplet_backend_api::{Command, LinkName, Refusal};

use super::earlier_run::Leftovers;
use super::input::Effect;
use super::label::Label;
use super::names::Name;
use super::observed::Observed;
use super::report::{Level, Report};
use super::settings::{DnsMode, Services as Settings};
use super::status::ServiceCounters;
use super::time::Moment;
use crate::core::addresses::requester::Address;
use crate::core::cluster::endpoints::Endpoints;
use crate::core::cluster::nodes::Nodes;
use crate::core::cluster::record::{ServiceName, ServiceRecord};
use crate::core::cluster::unreadable::UnreadableObjects;
use crate::core::control_plane::{Group, Stopping};
use crate::core::rights::candidacy::{Seat, Told};
use crate::core::rights::election::Tally;
use crate::core::rights::lease::LeaseName;
use crate::core::rights::request_queue::Desk;
use crate::core::rights::seen::LeaseBook;
use crate::core::work_queue::{Agenda, Due, Item};
use events::Voice;
pub use intake::Known;
use writer::{Parting, Writer};

/// Everything is looked at once in this time, whatever happened: a few Services at a time, and
/// very many in more time, as there is a while between two looks.
pub(in crate::core) const FULL_PASS: Duration = Duration::from_secs(60);
pub(in crate::core) const SHORTEST_SWEEP: Duration = Duration::from_secs(1);
/// How long after the start one list waits for another: leases that the watch over many covers
/// are not read one by one before this time, and nodes are expected.
pub(in crate::core) const PATIENCE: Duration = Duration::from_secs(3);

/// What Services depend on beside themselves.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The kernel.
    pub observed: &'a Observed,
    /// The control plane's addresses and Lease.
    pub control_plane: Option<&'a Group>,
    /// Whether the process is about to end.
    pub stopping: Stopping,
    /// What an earlier run may have left here, under a Lease that is not known any more.
    pub(in crate::core) leftovers: Leftovers,
    /// The time.
    pub now: Moment,
}

impl Around<'_> {
    /// Whether an address is one of the control plane's, whose own claim sees to it.
    pub(in crate::core) fn has_control_plane(&self, address: IpAddr) -> bool {
        let claims = |group: &Group| group.claims.contains_key(&address) || group.wants(address);
        self.control_plane.is_some_and(claims)
    }
}

/// Whether a list was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::core) enum Listed {
    #[default]
    No,
    Yes,
}

/// A Service and what was made of it.
#[derive(Clone, Debug)]
pub(in crate::core) struct Entry {
    pub(in crate::core) record: ServiceRecord,
    pub(in crate::core) standing: Standing,
    /// The addresses that it is to have now.
    pub(in crate::core) addresses: Box<[IpAddr]>,
    /// Addresses that one of its names stood for until lately: held a little longer.
    pub(in crate::core) retiring: Box<[IpAddr]>,
    pub(in crate::core) names: Box<[(Rc<str>, DnsMode)]>,
    pub(in crate::core) writer: Writer,
    pub(in crate::core) due: Due,
}

/// What the request amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::core) enum Standing {
    Ignored(Box<str>),
    Refused(Box<request::Refused>),
    Waiting(Box<str>),
    Asking,
}

/// How far everything has been looked at.
#[derive(Clone, Debug)]
pub(in crate::core) struct Sweep {
    pub(in crate::core) next: Moment,
    /// How many Services, in order, were looked at since the first.
    pub(in crate::core) done: usize,
}

/// A DNS name that Services ask for.
#[derive(Clone, Debug)]
pub(in crate::core) struct Lookup {
    pub(in crate::core) name: Name,
    pub(in crate::core) users: BTreeSet<ServiceName>,
    /// What it stood for before, and until when that is held.
    pub(in crate::core) former: Vec<(IpAddr, Moment)>,
    pub(in crate::core) due: Due,
}

/// All Services of one node's core.
#[derive(Clone, Debug)]
pub struct Services {
    pub(in crate::core) settings: Settings,
    pub(in crate::core) node: String,
    pub(in crate::core) seed: u64,
    pub(in crate::core) started: Moment,
    pub(in crate::core) services_listed: Listed,
    pub(in crate::core) endpoints_listed: Listed,
    /// Which addresses are nodes' own is not known before. It may never be: then it is done without.
    pub(in crate::core) nodes_listed: Listed,
    pub(in crate::core) entries: BTreeMap<ServiceName, Box<Entry>>,
    pub(in crate::core) partings: BTreeMap<ServiceName, Parting>,
    pub(in crate::core) endpoints: Endpoints,
    pub(in crate::core) nodes: Nodes,
    pub(in crate::core) unreadable: UnreadableObjects,
    pub(in crate::core) book: LeaseBook,
    pub(in crate::core) lookups: BTreeMap<(Rc<str>, DnsMode), Lookup>,
    pub(in crate::core) addresses: BTreeMap<IpAddr, Box<Address>>,
    /// Addresses that may be on this node by our doing; those that are not are found out.
    pub(in crate::core) here: BTreeSet<IpAddr>,
    /// Addresses that the control plane's Lease decides about, beside its own.
    pub(in crate::core) lodgers: BTreeSet<IpAddr>,
    /// Addresses that have come under another Lease and are not settled there.
    pub(in crate::core) movers: BTreeSet<IpAddr>,
    /// Up to which version Services have been told.
    pub(in crate::core) heard: Option<Box<str>>,
    /// Addresses that have come under another Lease since.
    pub(in crate::core) undated: BTreeSet<IpAddr>,
    /// Addresses that a Lease may have to be marked for.
    pub(in crate::core) unmarked: BTreeSet<IpAddr>,
    /// Leases that were seen to be marked.
    pub(in crate::core) marked: BTreeSet<LeaseName>,
    /// Addresses that a mark on their Lease speaks of.
    pub(in crate::core) barred: BTreeSet<IpAddr>,
    pub(in crate::core) seats: BTreeMap<Rc<LeaseName>, Seat>,
    pub(in crate::core) agenda: Agenda,
    pub(in crate::core) desk: Desk,
    /// The link of Services that name none; kept while it exists.
    pub(in crate::core) link: Option<LinkName>,
    /// What was known of the control plane's Lease when addresses were told last.
    pub(in crate::core) control_plane: Told,
    pub(in crate::core) voice: Voice,
    pub(in crate::core) label: Label<BTreeMap<String, String>>,
    /// Keys of labels that were written last.
    pub(in crate::core) labelled: BTreeSet<String>,
    /// Services with a write under way, and those whose write waits for one of them.
    pub(in crate::core) writing: BTreeSet<ServiceName>,
    /// Writes so far: each has its number.
    pub(in crate::core) write_attempts: u64,
    pub(in crate::core) write_queue: BTreeSet<ServiceName>,
    /// Addresses that are the control plane's too, and whether they were held here.
    pub(in crate::core) shared: Vec<(IpAddr, bool)>,
    /// What was warned of about leases.
    pub(in crate::core) warned: crate::core::rights::candidacies::Warned,
    /// Numbers of leases that are not followed any more.
    pub(in crate::core) past: Tally,
    pub(in crate::core) sweep: Sweep,
    /// The time of the last drive.
    pub(in crate::core) latest: Moment,
    pub(in crate::core) counters: ServiceCounters,
}

impl Services {
    /// A core that knows of no Service yet.
    #[must_use]
    pub fn new(settings: Settings, node: &str, seed: u64, now: Moment) -> Self {
        Self {
            node: node.to_owned(),
            seed,
            started: now,
            services_listed: Listed::No,
            endpoints_listed: Listed::No,
            nodes_listed: Listed::No,
            entries: BTreeMap::new(),
            partings: BTreeMap::new(),
            endpoints: Endpoints::default(),
            nodes: Nodes::default(),
            unreadable: UnreadableObjects::default(),
            book: LeaseBook::default(),
            lookups: BTreeMap::new(),
            addresses: BTreeMap::new(),
            here: BTreeSet::new(),
            lodgers: BTreeSet::new(),
            movers: BTreeSet::new(),
            heard: None,
            undated: BTreeSet::new(),
            unmarked: BTreeSet::new(),
            barred: BTreeSet::new(),
            marked: BTreeSet::new(),
            seats: BTreeMap::new(),
            agenda: Agenda::default(),
            desk: Desk::default(),
            link: None,
            control_plane: Told::default(),
            voice: Voice::new(now),
            label: Label::default(),
            labelled: BTreeSet::new(),
            writing: BTreeSet::new(),
            write_attempts: 0,
            write_queue: BTreeSet::new(),
            shared: Vec::new(),
            warned: crate::core::rights::candidacies::Warned::default(),
            past: Tally::default(),
            sweep: Sweep { next: now + FULL_PASS, done: 0 },
            latest: now,
            counters: ServiceCounters::default(),
            settings,
        }
    }

    /// What it was told at its start.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Looks at everything that has to be looked at.
    pub fn drive(&mut self, around: &Around<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.latest = around.now;
        self.wake(around.now);
        self.look_at_control_plane(around);
        self.look_names_up(around.now, &mut effects);
        self.choose_link(around);
        self.judge_some(around.now);
        self.plan_some(around);
        self.drive_seats(around, &mut effects);
        // A role that changed may change what stands in an address' way.
        self.plan_some(around);
        self.mark_all(around, &mut effects);
        self.pulse_some(around, &mut effects);
        self.drive_seats(around, &mut effects);
        self.send_requests(around, &mut effects);
        self.write_all(around, &mut effects);
        self.speak(around, &mut effects);
        self.drive_label(around, &mut effects);
        effects
    }

    /// The next moment at which [`Services::drive`] has something to do.
    #[must_use]
    pub fn deadline(&self, around: &Around<'_>) -> Due {
        if self.agenda.is_busy() || !self.agenda.writes.is_empty() {
            return Some((around.now, "what this turn was too short for"));
        }
        let label = match self.settings.labelling {
            super::settings::Labelling::Off => None,
            super::settings::Labelling::On => self.label.deadline(&self.wanted_labels(around)),
        };
        let others = [
            label.map(|at| (at, "the node's labels of Services")),
            self.voice.deadline().filter(|_| !self.desk.is_crowded()),
            Some((self.sweep.next, "everything is looked at again")),
        ];
        self.next_item().into_iter().chain(others.into_iter().flatten()).min_by_key(|(at, _)| *at)
    }

    fn next_item(&self) -> Due {
        let (at, item) = self.agenda.next()?;
        let due = match item {
            Item::Address(ip) => self.addresses.get(ip)?.due,
            Item::Seat(lease) => self.seats.get(lease)?.due,
            Item::Name(name, mode) => self.lookups.get(&(Rc::clone(name), *mode))?.due,
            Item::Service(name) => {
                let parting = self.partings.get(name).and_then(|parting| parting.due);
                parting.or_else(|| self.entries.get(name)?.due)
            }
        };
        Some((*at, due.map_or("something of Services", |(_, why)| why)))
    }

    /// What is due by now goes onto the agenda.
    fn wake(&mut self, now: Moment) {
        if now >= self.sweep.next {
            self.sweep(now);
        }
        while let Some(item) = self.agenda.pop(now) {
            match item {
                Item::Address(ip) => self.wake_address(ip),
                Item::Seat(lease) => {
                    if let Some(seat) = self.seats.get_mut(&lease) {
                        seat.due = None;
                    }
                    self.agenda.seats.insert(lease);
                }
                Item::Service(name) => {
                    if let Some(entry) = self.entries.get_mut(&name) {
                        entry.due = None;
                    }
                    if let Some(parting) = self.partings.get_mut(&name) {
                        parting.due = None;
                    }
                    self.agenda.writes.insert(name);
                }
                Item::Name(name, mode) => {
                    let key = (name, mode);
                    if let Some(lookup) = self.lookups.get_mut(&key) {
                        lookup.due = None;
                    }
                    self.agenda.names.insert(key);
                }
            }
        }
    }

    fn wake_address(&mut self, ip: IpAddr) {
        let Some(address) = self.addresses.get_mut(&ip) else { return };
        address.due = None;
        if address.is_unsettled() {
            self.agenda.plans.insert(ip);
        }
        self.agenda.pulses.insert(ip);
    }

    /// The next few Services are looked at, and after the last one what no Service asks for.
    fn sweep(&mut self, now: Moment) {
        let (size, most) = (self.entries.len(), self.settings.per_turn);
        let times = u32::try_from(size.div_ceil(most).max(1)).unwrap_or(u32::MAX);
        self.sweep.next = now + (FULL_PASS / times).max(SHORTEST_SWEEP);
        for name in self.entries.keys().skip(self.sweep.done).take(most) {
            self.agenda.services.insert(name.clone());
        }
        self.sweep.done += most;
        if self.sweep.done >= size {
            self.sweep.done = 0;
            let free = self.addresses.iter().filter(|(_, a)| a.tenants.is_empty());
            self.agenda.plans.extend(free.map(|(ip, _)| *ip));
            self.agenda.seats.extend(self.seats.keys().cloned());
        }
    }

    /// Something about this node's links or own addresses changed.
    pub fn look_at_addresses(&mut self) {
        self.agenda.plans.extend(self.addresses.keys());
        self.here.extend(self.addresses.keys());
    }

    /// One address was seen, or seen to be gone.
    pub fn look_at(&mut self, address: IpAddr) {
        if self.addresses.contains_key(&address) {
            self.agenda.pulses.insert(address);
            self.here.insert(address);
        }
    }

    /// More or fewer peers were told of an address.
    pub fn look_at_reach(&mut self, address: IpAddr) {
        self.tell_tenants(address);
    }

    /// An address that was the node's own may be ours to take now.
    pub fn look_at_own(&mut self, address: IpAddr) {
        if self.addresses.contains_key(&address) {
            self.agenda.plans.insert(address);
        }
    }

    /// Whether this address is one that Services ask for, or that is not wholly gone yet.
    #[must_use]
    pub fn claims(&self, address: IpAddr) -> bool {
        self.addresses.contains_key(&address)
    }

    /// Whether it is known which addresses Services ask for: an address with our tag may be one
    /// of them until then.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        let resolved = |lookup: &Lookup| !lookup.name.addresses().is_empty();
        let listed = self.services_listed == Listed::Yes && self.agenda.services.is_empty();
        listed && self.lookups.values().all(resolved)
    }

    /// Whether what this node has to do about its addresses is known and done.
    #[must_use]
    pub fn is_settled(&self, now: Moment) -> bool {
        let late = now.since(self.started) >= self.settings.timing.duration;
        let nodes = self.nodes_listed == Listed::Yes || now >= self.started + PATIENCE;
        let listed = self.is_listed() && self.endpoints_listed == Listed::Yes && nodes;
        let decided = self.seats.values().all(|seat| seat.election.is_decided());
        !self.agenda.is_busy() && (late || (listed && decided))
    }

    /// The backend refused a command: what to say of it, if it is news.
    pub fn refused(&mut self, command: &Command, refusal: &Refusal, now: Moment) -> Option<Report> {
        let ip = command.address();
        let text = format!("{ip} on {}: {refusal}", command.link());
        let report = Some(Report { level: Level::Error, text });
        let address = self.addresses.get_mut(&ip)?;
        self.agenda.plans.insert(ip);
        let Some(claim) = &mut address.claim else { return report };
        let known = claim.setback().is_some_and(|back| back.refusal == *refusal)
            || claim.muted() == Some(refusal);
        claim.refused(command, refusal.clone(), now);
        report.filter(|_| !known)
    }

    /// Another station announced one of our addresses.
    pub fn contested(&mut self, ip: IpAddr, now: Moment) -> bool {
        let Some(address) = self.addresses.get_mut(&ip) else { return false };
        let Some(claim) = address.claim.as_mut().filter(|claim| claim.is_announcing()) else {
            return false;
        };
        claim.contested(now);
        if let Some(lease) = address.under.clone()
            && let Some(seat) = self.seats.get_mut(&lease)
        {
            seat.election.make_sure(now);
            self.agenda.seats.insert(lease);
        }
        self.agenda.pulses.insert(ip);
        true
    }
}

#[cfg(test)]
pub(crate) mod tests;
