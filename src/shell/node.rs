//! The process of one node: it turns the core and carries its effects out.
//!
//! One thread, one turn at a time: wait for an input, hand it to the core with the time, carry
//! out the effects in order. Nothing is decided here.

mod addressees;

use std::cell::RefMut;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::task::{Context, Poll};

use smol::channel::{Receiver, bounded};
use viplet_backend_api::{Backend, Notice};

use super::api_tasks::ApiTasks;
use super::clock::{self, Timer};
use super::shared::Shared;
use super::signals::{Order, Signals};
use crate::core::carry::{Carrier, Step};
use crate::core::{Effect, Input, Moment};
use addressees::Addressees;

/// Inputs that wait for the core; a sender waits when it is full.
pub const INBOX: usize = 64;

/// Notices of the backend in a row before the inbox is looked at.
const NOTICES_AT_ONCE: u32 = 32;

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
    api_tasks: ApiTasks,
    inbox: Receiver<Input>,
    timer: Timer,
    signals: Signals,
    annotations: Annotations,
    carrier: Carrier,
    /// What was too late to be carried out: the core decides anew before it hears anything else.
    late: VecDeque<Input>,
    /// When the core is to be told to stop.
    stop_at: Option<Moment>,
    /// Whether the backend was told that all is announced.
    told: Told,
}

enum Event {
    Input(Input),
    Order(Order),
    Annotations(BTreeMap<String, String>),
}

/// This node's annotations, for a backend that wants them.
enum Annotations {
    Unwanted,
    Followed(Receiver<BTreeMap<String, String>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    No,
    Yes,
}

impl Node {
    /// Puts the parts together. `inbox` is the other end of what the API tasks send to.
    #[must_use]
    pub fn new(
        shared: Rc<Shared>,
        api_tasks: ApiTasks,
        inbox: Receiver<Input>,
        (timer, signals): (Timer, Signals),
    ) -> Self {
        let (annotations, told) = (Annotations::Unwanted, Told::No);
        let (carrier, late) = (Carrier::default(), VecDeque::new());
        Self {
            shared,
            api_tasks,
            inbox,
            timer,
            signals,
            annotations,
            carrier,
            late,
            stop_at: None,
            told,
        }
    }

    /// Turns until it is stopped.
    ///
    /// # Errors
    /// When the kernel refuses the timer: nothing could be relied on any more.
    pub async fn run(mut self, orders: &dyn Orders) -> std::io::Result<End> {
        let first = match self.backend().observe() {
            Ok(snapshot) => Notice::Snapshot(snapshot),
            Err(refusal) => Notice::Blind(refusal),
        };
        let (mut stops, mut notices) = (0, 0);
        let mut event = Event::Input(Input::Observed(first));
        loop {
            self.follow_annotations();
            match event {
                Event::Annotations(found) => {
                    if let Some(settings) = self.backend().node_settings() {
                        settings.annotated(&found);
                    }
                }
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
                    let other_ways = self.backend().peers().map(|peers| peers.prepare_to_stop());
                    self.stop_at = Some(clock::now() + other_ways.unwrap_or_default());
                }
            }
            if self.stop_at.is_some_and(|at| at <= clock::now()) {
                self.stop_at = None;
                if self.turn(Input::Stop) == Turn::Last {
                    return Ok(End::Stopped);
                }
            }
            event = self.next().await?;
            // However much the kernel and the segment have to say, the API tasks get their turn.
            if matches!(event, Event::Input(Input::Observed(_))) {
                notices += 1;
            }
            if notices == NOTICES_AT_ONCE {
                notices = 0;
                smol::future::yield_now().await;
                while let Ok(input) = self.inbox.try_recv() {
                    if self.turn(input) == Turn::Last {
                        return Ok(End::Stopped);
                    }
                }
            }
        }
    }

    async fn next(&mut self) -> std::io::Result<Event> {
        let due = self.shared.core.borrow().next_deadline(clock::now()).map(|(at, _)| at);
        let due = due.into_iter().chain(self.stop_at).min();
        let mut message = std::pin::pin!(self.inbox.recv());
        let mut annotations = std::pin::pin!(async {
            match &self.annotations {
                Annotations::Followed(news) => news.recv().await,
                Annotations::Unwanted => std::future::pending().await,
            }
        });
        let (shared, signals, timer) = (&self.shared, &mut self.signals, &mut self.timer);
        let late = &mut self.late;
        std::future::poll_fn(|cx: &mut Context<'_>| {
            if let Poll::Ready(order) = signals.poll_next(cx) {
                return Poll::Ready(Ok(Event::Order(order)));
            }
            if let Some(input) = late.pop_front() {
                return Poll::Ready(Ok(Event::Input(input)));
            }
            if let Poll::Ready(notice) = shared.backend.borrow_mut().poll_notice(cx) {
                return Poll::Ready(Ok(Event::Input(Input::Observed(notice))));
            }
            if let Poll::Ready(Ok(found)) = annotations.as_mut().poll(cx) {
                return Poll::Ready(Ok(Event::Annotations(found)));
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
        self.shared.turns_at(now);
        let effects = self.shared.decide(input, now);
        let turn = self.carry_out(effects, now);
        if self.told == Told::No && self.shared.core.borrow().is_settled(now) {
            self.told = Told::Yes;
            if let Some(peers) = self.backend().peers() {
                peers.settled();
            }
        }
        turn
    }

    fn backend(&self) -> RefMut<'_, Box<dyn Backend>> {
        self.shared.backend.borrow_mut()
    }

    /// The backend may be opened late, and only then say that it wants annotations.
    fn follow_annotations(&mut self) {
        let followed = matches!(self.annotations, Annotations::Followed(_));
        if followed {
            return;
        }
        let prefix = self.backend().node_settings().map(|settings| settings.prefix().to_owned());
        if let Some(prefix) = prefix {
            let (news, followed) = bounded(1);
            self.api_tasks.follow_annotations(prefix, news);
            self.annotations = Annotations::Followed(followed);
        }
    }

    /// Carries effects out, and what the core decides about refusals.
    fn carry_out(&mut self, effects: Vec<Effect>, decided: Moment) -> Turn {
        self.carrier.take(effects, decided);
        loop {
            let mut addressees = Addressees::new(&self.shared, &self.api_tasks);
            match self.carrier.step(clock::now(), &mut addressees) {
                Step::Done => {}
                Step::Refused(input) => {
                    let now = clock::now();
                    self.carrier.take(self.shared.decide(input, now), now);
                }
                Step::Late(input) => self.late.push_back(input),
                Step::Stopped => return Turn::Last,
                Step::Idle => return Turn::More,
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    More,
    Last,
}

#[cfg(test)]
mod tests;
