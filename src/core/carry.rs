//! Carrying effects out: in which order, how many commands at once, what a refusal keeps back,
//! and what is too late to be done. The program, the simulator and the tests all do it by this.
//!
//! The owner gives every turn's effects to [`Carrier::take`] and calls [`Carrier::step`] until it
//! says [`Step::Idle`]; time may pass, and the process may end, between any two steps.
//!
//! ```text
//!            take(effects, decided)              step(now, sink)
//!   core ------------------------------> rounds -----------------> sink: addresses, Kubernetes, ...
//!    ^                                                  |
//!    |   Step::Refused: at once, before the next step   |
//!    +---------------------------------------------------
//!    ^   Step::Late: the next turn's input              |
//!    +---------------------------------------------------
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::{Command, Refusal};

use super::input::{Effect, Input, KubernetesRequest};
use super::report::Report;
use super::time::Moment;

/// Older decisions to install or to announce are not carried out: the process was stopped in
/// between, or had to wait for the processor or the kernel. The lifetime that was right at the
/// moment of the decision would keep the address longer than the lease.
pub const FRESH: Duration = Duration::from_millis(100);

/// Commands that go to the backend together at most. They save system calls, and a kernel that is
/// slow with so many is still in time for the first ones of every turn.
pub const TOGETHER: usize = 64;

/// Where effects go: one method for each addressee of an [`Effect`].
pub trait Sink {
    /// Carries these commands out, no two of which are about the same address, and says what
    /// became of each in their order.
    fn addresses(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>>;
    /// Sends a request to the API server.
    fn kubernetes(&mut self, request: KubernetesRequest);
    /// Looks a DNS name up.
    fn resolve(&mut self, name: String);
    /// Writes to the log.
    fn report(&mut self, report: Report);
}

/// What a step has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was carried out; there may be more.
    Done,
    /// Commands were refused. The core is given this input BEFORE the next step, and what it
    /// decides goes to [`Carrier::take`].
    Refused(Input),
    /// Commands were too late and were not carried out. The core is given this input in a turn of
    /// its own, the next one.
    Late(Input),
    /// The process may end; what is left is not carried out.
    Stopped,
    /// Nothing is left to carry out.
    Idle,
}

/// The effects that are still to be carried out, in order.
#[derive(Clone, Debug)]
pub struct Carrier {
    rounds: VecDeque<Round>,
    /// Addresses whose install was refused in this turn: they are not announced.
    refused: BTreeSet<IpAddr>,
    together: usize,
}

/// What was decided at one moment.
#[derive(Clone, Debug)]
struct Round {
    decided: Moment,
    effects: VecDeque<Effect>,
}

impl Default for Carrier {
    fn default() -> Self {
        Self::new(TOGETHER)
    }
}

impl Carrier {
    /// A carrier that gives the backend so many commands together at most.
    #[must_use]
    pub const fn new(together: usize) -> Self {
        Self { rounds: VecDeque::new(), refused: BTreeSet::new(), together }
    }

    /// Takes what the core decided at `decided`. It is carried out after all that was taken before.
    pub fn take(&mut self, effects: Vec<Effect>, decided: Moment) {
        if !effects.is_empty() {
            self.rounds.push_back(Round { decided, effects: in_waves(effects) });
        }
    }

    /// Whether nothing is left to carry out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.rounds.is_empty()
    }

    /// Carries out what is next: one effect, or commands that follow one another.
    pub fn step(&mut self, now: Moment, sink: &mut impl Sink) -> Step {
        let Some(round) = self.rounds.front_mut() else {
            self.refused.clear();
            return Step::Idle;
        };
        if let Some(late) = round.take_late(now) {
            return Step::Late(late);
        }
        let commands = round.next_commands(self.together);
        let other = if commands.is_empty() { round.effects.pop_front() } else { None };
        if round.effects.is_empty() {
            self.rounds.pop_front();
        }
        match other {
            None | Some(Effect::Addresses(_)) => return self.apply(commands, sink),
            Some(Effect::Kubernetes(request)) => sink.kubernetes(request),
            Some(Effect::Resolve { name }) => sink.resolve(name),
            Some(Effect::Report(report)) => sink.report(report),
            Some(Effect::Stopped) => {
                self.rounds.clear();
                return Step::Stopped;
            }
        }
        Step::Done
    }

    fn apply(&mut self, mut commands: Vec<Command>, sink: &mut impl Sink) -> Step {
        commands.retain(|command| {
            let announces = matches!(command, Command::Announce { .. });
            !announces || !self.refused.contains(&command.address())
        });
        if commands.is_empty() {
            return Step::Done;
        }
        let outcomes = sink.addresses(&commands);
        let mut refusals = Vec::new();
        for (command, outcome) in commands.into_iter().zip(outcomes) {
            let installs = matches!(command, Command::Install { .. });
            match outcome {
                Ok(()) if installs => _ = self.refused.remove(&command.address()),
                Ok(()) => {}
                Err(refusal) => {
                    self.refused.extend(installs.then(|| command.address()));
                    refusals.push((command, refusal));
                }
            }
        }
        if refusals.is_empty() { Step::Done } else { Step::Refused(Input::Refused(refusals)) }
    }
}

impl Round {
    /// Takes out what is too late, if the round is: whatever puts an address here or says that it
    /// is here. What takes one away is as right as ever.
    fn take_late(&mut self, now: Moment) -> Option<Input> {
        let by = now.since(self.decided);
        if by <= FRESH {
            return None;
        }
        let mut commands = Vec::new();
        let mut in_time = VecDeque::new();
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Addresses(command) if !matches!(command, Command::Withdraw { .. }) => {
                    commands.push(command);
                }
                other => in_time.push_back(other),
            }
        }
        self.effects = in_time;
        (!commands.is_empty()).then_some(Input::Late { commands, by })
    }

    /// The commands at the front, as far as no address comes a second time: what becomes of its
    /// first command may keep its second one back.
    fn next_commands(&mut self, most: usize) -> Vec<Command> {
        let mut commands: Vec<Command> = Vec::new();
        let mut about = BTreeSet::new();
        while commands.len() < most.max(1) {
            let next = self.effects.pop_front_if(|effect| match effect {
                Effect::Addresses(command) => about.insert(command.address()),
                _ => false,
            });
            match next {
                Some(Effect::Addresses(command)) => commands.push(command),
                _ => break,
            }
        }
        commands
    }
}

/// Commands that follow one another, in waves: the first one of every address, then the second
/// one of every address that has one, and so on. So many installs go to the backend together, and
/// then their announcements.
fn in_waves(effects: Vec<Effect>) -> VecDeque<Effect> {
    let mut ordered = VecDeque::with_capacity(effects.len());
    let mut run = Vec::new();
    for effect in effects {
        match effect {
            Effect::Addresses(command) => run.push(command),
            other => {
                ordered.extend(waves(std::mem::take(&mut run)));
                ordered.push_back(other);
            }
        }
    }
    ordered.extend(waves(run));
    ordered
}

fn waves(run: Vec<Command>) -> impl Iterator<Item = Effect> {
    let mut times: BTreeMap<IpAddr, usize> = BTreeMap::new();
    let numbered = run.into_iter().map(|command| {
        let before = times.entry(command.address()).or_default();
        *before += 1;
        (*before, command)
    });
    let mut numbered: Vec<(usize, Command)> = numbered.collect();
    numbered.sort_by_key(|(wave, _)| *wave);
    numbered.into_iter().map(|(_, command)| Effect::Addresses(command))
}

#[cfg(test)]
mod tests;
