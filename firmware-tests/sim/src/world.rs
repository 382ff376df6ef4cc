//! The world: nodes, the API server, the LAN, and what happens next. Split over the files of
//! this folder by what it is about: [`process`], [`cluster`], [`wire`], [`faults`], [`laws`].

mod carrying;
mod cluster;
mod faults;
mod feeds;
mod laws;
mod process;
mod recordings;
mod route_laws;
mod routing;
mod service_laws;
mod wire;
mod workload;
mod writes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use viplet::core::carry::Carrier;
use viplet::core::cluster::record::{ServiceRecord, SliceRecord};
use viplet::core::input::{Mark, ServiceOutcome};
use viplet::core::{Core, Input, LeaseName, Moment, Settings};
use viplet_backend_api::HardwareAddress;

pub use faults::{Fault, Planned, draw_plan};
pub use laws::{Breach, Law, bound, time_to_see};
pub use recordings::{Keep, Recorded};

use crate::api::{Bookmarks, Collection, Resource, Selectors, Store, Watch};
use crate::clientgo::ClientGo;
use crate::clock::{MS, Nanos, NodeClock, S};
use crate::kernel::Kernel;
use crate::lan::{Client, Lan, Station};
use crate::leases::{Answer, wall_text};
use crate::machine::Machine;
use crate::objects::Objects;
use crate::plant::plant;
use crate::queue::Queue;
use crate::rng::Rng;
use crate::router::Peering;
use crate::setup::{Kind, Setup};
use crate::trace::{Echo, Trace};
use cluster::{Call, Trouble, Watching};
use feeds::Feed;
use laws::{Laws, Track};
use recordings::Recordings;
use routing::{ProcessEnd, Speaker};
use writes::Writing;

/// Which incarnation of a node's process something is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    node: usize,
    life: u64,
}

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A node's process starts.
    Start { node: usize },
    /// The deadline of a process, if it is still the same one.
    Wake { who: Who, wake: u64 },
    /// A process takes its next input.
    Turn { who: Who },
    /// A process carries out what is next.
    Carry { who: Who },
    /// A process gets an input.
    Give { who: Who, input: Input },
    /// A process reads from its monitor that notices were lost, and dumps.
    Resync { who: Who },
    /// A kernel has something to do.
    Kernel { node: usize, tick: u64 },
    /// A request reaches the API server.
    Arrive { call: u64 },
    /// An answer reaches the node.
    Answer { call: u64, answer: Answer },
    /// A request's time is up.
    Timeout { call: u64 },
    /// A watch is opened.
    Open { who: Who, watch: u64 },
    /// A watch event reaches the node.
    Deliver { who: Who, watch: u64, version: String, input: Input },
    /// A watch that has been silent for too long is broken off.
    Silence { who: Who, watch: u64 },
    /// A watch of one sort is opened.
    OpenFeed { who: Who, sort: usize, number: u64 },
    /// What such a watch tells reaches the node.
    FromFeed { who: Who, sort: usize, number: u64, version: u64, input: Input },
    /// Such a watch that has been silent for too long is broken off.
    SilentFeed { who: Who, sort: usize, number: u64 },
    /// The read before a write to a Service reaches the server.
    WriteReads { call: u64 },
    /// Its answer reaches the node.
    WriteSends { call: u64, read: ServiceRecord },
    /// The write reaches the server.
    WriteStores { call: u64, who: Who, changed: ServiceRecord },
    /// What became of it reaches the node.
    Written { call: u64, outcome: ServiceOutcome },
    /// The time for it is up.
    WriteTimeout { call: u64 },
    /// A mark on a Lease reaches the server.
    Mark { who: Who, lease: LeaseName, mark: Mark },
    /// Users change something about Services.
    Work,
    /// Endpoints that failed are back.
    SliceBack { slice: SliceRecord },
    /// A node's API server is checked.
    Check { who: Who },
    /// A frame reaches a station.
    Frame { from: usize, to: Station, address: IpAddr },
    /// The clients make sure of what they know.
    Probe,
    /// Planned fault number so-and-so begins.
    Begin { fault: usize },
    /// And ends.
    End { fault: usize },
    /// All faults are over.
    Heal,
    /// All processes are asked to stop.
    StopAll,
    /// The laws that speak of time are looked at.
    Look,
}

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Waiting,
    TurnArranged,
    CarryingOut,
    /// Carrying out, and asleep.
    HeldUp,
}

/// Whether the machine's stop was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    No,
    ToStop { at: Nanos },
}

/// A running program on a node.
pub(crate) struct Process {
    life: u64,
    machine: Box<dyn Machine>,
    inbox: VecDeque<Input>,
    carrier: Carrier,
    doing: Doing,
    wake: u64,
    /// Turns by deadline alone in the current second.
    spins: (Nanos, u32),
    /// Added in this turn and not announced in it yet.
    unannounced: BTreeSet<IpAddr>,
    /// Gone from the kernel, and the notice of it is still on its way.
    untold: BTreeSet<IpAddr>,
    asked: Asked,
    watching: Watching,
    feeds: [Feed; 4],
    speaker: Speaker,
    /// Inputs from one source keep their order.
    notices_at: Nanos,
    started: Nanos,
}

/// Whether a process gets the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Schedule {
    Prompt,
    /// Every turn comes late.
    Starved,
    /// SIGSTOP.
    Paused,
}

/// One machine of the cluster.
pub(crate) struct Node {
    name: String,
    kind: Kind,
    clock: NodeClock,
    /// Its wall clock minus true time, in microseconds.
    wall: u64,
    kernel: Kernel,
    kernel_tick: u64,
    process: Option<Process>,
    lives: u64,
    schedule: Schedule,
    /// How many faults cut it off from the API server.
    cuts: u32,
    /// How many of its routers do not speak to it.
    peers_lost: u32,
    /// How many faults make checks of its API server fail.
    checks_fail: u32,
    /// How its last process went.
    process_end: ProcessEnd,
    /// Crash after so many more effects.
    doomed: Option<u32>,
    track: Track,
}

/// The world.
pub struct World {
    now: Nanos,
    queue: Queue<Event>,
    rng: Rng,
    /// What happened.
    pub trace: Trace,
    setup: Setup,
    store: Store,
    objects: Objects,
    /// How far the objects has taken Leases over.
    lease_cursor: Watch,
    trouble: Trouble,
    calls: BTreeMap<u64, Call>,
    writings: BTreeMap<u64, Writing>,
    called: u64,
    lan: Lan,
    /// What the routers know of each node, in a routed world.
    router: Vec<Peering>,
    nodes: Vec<Node>,
    plan: Vec<Planned>,
    laws: Laws,
    pub(crate) recordings: Recordings,
    /// Faults so far, by kind.
    pub faults: BTreeMap<&'static str, u64>,
}

fn hardware(node: usize) -> HardwareAddress {
    HardwareAddress(vec![2, 0, 0, 0, 0, u8::try_from(node + 1).unwrap_or(u8::MAX)])
}

fn own_address(node: usize) -> IpAddr {
    let last = u8::try_from(node + 11).unwrap_or(u8::MAX);
    IpAddr::from([192, 0, 2, last])
}

impl World {
    /// The world of a seed; nothing has happened yet.
    #[must_use]
    pub fn new(setup: Setup, mut rng: Rng, echo: Echo) -> Self {
        let nodes = (0..setup.nodes.len()).map(|index| Node::new(index, &setup, &mut rng));
        let nodes: Vec<Node> = nodes.collect();
        let clients = vec![Client::default(); setup.clients];
        let log = rng.between(5, 500) as usize;
        let store = Store::new(log, &wall_text(0));
        let (leases, all) = (Collection::all(Resource::Leases), Selectors::default());
        let lease_cursor = store.watch(leases, all, "0", Bookmarks::Off).expect("a watch");
        let mut world = Self {
            now: 0,
            queue: Queue::default(),
            trace: Trace::new(echo),
            store,
            objects: Objects::new(log),
            lease_cursor,
            trouble: Trouble::default(),
            calls: BTreeMap::new(),
            writings: BTreeMap::new(),
            called: 0,
            lan: Lan::new(clients),
            router: vec![Peering::default(); nodes.len()],
            nodes,
            plan: Vec::new(),
            laws: Laws::default(),
            recordings: Recordings::default(),
            faults: BTreeMap::new(),
            setup,
            rng,
        };
        for node in 0..world.nodes.len() {
            let at = world.rng.micros(0, 3_000_000);
            world.queue.at(at, Event::Start { node });
        }
        world.leftovers();
        world.found_services();
        world.queue.at(S, Event::Probe);
        world.queue.at(S, Event::Look);
        world
    }

    /// Says whether every node's inputs are recorded.
    pub fn keep(&mut self, keep: Keep) {
        self.recordings.keep = keep;
    }

    /// Arranges faults, the end of all faults at `heal`, and a stop of everything at `stop`.
    pub fn arrange(&mut self, plan: Vec<Planned>, heal: Nanos, stop: Nanos) {
        for (fault, planned) in plan.iter().enumerate() {
            self.queue.at(planned.at, Event::Begin { fault });
            self.queue.at(planned.end.min(heal), Event::End { fault });
        }
        self.queue.at(heal, Event::Heal);
        self.queue.at(stop, Event::StopAll);
        self.laws.arrange(&self.setup, &plan, heal, stop);
        self.arrange_service_laws(heal, bound(&self.setup, &plan), stop);
        self.plan = plan;
    }

    /// True time now.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// Lets the next thing happen, and holds it against the laws.
    ///
    /// # Errors
    /// The law that was broken.
    pub fn step(&mut self) -> Result<(), Breach> {
        let Some((at, event)) = self.queue.pop() else { return Ok(()) };
        self.now = at.max(self.now);
        self.happen(event);
        self.route();
        self.check()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Start { node } => self.start(node),
            Event::Wake { who, wake } => self.wake(who, wake),
            Event::Turn { who } => self.turn(who),
            Event::Carry { who } => self.carry(who),
            Event::Give { who, input } => self.give(who, input),
            Event::Resync { who } => self.resync(who),
            Event::Kernel { node, tick } => self.kernel_ticks(node, tick),
            Event::Arrive { call } => self.arrive(call),
            Event::Answer { call, answer } => self.answered(call, answer),
            Event::Timeout { call } => self.timeout(call),
            Event::Open { who, watch } => self.open_watch(who, watch),
            Event::Deliver { who, watch, version, input } => {
                self.deliver(who, watch, version, input);
            }
            Event::Silence { who, watch } => self.silence(who, watch),
            Event::OpenFeed { who, sort, number } => self.open_feed(who, sort, number),
            Event::FromFeed { who, sort, number, version, input } => {
                self.fed(who, sort, number, (version, input));
            }
            Event::SilentFeed { who, sort, number } => self.silent_feed(who, sort, number),
            Event::WriteReads { call } => self.write_reads(call),
            Event::WriteSends { call, read } => self.write_sends(call, read),
            Event::WriteStores { call, who, changed } => self.write_stores(call, who, changed),
            Event::Written { call, outcome } => self.written(call, outcome),
            Event::WriteTimeout { call } => self.write_timeout(call),
            Event::Mark { who, lease, mark } => self.mark_arrives(who, &lease, &mark),
            Event::Work => self.work(),
            Event::SliceBack { slice } => self.slice_back(slice),
            Event::Check { who } => self.check_plane(who),
            Event::Frame { from, to, address } => self.frame(from, to, address),
            Event::Probe => self.probe(),
            Event::Begin { fault } => self.begin(fault),
            Event::End { fault } => self.end(fault),
            Event::Heal => self.heal(),
            Event::StopAll => self.stop_all(),
            Event::Look => {
                self.status_is_true();
                self.queue.at(self.now + 100 * MS, Event::Look);
            }
        }
    }

    /// The process that something is meant for, if it still runs.
    fn process(&mut self, who: Who) -> Option<&mut Process> {
        let process = self.nodes[who.node].process.as_mut();
        process.filter(|process| process.life == who.life)
    }

    fn moment(&self, node: usize) -> Moment {
        self.nodes[node].clock.moment(self.now)
    }

    fn wall(&self, node: usize) -> String {
        wall_text(self.nodes[node].wall + self.now / 1000)
    }

    fn machine(&mut self, who: Who) -> Box<dyn Machine> {
        let node = who.node;
        let (now, seed) = (self.moment(node), self.rng.draw());
        let (name, plane) = (self.setup.name(node), self.setup.plane.clone());
        match self.nodes[node].kind {
            Kind::Foreign => Box::new(ClientGo::new(&name, plane, seed, now)),
            Kind::Viplet => {
                let control_plane = self.setup.has_plane().then_some(plane);
                let services = self.setup.services.as_ref().map(|s| s.settings.clone());
                let settings = Settings { node: name, control_plane, services, seed };
                self.recordings.begin(who, &settings, now);
                plant(self.setup.plant, node, Box::new(Core::new(settings, now)), now)
            }
        }
    }
}

impl Node {
    fn new(index: usize, setup: &Setup, rng: &mut Rng) -> Self {
        let ppm = rng.between(0, 400) as i64 - 200;
        Self {
            name: format!("node-{index}"),
            kind: setup.nodes[index],
            clock: NodeClock::new(0, rng.between(20, 2_000_000) * S, ppm),
            wall: rng.between(0, 20 * 86_400) * 1_000_000,
            kernel: Kernel::new(hardware(index), own_address(index)),
            kernel_tick: 0,
            process: None,
            lives: 0,
            schedule: Schedule::Prompt,
            cuts: 0,
            peers_lost: 0,
            checks_fail: 0,
            process_end: ProcessEnd::default(),
            doomed: None,
            track: Track::default(),
        }
    }
}
