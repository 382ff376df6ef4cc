//! A few nodes and an API server. Time passes from one event to the next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::{
    Address, Command, DefaultRoute, DuplicateDetection, HardwareAddress, InterfaceName, Link,
    LinkKind, LinkName, LinkState, Notice, Observation, Owner, Refusal, Usability,
};

use crate::core::carry::{Carrier, Sink, Step};
use crate::core::cluster::record::{
    Change, EndpointRecord, EndpointState, NodeRecord, Protocol, ServiceAnnotations, ServiceName,
    ServicePort, ServiceRecord, SliceName, SliceRecord, TrafficPolicy,
};
use crate::core::input::{
    ConditionChange, HostChange, LeaseSeen, Mark, ServiceEvent, ServiceOutcome, ServiceUpdate,
};
use crate::core::report::Report;
use crate::core::rights::mark::with_mark;
use crate::core::settings::{
    ClassFilter, ControlPlane, DnsMode, EndpointSource, Labelling, LeaseTiming, LinkChoice,
    LinkNotUp, OnDemand, OnLinkDown, PER_TURN, PrefixLength, ServiceElection, ServiceLink,
    ServicePrefixes, Services, Unclassed, Updates,
};
use crate::core::status::{ServiceState, Why};
use crate::core::{
    Core, Effect, Input, KubernetesRequest, LeaseName, LeaseRecord, LeaseRequest, LeaseVerb,
    LeaseView, Moment, Origin, Settings, WriteOutcome,
};

/// Services' settings as a user of kube-vip has them.
pub(crate) fn settings(election: ServiceElection) -> Services {
    Services {
        namespace: None,
        class: ClassFilter::Legacy {
            name: "kube-vip.io/kube-vip-class".to_owned(),
            unclassed: Unclassed::Served,
        },
        election,
        on_demand: OnDemand::Off,
        lease: LeaseName { namespace: "kube-system".into(), name: "plndr-svcs-lock".into() },
        timing: LeaseTiming {
            duration: Duration::from_secs(5),
            renew_deadline: Duration::from_secs(3),
            retry_period: Duration::from_secs(1),
        },
        link: ServiceLink::Choice(LinkChoice::Named(InterfaceName::new("eth0").unwrap())),
        presence: viplet_backend_api::Presence::OnLink,
        prefix: ServicePrefixes { v4: PrefixLength::Fixed(32), v6: PrefixLength::Fixed(128) },
        dns_mode: DnsMode::First,
        duplicate_detection: DuplicateDetection::Kernel,
        announce_every: Duration::from_secs(3),
        on_link_down: OnLinkDown::Keep,
        link_not_up: LinkNotUp::Wait,
        updates: Updates::Written,
        endpoints: EndpointSource::Slices,
        labelling: Labelling::Off,
        control_plane_port: 6443,
        per_turn: PER_TURN,
    }
}

/// A Service in the namespace `default` with port 80 and nothing else.
pub(crate) fn service(name: &str) -> ServiceRecord {
    ServiceRecord {
        name: ServiceName::new("default", name),
        uid: format!("uid-{name}").into(),
        version: "1".into(),
        created: "2026-11-24T00:00:00Z".into(),
        class: None,
        policy: TrafficPolicy::Cluster,
        families: Default::default(),
        ports: [ServicePort { port: 80, protocol: Protocol::Tcp }].into(),
        load_balancer_ip: None,
        annotations: None,
        ingress: Box::default(),
        condition: None,
    }
}

/// The same with an address.
pub(crate) fn asking(name: &str, addresses: &str) -> ServiceRecord {
    let annotations =
        ServiceAnnotations { addresses: Some(addresses.into()), ..Default::default() };
    ServiceRecord { annotations: Some(Box::new(annotations)), ..service(name) }
}

/// The same with this policy, port or age.
pub(crate) fn local(record: ServiceRecord) -> ServiceRecord {
    ServiceRecord { policy: TrafficPolicy::Local, ..record }
}

pub(crate) fn on_port(port: u16, record: ServiceRecord) -> ServiceRecord {
    ServiceRecord { ports: [ServicePort { port, protocol: Protocol::Tcp }].into(), ..record }
}

pub(crate) fn younger(record: ServiceRecord) -> ServiceRecord {
    ServiceRecord { created: "2026-11-24T01:00:00Z".into(), ..record }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The control plane's settings, with one address.
pub(crate) fn control_plane(address: &str) -> ControlPlane {
    crate::core::tests::control_plane(&[address])
}

/// One node.
struct Node {
    core: Option<Core>,
    settings: Settings,
    kernel: BTreeMap<(IpAddr, LinkName), Moment>,
    watches: Watches,
    refuse: Option<Refusal>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Watches {
    Run,
    Cut,
}

#[derive(Clone, Debug)]
enum Event {
    Give { node: usize, input: Input },
    Lease { node: usize, request: LeaseRequest },
    Write { node: usize, update: ServiceUpdate },
    Mark { node: usize, lease: LeaseName, mark: Mark },
}

/// All of it.
pub(crate) struct Fixture {
    pub(crate) now: Moment,
    nodes: Vec<Node>,
    queue: BTreeMap<Moment, VecDeque<Event>>,
    version: u64,
    services: BTreeMap<ServiceName, ServiceRecord>,
    slices: BTreeMap<SliceName, SliceRecord>,
    pub(crate) leases: BTreeMap<LeaseName, (String, LeaseRecord)>,
    /// Announcements: when, from where, which.
    pub(crate) announced: Vec<(Moment, usize, IpAddr)>,
    /// Events that were recorded.
    pub(crate) events: Vec<ServiceEvent>,
    /// Whether requests about Leases get no answer from now on.
    pub(crate) unanswered: bool,
    /// What the nodes logged.
    pub(crate) log: Vec<(usize, String)>,
    /// Writes of leases and of Services that were stored.
    pub(crate) lease_writes: usize,
    pub(crate) service_writes: usize,
    /// What DNS says of each name; of others: one address.
    pub(crate) names: BTreeMap<String, Result<Vec<IpAddr>, String>>,
    /// Why the API server refuses labels, if it does, and how often it was asked.
    pub(crate) labels_refused: Option<String>,
    pub(crate) label_requests: usize,
    /// Services of which nothing can be written, and how often that was tried.
    pub(crate) unwritable: BTreeMap<ServiceName, usize>,
    /// Addresses that a node's kubelet reports instead of its own.
    pub(crate) reported: BTreeMap<usize, IpAddr>,
    /// Labels as last written, by node.
    pub(crate) labels: BTreeMap<usize, BTreeMap<String, Option<String>>>,
    /// When an address was on no node, and when it came back: of each the spans.
    silent: BTreeMap<IpAddr, (Option<Moment>, Duration)>,
}

const NETWORK: Duration = Duration::from_millis(1);
const STORE: Duration = Duration::from_millis(3);

impl Fixture {
    pub(crate) fn new(nodes: usize, services: Services) -> Self {
        Self::with(nodes, |name| Settings {
            node: name.to_owned(),
            control_plane: None,
            services: Some(services.clone()),
            seed: 1,
        })
    }

    pub(crate) fn with(nodes: usize, settings: impl Fn(&str) -> Settings) -> Self {
        let node = |n: usize| Node {
            core: None,
            settings: settings(&format!("n{}", n + 1)),
            kernel: BTreeMap::new(),
            watches: Watches::Run,
            refuse: None,
        };
        let mut fixture = Self {
            now: Moment::from_boot(Duration::from_secs(1000)),
            nodes: (0..nodes).map(node).collect(),
            queue: BTreeMap::new(),
            version: 100,
            services: BTreeMap::new(),
            slices: BTreeMap::new(),
            leases: BTreeMap::new(),
            announced: Vec::new(),
            events: Vec::new(),
            lease_writes: 0,
            service_writes: 0,
            names: BTreeMap::new(),
            labels_refused: None,
            label_requests: 0,
            unwritable: BTreeMap::new(),
            reported: BTreeMap::new(),
            unanswered: false,
            log: Vec::new(),
            labels: BTreeMap::new(),
            silent: BTreeMap::new(),
        };
        (0..nodes).for_each(|n| fixture.start(n));
        fixture
    }

    /// Starts a node's process; what is in its kernel stays.
    pub(crate) fn start(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        let core = Core::new(Settings { seed: n as u64, ..node.settings.clone() }, self.now);
        node.core = Some(core);
        node.watches = Watches::Run;
        let link = Link {
            name: LinkName::new("eth0").unwrap(),
            altnames: Vec::new(),
            kind: LinkKind::Ethernet,
            state: LinkState::Up,
            hardware: HardwareAddress(vec![2, 0, 0, 0, 0, n as u8]),
            default_route: DefaultRoute::V4,
        };
        let ours = node.kernel.iter().map(|((ip, link), end)| {
            address(*ip, link.clone(), Owner::Viplet, Some(end.since(self.now)))
        });
        let second = Link {
            name: LinkName::new("eth1").unwrap(),
            default_route: DefaultRoute::None,
            ..link.clone()
        };
        let own = address(own_ip(n), link.name.clone(), Owner::Node, None);
        let addresses: Vec<Address> = ours.chain([Address { prefix_len: 24, ..own }]).collect();
        let seen = Observation { links: vec![link, second], addresses };
        self.give(n, Input::Observed(Notice::Snapshot(seen)));
        self.list(n);
    }

    /// Everything is listed anew, as after a gap.
    pub(crate) fn list(&mut self, n: usize) {
        self.nodes[n].watches = Watches::Run;
        let leases = self.leases.iter().map(|(lease, (version, record))| LeaseSeen {
            lease: lease.clone(),
            version: version.clone(),
            record: record.clone(),
        });
        let leases = Input::Leases(Change::Replaced(leases.collect()));
        let services = Change::Replaced(self.services.values().cloned().collect());
        let slices = Change::Replaced(self.slices.values().cloned().collect());
        let nodes = (0..self.nodes.len()).map(|n| NodeRecord {
            name: format!("n{}", n + 1).into(),
            addresses: [self.reported.get(&n).copied().unwrap_or_else(|| own_ip(n))].into(),
            scheduling: Default::default(),
            labels: BTreeMap::new(),
        });
        let nodes = Input::Nodes(Change::Replaced(nodes.collect()));
        let heard = Input::ServicesHeard(self.version.to_string().into());
        for input in [nodes, leases, Input::Services(services), heard, Input::Endpoints(slices)] {
            self.later(NETWORK, Event::Give { node: n, input });
        }
    }

    /// The process dies.
    pub(crate) fn kill(&mut self, n: usize) {
        self.nodes[n].core = None;
        self.nodes[n].watches = Watches::Cut;
    }

    /// The node loses its power: kernel and all.
    pub(crate) fn power_off(&mut self, n: usize) {
        self.kill(n);
        self.nodes[n].kernel.clear();
        self.look();
    }

    pub(crate) fn stop(&mut self, n: usize) {
        self.later(Duration::ZERO, Event::Give { node: n, input: Input::Stop });
    }

    /// No watch event reaches the node until it lists again.
    pub(crate) fn cut_watches(&mut self, n: usize) {
        self.nodes[n].watches = Watches::Cut;
    }

    pub(crate) fn refuse(&mut self, n: usize, refusal: Option<Refusal>) {
        self.nodes[n].refuse = refusal;
    }

    pub(crate) fn runs(&self, n: usize) -> bool {
        self.nodes[n].core.is_some()
    }

    /// Creates or replaces a Service.
    pub(crate) fn put(&mut self, record: ServiceRecord) {
        self.version += 1;
        let record = ServiceRecord { version: self.version.to_string().into(), ..record };
        self.services.insert(record.name.clone(), record.clone());
        self.broadcast(&Input::Services(Change::Applied(record)));
        self.broadcast(&Input::ServicesHeard(self.version.to_string().into()));
    }

    /// Changes a Service as it is stored.
    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut ServiceRecord)) {
        let mut record = self.record(name);
        change(&mut record);
        self.put(record);
    }

    pub(crate) fn delete(&mut self, name: &str) {
        let name = ServiceName::new("default", name);
        self.version += 1;
        self.services.remove(&name);
        self.broadcast(&Input::Services(Change::Deleted(name)));
        self.broadcast(&Input::ServicesHeard(self.version.to_string().into()));
    }

    pub(crate) fn record(&self, name: &str) -> ServiceRecord {
        self.services[&ServiceName::new("default", name)].clone()
    }

    /// A Service's ready endpoints are on these nodes, in one slice.
    pub(crate) fn endpoints(&mut self, name: &str, nodes: &[&str]) {
        let ready: Vec<(&str, EndpointState)> =
            nodes.iter().map(|node| (*node, EndpointState::Ready)).collect();
        self.slice(name, "a", &ready);
    }

    pub(crate) fn slice(&mut self, name: &str, slice: &str, at: &[(&str, EndpointState)]) {
        let endpoint = |(node, state): &(&str, EndpointState)| EndpointRecord {
            node: Some((*node).into()),
            state: *state,
        };
        let record = SliceRecord {
            service: ServiceName::new("default", name),
            name: format!("{name}-{slice}").into(),
            endpoints: at.iter().map(endpoint).collect(),
        };
        let key = SliceName { service: record.service.clone(), name: record.name.clone() };
        self.slices.insert(key, record.clone());
        self.broadcast(&Input::Endpoints(Change::Applied(record)));
    }

    /// A Service with an address and a ready endpoint on each node.
    pub(crate) fn serve(&mut self, record: ServiceRecord) {
        let name = record.name.name().to_owned();
        let nodes: Vec<String> = (1..=self.nodes.len()).map(|n| format!("n{n}")).collect();
        let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
        self.put(record);
        self.endpoints(&name, &nodes);
    }

    pub(crate) fn lease(&self, name: &str) -> Option<&LeaseRecord> {
        let lease = LeaseName::parse(name, "default").unwrap();
        self.leases.get(&lease).map(|(_, record)| record)
    }

    /// Another program holds a lease.
    pub(crate) fn other_holds(&mut self, name: &str, holder: &str) {
        let lease = LeaseName::parse(name, "default").unwrap();
        let record = LeaseRecord {
            holder: holder.to_owned(),
            duration_seconds: 5,
            acquired: crate::core::Stamp::At("a".to_owned()),
            renewed: crate::core::Stamp::At(self.version.to_string()),
            transitions: 1,
            moved: None,
            writer: None,
        };
        self.store(&lease, record);
    }

    /// The nodes that have an address.
    pub(crate) fn holders(&self, text: &str) -> Vec<usize> {
        let has = |n: &usize| !self.links(*n, text).is_empty();
        (0..self.nodes.len()).filter(has).collect()
    }

    /// The links of a node that have an address.
    pub(crate) fn links(&self, n: usize, text: &str) -> Vec<String> {
        let there = self.nodes[n].kernel.keys().filter(|(known, _)| *known == ip(text));
        there.map(|(_, link)| link.to_string()).collect()
    }

    /// The only node that has an address.
    #[track_caller]
    pub(crate) fn holder(&self, text: &str) -> usize {
        match self.holders(text).as_slice() {
            [one] => *one,
            other => panic!("{text} is on {other:?}: {:?}", self.why_all(text)),
        }
    }

    fn why_all(&self, _text: &str) -> Vec<Option<Why>> {
        let names: Vec<ServiceName> = self.services.keys().cloned().collect();
        names
            .iter()
            .flat_map(|name| (0..self.nodes.len()).map(move |n| (name, n)))
            .map(|(name, n)| self.nodes[n].core.as_ref().and_then(|core| core.why(name, self.now)))
            .collect()
    }

    pub(crate) fn core(&self, n: usize) -> &Core {
        self.nodes[n].core.as_ref().unwrap()
    }

    pub(crate) fn state(&self, n: usize, name: &str) -> (ServiceState, String) {
        let why = self.why(n, name);
        (why.status.state, why.status.reason)
    }

    pub(crate) fn why(&self, n: usize, name: &str) -> Why {
        self.core(n).why(&ServiceName::new("default", name), self.now).unwrap()
    }

    /// The longest time that an address was on no node, once it had been on one.
    pub(crate) fn longest_silence(&self, text: &str) -> Duration {
        let (since, longest) = self.silent.get(&ip(text)).copied().unwrap_or_default();
        longest.max(since.map_or(Duration::ZERO, |since| self.now.since(since)))
    }

    pub(crate) fn forget_silence(&mut self) {
        self.silent.clear();
        self.look();
    }

    /// The kernel tells of an address that it has.
    pub(crate) fn see(&mut self, n: usize, text: &str) {
        let there = self.nodes[n].kernel.iter().find(|((known, _), _)| *known == ip(text));
        let ((address_there, link), end) = there.expect("it is there");
        let valid_for = Some(end.since(self.now));
        let seen = address(*address_there, link.clone(), Owner::Viplet, valid_for);
        self.give(n, Input::Observed(Notice::Address(seen)));
    }

    /// Lets time pass. No address may ever be on two nodes.
    #[track_caller]
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        let mut turns = 0_u32;
        while self.next().is_some_and(|at| at <= end) {
            turns += 1;
            assert!(turns < 200_000, "spinning: {:?}", self.deadlines());
            self.step();
            self.look();
        }
        self.now = end;
    }

    #[track_caller]
    pub(crate) fn settle(&mut self) {
        self.pass(Duration::from_secs(1));
    }

    fn deadlines(&self) -> Vec<Option<(Moment, &'static str)>> {
        let cores = self.nodes.iter();
        cores.map(|node| node.core.as_ref().and_then(|core| core.next_deadline(self.now))).collect()
    }

    fn next(&self) -> Option<Moment> {
        let deadlines = self.deadlines().into_iter().flatten().map(|(at, _)| at);
        let expiry = self.nodes.iter().flat_map(|node| node.kernel.values().copied());
        let queued = self.queue.keys().next().copied();
        deadlines.chain(expiry).chain(queued).min()
    }

    /// What is next happens.
    pub(crate) fn step(&mut self) {
        self.now = self.next().map_or(self.now, |at| self.now.max(at));
        for n in 0..self.nodes.len() {
            let now = self.now;
            let gone = self.nodes[n].kernel.iter().find(|(_, end)| **end <= now);
            if let Some((address, link)) = gone.map(|(seen, _)| seen.clone()) {
                self.nodes[n].kernel.remove(&(address, link.clone()));
                return self.give(n, Input::Observed(Notice::AddressGone { link, address }));
            }
        }
        if let Some(mut first) = self.queue.first_entry().filter(|first| *first.key() <= self.now) {
            let event = first.get_mut().pop_front();
            if first.get().is_empty() {
                first.remove();
            }
            return match event {
                Some(Event::Give { node, input }) => self.give(node, input),
                Some(Event::Lease { node, request }) => self.serve_lease(node, &request),
                Some(Event::Write { node, update }) => self.serve_write(node, &update),
                Some(Event::Mark { node, lease, mark }) => self.serve_mark(node, lease, &mark),
                None => {}
            };
        }
        for n in 0..self.nodes.len() {
            let due = self.nodes[n].core.as_ref().and_then(|core| core.next_deadline(self.now));
            if due.is_some_and(|(at, _)| at <= self.now) {
                return self.give(n, Input::Deadline);
            }
        }
    }

    fn later(&mut self, span: Duration, event: Event) {
        self.queue.entry(self.now + span).or_default().push_back(event);
    }

    fn broadcast(&mut self, input: &Input) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].watches == Watches::Run {
                self.later(NETWORK, Event::Give { node, input: input.clone() });
            }
        }
    }

    pub(crate) fn give(&mut self, n: usize, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut carrier = Carrier::default();
            carrier.take(self.decide(n, input), self.now);
            let mut process = Process { fixture: self, n, heard: Vec::new() };
            loop {
                match carrier.step(process.fixture.now, &mut process) {
                    Step::Done => {}
                    Step::Refused(input) => {
                        carrier.take(process.fixture.decide(n, input), process.fixture.now);
                    }
                    Step::Late(input) => inputs.push_front(input),
                    Step::Stopped => return self.kill(n),
                    Step::Idle => break,
                }
            }
            inputs.extend(process.heard);
        }
    }

    fn decide(&mut self, n: usize, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(core) = &mut self.nodes[n].core {
            core.handle(input, self.now, &mut effects);
        }
        effects
    }

    fn request(&mut self, n: usize, request: KubernetesRequest) {
        match request {
            KubernetesRequest::Lease(request) => {
                self.later(STORE, Event::Lease { node: n, request });
            }
            KubernetesRequest::Service(update) => {
                self.later(STORE * 2, Event::Write { node: n, update });
            }
            KubernetesRequest::Mark { lease, mark } => {
                self.later(STORE * 2, Event::Mark { node: n, lease, mark });
            }
            KubernetesRequest::Event(event) => self.events.push(event),
            KubernetesRequest::ServiceLabels(labels) => {
                self.label_requests += 1;
                let outcome = self.labels_refused.clone().map_or(Ok(()), Err);
                if outcome.is_ok() {
                    self.labels.entry(n).or_default().extend(labels);
                }
                let input = Input::ServicesLabelled(outcome);
                self.later(STORE, Event::Give { node: n, input });
            }
            KubernetesRequest::Label { .. } => {}
        }
    }

    /// What the kernel tells of it.
    fn kernel(&mut self, n: usize, command: &Command) -> Result<Option<Notice>, Refusal> {
        let place = (command.address(), command.link().clone());
        match command {
            Command::Install { vip, lifetime } => {
                if let Some(refusal) = self.nodes[n].refuse.clone() {
                    return Err(refusal);
                }
                let span = Duration::from_secs(u64::from(lifetime.as_secs()));
                let end = self.now + span;
                let known = self.nodes[n].kernel.insert(place, end);
                let seen = address(vip.address, vip.link.clone(), Owner::Viplet, Some(span));
                Ok(known.is_none().then_some(Notice::Address(seen)))
            }
            Command::Withdraw { .. } => {
                let there = self.nodes[n].kernel.remove(&place);
                Ok(there.map(|_| Notice::AddressGone { link: place.1, address: place.0 }))
            }
            Command::Announce { .. } => {
                assert!(self.nodes[n].kernel.contains_key(&place), "announced, not present");
                self.announced.push((self.now, n, place.0));
                Ok(None)
            }
        }
    }

    fn store(&mut self, lease: &LeaseName, record: LeaseRecord) -> String {
        self.version += 1;
        self.lease_writes += 1;
        let stamp = |stamp: crate::core::Stamp, version: u64| match stamp {
            crate::core::Stamp::Now => crate::core::Stamp::At(version.to_string()),
            other => other,
        };
        let (acquired, renewed) = (record.acquired.clone(), record.renewed.clone());
        let record = LeaseRecord {
            acquired: stamp(acquired, self.version),
            renewed: stamp(renewed, self.version),
            moved: self.leases.get(lease).and_then(|(_, known)| known.moved.clone()),
            ..record
        };
        self.show(lease, record)
    }

    /// A lease is so from now on.
    fn show(&mut self, lease: &LeaseName, record: LeaseRecord) -> String {
        let version = self.version.to_string();
        self.leases.insert(lease.clone(), (version.clone(), record.clone()));
        if lease.name == "plndr-cp-lock" {
            let view = LeaseView::Present { version: version.clone(), record: record.clone() };
            let lease = lease.clone();
            self.broadcast(&Input::Lease { lease, origin: Origin::Watch, view });
        }
        let seen = LeaseSeen { lease: lease.clone(), version: version.clone(), record };
        self.broadcast(&Input::Leases(Change::Applied(seen)));
        version
    }

    fn serve_lease(&mut self, n: usize, request: &LeaseRequest) {
        if self.unanswered {
            return;
        }
        let lease = request.lease.clone();
        let known = self.leases.get(&lease).cloned();
        let input = match (&request.verb, known) {
            (LeaseVerb::Read, None) => {
                Input::Lease { lease, origin: Origin::Read, view: LeaseView::Absent }
            }
            (LeaseVerb::Read, Some((version, record))) => {
                let view = LeaseView::Present { version, record };
                Input::Lease { lease, origin: Origin::Read, view }
            }
            (LeaseVerb::Create { attempt, .. }, Some(_)) => {
                let outcome = WriteOutcome::Conflict;
                Input::LeaseWritten { lease, attempt: *attempt, outcome }
            }
            (LeaseVerb::Replace { attempt, .. }, None) => {
                Input::LeaseWritten { lease, attempt: *attempt, outcome: WriteOutcome::Gone }
            }
            (LeaseVerb::Replace { attempt, version, .. }, Some((known, _)))
                if *version != known =>
            {
                let outcome = WriteOutcome::Conflict;
                Input::LeaseWritten { lease, attempt: *attempt, outcome }
            }
            (
                LeaseVerb::Create { attempt, record, .. }
                | LeaseVerb::Replace { attempt, record, .. },
                _,
            ) => {
                let version = self.store(&lease, record.clone());
                let record = self.leases[&lease].1.clone();
                let outcome = WriteOutcome::Stored { version, record };
                Input::LeaseWritten { lease, attempt: *attempt, outcome }
            }
        };
        self.later(NETWORK, Event::Give { node: n, input });
    }

    fn serve_mark(&mut self, n: usize, lease: LeaseName, mark: &Mark) {
        self.version += 1;
        let (mut version, mut record) = self.leases.get(&lease).cloned().unwrap_or_else(|| {
            let record = LeaseRecord {
                holder: String::new(),
                duration_seconds: 1,
                acquired: crate::core::Stamp::Absent,
                renewed: crate::core::Stamp::Absent,
                transitions: 0,
                moved: None,
                writer: None,
            };
            (String::new(), record)
        });
        if let Some(text) = with_mark(record.moved.as_deref(), mark) {
            record.moved = Some(text.into());
            version = self.show(&lease, record.clone());
        }
        let input = Input::Leases(Change::Applied(LeaseSeen { lease, version, record }));
        self.later(NETWORK, Event::Give { node: n, input });
    }

    fn serve_write(&mut self, n: usize, update: &ServiceUpdate) {
        let mut outcome = ServiceOutcome::Gone;
        if let Some(tries) = self.unwritable.get_mut(&update.service) {
            *tries += 1;
            outcome = ServiceOutcome::Failed("etcdserver: request timed out".to_owned());
        } else if let Some(record) =
            self.services.get(&update.service).filter(|r| r.uid == update.uid)
        {
            let mut changed = record.clone();
            apply(&mut changed, update);
            outcome = ServiceOutcome::Done;
            if changed != *record {
                self.service_writes += 1;
                self.put(changed);
            }
        }
        let input = Input::ServiceWritten {
            service: update.service.clone(),
            attempt: update.attempt,
            outcome,
        };
        self.later(NETWORK, Event::Give { node: n, input });
    }

    fn everywhere(&self) -> bool {
        let every_node = |services: &Services| services.election == ServiceElection::EveryNode;
        self.nodes.iter().any(|node| node.settings.services.as_ref().is_some_and(every_node))
    }

    fn look(&mut self) {
        let mut seen: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
        for (n, node) in self.nodes.iter().enumerate() {
            let there: BTreeSet<IpAddr> = node.kernel.keys().map(|(ip, _)| *ip).collect();
            there.iter().for_each(|ip| seen.entry(*ip).or_default().push(n));
        }
        for (ip, nodes) in &seen {
            assert!(nodes.len() == 1 || self.everywhere(), "{ip} is on {nodes:?} at {}", self.now);
            let (since, longest) = self.silent.entry(*ip).or_default();
            if let Some(since) = since.take() {
                *longest = (*longest).max(self.now.since(since));
            }
        }
        for (ip, (since, _)) in &mut self.silent {
            if !seen.contains_key(ip) {
                since.get_or_insert(self.now);
            }
        }
    }
}

fn own_ip(n: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, 240 + n as u8])
}

fn address(ip: IpAddr, link: LinkName, owner: Owner, valid_for: Option<Duration>) -> Address {
    Address { link, address: ip, prefix_len: 32, owner, valid_for, usability: Usability::Usable }
}

/// What the shell makes of an update.
fn apply(record: &mut ServiceRecord, update: &ServiceUpdate) {
    let annotations = record.annotations.get_or_insert_default();
    match &update.host {
        HostChange::Keep => {}
        HostChange::Set(host) => annotations.host = Some(host.as_str().into()),
        HostChange::Remove(host) if annotations.host.as_deref() == Some(host) => {
            annotations.host = None;
        }
        HostChange::Remove(_) => {}
    }
    let gone = |address: Option<IpAddr>| {
        address.is_some_and(|ip| {
            update.ingress.drop.contains(&ip)
                || update.ingress.put.iter().any(|put| put.address == Some(ip))
        })
    };
    let foreign = record.ingress.iter().filter(|known| !gone(known.address)).cloned();
    record.ingress = update.ingress.put.iter().cloned().chain(foreign).collect();
    match &update.condition {
        ConditionChange::Keep => {}
        ConditionChange::Set(condition) => record.condition = Some(Box::new(condition.clone())),
        ConditionChange::Remove => record.condition = None,
    }
}

/// One node's process: where its effects go.
struct Process<'a> {
    fixture: &'a mut Fixture,
    n: usize,
    /// What it hears of at once.
    heard: Vec<Input>,
}

impl Sink for Process<'_> {
    fn addresses(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        let mut outcomes = Vec::new();
        for command in commands {
            let outcome = self.fixture.kernel(self.n, command);
            outcomes.push(outcome.map(|notice| self.heard.extend(notice.map(Input::Observed))));
        }
        outcomes
    }

    fn kubernetes(&mut self, request: KubernetesRequest) {
        self.fixture.request(self.n, request);
    }

    fn resolve(&mut self, name: String) {
        let known = self.fixture.names.get(&name).cloned();
        let outcome = known.unwrap_or_else(|| Ok(vec![ip("10.0.0.77")]));
        let input = Input::Resolved { name, outcome };
        self.fixture.later(STORE, Event::Give { node: self.n, input });
    }

    fn report(&mut self, report: Report) {
        self.fixture.log.push((self.n, report.text));
    }
}
