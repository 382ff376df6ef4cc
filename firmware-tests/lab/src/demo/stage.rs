//! The stage: the lab, what looks at it, and the screen; everything that the story does goes
//! through here, so that the table is alive while anything is waited for.

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Plan};

use super::interrupt::Interrupt;
use super::journal::{Hearing, Look, changes};
use super::observe::Observers;
use super::screen::{Kind, Screen};
use super::summary::{Outcome, Verdict};
use super::table::{self, ClientRow, Condition, Frame, Ink, Line, NodeRow, Presence};

const TICK: Duration = Duration::from_millis(50);
/// Without an answer for this long, the client hears nothing.
const SILENT: Duration = Duration::from_millis(150);

/// Why the story ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Ctrl-C.
    Interrupted,
    /// For this reason.
    Failed(String),
}

/// All of it. Dropping it takes the lab down.
#[derive(Debug)]
pub(super) struct Stage {
    observers: Observers,
    /// The lab.
    pub(super) cluster: Cluster,
    conditions: Vec<Condition>,
    screen: Screen,
    interrupt: Interrupt,
    last: Look,
    /// When the present event began.
    event: Instant,
    outcomes: Vec<Outcome>,
}

impl Stage {
    /// Builds a lab of three nodes on which nothing runs yet.
    pub(super) fn set(screen: Screen) -> Self {
        let interrupt = Interrupt::listen();
        let cluster = Cluster::new(Plan::new(3));
        let observers = Observers::start(&cluster.lab, cluster.vip());
        let conditions = cluster.lab.nodes.iter().map(|_| Condition::Off).collect();
        let (last, event, outcomes) = (Look::default(), Instant::now(), Vec::new());
        Self { observers, cluster, conditions, screen, interrupt, last, event, outcomes }
    }

    /// A node's name.
    pub(super) fn name(&self, node: usize) -> String {
        self.cluster.lab.nodes[node].name.clone()
    }

    /// Notes what was done to a node.
    pub(super) fn mark(&mut self, node: usize, condition: Condition) {
        self.conditions[node] = condition;
    }

    /// The role that a node states.
    pub(super) fn role(&self, node: usize) -> Option<String> {
        self.observers.said(node).role
    }

    /// A paragraph that stays on the screen.
    pub(super) fn tell(&mut self, ink: Ink, text: &str) {
        let lines = table::wrap(text, self.screen.width(), 0);
        let lines: Vec<Line> = lines.into_iter().map(|text| Line::new(ink, text)).collect();
        self.screen.say(&lines);
        self.draw();
    }

    /// The headline of an event, after an empty line.
    pub(super) fn announce(&mut self, text: &str) {
        self.screen.say(&[Line::new(Ink::Plain, "")]);
        self.tell(Ink::Bold, text);
    }

    /// From here on a new event is timed.
    pub(super) fn begin(&mut self) {
        self.event = Instant::now();
    }

    /// Time for people to read; none where nobody watches.
    pub(super) fn pause(&mut self, seconds: f64) -> Result<(), Ending> {
        let span = match self.screen.kind() {
            Kind::Live => Duration::from_secs_f64(seconds),
            Kind::Plain => Duration::from_millis(300),
        };
        let start = Instant::now();
        while start.elapsed() < span {
            self.tick()?;
        }
        Ok(())
    }

    /// Waits with the table alive.
    pub(super) fn until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut probe: impl FnMut(&mut Self) -> Option<T>,
    ) -> Result<T, Ending> {
        let start = Instant::now();
        loop {
            self.tick()?;
            if let Some(found) = probe(self) {
                return Ok(found);
            }
            if start.elapsed() > limit {
                return Err(Ending::Failed(format!("waited {limit:?} in vain until {what}")));
            }
        }
    }

    /// Who has the address alone, and is heard by the client.
    pub(super) fn sole_holder(&self) -> Option<usize> {
        match self.cluster.watch.holders(self.cluster.vip()).as_slice() {
            [one] if self.cluster.prober().answers() => Some(*one),
            _ => None,
        }
    }

    /// Closes the present event: what the client saw, as a line and for the summary.
    pub(super) fn conclude(&mut self, event: &'static str, old: usize, new: Option<usize>) {
        let silence = self.cluster.prober().longest_silence(self.event);
        let (old, new) = (self.name(old), new.map(|node| self.name(node)));
        let outcome = Outcome { event, old, new, silence, at_most: self.holders_at_most() };
        let seconds = outcome.silence.as_secs_f64();
        let (ink, text) = match &outcome.new {
            Some(new) => (
                Ink::Good,
                format!(
                    "The client: {} → {new}, {seconds:.2} s without an answer. Nodes with the \
                     address at one instant: {} at most.",
                    outcome.old, outcome.at_most
                ),
            ),
            None => {
                (Ink::Bad, format!("Nobody took the address; {seconds:.2} s without an answer."))
            }
        };
        self.tell(ink, &text);
        self.outcomes.push(outcome);
    }

    /// The outcomes so far.
    pub(super) fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The most nodes that had the address at one instant, ever.
    pub(super) fn most_holders(&self) -> usize {
        self.cluster.watch.timeline(self.cluster.vip()).most_holders()
    }

    /// The same since the event began.
    fn holders_at_most(&self) -> usize {
        let mut timeline = self.cluster.watch.timeline(self.cluster.vip());
        timeline.spans.retain(|span| span.last >= self.event);
        timeline.most_holders()
    }

    /// The closing table in place of the live one.
    pub(super) fn sum_up(&mut self, summary: &[Line], verdict: &Verdict) {
        let (ink, text) = match verdict {
            Verdict::Good => (
                Ink::Good,
                "The address was never on two nodes, and it always came back.".to_owned(),
            ),
            Verdict::Bad(why) => (Ink::Bad, format!("This should not have happened: {why}")),
        };
        self.screen.say(&[Line::new(Ink::Plain, "")]);
        self.screen.say(summary);
        self.screen.say(&[Line::new(Ink::Plain, ""), Line::new(ink, text)]);
        if !verdict.is_good() {
            eprintln!(
                "\nWhat viplet logged, and who had the address when:\n{}",
                self.cluster.story()
            );
        }
    }

    /// A last word in place of the table.
    pub(super) fn close(&mut self, text: &str) {
        self.screen.say(&[Line::new(Ink::Plain, ""), Line::new(Ink::Plain, text)]);
    }

    fn tick(&mut self) -> Result<(), Ending> {
        thread::sleep(TICK);
        if self.interrupt.came() {
            return Err(Ending::Interrupted);
        }
        self.notice_ends()?;
        let look = self.look();
        let since = self.event.elapsed().as_secs_f64();
        for change in changes(&self.last, &look) {
            let line = Line::new(Ink::Plain, format!("  +{since:.1} s  {change}"));
            self.screen.say(&[line]);
        }
        self.last = look;
        self.draw();
        Ok(())
    }

    /// A viplet that ends by itself ends the story.
    fn notice_ends(&mut self) -> Result<(), Ending> {
        for node in 0..self.conditions.len() {
            if self.conditions[node] == Condition::Running && !self.cluster.is_running(node) {
                self.mark(node, Condition::Ended);
                let name = self.name(node);
                return Err(Ending::Failed(format!("viplet on {name} ended by itself")));
            }
        }
        Ok(())
    }

    fn look(&self) -> Look {
        let holders = self.cluster.watch.holders(self.cluster.vip());
        let hearing = match self.silence() {
            Some(silence) if silence < SILENT => Hearing::Answers,
            _ => Hearing::Silence,
        };
        let believed = self.observers.believed().and_then(|hardware| self.owner(&hardware));
        Look { holders: holders.iter().map(|node| self.name(*node)).collect(), believed, hearing }
    }

    /// Since the last answer; none before the first.
    fn silence(&self) -> Option<Duration> {
        self.cluster.prober().last_answer().map(|last| last.elapsed())
    }

    fn owner(&self, hardware: &str) -> Option<String> {
        let text = |octets: [u8; 6]| octets.map(|octet| format!("{octet:02x}")).join(":");
        let nodes = &self.cluster.lab.nodes;
        nodes.iter().find(|node| text(node.hardware) == hardware).map(|node| node.name.clone())
    }

    fn draw(&mut self) {
        let lines = table::lines(&self.frame(), self.screen.width());
        self.screen.draw(&lines);
    }

    fn frame(&self) -> Frame {
        let prober = self.cluster.prober();
        let believes = self.observers.believed();
        let client = ClientRow {
            believes: believes.map(|hardware| (hardware.clone(), self.owner(&hardware))),
            answered: prober.answered(),
            silence: self.silence().unwrap_or_else(|| self.cluster.origin.elapsed()),
            longest: prober.longest_silence(self.event),
        };
        Frame {
            address: self.cluster.vip().to_string(),
            elapsed: self.cluster.origin.elapsed(),
            nodes: (0..self.conditions.len()).map(|node| self.node_row(node)).collect(),
            client,
        }
    }

    fn node_row(&self, node: usize) -> NodeRow {
        let holders = self.cluster.watch.holders(self.cluster.vip());
        let said = self.observers.said(node);
        NodeRow {
            name: self.name(node),
            condition: self.conditions[node],
            address: if holders.contains(&node) { Presence::Here } else { Presence::NotHere },
            role: said.role,
            held_for: said.held_for.map(Duration::from_millis),
            reason: said.reason,
        }
    }
}
