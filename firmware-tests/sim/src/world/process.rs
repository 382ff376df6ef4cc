//! Processes: turns, effects, deadlines. What the program's shell does, in simulated time: one
//! input at a time, its effects in order, each at a moment of its own.

use viplet::core::Input;
use viplet::core::carry::{Carrier, TOGETHER};
use viplet::core::cluster::record::Change;
use viplet_backend_api::{Command, Notice};

use super::cluster::Watching;
use super::routing::{ProcessEnd, Speaker};
use super::{Asked, Doing, Event, Law, Process, Schedule, Who, World};
use crate::clock::{MS, S};
use crate::kernel::{Done, ProcessState};
use crate::objects::SORTS;
use crate::setup::Kind;

/// More turns by deadline alone within a second than this is a machine that spins.
const SPIN: u32 = 300;

impl World {
    pub(super) fn start(&mut self, node: usize) {
        if self.nodes[node].process.is_some() {
            return;
        }
        self.nodes[node].lives += 1;
        self.nodes[node].schedule = Schedule::Prompt;
        let who = Who { node, life: self.nodes[node].lives };
        let machine = self.machine(who);
        let moment = self.moment(node);
        let name = self.nodes[node].name.clone();
        self.trace.line(self.now, format_args!("{name} starts (life {})", who.life));
        let snapshot = self.nodes[node].kernel.resync(moment);
        let together = match self.nodes[node].kind {
            Kind::Viplet => self.rng.pick(&[1, 4, TOGETHER]),
            Kind::Foreign => 1,
        };
        self.nodes[node].process = Some(Process {
            life: who.life,
            machine,
            inbox: [Input::Observed(snapshot)].into(),
            carrier: Carrier::new(together),
            doing: Doing::Waiting,
            wake: 0,
            spins: (0, 0),
            unannounced: [].into(),
            untold: [].into(),
            asked: Asked::No,
            watching: Watching::default(),
            feeds: Default::default(),
            speaker: Speaker::default(),
            notices_at: self.now,
            started: self.now,
        });
        self.nodes[node].process_end = ProcessEnd::default();
        self.laws.routes.cause();
        self.begin_checks(who);
        self.disturb(node, 0);
        if self.nodes[node].kind == Kind::Viplet {
            let at = self.now + self.rng.micros(500, 20_000);
            if self.setup.has_plane() {
                self.queue.at(at, Event::Open { who, watch: 0 });
            }
        }
        if self.setup.services.is_some() {
            for sort in 0..SORTS.len() {
                let at = self.now + self.rng.micros(500, 50_000);
                self.queue.at(at, Event::OpenFeed { who, sort, number: 0 });
            }
        }
        self.kick(who);
    }

    /// The process dies; its kernel lives on.
    pub(super) fn crash(&mut self, node: usize, why: &str) {
        if self.nodes[node].process.take().is_some() {
            let name = self.nodes[node].name.clone();
            self.trace.line(self.now, format_args!("{name} {why}"));
        }
        self.nodes[node].kernel.forget_made_known();
        self.nodes[node].kernel.process_state = ProcessState::Runs;
        self.nodes[node].doomed = None;
        self.forget_calls_of(node);
        self.disturb(node, 0);
        self.look_at(node);
    }

    /// Arranges a turn, unless one is under way.
    pub(super) fn kick(&mut self, who: Who) {
        let late = match self.nodes[who.node].schedule {
            Schedule::Paused => return,
            Schedule::Prompt => self.rng.micros(5, 500),
            Schedule::Starved => self.rng.micros(1000, 400_000),
        };
        let at = self.now + late;
        let Some(process) = self.process(who) else { return };
        if process.doing == Doing::Waiting {
            process.doing = Doing::TurnArranged;
            self.queue.at(at, Event::Turn { who });
        }
    }

    pub(super) fn give(&mut self, who: Who, input: Input) {
        let Some(process) = self.process(who) else { return };
        // As `shell::node` has it: what the kernel says comes before what the API server says.
        let notice = |input: &Input| matches!(input, Input::Observed(_));
        let place = match notice(&input) {
            true => process.inbox.iter().take_while(|known| notice(known)).count(),
            false => process.inbox.len(),
        };
        process.inbox.insert(place, input);
        self.kick(who);
    }

    pub(super) fn wake(&mut self, who: Who, wake: u64) {
        if self.process(who).is_some_and(|process| process.wake == wake) {
            self.kick(who);
        }
    }

    pub(super) fn turn(&mut self, who: Who) {
        let (moment, now) = (self.moment(who.node), self.now);
        let paused = self.nodes[who.node].schedule == Schedule::Paused;
        let Some(process) = self.process(who) else { return };
        process.doing = Doing::Waiting;
        if paused {
            return;
        }
        let input = process.inbox.pop_front();
        process.spins = match (&input, process.spins) {
            (Some(_), _) => (now / S, 0),
            (None, (second, count)) if second == now / S => (second, count + 1),
            (None, _) => (now / S, 1),
        };
        let spins = process.spins.1;
        let input = input.unwrap_or(Input::Deadline);
        process.unannounced.clear();
        match &input {
            Input::Observed(Notice::AddressGone { address, .. }) => {
                process.untold.remove(address);
            }
            Input::Observed(Notice::Snapshot(_)) => process.untold.clear(),
            _ => {}
        }
        process.speaker.take(&input);
        let effects = self.decide(who, input.clone(), moment);
        let Some(process) = self.process(who) else { return };
        process.carrier.take(effects, moment);
        process.doing = Doing::CarryingOut;
        let due = process.machine.next_deadline(moment);
        let name = &self.nodes[who.node].name;
        if input != Input::Deadline {
            self.trace.line(now, format_args!("{name} < {}", said(&input)));
        }
        if spins > SPIN {
            let why = format!("{name} took {spins} turns within a second, for {due:?} at {moment}");
            self.laws.breach(Law::NoSpin, now, why);
        }
        self.look_at(who.node);
        self.arrange_carrying(who);
    }

    pub(super) fn end_turn(&mut self, who: Who) {
        self.laws_at_end_of_turn(who);
        self.settle(who);
        let moment = self.moment(who.node);
        let Some(process) = self.process(who) else { return };
        process.doing = Doing::Waiting;
        process.wake += 1;
        let (wake, busy) = (process.wake, !process.inbox.is_empty());
        let next = process.machine.next_deadline(moment);
        if busy {
            return self.kick(who);
        }
        if let Some((deadline, _)) = next {
            let at = self.nodes[who.node].clock.when(deadline).max(self.now);
            self.queue.at(at, Event::Wake { who, wake });
        }
    }

    pub(super) fn stopped(&mut self, who: Who) {
        let name = self.nodes[who.node].name.clone();
        let asked = self.process(who).map(|process| process.asked);
        if asked == Some(Asked::No) {
            let why = format!("{name} ended by itself");
            self.laws.breach(Law::NeverEndsByItself, self.now, why);
        }
        self.laws_at_stop(who.node);
        self.nodes[who.node].process_end = ProcessEnd::Stopped;
        self.crash(who.node, "has stopped");
    }

    /// After a kernel changed: its next tick, and what the process is told.
    pub(super) fn kernel_changed(&mut self, node: usize) {
        let next = self.nodes[node].kernel.next();
        self.nodes[node].kernel_tick += 1;
        if let Some(moment) = next {
            let at = self.nodes[node].clock.when(moment).max(self.now);
            self.queue.at(at, Event::Kernel { node, tick: self.nodes[node].kernel_tick });
        }
        let notices = self.nodes[node].kernel.take_notices();
        let who = Who { node, life: self.nodes[node].lives };
        for notice in notices {
            self.notify(who, notice);
        }
    }

    pub(super) fn notify(&mut self, who: Who, notice: Notice) {
        let at = self.now + self.rng.micros(20, 2000);
        let Some(process) = self.process(who) else { return };
        if let Notice::AddressGone { address, .. } = &notice {
            process.untold.insert(*address);
        }
        process.notices_at = process.notices_at.max(at);
        let at = process.notices_at;
        self.queue.at(at, Event::Give { who, input: Input::Observed(notice) });
    }

    pub(super) fn kernel_ticks(&mut self, node: usize, tick: u64) {
        if self.nodes[node].kernel_tick != tick {
            return;
        }
        let moment = self.moment(node);
        if self.nodes[node].kernel.tick(moment) == Done::Removed {
            let name = &self.nodes[node].name;
            self.trace.line(self.now, format_args!("{name}'s kernel drops what has expired"));
            self.law_of_load(node);
        }
        self.kernel_changed(node);
        self.look_at(node);
    }

    pub(super) fn resync(&mut self, who: Who) {
        let moment = self.moment(who.node);
        if self.process(who).is_none() {
            return;
        }
        let snapshot = self.nodes[who.node].kernel.resync(moment);
        self.disturb(who.node, 0);
        self.notify(who, snapshot);
    }

    pub(super) fn pause(&mut self, node: usize) {
        self.nodes[node].schedule = Schedule::Paused;
        self.nodes[node].kernel.process_state = ProcessState::Stopped;
    }

    /// SIGCONT, or the processor is free again.
    pub(super) fn prompt(&mut self, node: usize) {
        self.nodes[node].schedule = Schedule::Prompt;
        self.disturb(node, 0);
        if self.setup.routed.is_some() {
            let moment = self.moment(node);
            self.nodes[node].kernel.process_state = ProcessState::Runs;
            self.nodes[node].kernel.tick(moment);
            self.kernel_changed(node);
        }
        let who = Who { node, life: self.nodes[node].lives };
        self.overdue_calls_time_out(node);
        if let Some(process) = self.process(who)
            && process.doing == Doing::HeldUp
        {
            process.doing = Doing::CarryingOut;
            self.arrange_carrying(who);
        }
        self.kick(who);
    }

    pub(super) fn ask_to_stop(&mut self, node: usize) {
        let (now, paused) = (self.now, self.nodes[node].schedule == Schedule::Paused);
        let who = Who { node, life: self.nodes[node].lives };
        let Some(process) = self.process(who) else { return };
        if paused || process.asked != Asked::No {
            return;
        }
        process.asked = Asked::ToStop { at: now };
        // A signal overtakes what waits in sockets.
        process.inbox.push_front(Input::Stop);
        self.kick(who);
    }

    pub(super) fn stop_all(&mut self) {
        self.trace.line(self.now, format_args!("everything is asked to stop"));
        if self.rng.chance(500) {
            self.trouble.outages += 1;
            self.trace.line(self.now, format_args!("the API server hangs"));
        }
        for node in 0..self.nodes.len() {
            self.ask_to_stop(node);
        }
    }
}

/// An input in a few words.
fn said(input: &Input) -> String {
    use viplet::core::LeaseView;
    match input {
        Input::Lease { lease, view: LeaseView::Absent, .. } => format!("{lease}: absent"),
        Input::Lease { lease, view: LeaseView::Present { version, record }, .. } => {
            format!("{lease} {version}: {:?} renewed {:?}", record.holder, record.renewed)
        }
        Input::LeaseWritten { lease, attempt, outcome } => {
            let text = format!("{outcome:?}");
            format!("write {attempt} of {lease}: {}", text.split(" {").next().unwrap_or_default())
        }
        Input::Observed(Notice::Snapshot(all)) => {
            format!("snapshot: {} addresses", all.addresses.len())
        }
        Input::Observed(Notice::Address(seen)) => {
            format!("seen {} for {:?}, {:?}", seen.address, seen.valid_for, seen.usability)
        }
        Input::Observed(Notice::Link(link)) => format!("link {} {:?}", link.name, link.state),
        Input::Services(Change::Replaced(all)) => format!("{} Services", all.len()),
        Input::Services(Change::Applied(record)) => {
            let host = record.annotations.as_deref().and_then(|a| a.host.as_deref());
            format!("Service {} version {} at {host:?}", record.name, record.version)
        }
        Input::Endpoints(Change::Replaced(all)) => format!("{} slices", all.len()),
        Input::Nodes(Change::Replaced(all)) => format!("{} Nodes", all.len()),
        Input::Leases(Change::Replaced(all)) => format!("{} Leases", all.len()),
        Input::Leases(Change::Applied(seen)) => {
            format!("lease {} {}: {:?}", seen.lease, seen.version, seen.record.holder)
        }
        other => format!("{other:?}"),
    }
}

/// A command in a few words.
pub(super) fn told(command: &Command) -> String {
    match command {
        Command::Install { vip, lifetime } => {
            format!("install {} {} s", vip.address, lifetime.as_secs())
        }
        Command::Announce { vip } => format!("announce {}", vip.address),
        Command::Withdraw { address, .. } => format!("withdraw {address}"),
    }
}

/// Slack that the laws grant to a prompt process.
pub(super) const PROMPT: u64 = 30 * MS;
