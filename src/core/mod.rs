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

pub mod announce;
pub mod claim;
pub mod election;
pub mod fitness;
pub mod group;
pub mod input;
pub mod jitter;
pub mod label;
pub mod lease;
pub mod names;
pub mod observed;
pub mod report;
pub mod services;
pub mod settings;
pub mod status;
pub mod time;

mod view;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::{Command, LinkName, Notice, Owner, Rival};

pub use input::{Effect, Input, LeaseRequest, LeaseVerb, LeaseView, Origin, WriteOutcome};
pub use lease::{LeaseName, LeaseRecord, Stamp};
pub use settings::Settings;
pub use status::{Counters, Status};
pub use time::Moment;

use group::{Group, Stopping};
use observed::{Observed, Sight};
use report::{Level, Report};

/// A stop that the API server or the kernel holds up is over by then (SIG-2; an orchestrator's
/// patience is longer, a person's is not).
const STOP_LIMIT: Duration = Duration::from_millis(800);
/// A withdrawal of something stale is not repeated sooner.
const STALE_AGAIN: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping { since: Moment },
    Stopped,
}

/// The core of one node.
#[derive(Clone, Debug)]
pub struct Core {
    settings: Settings,
    phase: Phase,
    observed: Observed,
    control_plane: Option<Group>,
    stale: BTreeMap<(IpAddr, LinkName), Moment>,
    rivals: BTreeMap<IpAddr, Moment>,
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
        Self {
            settings,
            phase: Phase::Running,
            observed: Observed::default(),
            control_plane,
            stale: BTreeMap::new(),
            rivals: BTreeMap::new(),
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
        self.take(input, now, effects);
        self.drive(now, effects);
        self.count(effects.get(from..).unwrap_or_default());
    }

    /// The next moment at which [`Input::Deadline`] is due, and what for.
    #[must_use]
    pub fn next_deadline(&self, now: Moment) -> Option<(Moment, &'static str)> {
        let stop = match self.phase {
            Phase::Stopped => return None,
            Phase::Stopping { since } => Some((since + STOP_LIMIT, "the stop has its limit")),
            Phase::Running => None,
        };
        if *self.observed.sight() == Sight::Never {
            return stop;
        }
        let group = self.control_plane.as_ref().and_then(|g| g.deadline(&self.observed, now));
        let stale = self.stale.values().map(|at| *at + STALE_AGAIN).filter(|at| *at > now).min();
        let stale = stale.map(|at| (at, "something stale is still here"));
        group.into_iter().chain(stop).chain(stale).min_by_key(|(at, _)| *at)
    }

    fn take(&mut self, input: Input, now: Moment, effects: &mut Vec<Effect>) {
        match input {
            Input::Deadline => {}
            Input::Observed(notice) => self.observe(notice, now, effects),
            Input::Refused { command, refusal } => {
                self.counters.refusals += 1;
                let group = self.control_plane.as_mut();
                let report = group.and_then(|group| group.refused(&command, &refusal, now));
                effects.extend(report.map(Effect::Report));
            }
            Input::Lease { lease, origin, view } => {
                self.with_lease(&lease, |group| group.election.observe(origin, view, now));
            }
            Input::LeaseUnreadable { lease, reason } => {
                self.with_lease(&lease, |group| group.election.unreadable(reason, now));
            }
            Input::LeaseWritten { lease, attempt, outcome } => {
                self.with_lease(&lease, |group| group.election.written(attempt, outcome, now));
            }
            Input::Resolved { name, outcome } => self.resolved(&name, outcome, now, effects),
            Input::Labelled(outcome) => {
                if let Some(group) = &mut self.control_plane {
                    group.label.answered(outcome, now);
                }
            }
            // Nothing is served yet.
            Input::Services(_)
            | Input::Endpoints(_)
            | Input::Nodes(_)
            | Input::Leases(_)
            | Input::ServiceWritten { .. }
            | Input::ServicesLabelled(_) => {}
            Input::Stop => {
                if self.phase == Phase::Running {
                    self.phase = Phase::Stopping { since: now };
                }
            }
        }
    }

    fn observe(&mut self, notice: Notice, now: Moment, effects: &mut Vec<Effect>) {
        if let Notice::Blind(refusal) = &notice {
            let text = format!("the kernel cannot be observed: {refusal}; it is tried again");
            effects.push(Effect::Report(Report { level: Level::Error, text }));
        }
        if let Some(rival) = self.observed.take(notice, now) {
            self.contest(&rival, now, effects);
        }
    }

    fn contest(&mut self, rival: &Rival, now: Moment, effects: &mut Vec<Effect>) {
        let group = self.control_plane.as_mut();
        if !group.is_some_and(|group| group.contested(rival.address, now)) {
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

    fn with_lease(&mut self, lease: &LeaseName, act: impl FnOnce(&mut Group)) {
        match &mut self.control_plane {
            Some(group) if group.settings.lease == *lease => act(group),
            _ => *self.counters.rejects.entry("unknown lease".to_owned()).or_default() += 1,
        }
    }

    fn resolved(
        &mut self,
        name: &str,
        outcome: Result<Vec<IpAddr>, String>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        let names = self.control_plane.iter_mut().flat_map(|group| &mut group.names);
        let Some(known) = names.into_iter().find(|known| known.name() == name) else {
            *self.counters.rejects.entry("unknown name".to_owned()).or_default() += 1;
            return;
        };
        let (before, trouble) = (known.addresses().to_vec(), known.trouble().map(str::to_owned));
        known.resolved(outcome, now);
        if known.addresses() != before {
            let text = format!("{name} stands for {:?} (before: {before:?})", known.addresses());
            effects.push(Effect::Report(Report { level: Level::Info, text }));
        }
        if let Some(why) = known.trouble().filter(|why| trouble.as_deref() != Some(*why)) {
            let text = format!("{name}: {why}; what is known of it is kept");
            effects.push(Effect::Report(Report { level: Level::Warn, text }));
        }
    }

    fn drive(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if *self.observed.sight() == Sight::Never && self.phase == Phase::Running {
            return;
        }
        let stopping = match self.phase {
            Phase::Running => Stopping::No,
            Phase::Stopping { .. } | Phase::Stopped => Stopping::Yes,
        };
        self.withdraw_stale(now, effects);
        if let Some(group) = &mut self.control_plane {
            effects.extend(group.drive(&self.observed, stopping, now));
        }
        self.stop_when_done(now, effects);
    }

    /// Addresses with our tag that nobody claims any more: an earlier run had other settings.
    /// While a name is unresolved one of them may be its address; the kernel drops the rest.
    fn withdraw_stale(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let group = self.control_plane.as_ref();
        let unresolved = |g: &Group| g.names.iter().any(|name| name.addresses().is_empty());
        if group.is_some_and(|g| unresolved(g) || g.link.is_none()) {
            return;
        }
        self.stale.retain(|(address, link), at| {
            now.since(*at) < STALE_AGAIN || self.observed.on(*address, link).is_some()
        });
        for seen in self.observed.addresses() {
            let (address, link) = (seen.address.address, &seen.address.link);
            let claimed =
                group.is_some_and(|g| g.claims.contains_key(&address) || g.wants(address));
            let key = (address, link.clone());
            let asked = self.stale.get(&key).is_some_and(|at| now.since(*at) < STALE_AGAIN);
            if claimed || asked || seen.address.owner != Owner::Viplet {
                continue;
            }
            self.stale.insert(key, now);
            let text = format!("{address} on {link}: removed: left by an earlier run, not wanted");
            effects.push(Effect::Backend(claim::stale_withdrawal(seen)));
            effects.push(Effect::Report(Report { level: Level::Info, text }));
        }
    }

    fn stop_when_done(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let Phase::Stopping { since } = self.phase else { return };
        let late = now >= since + STOP_LIMIT;
        let done = self.control_plane.as_ref().is_none_or(|group| group.is_gone(&self.observed));
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
            if let Effect::Backend(command) = effect {
                *match command {
                    Command::Install { .. } => &mut self.counters.installs,
                    Command::Announce { .. } => &mut self.counters.announcements,
                    Command::Withdraw { .. } => &mut self.counters.withdrawals,
                } += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
