//! The process of one node: it turns the core and carries its effects out.
//!
//! One thread, one turn at a time: wait for an input, hand it to the core with the time, carry
//! out the effects in order. Nothing is decided here.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use log::{Level as LogLevel, log};
use smol::channel::Receiver;
use viplet_backend_api::{Backend, Command, Notice};

use super::clock::{self, Timer};
use super::errands::Errands;
use super::signals::{Order, Signals};
use super::source::{ApiHealth, Source};
use crate::core::report::{Level, Report};
use crate::core::{Core, Counters, Effect, Input, Moment, Status};

/// Inputs that wait for the core; a sender waits when it is full.
pub const INBOX: usize = 64;
/// A loop that is so late with a deadline does not turn.
const STALL: Duration = Duration::from_secs(5);

/// What the listeners may look at, while the loop owns it.
pub struct Shared {
    /// The core.
    pub core: RefCell<Core>,
    /// How the API server is; the errands keep it up to date.
    pub api: RefCell<ApiSeen>,
    turned: Cell<Moment>,
}

/// Since when the API server answers or does not, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiSeen {
    /// It was not asked yet.
    NotYet,
    /// It answers.
    Answers(Moment),
    /// It does not.
    Fails(Moment, String),
}

impl Shared {
    /// Around a core.
    #[must_use]
    pub fn new(core: Core) -> Rc<Self> {
        let (core, api) = (RefCell::new(core), RefCell::new(ApiSeen::NotYet));
        Rc::new(Self { core, api, turned: Cell::new(clock::now()) })
    }

    /// The API server answered, or did not and why.
    pub fn api_said(&self, outcome: Result<(), String>) {
        let mut seen = self.api.borrow_mut();
        *seen = match (outcome, &*seen) {
            (Ok(()), ApiSeen::Answers(since)) => ApiSeen::Answers(*since),
            (Ok(()), _) => ApiSeen::Answers(clock::now()),
            (Err(why), ApiSeen::Fails(since, _)) => ApiSeen::Fails(*since, why),
            (Err(why), _) => ApiSeen::Fails(clock::now(), why),
        };
    }
}

impl Source for Shared {
    fn status(&self) -> Status {
        self.core.borrow().status(clock::now())
    }

    fn counters(&self) -> Counters {
        self.core.borrow().counters()
    }

    fn api(&self) -> ApiHealth {
        let now = clock::now();
        match &*self.api.borrow() {
            ApiSeen::NotYet => ApiHealth::Unknown,
            ApiSeen::Answers(since) => ApiHealth::reachable(now.since(*since)),
            ApiSeen::Fails(since, why) => ApiHealth::unreachable(now.since(*since), why),
        }
    }

    fn health(&self) -> Result<(), String> {
        let (now, turned) = (clock::now(), self.turned.get());
        let due = self.core.borrow().next_deadline(turned);
        match due {
            Some((at, why)) if now > at + STALL => Err(format!(
                "the main loop has not turned for {} s; due since {} s: {why}",
                now.since(turned).as_secs(),
                now.since(at).as_secs()
            )),
            _ => Ok(()),
        }
    }
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything was withdrawn and released, or its time was up.
    Stopped,
    /// A second signal asked for an end at once.
    AtOnce,
}

/// Orders that the loop passes on.
pub trait Orders {
    /// SIGUSR1.
    fn dump(&self);
    /// SIGHUP.
    fn reload(&self);
}

/// The loop.
pub struct Node {
    shared: Rc<Shared>,
    backend: Box<dyn Backend>,
    errands: Errands,
    inbox: Receiver<Input>,
    timer: Timer,
    signals: Signals,
}

enum Event {
    Input(Input),
    Order(Order),
}

impl Node {
    /// Puts the parts together. `inbox` is the other end of what the errands send to.
    #[must_use]
    pub fn new(
        shared: Rc<Shared>,
        backend: Box<dyn Backend>,
        errands: Errands,
        inbox: Receiver<Input>,
        (timer, signals): (Timer, Signals),
    ) -> Self {
        Self { shared, backend, errands, inbox, timer, signals }
    }

    /// Turns until it is stopped.
    ///
    /// # Errors
    /// When the kernel refuses the timer: nothing could be relied on any more.
    pub async fn run(mut self, orders: &dyn Orders) -> std::io::Result<End> {
        let first = match self.backend.observe() {
            Ok(snapshot) => Notice::Snapshot(snapshot),
            Err(refusal) => Notice::Blind(refusal),
        };
        let mut stops = 0;
        let mut event = Event::Input(Input::Observed(first));
        loop {
            match event {
                Event::Input(input) => {
                    if self.turn(input) == Turn::Last {
                        return Ok(End::Stopped);
                    }
                }
                Event::Order(Order::Dump) => orders.dump(),
                Event::Order(Order::Reload) => orders.reload(),
                Event::Order(Order::Stop) => {
                    stops += 1;
                    if stops > 1 {
                        return Ok(End::AtOnce);
                    }
                    log::info!("stopping: addresses are withdrawn, then leases released");
                    if self.turn(Input::Stop) == Turn::Last {
                        return Ok(End::Stopped);
                    }
                }
            }
            event = self.next().await?;
        }
    }

    async fn next(&mut self) -> std::io::Result<Event> {
        let due = self.shared.core.borrow().next_deadline(clock::now()).map(|(at, _)| at);
        let mut message = std::pin::pin!(self.inbox.recv());
        let (backend, signals, timer) = (&mut self.backend, &mut self.signals, &mut self.timer);
        std::future::poll_fn(|cx: &mut Context<'_>| {
            if let Poll::Ready(order) = signals.poll_next(cx) {
                return Poll::Ready(Ok(Event::Order(order)));
            }
            if let Poll::Ready(notice) = backend.poll_notice(cx) {
                return Poll::Ready(Ok(Event::Input(Input::Observed(notice))));
            }
            if let Poll::Ready(Ok(input)) = message.as_mut().poll(cx) {
                return Poll::Ready(Ok(Event::Input(input)));
            }
            match timer.poll_at(due, cx) {
                Ok(Poll::Ready(())) => Poll::Ready(Ok(Event::Input(Input::Deadline))),
                Ok(Poll::Pending) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            }
        })
        .await
    }

    fn turn(&mut self, input: Input) -> Turn {
        let now = clock::now();
        self.shared.turned.set(now);
        let mut effects = Vec::new();
        self.shared.core.borrow_mut().handle(input, now, &mut effects);
        self.carry_out(effects)
    }

    /// Effects in order; a refusal is handled before those that follow it.
    fn carry_out(&mut self, effects: Vec<Effect>) -> Turn {
        let mut queue = VecDeque::from(effects);
        let mut refused: Vec<IpAddr> = Vec::new();
        while let Some(effect) = queue.pop_front() {
            match effect {
                Effect::Backend(command) => queue.extend(self.apply(command, &mut refused)),
                Effect::Lease(request) => self.errands.lease(request),
                Effect::Resolve { name, mode } => self.errands.resolve(name, mode),
                Effect::Label { key, value } => self.errands.label(key, value),
                Effect::Report(report) => write(&report),
                Effect::Stopped => return Turn::Last,
            }
        }
        Turn::More
    }

    /// What the core does about a refusal, if there is one.
    fn apply(&mut self, command: Command, refused: &mut Vec<IpAddr>) -> Vec<Effect> {
        let address = command.vip().address;
        if matches!(command, Command::Announce { .. }) && refused.contains(&address) {
            return Vec::new();
        }
        let mut effects = Vec::new();
        if let Err(refusal) = self.backend.apply(&command) {
            refused.push(address);
            let input = Input::Refused { command, refusal };
            self.shared.core.borrow_mut().handle(input, clock::now(), &mut effects);
        }
        effects
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    More,
    Last,
}

fn write(report: &Report) {
    let level = match report.level {
        Level::Error => LogLevel::Error,
        Level::Warn => LogLevel::Warn,
        Level::Info => LogLevel::Info,
        Level::Debug => LogLevel::Debug,
    };
    log!(level, "{}", report.text);
}
