//! How long the turns of one core take that holds many addresses: `turns SERVICES [SECONDS]`.
//!
//! Nothing but the core runs here; API server and kernel answer at once. Time is the core's own,
//! only the turns are measured by the clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use viplet::core::cluster::record::{
    Change, EndpointRecord, EndpointState, Families, NodeRecord, Protocol, ServiceAnnotations,
    ServiceName, ServicePort, ServiceRecord, SliceRecord, TrafficPolicy,
};
use viplet::core::input::{HostChange, LeaseSeen, ServiceOutcome, ServiceUpdate};
use viplet::core::{
    Core, Effect, Input, KubernetesRequest, LeaseRecord, LeaseRequest, LeaseVerb, LeaseView,
    Moment, Origin, Settings, WriteOutcome,
};
use viplet_backend_api::{
    Address, Command, DefaultRoute, HardwareAddress, Lifetime, Link, LinkKind, LinkState, Notice,
    Observation, Owner, Usability, Vip,
};
use viplet_sim::kernel::eth0;
use viplet_sim::serving;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<u32>().ok());
    let (services, seconds) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(130));
    let mut bench = Bench::new(services);
    bench.open();
    for second in 1..=seconds {
        bench.run_until(Duration::from_secs(second.into()));
        if second <= 5 || second % 10 == 0 {
            bench.print(&format!("{second} s"));
        }
        bench.spent = Spent::default();
    }
    bench.lose();
    bench.run_until(Duration::from_secs((seconds + 3).into()));
    bench.print("the lease is lost");
}

#[derive(Default)]
struct Spent {
    total: Duration,
    turns: u32,
    longest: Duration,
    what: &'static str,
}

struct Bench {
    core: Core,
    start: Moment,
    now: Moment,
    inputs: VecDeque<Input>,
    kernel: BTreeSet<IpAddr>,
    services: BTreeMap<ServiceName, ServiceRecord>,
    lease: Option<(u64, LeaseRecord)>,
    version: u64,
    spent: Spent,
}

impl Bench {
    fn new(services: u32) -> Self {
        let start = Moment::from_boot(Duration::from_secs(1_000));
        let settings = Settings {
            node: "n1".to_owned(),
            control_plane: None,
            services: Some(serving::plain()),
            seed: 1,
        };
        let services = (0..services).map(record).map(|r| (r.name.clone(), r)).collect();
        Self {
            core: Core::new(settings, start),
            start,
            now: start,
            inputs: VecDeque::new(),
            kernel: BTreeSet::new(),
            services,
            lease: None,
            version: 1_000_000,
            spent: Spent::default(),
        }
    }

    /// What a node is told when it starts.
    fn open(&mut self) {
        let link = Link {
            name: eth0(),
            altnames: Vec::new(),
            kind: LinkKind::Ethernet,
            state: LinkState::Up,
            hardware: HardwareAddress(vec![2, 0, 0, 0, 0, 1]),
            default_route: DefaultRoute::V4,
        };
        let seen = Observation { links: vec![link], addresses: Vec::new() };
        let node = NodeRecord {
            name: "n1".into(),
            addresses: Box::default(),
            scheduling: Default::default(),
            labels: BTreeMap::new(),
        };
        let slices = self.services.keys().map(slice).collect();
        self.inputs.extend([
            Input::Observed(Notice::Snapshot(seen)),
            Input::Nodes(Change::Replaced(vec![node])),
            Input::Leases(Change::Replaced(Vec::new())),
            Input::Services(Change::Replaced(self.services.values().cloned().collect())),
            Input::ServicesHeard("1".into()),
            Input::Endpoints(Change::Replaced(slices)),
        ]);
    }

    fn run_until(&mut self, since_start: Duration) {
        let end = self.start + since_start;
        loop {
            let input = match self.inputs.pop_front() {
                Some(input) => input,
                None => match self.next() {
                    Some(at) if at <= end => {
                        self.now = self.now.max(at);
                        Input::Deadline
                    }
                    _ => break,
                },
            };
            self.turn(input);
        }
        self.now = end;
    }

    fn print(&self, when: &str) {
        let Spent { total, turns, longest, what } = &self.spent;
        println!(
            "{when:>18}: {:>8.2} ms in {turns:>5} turns, the longest {:>7.2} ms ({what}); {} held",
            total.as_secs_f64() * 1e3,
            longest.as_secs_f64() * 1e3,
            self.kernel.len(),
        );
    }

    /// Another node has the lease all of a sudden.
    fn lose(&mut self) {
        self.version += 1;
        let Some((version, record)) = &mut self.lease else { return };
        (*version, record.holder) = (self.version, "n2".to_owned());
        let seen = LeaseSeen {
            lease: serving::plain().lease,
            version: version.to_string(),
            record: record.clone(),
        };
        self.inputs.push_back(Input::Leases(Change::Applied(seen)));
    }

    fn next(&mut self) -> Option<Moment> {
        let began = Instant::now();
        let next = self.core.next_deadline(self.now);
        self.spent.total += began.elapsed();
        next.map(|(at, _)| at)
    }

    fn turn(&mut self, input: Input) {
        let what = match &input {
            Input::Deadline => "a deadline",
            Input::Observed(_) => "the kernel's",
            Input::Services(Change::Replaced(_)) => "a list of Services",
            Input::Services(_) => "a Service",
            Input::Endpoints(_) => "endpoints",
            Input::ServiceWritten { .. } => "a write's answer",
            _ => "another",
        };
        let mut effects = Vec::new();
        let began = Instant::now();
        self.core.handle(input, self.now, &mut effects);
        let took = began.elapsed();
        self.spent.total += took;
        self.spent.turns += 1;
        if took > self.spent.longest {
            (self.spent.longest, self.spent.what) = (took, what);
        }
        effects.into_iter().for_each(|effect| self.carry_out(effect));
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Addresses(command) => self.obey(command),
            Effect::Kubernetes(KubernetesRequest::Lease(request)) => self.serve_lease(request),
            Effect::Kubernetes(KubernetesRequest::Service(update)) => self.serve_write(&update),
            _ => {}
        }
    }

    /// As the kernel does: a refresh is not told of.
    fn obey(&mut self, command: Command) {
        let notice = match command {
            Command::Install { vip, lifetime } => {
                self.kernel.insert(vip.address).then(|| Notice::Address(seen(vip, lifetime)))
            }
            Command::Withdraw { address, link } => {
                self.kernel.remove(&address).then_some(Notice::AddressGone { link, address })
            }
            Command::Announce { .. } => None,
        };
        self.inputs.extend(notice.map(Input::Observed));
    }

    fn serve_lease(&mut self, request: LeaseRequest) {
        let LeaseRequest { lease, verb, .. } = request;
        let input = match verb {
            LeaseVerb::Read => {
                let view = match &self.lease {
                    None => LeaseView::Absent,
                    Some((version, record)) => {
                        LeaseView::Present { version: version.to_string(), record: record.clone() }
                    }
                };
                Input::Lease { lease, origin: Origin::Read, view }
            }
            LeaseVerb::Create { attempt, record, .. }
            | LeaseVerb::Replace { attempt, record, .. } => {
                self.version += 1;
                self.lease = Some((self.version, record.clone()));
                let outcome = WriteOutcome::Stored { version: self.version.to_string(), record };
                Input::LeaseWritten { lease, attempt, outcome }
            }
        };
        self.inputs.push_back(input);
    }

    fn serve_write(&mut self, update: &ServiceUpdate) {
        self.version += 1;
        let Some(record) = self.services.get_mut(&update.service) else { return };
        record.version = self.version.to_string().as_str().into();
        if let HostChange::Set(host) = &update.host {
            record.annotations.get_or_insert_default().host = Some(host.as_str().into());
        }
        if !update.ingress.put.is_empty() {
            record.ingress = update.ingress.put.clone().into();
        }
        let record = record.clone();
        let (service, attempt) = (update.service.clone(), update.attempt);
        let outcome = ServiceOutcome::Done;
        self.inputs.push_back(Input::ServiceWritten { service, attempt, outcome });
        self.inputs.push_back(Input::Services(Change::Applied(record)));
    }
}

fn seen(vip: Vip, lifetime: Lifetime) -> Address {
    Address {
        link: vip.link,
        address: vip.address,
        prefix_len: vip.prefix_len,
        owner: Owner::Viplet,
        valid_for: Some(Duration::from_secs(lifetime.as_secs().into())),
        usability: Usability::Usable,
    }
}

fn record(number: u32) -> ServiceRecord {
    let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 77, 0, 0)) + number);
    let annotations =
        ServiceAnnotations { addresses: Some(address.to_string().into()), ..Default::default() };
    ServiceRecord {
        name: ServiceName::new("default", &format!("web-{number}")),
        uid: format!("6ba7b810-9dad-41d1-80b4-{number:012x}").as_str().into(),
        version: "1".into(),
        created: "2026-11-24T00:00:00Z".into(),
        class: None,
        policy: TrafficPolicy::Cluster,
        families: Families::default(),
        ports: [ServicePort { port: 80, protocol: Protocol::Tcp }].into(),
        load_balancer_ip: None,
        annotations: Some(Box::new(annotations)),
        ingress: Box::default(),
        condition: None,
    }
}

fn slice(service: &ServiceName) -> SliceRecord {
    let on = |node: &str| EndpointRecord { node: Some(node.into()), state: EndpointState::Ready };
    SliceRecord {
        service: service.clone(),
        name: service.name().into(),
        endpoints: ["n1", "n2", "n3"].map(on).into(),
    }
}
