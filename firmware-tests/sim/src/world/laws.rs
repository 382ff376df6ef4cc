//! The laws, held against the world after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use viplet::core::status::RoleStatus;
use viplet_backend_api::Owner;

use super::faults::{BESIDE, Fault, Planned, STALE};
use super::process::PROMPT;
use super::route_laws::{RouteLaws, RouteTrack};
use super::service_laws::{ServiceLaws, ServiceTrack, TRUTH};
use super::{Asked, Schedule, Who, World, own_address};
use crate::clock::{MS, Nanos, S, nanos};
use crate::kernel::Permission;
use crate::setup::{Kind, Setup};

/// What must be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Never two holders whose time has not run out.
    OneHolder,
    /// Never one address on two kernels.
    OneOwner,
    /// An address is announced in the turn in which it is added, soon again, then periodically.
    Announced,
    /// A holder has its addresses.
    HolderHasAddresses,
    /// Nothing of ours stays where it is not wanted; what is the node's own stays.
    NothingLeft,
    /// With faults over there is one holder, with all addresses, and the clients know.
    Converges,
    /// Nothing but a signal ends the process.
    NeverEndsByItself,
    /// A stop is over within a second.
    StopsInTime,
    /// A Service's address is only where its endpoints, its policy and its ports allow it.
    OnlyWhereAllowed,
    /// A Service's address that stays wanted where it is stays up.
    StaysUp,
    /// Once all is calm, what is written on a Service is so.
    TrueStatus,
    /// Idle, the API server is written to once per renewal period.
    FewWrites,
    /// Routers have a route by every node that is fit for an address, and by no other.
    NextHops,
    /// What nobody looks after any more is gone within a lease's time.
    DeadMan,
    /// A machine that has nothing to do does nothing.
    NoSpin,
    /// Nodes that are short of processor time, and have no other trouble, keep their addresses.
    KeptUnderLoad,
}

/// A broken law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The law.
    pub law: Law,
    /// When it was broken, since the run began.
    pub at: Nanos,
    /// What was seen, for a person.
    pub how: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} broken at {:.3} s: {}", self.law, self.at as f64 / S as f64, self.how)
    }
}

/// What is followed per node.
#[derive(Debug, Default)]
pub(crate) struct Track {
    role: Option<RoleStatus>,
    until: Option<Nanos>,
    /// The node thinks that it is named in the lease.
    named: bool,
    /// Nothing has interfered with the node since then.
    pub(super) calm_at: Nanos,
    slow_at: Nanos,
    added: BTreeMap<IpAddr, Nanos>,
    pub(super) announced: BTreeMap<IpAddr, Vec<Nanos>>,
    /// Since when it holds an address that answers, undisturbed.
    owes: BTreeMap<IpAddr, Nanos>,
    missing: BTreeMap<IpAddr, Nanos>,
    unwanted: BTreeMap<IpAddr, Nanos>,
    pub(super) services: ServiceTrack,
    pub(super) routes: RouteTrack,
}

/// What is followed of the whole.
#[derive(Debug, Default)]
pub(crate) struct Laws {
    found: Option<Breach>,
    converge_by: Nanos,
    stop: Nanos,
    /// Between these, nodes are short of processor time and have no other trouble.
    only_load: Option<(Nanos, Nanos)>,
    holder: Option<usize>,
    writes: Vec<Nanos>,
    pub(super) services: ServiceLaws,
    pub(super) routes: RouteLaws,
}

/// A holder this close to its end need not install any more.
const LAST_CALL: Nanos = 2500 * MS;
/// Withdrawals and installs are seen and repeated within this.
pub(super) const SETTLED: Nanos = 1500 * MS;

impl Laws {
    pub(super) fn arrange(&mut self, setup: &Setup, plan: &[Planned], heal: Nanos, stop: Nanos) {
        self.converge_by = heal + bound(setup, plan);
        self.stop = stop;
        // All nodes at once, which no seed draws.
        let starts = |planned: &Planned| (planned.fault == Fault::Starve).then_some(planned.at);
        let first = plan.first().and_then(starts).filter(|_| plan.len() == setup.nodes.len());
        let only_load = first.filter(|at| plan.iter().all(|other| starts(other) == Some(*at)));
        self.only_load = only_load.map(|at| (at + SETTLED, heal));
        assert!(stop > self.converge_by, "the run is too short to see it converge");
    }

    pub(super) fn breach(&mut self, law: Law, at: Nanos, how: String) {
        self.found.get_or_insert(Breach { law, at, how });
    }

    pub(super) fn wrote(&mut self, at: Nanos) {
        self.writes.push(at);
    }
}

/// Within what time after the last fault there is one holder and every client knows it.
#[must_use]
pub fn bound(setup: &Setup, plan: &[Planned]) -> Nanos {
    let timing = setup.plane.timing;
    // A lease that was just renewed, a request that hangs, a few retries, the next announcement.
    let election = timing.duration + timing.renew_deadline / 2 + timing.retry_period * 4;
    let refused = plan.iter().any(|planned| matches!(planned.fault, Fault::Refusals(_)));
    // A node whose kernel refused stays out of the election for up to a minute.
    nanos(election) + 10 * S + if refused { 65 * S } else { 0 }
}

/// How long after that everything else is seen to be so.
#[must_use]
pub fn time_to_see(setup: &Setup) -> Nanos {
    let lease = setup.services.as_ref().map(|serving| nanos(serving.duration()));
    lease.map_or(0, |lease| lease + 5 * S + TRUTH)
}

impl World {
    /// Something interfered with a node: what the laws ask of it counts from `extra` later.
    pub(super) fn disturb(&mut self, node: usize, extra: Nanos) {
        let track = &mut self.nodes[node].track;
        track.calm_at = track.calm_at.max(self.now + extra);
    }

    /// What the node says of itself may have changed.
    pub(super) fn look_at(&mut self, node: usize) {
        let moment = self.moment(node);
        let Some(process) = &self.nodes[node].process else {
            let track = &mut self.nodes[node].track;
            (track.role, track.until, track.named) = (None, None, false);
            return;
        };
        let standing = process.machine.standing(moment);
        let until = standing.until.map(|until| self.nodes[node].clock.when(until));
        let named = standing.holder == self.setup.name(node);
        let track = &mut self.nodes[node].track;
        let before = track.until.is_some();
        (track.role, track.until, track.named) = (Some(standing.role), until, named);
        if before != until.is_some() {
            let name = &self.nodes[node].name;
            let what = until.map(|until| format!("holds until {:.3}", until as f64 / S as f64));
            let what = what.unwrap_or_else(|| "holds no more".to_owned());
            self.trace.line(self.now, format_args!("{name} {what}"));
        }
    }

    pub(super) fn note_added(&mut self, node: usize, address: IpAddr) {
        let track = &mut self.nodes[node].track;
        track.added.insert(address, self.now);
        track.announced.insert(address, Vec::new());
    }

    pub(super) fn note_announced(&mut self, node: usize, address: IpAddr) {
        self.nodes[node].track.announced.entry(address).or_default().push(self.now);
    }

    pub(super) fn laws_at_end_of_turn(&mut self, who: Who) {
        let Some(process) = &self.nodes[who.node].process else { return };
        // A preserved address is kept without being announced.
        let mut silent = process.unannounced.iter().filter(|vip| !self.setup.may_linger(**vip));
        if let Some(address) = silent.next() {
            let why = format!("{address} was added and not announced in the same turn");
            self.laws.breach(Law::Announced, self.now, why);
        }
    }

    /// An address has gone from a node.
    pub(super) fn law_of_load(&mut self, node: usize) {
        let loaded = self.laws.only_load.is_some_and(|(from, to)| (from..to).contains(&self.now));
        if loaded && self.asked(node) == Some(Asked::No) && self.setup.services.is_none() {
            let how = format!("{} has lost an address by load alone", self.nodes[node].name);
            self.laws.breach(Law::KeptUnderLoad, self.now, how);
        }
    }

    pub(super) fn laws_at_stop(&mut self, node: usize) {
        let entry = &self.nodes[node];
        let Some(Asked::ToStop { at }) = entry.process.as_ref().map(|process| process.asked) else {
            return;
        };
        let all = self.setup.addresses();
        let left = all.iter().find(|vip| entry.kernel.has(**vip));
        if let (Some(vip), true) = (left, entry.track.calm_at <= at && self.calm(node)) {
            let why = format!("{} stopped and left {vip} behind", entry.name);
            self.laws.breach(Law::NothingLeft, self.now, why);
        }
    }

    /// Whether nothing interferes with the node at this moment.
    pub(super) fn calm(&self, node: usize) -> bool {
        let entry = &self.nodes[node];
        entry.schedule == Schedule::Prompt
            && entry.kernel.permission == Permission::Granted
            && entry.kernel.link_is_up()
            && !entry.kernel.is_overrun()
            && self.trouble.resolver_fails == 0
    }

    pub(super) fn check(&mut self) -> Result<(), Breach> {
        self.one_holder();
        self.one_owner();
        self.check_services();
        for node in 0..self.nodes.len() {
            if !self.calm(node) {
                self.disturb(node, 0);
            }
            if self.nodes[node].schedule != Schedule::Prompt {
                self.nodes[node].track.slow_at = self.now;
            }
            self.owns_its_address(node);
            if self.nodes[node].kind == Kind::Viplet {
                self.holder_has_addresses(node);
                self.announced(node);
                self.nothing_left(node);
            }
            self.stops_in_time(node);
        }
        self.converged();
        self.check_routes();
        self.laws.found.take().map_or(Ok(()), Err)
    }

    fn holds(&self, node: usize) -> bool {
        self.nodes[node].track.until.is_some_and(|until| until > self.now)
    }

    fn one_holder(&mut self) {
        let mut holders = (0..self.nodes.len()).filter(|node| self.holds(*node));
        if let (Some(one), Some(two)) = (holders.next(), holders.next()) {
            let name = |node: usize| self.nodes[node].name.as_str();
            let how = format!("{} and {} both hold the lease", name(one), name(two));
            self.laws.breach(Law::OneHolder, self.now, how);
        }
    }

    /// Whether a kernel has the address by the doing of its node's program in this world.
    pub(super) fn has(&self, node: usize, address: IpAddr) -> bool {
        let mut all = self.nodes[node].kernel.addresses();
        all.any(|(ip, owner)| ip == address && owner == Owner::Viplet)
    }

    fn one_owner(&mut self) {
        if self.setup.plane_is_everywhere() {
            return;
        }
        for address in &self.setup.vips {
            if self.setup.may_linger(*address) {
                continue;
            }
            let mut owners = (0..self.nodes.len()).filter(|node| self.has(*node, *address));
            if let (Some(one), Some(two)) = (owners.next(), owners.next()) {
                let name = |node: usize| self.nodes[node].name.as_str();
                let how = format!("{address} is on {} and on {}", name(one), name(two));
                self.laws.breach(Law::OneOwner, self.now, how);
            }
        }
    }

    fn owns_its_address(&mut self, node: usize) {
        let own = own_address(node);
        if !self.nodes[node].kernel.addresses().any(|held| held == (own, Owner::Node)) {
            let how = format!("{} has lost its own address {own}", self.nodes[node].name);
            self.laws.breach(Law::NothingLeft, self.now, how);
        }
        if !self.nodes[node].kernel.keeps_what_is_beside() {
            let how = format!("{} took what another instance holds", self.nodes[node].name);
            self.laws.breach(Law::NothingLeft, self.now, how);
        }
    }

    fn holder_has_addresses(&mut self, node: usize) {
        let lasts = self.nodes[node].track.until.is_some_and(|until| until > self.now + LAST_CALL);
        let standing = self.nodes[node].track.role == Some(RoleStatus::Holding);
        let running = self.asked(node) == Some(Asked::No);
        for address in self.setup.vips.clone() {
            let there = self.nodes[node].kernel.has(address);
            let track = &mut self.nodes[node].track;
            if there || !lasts || !standing || !running {
                track.missing.remove(&address);
                continue;
            }
            let since = *track.missing.entry(address).or_insert(self.now);
            if self.now > since.max(track.calm_at) + SETTLED {
                let how = format!("{} holds the lease without {address}", self.nodes[node].name);
                self.laws.breach(Law::HolderHasAddresses, self.now, how);
            }
        }
    }

    pub(super) fn asked(&self, node: usize) -> Option<Asked> {
        self.nodes[node].process.as_ref().map(|process| process.asked)
    }

    fn announced(&mut self, node: usize) {
        let every = nanos(self.setup.plane.announce_every);
        let holds = self.holds(node) && self.asked(node) == Some(Asked::No);
        for address in self.setup.vips.clone() {
            let answers = self.has(node, address) && self.nodes[node].kernel.answers(address);
            let (name, track) = {
                let entry = &mut self.nodes[node];
                (&entry.name, &mut entry.track)
            };
            if !holds || !answers {
                track.owes.remove(&address);
                continue;
            }
            let owes = *track.owes.entry(address).or_insert(self.now);
            let sent = track.announced.get(&address).map(Vec::as_slice).unwrap_or_default();
            let last = sent.last().copied().unwrap_or_default();
            if self.now > last.max(owes).max(track.calm_at) + every + PROMPT {
                let how = format!("{name} holds {address} and has not announced it for a period");
                self.laws.breach(Law::Announced, self.now, how);
                continue;
            }
            let Some(added) = track.added.get(&address).copied() else { continue };
            if added < track.calm_at || owes < added {
                continue;
            }
            let count = sent.iter().filter(|at| **at >= owes).count();
            let due = [0, 50 * MS, 200 * MS, S].iter().filter(|d| self.now > owes + **d + PROMPT);
            let due = due.count();
            if count < due && self.now < owes + 2 * S {
                let how = format!("{name}: {count} announcements of {address}, {due} were due");
                self.laws.breach(Law::Announced, self.now, how);
            }
        }
    }

    fn nothing_left(&mut self, node: usize) {
        let patience = nanos(self.setup.plane.timing.duration) + 2 * S;
        let everywhere = self.setup.plane_is_everywhere();
        let Some(process) = &self.nodes[node].process else {
            self.nodes[node].track.unwanted.clear();
            return;
        };
        let (started, role) = (process.started, self.nodes[node].track.role);
        let adopting = self.now < started + patience
            && (role == Some(RoleStatus::Starting) || self.nodes[node].track.named);
        let follows = !matches!(role, Some(RoleStatus::Holding)) && !adopting;
        let there: BTreeSet<IpAddr> = self.nodes[node]
            .kernel
            .addresses()
            .filter(|(address, owner)| match owner {
                Owner::Node => false,
                _ if *address == STALE => true,
                _ => {
                    let ours = self.setup.vips.contains(address);
                    ours && follows && !everywhere && !self.setup.may_linger(*address)
                }
            })
            .map(|(address, _)| address)
            .collect();
        let entry = &mut self.nodes[node];
        entry.track.unwanted.retain(|address, _| there.contains(address));
        for address in there {
            let since = *entry.track.unwanted.entry(address).or_insert(self.now);
            if self.now > since.max(entry.track.calm_at) + SETTLED {
                let how = format!("{} still has {address}, which it should not", entry.name);
                self.laws.breach(Law::NothingLeft, self.now, how);
            }
        }
    }

    fn stops_in_time(&mut self, node: usize) {
        let Some(Asked::ToStop { at }) = self.asked(node) else { return };
        let leases = self.setup.services.as_ref().map_or(0, |serving| serving.most as u64 + 1);
        let allowed = S + leases * 30 * MS + PROMPT;
        if self.now > at.max(self.nodes[node].track.slow_at) + allowed {
            let how = format!("{} was asked to stop and still runs", self.nodes[node].name);
            self.laws.breach(Law::StopsInTime, self.now, how);
        }
    }

    fn converged(&mut self) {
        let before = self.now < self.laws.converge_by || self.now >= self.laws.stop;
        if before || !self.setup.has_plane() || self.setup.plane_is_everywhere() {
            return;
        }
        let holders: Vec<usize> = (0..self.nodes.len()).filter(|node| self.holds(*node)).collect();
        let [holder] = holders.as_slice() else {
            let how = format!("{} nodes hold the lease with all faults over", holders.len());
            return self.laws.breach(Law::Converges, self.now, how);
        };
        let before = *self.laws.holder.get_or_insert(*holder);
        let name = self.nodes[*holder].name.clone();
        if before != *holder {
            let how = format!("the lease went to {name} with all faults over");
            self.laws.breach(Law::Converges, self.now, how);
        }
        for address in self.setup.vips.clone() {
            let owners = (0..self.nodes.len()).filter(|node| self.nodes[*node].kernel.has(address));
            let owners: Vec<usize> = owners.collect();
            if owners != [*holder] {
                let how = format!("{address} is on {owners:?}, {name} holds the lease");
                self.laws.breach(Law::Converges, self.now, how);
            }
            let lost = self
                .lan
                .clients
                .iter()
                .position(|client| client.believes(address) != Some(*holder));
            if let Some(client) = lost {
                let how = format!("client {client} does not send {address} to {name}");
                self.laws.breach(Law::Converges, self.now, how);
            }
        }
    }

    /// What can only be said at the end.
    ///
    /// # Errors
    /// The law that was broken.
    pub fn verdict(&mut self) -> Result<(), Breach> {
        self.service_verdict();
        let (from, to) = (self.laws.converge_by, self.laws.stop);
        let ours = self.laws.holder.is_some_and(|node| self.nodes[node].kind == Kind::Viplet);
        let writes = self.laws.writes.iter().filter(|at| (from..to).contains(at)).count() as u64;
        let allowed = (to - from) / nanos(self.setup.renew_every()) + 2;
        if ours && writes > allowed {
            let how = format!("{writes} writes while idle, {allowed} are allowed");
            self.laws.breach(Law::FewWrites, self.now, how);
        }
        for node in 0..self.nodes.len() {
            let mut held = self.nodes[node].kernel.addresses();
            let left = held.find(|held| held.1 != Owner::Node && held.0 != BESIDE);
            if let (Some((address, _)), true) = (left, self.nodes[node].kernel.link_is_up()) {
                let how = format!("{} has {address} after the end", self.nodes[node].name);
                self.laws.breach(Law::NothingLeft, self.now, how);
            }
            if self.nodes[node].process.is_some() {
                let how = format!("{} still runs after the end", self.nodes[node].name);
                self.laws.breach(Law::StopsInTime, self.now, how);
            }
        }
        self.laws.found.take().map_or(Ok(()), Err)
    }
}
