//! One run: a seed, what it simulated, and the law that it broke, if any.

use std::collections::BTreeMap;
use std::time::Duration;

use viplet::core::settings::LeaseTiming;

use crate::clock::{Nanos, S};
use crate::plant::Plant;
use crate::rng::Rng;
use crate::setup::{Kind, Setup};
use crate::trace::Echo;
use crate::world::{Breach, Fault, Keep, Planned, Recorded, World, bound, draw_plan, time_to_see};

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Which world it was.
    pub services: Services,
    /// The first law that was broken.
    pub breach: Option<Breach>,
    /// Simulated time.
    pub simulated: Duration,
    /// Nodes in the cluster.
    pub nodes: usize,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Hash of everything that happened.
    pub hash: u64,
    /// How many lines of trace there were.
    pub lines: u64,
    /// The last lines.
    pub last: Vec<String>,
    /// What each node was given, where it was kept, named after node and life.
    pub recordings: Vec<(String, Recorded)>,
}

impl Outcome {
    /// What a person needs of a failing run: what broke, how it came to it, how to see it again.
    #[must_use]
    pub fn report(&self) -> String {
        let breach = self.breach.as_ref().map_or("nothing broke".to_owned(), ToString::to_string);
        let world = match self.services {
            Services::AsDrawn => "",
            Services::Never => " --no-services",
            Services::Always => " --services",
            Services::Routed => " --routed",
            Services::Namesakes => " --namesakes",
        };
        format!(
            "{}\n\nseed {seed}: {breach}\nagain: scripts/sim --seed {seed} --trace{world}\n\
             what each node heard, for viplet replay: scripts/sim --seed {seed} --record \
             FOLDER{world}",
            self.last.join("\n"),
            seed = self.seed
        )
    }
}

/// Which clusters have Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Services {
    /// As the seed has it: more than half of them.
    #[default]
    AsDrawn,
    /// None.
    Never,
    /// All.
    Always,
    /// All, and nodes announce to routers.
    Routed,
    /// None, and two nodes have one name.
    Namesakes,
}

/// Runs a seed's cluster through its faults, to the end.
#[must_use]
pub fn run(seed: u64, plant: Plant, echo: Echo) -> Outcome {
    run_with(seed, Services::AsDrawn, plant, echo)
}

/// The same, with or without Services.
#[must_use]
pub fn run_with(seed: u64, services: Services, plant: Plant, echo: Echo) -> Outcome {
    run_kept(seed, services, plant, (echo, Keep::Nothing))
}

/// The same, and the nodes' inputs are recorded or not.
#[must_use]
pub fn run_kept(
    seed: u64,
    services: Services,
    plant: Plant,
    (echo, keep): (Echo, Keep),
) -> Outcome {
    let mut rng = Rng::new(seed);
    let mut setup = Setup::draw(&mut rng, plant);
    // A sequence of its own: a cluster without Services does what it always did.
    let mut more = Rng::new(seed ^ 0x5e1f_5e11);
    let drawn = more.chance(600);
    if services == Services::Routed {
        setup = setup.routed(&mut Rng::new(seed ^ 0x0b67_0b67));
    } else if services == Services::Namesakes {
        setup = setup.with_namesakes();
    } else if services == Services::Always || (services == Services::AsDrawn && drawn) {
        setup = setup.serving(&mut more);
    }
    let heal = S * rng.between(60, 240);
    let mut plan = draw_plan(&mut rng, &setup, 5 * S, heal);
    if setup.services.is_some() && more.chance(200) {
        plan.truncate(more.index(2)); // Calm enough to see that nothing moves without a reason.
    }
    live_through(setup, rng, (plan, heal), (seed, services, echo, keep))
}

/// A seed's cluster of nodes that have nothing but too little processor time, for minutes.
#[must_use]
pub fn run_under_load(seed: u64, echo: Echo) -> Outcome {
    let mut rng = Rng::new(seed);
    let mut setup = Setup::draw(&mut rng, Plant::None);
    setup.nodes.fill(Kind::Viplet);
    setup.plane.timing = LeaseTiming {
        duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    };
    let (at, end) = (30 * S, 330 * S);
    let starve = |node| Planned { fault: Fault::Starve, node, at, end };
    let plan = (0..setup.nodes.len()).map(starve).collect();
    live_through(setup, rng, (plan, end), (seed, Services::Never, echo, Keep::Nothing))
}

fn live_through(
    setup: Setup,
    rng: Rng,
    (plan, heal): (Vec<Planned>, Nanos),
    (seed, services, echo, keep): (u64, Services, Echo, Keep),
) -> Outcome {
    let stop = heal + bound(&setup, &plan) + time_to_see(&setup) + 25 * S;
    let nodes = setup.nodes.len();
    let mut world = World::new(setup, rng, echo);
    world.keep(keep);
    world.arrange(plan, heal, stop);
    let breach = live(&mut world, stop + 3 * S).err();
    if let Some(breach) = &breach {
        let now = world.now();
        world.trace.line(now, format_args!("BREACH {breach}"));
    }
    Outcome {
        seed,
        services,
        breach,
        simulated: Duration::from_nanos(world.now()),
        nodes,
        faults: std::mem::take(&mut world.faults),
        hash: world.trace.hash(),
        lines: world.trace.lines(),
        recordings: std::mem::take(&mut world.recordings).into_all().collect(),
        last: world.trace.into_last(),
    }
}

fn live(world: &mut World, until: Nanos) -> Result<(), Breach> {
    while world.now() < until {
        world.step()?;
    }
    world.verdict()
}
