//! The core against a kernel and an API server that answer by hand, one behaviour per test.

mod addresses;
mod beside;
mod every_node;
mod fitness;
mod lifetime;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::{
    Address, Class, Command, DefaultRoute, DuplicateDetection, HardwareAddress, InterfaceName,
    Link, LinkKind, LinkName, LinkState, Notice, Observation, Owner, Refusal, Usability,
};

use super::carry::{Carrier, Sink, Step};
use super::settings::{
    ControlPlane, DnsMode, Labelling, LeaseTiming, LinkChoice, LinkNotUp, LoopbackScope,
    OnLinkDown, OnLoss, PrefixLengths, Target,
};
use super::*;

const VIP: &str = "10.0.0.40";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(super) fn control_plane(targets: &[&str]) -> ControlPlane {
    let target = |text: &&str| {
        text.parse().map_or_else(|_| Target::Name((*text).to_owned()), Target::Address)
    };
    ControlPlane {
        lease: LeaseName { namespace: "kube-system".to_owned(), name: "plndr-cp-lock".to_owned() },
        lease_annotations: BTreeMap::new(),
        timing: LeaseTiming {
            duration: Duration::from_secs(5),
            renew_deadline: Duration::from_secs(3),
            retry_period: Duration::from_secs(1),
        },
        election: crate::core::settings::PlaneElection::ByLease,
        health: crate::core::settings::HealthGate::Open,
        targets: targets.iter().map(target).collect(),
        dns_mode: DnsMode::First,
        prefix: PrefixLengths { v4: 32, v6: 128 },
        link: LinkChoice::Named(InterfaceName::new("eth0").unwrap()),
        loopback_scope: LoopbackScope::Host,
        duplicate_detection: DuplicateDetection::Kernel,
        announce_every: Duration::from_secs(3),
        on_loss: OnLoss::Withdraw,
        on_link_down: OnLinkDown::Keep,
        link_not_up: LinkNotUp::Wait,
        labelling: Labelling::Off,
    }
}

/// A node whose kernel does what it is told and says so, and a Lease that stores what it is given.
struct Node {
    core: Core,
    now: Moment,
    version: u64,
    record: Option<LeaseRecord>,
    kernel: BTreeMap<(IpAddr, LinkName), Address>,
    /// When the kernel drops an address: its dead-man.
    expiry: BTreeMap<(IpAddr, LinkName), Moment>,
    api: Api,
    /// What the kernel refuses, and which commands.
    refuse: Option<Refusal>,
    refuses: fn(&Command) -> bool,
    /// How long the node waits for the processor between deciding and carrying out, by the number
    /// of the turn.
    load: fn(u32) -> Duration,
    turns: u32,
    carrier: Carrier,
    /// What the kernel and the API server have answered in this turn.
    answers: Vec<Input>,
    done: Vec<(Moment, Effect)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Api {
    Answers,
    Silent,
}

fn link(name: &str, state: LinkState) -> Link {
    Link {
        name: LinkName::new(name).unwrap(),
        altnames: Vec::new(),
        kind: LinkKind::Ethernet,
        state,
        hardware: HardwareAddress(vec![2, 0, 0, 0, 0, 1]),
        default_route: DefaultRoute::V4,
    }
}

fn address(on: &str, text: &str, owner: Owner) -> Address {
    let valid_for = (owner == Owner::Viplet).then_some(Duration::from_secs(3));
    Address {
        link: LinkName::new(on).unwrap(),
        address: ip(text),
        prefix_len: 32,
        owner,
        valid_for,
        usability: Usability::Usable,
    }
}

impl Node {
    fn new(plane: ControlPlane) -> Self {
        let settings =
            Settings { node: "n1".to_owned(), control_plane: Some(plane), services: None, seed: 1 };
        let now = Moment::from_boot(Duration::from_secs(1000));
        Self {
            core: Core::new(settings, now),
            now,
            version: 10,
            record: None,
            kernel: BTreeMap::new(),
            expiry: BTreeMap::new(),
            api: Api::Answers,
            refuse: None,
            refuses: |_| true,
            load: |_| Duration::ZERO,
            turns: 0,
            carrier: Carrier::default(),
            answers: Vec::new(),
            done: Vec::new(),
        }
    }

    fn start(&mut self, links: Vec<Link>, addresses: Vec<Address>) {
        for a in &addresses {
            let end = a.valid_for.map(|left| self.now + left);
            self.expiry.extend(end.map(|end| ((a.address, a.link.clone()), end)));
            self.kernel.insert((a.address, a.link.clone()), a.clone());
        }
        self.give(Input::Observed(Notice::Snapshot(Observation { links, addresses })));
    }

    fn started(plane: ControlPlane) -> Self {
        let mut node = Self::new(plane);
        node.start(vec![link("eth0", LinkState::Up)], vec![]);
        node
    }

    fn give(&mut self, input: Input) {
        if let Input::Observed(Notice::AddressGone { link, address }) = &input {
            self.kernel.remove(&(*address, link.clone()));
        }
        let mut inputs = VecDeque::from([input]);
        let mut turns = 0;
        while let Some(input) = inputs.pop_front() {
            turns += 1;
            assert!(turns < 100, "the core and its world never come to rest: {:?}", self.done);
            for late in self.turn(input).into_iter().rev() {
                inputs.push_front(late);
            }
            inputs.append(&mut std::mem::take(&mut self.answers).into());
        }
    }

    /// What was too late to be carried out.
    fn turn(&mut self, input: Input) -> Vec<Input> {
        let mut carrier = std::mem::take(&mut self.carrier);
        carrier.take(self.decide(input), self.now);
        self.turns += 1;
        self.now = self.now + (self.load)(self.turns);
        let mut late = Vec::new();
        loop {
            match carrier.step(self.now, self) {
                Step::Done => {}
                Step::Refused(input) => carrier.take(self.decide(input), self.now),
                Step::Late(input) => late.push(input),
                Step::Stopped | Step::Idle => break,
            }
        }
        self.carrier = carrier;
        late
    }

    fn decide(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.core.handle(input, self.now, &mut effects);
        self.done.extend(effects.iter().map(|effect| (self.now, effect.clone())));
        effects
    }

    fn kernel(&mut self, command: &Command) -> Option<Input> {
        let key = (command.address(), command.link().clone());
        let notice = match command {
            Command::Install { vip, lifetime } => {
                let mut seen = address(vip.link.as_str(), VIP, Owner::Viplet);
                seen.address = vip.address;
                seen.valid_for = Some(Duration::from_secs(u64::from(lifetime.as_secs())));
                self.expiry.extend(seen.valid_for.map(|left| (key.clone(), self.now + left)));
                let before = self.kernel.insert(key, seen.clone());
                // As the backend does: a lifetime that was wound up is no news.
                let same = |old: &Address| {
                    Address { valid_for: seen.valid_for, ..old.clone() } == seen
                        && old.valid_for.is_some()
                };
                if before.is_some_and(|old| same(&old)) {
                    return None;
                }
                Notice::Address(seen)
            }
            Command::Withdraw { .. } => {
                self.expiry.remove(&key);
                self.kernel.remove(&key)?;
                Notice::AddressGone { link: key.1, address: key.0 }
            }
            Command::Announce { .. } => return None,
        };
        Some(Input::Observed(notice))
    }

    fn lease(&mut self, request: &LeaseRequest) -> Input {
        let lease = request.lease.clone();
        match &request.verb {
            LeaseVerb::Read => Input::Lease { lease, origin: Origin::Read, view: self.view() },
            LeaseVerb::Create { attempt, record, .. }
            | LeaseVerb::Replace { attempt, record, .. } => {
                self.version += 1;
                self.record = Some(record.clone());
                let version = self.version.to_string();
                let outcome = WriteOutcome::Stored { version, record: record.clone() };
                Input::LeaseWritten { lease, attempt: *attempt, outcome }
            }
        }
    }

    fn view(&self) -> LeaseView {
        match &self.record {
            None => LeaseView::Absent,
            Some(record) => {
                LeaseView::Present { version: self.version.to_string(), record: record.clone() }
            }
        }
    }

    /// Another candidate writes the lease; the watch says so.
    fn other_holds(&mut self, holder: &str) {
        self.version += 1;
        self.record = Some(LeaseRecord {
            holder: holder.to_owned(),
            duration_seconds: 5,
            acquired: Stamp::Absent,
            renewed: Stamp::At(self.version.to_string()),
            transitions: 1,
            moved: None,
            writer: None,
        });
        let lease = self.core.settings().control_plane.clone().unwrap().lease;
        let view = self.view();
        self.give(Input::Lease { lease, origin: Origin::Watch, view });
    }

    /// Lets time pass; the kernel drops what has expired.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        let mut turns = 0;
        while let Some((at, why)) = self.next_event().filter(|(at, _)| *at <= end) {
            turns += 1;
            assert!(turns < 10_000, "spinning on {why:?}");
            self.now = self.now.max(at);
            let gone =
                self.expiry.iter().find(|(_, end)| **end <= self.now).map(|(k, _)| k.clone());
            let input = gone.map_or(Input::Deadline, |key| self.expire(key));
            self.give(input);
        }
        self.now = self.now.max(end);
    }

    fn next_event(&self) -> Option<(Moment, &'static str)> {
        let expiry = self.expiry.values().min().map(|at| (*at, "an address expires"));
        self.core.next_deadline(self.now).into_iter().chain(expiry).min()
    }

    fn expire(&mut self, key: (IpAddr, LinkName)) -> Input {
        self.expiry.remove(&key);
        self.kernel.remove(&key);
        Input::Observed(Notice::AddressGone { address: key.0, link: key.1 })
    }

    fn has(&self, text: &str) -> bool {
        self.kernel.values().any(|a| a.address == ip(text) && a.owner == Owner::Viplet)
    }

    fn commands(&self) -> Vec<&Command> {
        let backend = |(_, effect): &'_ (Moment, Effect)| matches!(effect, Effect::Addresses(_));
        self.done
            .iter()
            .filter(|done| backend(done))
            .filter_map(|(_, effect)| match effect {
                Effect::Addresses(command) => Some(command),
                _ => None,
            })
            .collect()
    }

    fn said(&self, part: &str) -> bool {
        self.done.iter().any(
            |(_, effect)| matches!(effect, Effect::Report(report) if report.text.contains(part)),
        )
    }
}

impl Sink for Node {
    fn addresses(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        let mut outcomes = Vec::new();
        for command in commands {
            let refusal = self.refuse.clone().filter(|_| (self.refuses)(command));
            if refusal.is_none() {
                let answer = self.kernel(command);
                self.answers.extend(answer);
            }
            outcomes.push(refusal.map_or(Ok(()), Err));
        }
        outcomes
    }

    fn kubernetes(&mut self, request: KubernetesRequest) {
        if let (KubernetesRequest::Lease(request), Api::Answers) = (&request, self.api) {
            let answer = self.lease(request);
            self.answers.push(answer);
        }
    }

    fn resolve(&mut self, _name: String) {}

    fn report(&mut self, _report: report::Report) {}
}

fn forbidden() -> Refusal {
    Refusal { class: Class::Forbidden, reason: "needs the capability NET_ADMIN".to_owned() }
}
