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
pub mod carry;
pub mod cluster;
pub(crate) mod context;
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

pub(crate) mod earlier_run;
mod intake;
mod lateness;
mod strangers;
mod turn;
mod view;
pub(crate) mod work_queue;

use std::collections::BTreeMap;
use std::net::IpAddr;

use viplet_backend_api::Command;

pub use input::{
    Effect, Input, KubernetesRequest, LeaseRequest, LeaseVerb, LeaseView, Origin, WriteOutcome,
};
pub use rights::lease::{LeaseName, LeaseRecord, Stamp};
pub use settings::Settings;
pub use status::{Counters, Status};
pub use time::Moment;

use control_plane::{Group, Stopping};
use earlier_run::{EarlierRun, Leftovers};
use lateness::Lateness;
use observed::{Observed, Sight};
use peer_changes::PeerChanges;
use report::{Level, Report};
use rights::election::drive::Handover;
use strangers::Strangers;
use turn::{Outside, Rooms};

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
    /// Services, where they are served.
    rooms: Option<Rooms>,
    strangers: Strangers,
    earlier_run: EarlierRun,
    rivals: BTreeMap<IpAddr, Moment>,
    peer_changes: PeerChanges,
    lateness: Lateness,
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
        let services = settings.services.clone();
        let mut rooms =
            services.map(|services| Rooms::new(services, &settings.node, settings.seed, now));
        let of_control_plane = control_plane.as_ref().and_then(Group::lease);
        if let Some(rooms) = &mut rooms
            && of_control_plane != Some(&rooms.site.settings.lease)
        {
            rooms.rights.follow_lease_for_all();
        }
        Self {
            settings,
            phase: Phase::Running,
            observed: Observed::default(),
            control_plane,
            rooms,
            strangers: Strangers::default(),
            earlier_run: EarlierRun::default(),
            rivals: BTreeMap::new(),
            peer_changes: PeerChanges::default(),
            lateness: Lateness::default(),
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
        let services = self.rooms.as_ref().and_then(|rooms| rooms.deadline(&self.outside(now)));
        let earlier = self.earlier_run.deadline().filter(|at| *at > now);
        let earlier = earlier.map(|at| (at, "what an earlier run left ends"));
        let stale = self.strangers.deadline(now).into_iter().chain(earlier);
        let peers = self.peer_changes.deadline().map(|at| (at, "who was told of addresses"));
        let all = group.into_iter().chain(services).chain(stop).chain(stale).chain(peers);
        all.min_by_key(|(at, _)| *at)
    }

    fn stopping(&self) -> Stopping {
        match self.phase {
            Phase::Running => Stopping::No,
            Phase::Stopping { limit } => Stopping::By(limit),
            Phase::Stopped => Stopping::By(Moment::default()),
        }
    }

    /// What Services depend on beside themselves.
    fn outside(&self, now: Moment) -> Outside<'_> {
        Outside {
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
        self.know_machine();
        let stopping = self.stopping();
        let services = self.services_handover(now);
        if let Some(group) = &mut self.control_plane {
            group.services = services;
            effects.extend(group.drive(&self.observed, stopping, now));
        }
        if let Some(rooms) = &mut self.rooms {
            let (observed, control_plane) = (&self.observed, self.control_plane.as_ref());
            let leftovers = self.earlier_run.leftovers();
            let outside = Outside { observed, control_plane, stopping, leftovers, now };
            rooms.turn(&outside, effects);
        }
        effects
            .extend(self.peer_changes.reports(&self.observed, now).into_iter().map(Effect::Report));
        self.withdraw_strangers(now, effects);
        self.stop_when_done(now, effects);
    }

    fn know_machine(&mut self) {
        let machine = self.observed.machine();
        if let Some(group) = &mut self.control_plane {
            group.election.know_machine(machine);
        }
        if let Some(rooms) = &mut self.rooms {
            rooms.rights.know_machine(machine);
        }
    }

    /// Whether Services' addresses under the control plane's Lease are off this node, where that
    /// keeps the Lease from being given back.
    fn services_handover(&self, now: Moment) -> Handover {
        let (Some(group), Some(rooms)) = (&self.control_plane, &self.rooms) else {
            return Handover::Clear;
        };
        let ours = group.election.holder() == Some(self.settings.node.as_str());
        match ours {
            true => {
                let around = rooms.around(&self.outside(now));
                rooms.addresses.handover_under_control_plane(&around)
            }
            false => Handover::Clear,
        }
    }

    /// Addresses with our tag that nobody claims go, once it is known what is claimed.
    fn withdraw_strangers(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let (group, rooms) = (self.control_plane.as_ref(), self.rooms.as_ref());
        let unlisted = rooms.is_some_and(|rooms| !rooms.is_listed());
        if group.is_some_and(|group| !group.is_known()) || unlisted {
            return;
        }
        let is_claimed = |address| is_claimed(group, rooms, address);
        effects.extend(self.strangers.withdraw(&self.observed, is_claimed, now));
    }

    /// Leases that waited for what an earlier run left are looked at once it is gone.
    fn look_at_earlier_run(&mut self, now: Moment) {
        if self.earlier_run.leftovers() == Leftovers::None {
            return;
        }
        let (group, rooms) = (self.control_plane.as_ref(), self.rooms.as_ref());
        let is_claimed = |address| is_claimed(group, rooms, address);
        let left = self.earlier_run.look(&self.observed, is_claimed, now);
        if let (Leftovers::None, Some(rooms)) = (left, &mut self.rooms) {
            rooms.rights.look_at_idle();
        }
    }

    fn stop_when_done(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let Phase::Stopping { limit } = self.phase else { return };
        let late = now >= limit;
        let gone = self.control_plane.as_ref().is_none_or(|group| group.is_gone(&self.observed));
        let outside = self.outside(now);
        let done = gone && self.rooms.as_ref().is_none_or(|rooms| rooms.is_gone(&outside));
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

/// Whether an address is one of those that this node is asked for, or was.
fn is_claimed(group: Option<&Group>, rooms: Option<&Rooms>, address: IpAddr) -> bool {
    let planes = |group: &Group| group.claims.contains_key(&address) || group.wants(address);
    group.is_some_and(planes) || rooms.is_some_and(|rooms| rooms.addresses.claims(address))
}

#[cfg(test)]
mod tests;
