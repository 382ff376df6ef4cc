//! The pure heart: what is wanted against what is observed, and who holds which address.
//!
//! Getters: [`Core::status`], [`Core::counters`], [`Core::next_deadline`].
//! Handle: [`Core::handle`] takes one [`Input`] and the moment at which it happened, changes the
//! state and appends [`Effect`]s, in the order in which they must be carried out.
//! The owner calls `handle(Input::Deadline, now)` no later than `next_deadline()`, and gives the
//! backend's first snapshot before anything else.
//!
//! No I/O, no clock, no randomness, no async, no iteration over hash maps (design law 10).

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod address;
pub mod addresses;
pub mod cluster;
pub mod control_plane;
pub mod input;
pub mod jitter;
pub mod label;
pub mod names;
pub mod observed;
pub mod peer_changes;
pub mod report;
pub mod rights;
pub mod services;
pub mod settings;
pub mod status;
pub mod time;
pub mod uid;
pub mod version;

mod earlier_run;
mod strangers;
mod view;
pub(crate) mod work_queue;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::{Address, Command, LinkName, Notice, Owner, Refusal, Rival};

pub use input::{
    Effect, Input, KubernetesRequest, LeaseRequest, LeaseVerb, LeaseView, Origin, WriteOutcome,
};
pub use rights::lease::{LeaseName, LeaseRecord, Stamp};
pub use settings::Settings;
pub use status::{Counters, Status};
pub use time::Moment;

use control_plane::{Group, Stopping};
use earlier_run::EarlierRun;
use observed::{Observed, Sight};
use peer_changes::PeerChanges;
use report::{Level, Report};
use rights::election::Election;
use rights::election::drive::Handover;
use services::{Around, Services};

/// A stop that the API server or the kernel holds up is over by then (SIG-2; an orchestrator's
/// patience is longer, a person's is not).
const STOP_LIMIT: Duration = Duration::from_millis(800);
/// And for each lease that has to be given back, one after the other.
const STOP_PER_LEASE: Duration = Duration::from_millis(30);
/// And for each address that has to be withdrawn.
const STOP_PER_ADDRESS: Duration = Duration::from_millis(2);
/// The whole stop (SIG-5: a pod is gone within 10 s).
const LONGEST_STOP: Duration = Duration::from_secs(8);
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping { limit: Moment },
    Stopped,
}

/// The core of one node.
#[derive(Clone, Debug)]
pub struct Core {
    settings: Settings,
    phase: Phase,
    observed: Observed,
    control_plane: Option<Group>,
    services: Option<Services>,
    /// Addresses with our tag that may have to go.
    strangers: BTreeSet<(IpAddr, LinkName)>,
    earlier_run: EarlierRun,
    stale: BTreeMap<(IpAddr, LinkName), Moment>,
    rivals: BTreeMap<IpAddr, Moment>,
    peer_changes: PeerChanges,
    counters: Counters,
}

impl Core {
    /// A core that has seen nothing yet, started at `now`.
    #[must_use]
    pub fn new(settings: Settings, now: Moment) -> Self {
        let control_plane = settings
            .control_plane
            .clone()
            .map(|plane| Group::new(plane, &settings.node, settings.seed, now));
        let services = settings
            .services
            .clone()
            .map(|services| Services::new(services, &settings.node, settings.seed, now));
        let services = services.map(|services| match &control_plane {
            Some(group) if group.lease() == Some(&services.settings().lease) => services,
            _ => services.with_seat_for_all(),
        });
        Self {
            settings,
            phase: Phase::Running,
            observed: Observed::default(),
            control_plane,
            services,
            strangers: BTreeSet::new(),
            earlier_run: EarlierRun::default(),
            stale: BTreeMap::new(),
            rivals: BTreeMap::new(),
            peer_changes: PeerChanges::default(),
            counters: Counters::default(),
        }
    }

    /// What it was told at its start.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes one input in and appends what is to be done about it, in order.
    pub fn handle(&mut self, input: Input, now: Moment, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Stopped {
            return;
        }
        let from = effects.len();
        self.count_unreadable(&input);
        self.take(input, now, effects);
        self.drive(now, effects);
        self.count(effects.get(from..).unwrap_or_default());
    }

    /// The next moment at which [`Input::Deadline`] is due, and what for.
    #[must_use]
    pub fn next_deadline(&self, now: Moment) -> Option<(Moment, &'static str)> {
        let stop = match self.phase {
            Phase::Stopped => return None,
            Phase::Stopping { limit } => Some((limit, "the stop has its limit")),
            Phase::Running => None,
        };
        if *self.observed.sight() == Sight::Never {
            return stop;
        }
        let group = self.control_plane.as_ref().and_then(|g| g.deadline(&self.observed, now));
        let around = self.around(now);
        let services = self.services.as_ref().and_then(|services| services.deadline(&around));
        let stale =
            self.stale.values().map(|at| *at + strangers::STALE_AGAIN).filter(|at| *at > now).min();
        let stale = stale.map(|at| (at, "something stale is still here"));
        let earlier = self.earlier_run.deadline().filter(|at| *at > now);
        let stale =
            stale.into_iter().chain(earlier.map(|at| (at, "what an earlier run left ends")));
        let peers = self.peer_changes.deadline().map(|at| (at, "who was told of addresses"));
        let all = group.into_iter().chain(services).chain(stop).chain(stale).chain(peers);
        all.min_by_key(|(at, _)| *at)
    }

    fn take(&mut self, input: Input, now: Moment, effects: &mut Vec<Effect>) {
        match input {
            Input::Deadline => {}
            Input::Observed(notice) => self.observe(notice, now, effects),
            Input::Refused(refusals) => {
                for (command, refusal) in refusals {
                    self.counters.refusals += 1;
                    let report = self.refused(&command, &refusal, now);
                    effects.extend(report.map(Effect::Report));
                }
            }
            Input::Lease { lease, origin, view } => {
                self.with_lease(&lease, |election| election.observe(origin, view, now));
            }
            Input::LeaseUnreadable { lease, reason } => {
                self.with_lease(&lease, |election| election.unreadable(reason, now));
            }
            Input::LeaseWritten { lease, attempt, outcome } => {
                self.with_lease(&lease, |election| election.written(attempt, outcome, now));
            }
            Input::Resolved { name, outcome } => self.resolved(&name, outcome, now, effects),
            Input::Labelled(outcome) => {
                if let Some(group) = &mut self.control_plane {
                    group.label.answered(outcome, now);
                }
            }
            Input::ControlPlaneChecked(outcome) => {
                if let Some(group) = &mut self.control_plane {
                    group.health.checked(outcome);
                }
            }
            Input::Stop => self.begin_to_stop(now),
            Input::Services(_)
            | Input::Endpoints(_)
            | Input::Nodes(_)
            | Input::Leases(_)
            | Input::ServiceWritten { .. }
            | Input::ServicesHeard(_)
            | Input::ServicesLabelled(_) => match &mut self.services {
                Some(services) => tell(services, input, now),
                None => self.reject("services are not served"),
            },
        }
    }

    fn count_unreadable(&mut self, input: &Input) {
        let (what, number) = match input {
            Input::Services(change) => ("a Service that cannot be read", change.unreadable()),
            Input::Endpoints(change) => ("endpoints that cannot be read", change.unreadable()),
            Input::Nodes(change) => ("a Node that cannot be read", change.unreadable()),
            Input::Leases(change) => ("a Lease that cannot be read", change.unreadable()),
            _ => return,
        };
        (0..number).for_each(|_| self.reject(what));
    }

    fn begin_to_stop(&mut self, now: Moment) {
        if self.phase != Phase::Running {
            return;
        }
        self.services.iter_mut().for_each(Services::prepare_to_stop);
        let (leases, addresses) = self.services.as_ref().map_or((0, 0), Services::burden);
        let more =
            STOP_PER_LEASE.saturating_mul(leases) + STOP_PER_ADDRESS.saturating_mul(addresses);
        let limit = (STOP_LIMIT + more).min(LONGEST_STOP);
        self.phase = Phase::Stopping { limit: now + limit };
    }

    fn reject(&mut self, why: &str) {
        *self.counters.rejects.entry(why.to_owned()).or_default() += 1;
    }

    fn refused(&mut self, command: &Command, refusal: &Refusal, now: Moment) -> Option<Report> {
        let address = command.address();
        match (&mut self.control_plane, &mut self.services) {
            (Some(group), _) if group.claims.contains_key(&address) => {
                group.refused(command, refusal, now)
            }
            (_, Some(services)) if services.claims(address) => {
                services.refused(command, refusal, now)
            }
            _ => {
                let text = format!("{address} on {}: {refusal}", command.link());
                Some(Report { level: Level::Error, text })
            }
        }
    }

    fn observe(&mut self, notice: Notice, now: Moment, effects: &mut Vec<Effect>) {
        if let Notice::Blind(refusal) = &notice {
            let text = format!("the kernel cannot be observed: {refusal}; it is tried again");
            effects.push(Effect::Report(Report { level: Level::Error, text }));
        }
        if let Notice::Reach(reach) = &notice {
            self.peer_changes.note(reach, &self.observed, now);
        }
        self.note(&notice, now);
        if let Some(rival) = self.observed.take(notice, now) {
            self.contest(&rival, now, effects);
        }
        let blind = matches!(self.observed.sight(), Sight::Blind(_));
        if blind && let Some(services) = &mut self.services {
            services.look_at_addresses();
        }
    }

    /// What a notice asks to look at again.
    fn note(&mut self, notice: &Notice, now: Moment) {
        let ours = |address: &&Address| address.owner == Owner::Viplet;
        let key = |address: &Address| (address.address, address.link.clone());
        match notice {
            Notice::Snapshot(all) => {
                if *self.observed.sight() == Sight::Never {
                    self.earlier_run.found(all, now);
                }
                self.strangers.extend(all.addresses.iter().filter(ours).map(key));
            }
            Notice::Address(address) if ours(&address) => {
                self.strangers.insert(key(address));
            }
            _ => {}
        }
        let Some(services) = &mut self.services else { return };
        match notice {
            Notice::Address(address) if address.owner != Owner::Node => {
                services.look_at(address.address);
            }
            Notice::AddressGone { address, .. } => {
                services.look_at(*address);
                services.look_at_own(*address);
            }
            Notice::Rival(_) => {}
            Notice::Reach(reach) => services.look_at_reach(reach.address),
            _ => services.look_at_addresses(),
        }
    }

    fn contest(&mut self, rival: &Rival, now: Moment, effects: &mut Vec<Effect>) {
        let group = self.control_plane.as_mut();
        let held = group.is_some_and(|group| group.contested(rival.address, now));
        let services = self.services.as_mut().filter(|_| !held);
        if !held && !services.is_some_and(|services| services.contested(rival.address, now)) {
            return;
        }
        self.counters.rivals += 1;
        let last = self.rivals.insert(rival.address, now);
        if last.is_none_or(|last| now.since(last) > Duration::from_secs(10)) {
            let text = format!(
                "{} on {}: {} announces it too; this node holds its lease, makes sure of it and \
                 announces again. If that goes on, another program or cluster uses the address",
                rival.address, rival.link, rival.hardware
            );
            effects.push(Effect::Report(Report { level: Level::Warn, text }));
        }
    }

    fn with_lease(&mut self, lease: &LeaseName, act: impl FnOnce(&mut Election)) {
        if let Some(group) = &mut self.control_plane
            && group.lease() == Some(lease)
        {
            return act(&mut group.election);
        }
        let known = self
            .services
            .as_mut()
            .is_some_and(|services| services.with_seat(lease, |seat| act(&mut seat.election)));
        if !known {
            self.reject("unknown lease");
        }
    }

    fn resolved(
        &mut self,
        name: &str,
        outcome: Result<Vec<IpAddr>, String>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let services = self.services.as_mut();
        let asked = services.map(|services| services.resolved(name, &outcome, now));
        let names = self.control_plane.iter_mut().flat_map(|group| &mut group.names);
        let Some(known) = names.into_iter().find(|known| known.name() == name) else {
            if asked != Some(services::Known::Yes) {
                self.reject("unknown name");
            }
            return;
        };
        let (before, trouble) = (known.addresses().to_vec(), known.trouble().map(str::to_owned));
        known.resolved(outcome, now);
        if known.addresses() != before {
            let text = format!("{name} stands for {:?} (before: {before:?})", known.addresses());
            effects.push(Effect::Report(Report { level: Level::Info, text }));
            if let Some(services) = &mut self.services {
                services.look_at_addresses();
            }
        }
        if let Some(why) = known.trouble().filter(|why| trouble.as_deref() != Some(*why)) {
            let text = format!("{name}: {why}; what is known of it is kept");
            effects.push(Effect::Report(Report { level: Level::Warn, text }));
        }
    }

    fn stopping(&self) -> Stopping {
        match self.phase {
            Phase::Running => Stopping::No,
            Phase::Stopping { limit } => Stopping::By(limit),
            Phase::Stopped => Stopping::By(Moment::default()),
        }
    }

    /// What Services depend on beside themselves.
    fn around(&self, now: Moment) -> Around<'_> {
        Around {
            observed: &self.observed,
            control_plane: self.control_plane.as_ref(),
            stopping: self.stopping(),
            leftovers: self.earlier_run.leftovers(),
            now,
        }
    }

    fn drive(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if *self.observed.sight() == Sight::Never && self.phase == Phase::Running {
            return;
        }
        self.look_at_earlier_run(now);
        let stopping = self.stopping();
        let guests = self.guests(now);
        if let Some(group) = &mut self.control_plane {
            group.guests = guests;
            effects.extend(group.drive(&self.observed, stopping, now));
        }
        if let Some(services) = &mut self.services {
            let around = Around {
                observed: &self.observed,
                control_plane: self.control_plane.as_ref(),
                stopping,
                leftovers: self.earlier_run.leftovers(),
                now,
            };
            effects.extend(services.drive(&around));
        }
        effects
            .extend(self.peer_changes.reports(&self.observed, now).into_iter().map(Effect::Report));
        self.withdraw_strangers(now, effects);
        self.stop_when_done(now, effects);
    }

    /// Whether Services' addresses under the control plane's Lease are off this node, where that
    /// keeps the Lease from being given back.
    fn guests(&self, now: Moment) -> Handover {
        let (Some(group), Some(services)) = (&self.control_plane, &self.services) else {
            return Handover::Clear;
        };
        let ours = group.election.holder() == Some(self.settings.node.as_str());
        match ours {
            true => services.handover_under_control_plane(&self.around(now)),
            false => Handover::Clear,
        }
    }

    fn stop_when_done(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let Phase::Stopping { limit } = self.phase else { return };
        let late = now >= limit;
        let gone = self.control_plane.as_ref().is_none_or(|group| group.is_gone(&self.observed));
        let around = self.around(now);
        let done = gone && self.services.as_ref().is_none_or(|services| services.is_gone(&around));
        if !done && !late {
            return;
        }
        if !done {
            let text = "stopping without a clean end: the API server or the kernel did not answer \
                        in time; the lease and what is left here run out by themselves"
                .to_owned();
            effects.push(Effect::Report(Report { level: Level::Warn, text }));
        }
        self.phase = Phase::Stopped;
        effects.push(Effect::Stopped);
    }

    fn count(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Addresses(command) = effect {
                *match command {
                    Command::Install { .. } => &mut self.counters.installs,
                    Command::Announce { .. } => &mut self.counters.announcements,
                    Command::Withdraw { .. } => &mut self.counters.withdrawals,
                } += 1;
            }
        }
    }
}

/// Something of Services happened.
fn tell(services: &mut Services, input: Input, now: Moment) {
    match input {
        Input::Services(change) => services.take_services(change, now),
        Input::Endpoints(change) => services.take_endpoints(change),
        Input::Nodes(change) => services.take_nodes(change),
        Input::Leases(change) => services.take_leases(change, now),
        Input::ServiceWritten { service, attempt, outcome } => {
            services.written(&service, attempt, &outcome, now);
        }
        Input::ServicesHeard(version) => services.heard(version),
        Input::ServicesLabelled(outcome) => services.labelled(outcome, now),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
