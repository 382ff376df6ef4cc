//! Sessions between nodes and routers, what nodes announce in them, what they are told of that,
//! and the checks of each node's API server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use viplet::core::Input;
use viplet::core::settings::HealthGate;
use viplet_backend_api::{Class, Command, Notice, Reach, Refusal};

use super::{Event, Schedule, Who, World};
use crate::clock::Nanos;
use crate::kernel::Done;
use crate::lan::Station;
use crate::router::Ending;

/// Whether the backend was told that all is announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    No,
    Yes,
}

/// The backend of a process: what it announces, as long as the process lives.
#[derive(Debug, Default)]
pub(crate) struct Speaker {
    announced: BTreeSet<IpAddr>,
    told: Told,
    /// What was said of how many peers heard of an address.
    reported: BTreeMap<IpAddr, u32>,
    pub(super) checks: Checks,
}

/// What a process was told of its API server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checks {
    pub(super) succeeded: Succeeded,
    pub(super) failures: u32,
}

/// Whether a check has ever succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Succeeded {
    /// Not yet.
    #[default]
    Never,
    /// It has.
    Once,
}

/// How a node's process went, as far as its peers are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ProcessEnd {
    /// Its connections were closed by its kernel.
    #[default]
    Killed,
    /// It said so.
    Stopped,
    /// Nobody closed anything.
    PowerLost,
}

impl World {
    /// Brings sessions and routes up to date with this moment.
    pub(super) fn route(&mut self) {
        let Some(routed) = self.setup.routed else { return };
        for node in 0..self.nodes.len() {
            self.router[node].pass(self.now);
            self.forget_what_is_gone(node);
            match self.router[node].life() {
                Some(life) => self.converse(node, life),
                None => self.connect(node, routed.connect),
            }
            self.report_reach(node);
        }
    }

    /// The backend announces only what is there.
    fn forget_what_is_gone(&mut self, node: usize) {
        let entry = &mut self.nodes[node];
        let Some(process) = entry.process.as_mut() else { return };
        if entry.schedule != Schedule::Paused {
            process.speaker.announced.retain(|address| entry.kernel.has(*address));
            process.speaker.reported.retain(|address, _| entry.kernel.has(*address));
        }
    }

    /// Whether packets of the node reach its routers.
    fn reaches_routers(&self, node: usize) -> bool {
        let there = self.lan.connected(Station::Node(node), Station::Router);
        there && self.nodes[node].kernel.link_is_up()
    }

    fn peers_left(&self, node: usize) -> u32 {
        let peers = self.setup.routed.map_or(0, |routed| routed.peers);
        peers.saturating_sub(self.nodes[node].peers_lost)
    }

    /// The run of a node's process that can speak to routers now.
    fn speaks(&self, node: usize) -> Option<u64> {
        let entry = &self.nodes[node];
        let awake = entry.schedule != Schedule::Paused;
        let free = awake && self.reaches_routers(node) && self.peers_left(node) > 0;
        entry.process.as_ref().filter(|_| free).map(|process| process.life)
    }

    fn converse(&mut self, node: usize, life: u64) {
        let runs = self.nodes[node].process.as_ref().is_some_and(|process| process.life == life);
        let dark = self.nodes[node].process_end == ProcessEnd::PowerLost;
        if self.peers_left(node) == 0 {
            return self.lose(node, Ending::Ceased);
        }
        if !runs && !dark && self.reaches_routers(node) {
            return self.lose(
                node,
                match self.nodes[node].process_end {
                    ProcessEnd::Stopped => Ending::Ceased,
                    ProcessEnd::Killed | ProcessEnd::PowerLost => Ending::Closed,
                },
            );
        }
        if self.speaks(node) == Some(life) {
            return self.hear(node);
        }
        let hold = self.setup.routed.map_or(0, |routed| routed.hold);
        if self.now > self.router[node].silent(self.now) + hold {
            self.lose(node, Ending::Ceased);
        }
    }

    fn hear(&mut self, node: usize) {
        let Some(process) = &self.nodes[node].process else { return };
        let (announced, told) = (process.speaker.announced.clone(), process.speaker.told);
        self.router[node].hear(&announced);
        if told == Told::Yes {
            self.router[node].end_of_rib();
        }
    }

    fn lose(&mut self, node: usize, how: Ending) {
        let restart = self.setup.routed.and_then(|routed| routed.restart);
        let name = &self.nodes[node].name;
        self.trace.line(self.now, format_args!("{name}'s session is down: {how:?}"));
        self.router[node].end(how, restart, self.now);
        self.laws.routes.cause();
    }

    fn connect(&mut self, node: usize, longest: Nanos) {
        let Some(life) = self.speaks(node) else {
            self.router[node].connect_at = None;
            return;
        };
        let due = match self.router[node].connect_at {
            Some(due) => due,
            None => self.now + self.rng.between(longest / 50, longest),
        };
        self.router[node].connect_at = Some(due);
        if self.now >= due {
            let name = &self.nodes[node].name;
            self.trace.line(self.now, format_args!("{name}'s session is up"));
            self.router[node].open(life, self.now);
            self.laws.routes.cause();
            self.hear(node);
        }
    }

    /// How many peers a node's process reaches.
    fn told(&self, node: usize) -> u32 {
        let life = self.nodes[node].process.as_ref().map(|process| process.life);
        let up = life.is_some() && self.router[node].life() == life;
        if up { self.peers_left(node) } else { 0 }
    }

    fn report_reach(&mut self, node: usize) {
        let (told, of) = (self.told(node), self.setup.routed.map_or(0, |routed| routed.peers));
        let Some(process) = self.nodes[node].process.as_ref() else { return };
        let (who, speaker) = (Who { node, life: process.life }, &process.speaker);
        let news = |address: &&IpAddr| speaker.reported.get(*address) != Some(&told);
        let news: Vec<IpAddr> = speaker.announced.iter().filter(news).copied().collect();
        for address in news {
            let Some(process) = self.process(who) else { return };
            process.speaker.reported.insert(address, told);
            self.notify(who, Notice::Reach(Reach { address, told, of }));
        }
    }

    /// What becomes of an announcement.
    pub(super) fn try_to_announce(&self, node: usize, command: &Command) -> Result<Done, Refusal> {
        let address = command.address();
        match self.nodes[node].kernel.has(address) {
            true => Ok(Done::Announced),
            false => Err(Refusal {
                class: Class::Lost,
                reason: format!("{address} is not there: it is not announced"),
            }),
        }
    }

    /// An address is there: before anything is said of it, nobody has heard of it.
    pub(super) fn report_unheard(&mut self, who: Who, address: IpAddr) {
        let Some(routed) = self.setup.routed else { return };
        let Some(process) = self.process(who) else { return };
        if process.speaker.announced.contains(&address) {
            return;
        }
        process.speaker.reported.insert(address, 0);
        self.notify(who, Notice::Reach(Reach { address, told: 0, of: routed.peers }));
    }

    pub(super) fn announce_route(&mut self, node: usize, address: IpAddr) {
        if let Some(process) = self.nodes[node].process.as_mut() {
            process.speaker.announced.insert(address);
        }
    }

    /// After a turn: whether all is announced now.
    pub(super) fn settle(&mut self, who: Who) {
        if self.setup.routed.is_none() {
            return;
        }
        let moment = self.moment(who.node);
        let Some(process) = self.process(who) else { return };
        if process.speaker.told == Told::No && process.machine.is_settled(moment) {
            process.speaker.told = Told::Yes;
            let name = &self.nodes[who.node].name;
            self.trace.line(self.now, format_args!("{name} is settled"));
        }
    }

    /// A check of the node's own API server is due.
    pub(super) fn check_plane(&mut self, who: Who) {
        let Some(routed) = self.setup.routed else { return };
        if self.process(who).is_none() {
            return;
        }
        self.queue.at(self.now + routed.check_every, Event::Check { who });
        if self.nodes[who.node].schedule == Schedule::Paused {
            return;
        }
        let outcome = match self.nodes[who.node].checks_fail {
            0 => Ok(()),
            _ => Err("connection refused".to_owned()),
        };
        let at = self.now + self.rng.micros(500, 20_000);
        self.queue.at(at, Event::Give { who, input: Input::ControlPlaneChecked(outcome) });
    }

    pub(super) fn begin_checks(&mut self, who: Who) {
        let gated = self.setup.has_plane() && self.setup.plane.health != HealthGate::Open;
        if self.setup.routed.is_some() && gated {
            let at = self.now + self.rng.micros(1000, 500_000);
            self.queue.at(at, Event::Check { who });
        }
    }
}

impl Speaker {
    /// What the process takes in now.
    pub(super) fn take(&mut self, input: &Input) {
        match input {
            Input::ControlPlaneChecked(Ok(())) => {
                self.checks = Checks { succeeded: Succeeded::Once, failures: 0 };
            }
            Input::ControlPlaneChecked(Err(_)) => self.checks.failures += 1,
            _ => {}
        }
    }
}
