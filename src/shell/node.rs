//! The process of one node: it turns the core and carries its effects out.
//!
//! One thread, one turn at a time: wait for an input, hand it to the core with the time, carry
//! out the effects in order. Nothing is decided here.

use std::cell::RefMut;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use log::{Level as LogLevel, log};
use smol::channel::{Receiver, bounded};
use viplet_backend_api::{Backend, Class, Command, Notice, Refusal};

use super::api_tasks::ApiTasks;
use super::clock::{self, Timer};
use super::shared::Shared;
use super::signals::{Order, Signals};
use crate::core::report::{Level, Report};
use crate::core::{Effect, Input, Moment};

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
        Self { shared, api_tasks, inbox, timer, signals, annotations, stop_at: None, told }
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
        std::future::poll_fn(|cx: &mut Context<'_>| {
            if let Poll::Ready(order) = signals.poll_next(cx) {
                return Poll::Ready(Ok(Event::Order(order)));
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
        let mut effects = Vec::new();
        self.shared.core.borrow_mut().handle(input, now, &mut effects);
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

    /// Effects in order; a refusal is handled before those that follow it. Commands that follow
    /// one another go to the backend together.
    fn carry_out(&mut self, effects: Vec<Effect>, decided: Moment) -> Turn {
        let mut rounds = VecDeque::from([(decided, effects)]);
        let mut refused: Vec<IpAddr> = Vec::new();
        while let Some((decided, effects)) = rounds.pop_front() {
            if self.carry_out_round(effects, decided, &mut refused, &mut rounds) == Turn::Last {
                return Turn::Last;
            }
        }
        Turn::More
    }

    /// What was decided at one moment; what follows from refusals is decided later.
    fn carry_out_round(
        &mut self,
        effects: Vec<Effect>,
        decided: Moment,
        refused: &mut Vec<IpAddr>,
        rounds: &mut VecDeque<(Moment, Vec<Effect>)>,
    ) -> Turn {
        let mut batch: Vec<Command> = Vec::new();
        for effect in effects {
            if !matches!(effect, Effect::Addresses(_)) {
                rounds.extend(self.apply(std::mem::take(&mut batch), decided, refused));
            }
            match effect {
                Effect::Addresses(command) => batch.push(command),
                Effect::Kubernetes(request) => self.api_tasks.request(request),
                Effect::Resolve { name } => self.api_tasks.resolve(name),
                Effect::Report(report) => write(&report),
                Effect::Stopped => return Turn::Last,
            }
        }
        rounds.extend(self.apply(batch, decided, refused));
        Turn::More
    }

    /// What the core does about refusals, if there are any, and when it decided that.
    fn apply(
        &mut self,
        commands: Vec<Command>,
        decided: Moment,
        refused: &mut Vec<IpAddr>,
    ) -> Option<(Moment, Vec<Effect>)> {
        if commands.is_empty() {
            return None;
        }
        let (mut announcements, others): (Vec<_>, Vec<_>) =
            commands.into_iter().partition(|command| matches!(command, Command::Announce { .. }));
        let mut refusals = self.refusals(others, decided);
        refused.extend(refusals.iter().map(|(command, _)| command.address()));
        announcements.retain(|command| !refused.contains(&command.address()));
        refusals.extend(self.refusals(announcements, decided));
        if refusals.is_empty() {
            return None;
        }
        let (now, mut effects) = (clock::now(), Vec::new());
        self.shared.core.borrow_mut().handle(Input::Refused(refusals), now, &mut effects);
        Some((now, effects))
    }

    fn refusals(&mut self, commands: Vec<Command>, decided: Moment) -> Vec<(Command, Refusal)> {
        let outcomes = self.apply_in_time(&commands, decided);
        let answered = commands.into_iter().zip(outcomes);
        answered.filter_map(|(command, outcome)| Some((command, outcome.err()?))).collect()
    }

    fn apply_in_time(&mut self, commands: &[Command], decided: Moment) -> Vec<Result<(), Refusal>> {
        let late = clock::now().since(decided);
        if late <= FRESH {
            return self.backend().apply_all(commands);
        }
        let reason = format!("not done: {:.1} s late, decided anew", late.as_secs_f64());
        let refusal = Refusal { class: Class::Transient, reason };
        let one = |command: &Command| match command {
            Command::Withdraw { .. } => self.backend().apply(command),
            Command::Install { .. } | Command::Announce { .. } => Err(refusal.clone()),
        };
        commands.iter().map(one).collect()
    }
}

/// A lifetime that was right when it was decided is too long after this: the process was stopped
/// in between, or the kernel made it wait.
const FRESH: Duration = Duration::from_millis(100);

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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use smol::LocalExecutor;
    use viplet_backend_api::{
        DefaultRoute, HardwareAddress, Link, LinkKind, LinkName, LinkState, Observation,
    };

    use super::*;
    use crate::config::{self, Inputs};
    use crate::core::cluster::record::{Change, EndpointRecord, EndpointState, SliceRecord};
    use crate::core::services::tests::fixture::asking;
    use crate::core::{Core, LeaseView, Origin, WriteOutcome};
    use crate::shell::api_tasks::LazyApi;

    /// A kernel that refuses everything, or nothing, and notes what it was asked for.
    struct Kernel {
        asked: Rc<RefCell<Vec<Command>>>,
        refusal: Option<Refusal>,
    }

    impl Backend for Kernel {
        fn name(&self) -> &'static str {
            "a test's"
        }
        fn observe(&mut self) -> Result<Observation, Refusal> {
            Ok(Observation::default())
        }
        fn apply_all(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
            self.asked.borrow_mut().extend_from_slice(commands);
            commands.iter().map(|_| self.refusal.clone().map_or(Ok(()), Err)).collect()
        }
        fn poll_notice(&mut self, _cx: &mut Context<'_>) -> Poll<Notice> {
            Poll::Pending
        }
    }

    const CONTROL_PLANE: &[&str] =
        &["vip_arp=true", "cp_enable=true", "address=192.0.2.1", "vip_interface=eth0"];
    const SERVICES: &[&str] = &["vip_arp=true", "svc_enable=true", "vip_interface=eth0"];

    fn node(given: &[&str], kernel: Kernel) -> Node {
        let pair = |text: &&str| {
            text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap()
        };
        let inputs = Inputs {
            environment: given.iter().map(pair).collect::<BTreeMap<_, _>>(),
            flags: Vec::new(),
            hostname: "n1".to_owned(),
            service_account_namespace: None,
            read_file: &|_| Err("no file".to_owned()),
        };
        let settings = config::load(&inputs, &["arp"]).unwrap().settings;
        let executor = Rc::new(LocalExecutor::new());
        let core = Core::new(settings.core.clone(), clock::now());
        let shared = Shared::new(core, Box::new(kernel));
        let lazy_api = LazyApi::new(settings.access, &executor);
        let (inbox, inputs) = bounded(INBOX);
        let api_tasks = ApiTasks::start(&executor, &lazy_api, &shared, &inbox, &[]);
        let kernel = (Timer::new().unwrap(), Signals::new().unwrap());
        Node::new(shared, api_tasks, inputs, kernel)
    }

    /// The node sees its link, and the lease becomes its own.
    fn holds(node: &mut Node, lease: crate::core::LeaseName) {
        let link = Link {
            name: LinkName::new("eth0").unwrap(),
            altnames: Vec::new(),
            kind: LinkKind::Ethernet,
            state: LinkState::Up,
            hardware: HardwareAddress(vec![2; 6]),
            default_route: DefaultRoute::None,
        };
        let seen = Observation { links: vec![link], addresses: Vec::new() };
        node.turn(Input::Observed(Notice::Snapshot(seen)));
        let (origin, view) = (Origin::Read, LeaseView::Absent);
        node.turn(Input::Lease { lease: lease.clone(), origin, view });
        let record = crate::core::LeaseRecord {
            holder: "n1".to_owned(),
            duration_seconds: 15,
            acquired: crate::core::Stamp::Now,
            renewed: crate::core::Stamp::Now,
            transitions: 0,
            moved: None,
        };
        for attempt in 1..=2 {
            let outcome = WriteOutcome::Stored { version: "1".to_owned(), record: record.clone() };
            node.turn(Input::LeaseWritten { lease: lease.clone(), attempt, outcome });
        }
    }

    #[test]
    fn an_address_whose_install_was_refused_is_not_announced_in_the_same_turn() {
        let asked = Rc::default();
        let reason = "needs the capability NET_ADMIN".to_owned();
        let refusal = Some(Refusal { class: Class::Forbidden, reason });
        let mut node = node(CONTROL_PLANE, Kernel { asked: Rc::clone(&asked), refusal });
        let lease = node.shared.core.borrow().settings().control_plane.clone().unwrap().lease;
        holds(&mut node, lease);
        let asked = asked.borrow();
        assert!(matches!(asked.first(), Some(Command::Install { .. })), "{asked:?}");
        assert!(!asked.iter().any(|c| matches!(c, Command::Announce { .. })), "{asked:?}");
        let not_ready = node.shared.core.borrow().status(clock::now()).not_ready.join("; ");
        assert!(not_ready.contains("NET_ADMIN"), "{not_ready}");
    }

    #[test]
    fn what_is_decided_anew_after_a_late_turn_is_not_late_itself() {
        let asked: Rc<RefCell<Vec<Command>>> = Rc::default();
        let mut node = node(SERVICES, Kernel { asked: Rc::clone(&asked), refusal: None });
        let services: Vec<_> =
            (1..=250).map(|n| asking(&format!("web-{n}"), &format!("192.0.2.{n}"))).collect();
        let served = services.iter().map(|record| SliceRecord {
            service: record.name.clone(),
            name: "a".into(),
            endpoints: vec![EndpointRecord { node: None, state: EndpointState::Ready }],
        });
        let served = Change::Replaced(served.collect());
        node.turn(Input::Services(Change::Replaced(services)));
        node.turn(Input::Nodes(Change::Replaced(Vec::new())));
        node.turn(Input::Endpoints(served));
        node.turn(Input::Leases(Change::Replaced(Vec::new())));
        let lease = node.shared.core.borrow().settings().services.clone().unwrap().lease;
        let started = clock::now();
        // It waits for its turn among the candidates before it claims the lease.
        while asked.borrow().is_empty() && clock::now().since(started) < Duration::from_secs(10) {
            holds(&mut node, lease.clone());
        }
        let first = asked.borrow().clone();
        assert!((1..500).contains(&first.len()), "as many as one turn has time for: {first:?}");
        let late = Moment::from_boot(clock::now().since_boot() - 2 * FRESH);
        node.carry_out(vec![Effect::Addresses(first[0].clone())], late);
        let all = asked.borrow();
        assert!(all.len() > first.len() && !all[first.len()..].contains(&first[0]), "{all:?}");
    }
}
