//! Carrying out, by the product's own [`viplet::core::carry`]: each step at a moment of its own, on
//! a node that may be short of processor time, be stopped in between, or crash between any two
//! effects.

use std::time::Duration;

use viplet::core::Input;
use viplet::core::carry::{Sink, Step};
use viplet::core::input::KubernetesRequest;
use viplet::core::report::Report;
use viplet_backend_api::{Command, Refusal};

use super::process::told;
use super::{Doing, Event, Schedule, Who, World};
use crate::clock::{Nanos, S};
use crate::kernel::Done;
use crate::setup::{Kind, NAME};

/// A process as the addressee of its effects.
struct Addressees<'a> {
    world: &'a mut World,
    who: Who,
}

/// Whether a process lives to carry out its next effect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Lives,
    Crashed,
}

impl World {
    pub(super) fn carry(&mut self, who: Who) {
        let asleep = self.nodes[who.node].schedule == Schedule::Paused;
        let asleep = asleep && self.nodes[who.node].kind == Kind::Viplet;
        let moment = self.moment(who.node);
        let Some(process) = self.process(who) else { return };
        if asleep {
            process.doing = Doing::HeldUp; // It goes on where it was.
            return;
        }
        let mut carrier = std::mem::take(&mut process.carrier);
        let step = carrier.step(moment, &mut Addressees { world: self, who });
        let Some(process) = self.process(who) else { return };
        process.carrier = carrier;
        match step {
            Step::Done => {}
            Step::Refused(input) => self.refused(who, input),
            Step::Late(input) => self.too_late(who, input),
            Step::Stopped => return self.stopped(who),
            Step::Idle => return self.end_turn(who),
        }
        self.arrange_carrying(who);
    }

    /// When the next effect is carried out.
    pub(super) fn arrange_carrying(&mut self, who: Who) {
        let idle = self.process(who).is_none_or(|process| process.carrier.is_idle());
        let starved = self.nodes[who.node].schedule == Schedule::Starved
            && self.nodes[who.node].kind == Kind::Viplet;
        let pause: Nanos = match starved && self.rng.chance(300) {
            _ if idle => 0,
            true => self.rng.micros(1000, 400_000),
            false => self.rng.micros(5, 200),
        };
        self.queue.at(self.now + pause, Event::Carry { who });
    }

    fn refused(&mut self, who: Who, input: Input) {
        let moment = self.moment(who.node);
        let more = self.decide(who, input, moment);
        let Some(process) = self.process(who) else { return };
        process.carrier.take(more, moment);
        // Where no lease decides nobody else takes over: the node rests all the same.
        let rest = if self.setup.routed.is_some() { 75 } else { 12 };
        self.disturb(who.node, rest * S);
        self.look_at(who.node);
    }

    fn too_late(&mut self, who: Who, input: Input) {
        let name = self.nodes[who.node].name.clone();
        let Some(process) = self.process(who) else { return };
        if let Input::Late { commands, .. } = &input {
            for command in commands {
                process.unannounced.remove(&command.address());
            }
            let count = commands.len();
            process.inbox.push_front(input);
            self.trace.line(self.now, format_args!("{name} is too late for {count} commands"));
        }
    }

    fn command(&mut self, who: Who, command: &Command) -> Result<(), Refusal> {
        let address = command.address();
        // As late as the kernel's rounding and its timer wheel may be.
        let lateness = match command {
            Command::Install { lifetime, .. } => {
                let fuzz = Duration::from_millis(250);
                fuzz + (Duration::from_secs(lifetime.as_secs().into()) + fuzz) * 8 / 63
            }
            Command::Announce { .. } | Command::Withdraw { .. } => Duration::ZERO,
        };
        let lateness = self.rng.up_to(lateness);
        let moment = self.moment(who.node);
        let announces = matches!(command, Command::Announce { .. });
        let outcome = match (self.setup.routed, announces) {
            (Some(_), true) => self.try_to_announce(who.node, command),
            _ => self.nodes[who.node].kernel.apply(command, moment, lateness),
        };
        let name = self.nodes[who.node].name.clone();
        let blind = self.nodes[who.node].kernel.is_overrun();
        self.trace.line(self.now, format_args!("{name} > {} = {outcome:?}", told(command)));
        let process = self.process(who).expect("it runs");
        if announces {
            process.unannounced.remove(&address);
        }
        match &outcome {
            Ok(Done::Added) => {
                if !process.untold.contains(&address) && !blind {
                    process.unannounced.insert(address);
                }
                self.note_added(who.node, address);
                self.report_unheard(who, address);
            }
            Ok(Done::Announced) => {
                self.note_announced(who.node, address);
                match self.setup.routed {
                    Some(_) => self.announce_route(who.node, address),
                    None => self.broadcast(who.node, address),
                }
            }
            Ok(Done::Removed) => {
                self.law_of_withdrawal(who.node, address);
                self.law_of_load(who.node);
            }
            Ok(Done::Refreshed) => self.report_unheard(who, address),
            Ok(Done::Nothing) | Err(_) => {}
        }
        self.kernel_changed(who.node);
        self.look_at(who.node);
        outcome.map(|_| ())
    }

    fn label(&mut self, who: Who, key: &str, value: Option<&str>) {
        let name = &self.nodes[who.node].name;
        self.trace.line(self.now, format_args!("{name} > label {key}={value:?}"));
        self.laws.wrote(self.now);
        let outcome = match self.reaches_api(who.node) {
            true => Ok(()),
            false => Err("no answer".to_owned()),
        };
        let at = self.now + self.rng.micros(1000, 20_000);
        self.queue.at(at, Event::Give { who, input: Input::Labelled(outcome) });
    }
}

impl Addressees<'_> {
    /// Counts down to a planned crash.
    fn next(&mut self) -> Next {
        let doomed = &mut self.world.nodes[self.who.node].doomed;
        match doomed {
            Some(0) => {
                self.world.crash(self.who.node, "crashes between two effects");
                return Next::Crashed;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        Next::Lives
    }
}

impl Sink for Addressees<'_> {
    fn addresses(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        let mut outcomes = Vec::new();
        for command in commands {
            if self.next() == Next::Crashed {
                break;
            }
            outcomes.push(self.world.command(self.who, command));
        }
        outcomes
    }

    fn kubernetes(&mut self, request: KubernetesRequest) {
        if self.next() == Next::Crashed {
            return;
        }
        let (world, who) = (&mut *self.world, self.who);
        match request {
            KubernetesRequest::Lease(request) => world.call(who, request),
            KubernetesRequest::Label { key, value } => world.label(who, &key, value.as_deref()),
            KubernetesRequest::Service(update) => world.update_service(who, update),
            KubernetesRequest::Mark { lease, mark } => world.mark(who, lease, mark),
            KubernetesRequest::Event(event) => world.event_said(&event.service, &event.reason),
            KubernetesRequest::ServiceLabels(labels) => world.label_services(who, labels),
        }
    }

    fn resolve(&mut self, name: String) {
        if self.next() == Next::Crashed {
            return;
        }
        let (world, who) = (&mut *self.world, self.who);
        let found = match world.trouble.resolver_fails {
            0 => Ok(world.setup.vips.clone()),
            _ => Err("SERVFAIL".to_owned()),
        };
        assert_eq!(name, NAME, "the only name there is");
        let input = Input::Resolved { name, outcome: found };
        let at = world.now + world.rng.micros(200, 30_000);
        world.queue.at(at, Event::Give { who, input });
    }

    fn report(&mut self, report: Report) {
        if self.next() == Next::Crashed {
            return;
        }
        let name = &self.world.nodes[self.who.node].name;
        self.world.trace.line(self.world.now, format_args!("{name} : {}", report.text));
    }
}
