//! One seed's cluster: how many nodes, of which kind, with which settings.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use viplet::core::LeaseName;
use viplet::core::settings::{
    ControlPlane, DnsMode, Labelling, LeaseTiming, LinkChoice, LinkNotUp, LoopbackScope,
    OnLinkDown, OnLoss, PrefixLengths, Target,
};
use viplet_backend_api::DuplicateDetection;

use crate::kernel::eth0;
use crate::plant::Plant;
use crate::rng::Rng;
use crate::routed::Routed;
use crate::serving::{Plane, Serving};

/// What a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// viplet's core.
    Viplet,
    /// The client-go candidate.
    Foreign,
}

/// What the nodes are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Each has a name of its own.
    Own,
    /// The first two have one name, by mistake.
    OneForTwo,
}

/// A cluster.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What each node runs.
    pub nodes: Vec<Kind>,
    /// What they are called.
    pub names: Names,
    /// How many clients there are on the LAN.
    pub clients: usize,
    /// The settings, the same on every node.
    pub plane: ControlPlane,
    /// What the targets stand for.
    pub vips: Vec<IpAddr>,
    /// A fault of the program itself.
    pub plant: Plant,
    /// Services of type LoadBalancer, in some clusters.
    pub services: Option<Serving>,
    /// The routers, in some clusters; else the nodes are on one segment with their clients.
    pub routed: Option<Routed>,
}

/// The DNS name in some set-ups, and what it stands for.
pub const NAME: &str = "vip.example";

impl Setup {
    /// The cluster of a seed.
    #[must_use]
    pub fn draw(rng: &mut Rng, plant: Plant) -> Self {
        let count = rng.between(2, 5) as usize;
        let foreign = if rng.chance(150) && plant == Plant::None { 1 } else { 0 };
        let kind = |node| if node < count - foreign { Kind::Viplet } else { Kind::Foreign };
        let (v4, v6) = ("192.0.2.100".parse().unwrap(), "2001:db8::100".parse().unwrap());
        let vips: Vec<IpAddr> = rng.pick(&[vec![v4], vec![v4], vec![v6], vec![v4, v6]]);
        let named = rng.chance(150) && foreign == 0 && plant == Plant::None;
        let targets = match named {
            true => vec![Target::Name(NAME.to_owned())],
            false => vips.iter().copied().map(Target::Address).collect(),
        };
        let on_loss = match rng.chance(100) && plant == Plant::None {
            true => OnLoss::PreserveV4,
            false => OnLoss::Withdraw,
        };
        let plane = ControlPlane {
            lease: LeaseName {
                namespace: "kube-system".to_owned(),
                name: "plndr-cp-lock".to_owned(),
            },
            lease_annotations: BTreeMap::new(),
            timing: timing(rng, foreign),
            election: viplet::core::settings::PlaneElection::ByLease,
            health: viplet::core::settings::HealthGate::Open,
            targets,
            dns_mode: DnsMode::Dual,
            prefix: PrefixLengths { v4: 32, v6: 128 },
            link: rng.pick(&[LinkChoice::Named(eth0().into()), LinkChoice::DefaultRoute]),
            loopback_scope: LoopbackScope::Host,
            duplicate_detection: rng.pick(&[DuplicateDetection::Skip, DuplicateDetection::Kernel]),
            announce_every: Duration::from_secs(rng.pick(&[1, 3, 3])),
            on_loss,
            on_link_down: rng.pick(&[OnLinkDown::Keep, OnLinkDown::Yield(Duration::from_secs(3))]),
            link_not_up: rng.pick(&[LinkNotUp::Wait, LinkNotUp::Wait, LinkNotUp::Allow]),
            labelling: rng.pick(&[Labelling::Off, Labelling::On]),
        };
        Self {
            nodes: (0..count).map(kind).collect(),
            names: Names::Own,
            clients: rng.between(1, 3) as usize,
            plane,
            vips,
            plant,
            services: None,
            routed: None,
        }
    }

    /// The same cluster with Services. Candidates of other programs know nothing of them.
    #[must_use]
    pub fn serving(self, rng: &mut Rng) -> Self {
        let serving = Serving::draw(rng, &self.plane);
        let vips = match serving.plane {
            Plane::Served => self.vips,
            Plane::Absent => Vec::new(),
        };
        let nodes = vec![Kind::Viplet; self.nodes.len()];
        Self { nodes, vips, services: Some(serving), ..self }
    }

    /// The same cluster, and two of its nodes have one name. Those of other programs could not tell
    /// each other apart.
    #[must_use]
    pub fn with_namesakes(self) -> Self {
        let nodes = vec![Kind::Viplet; self.nodes.len()];
        Self { nodes, names: Names::OneForTwo, ..self }
    }

    /// What a node takes for its name.
    #[must_use]
    pub fn name(&self, node: usize) -> String {
        match (self.names, node) {
            (Names::OneForTwo, 1) => "node-0".to_owned(),
            _ => format!("node-{node}"),
        }
    }

    /// Whether there is a control-plane address.
    #[must_use]
    pub fn has_plane(&self) -> bool {
        self.services.as_ref().is_none_or(|serving| serving.plane == Plane::Served)
    }

    /// All addresses that may be on some node by viplet's doing.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let pool = self.services.iter().flat_map(|serving| serving.pool.iter().copied());
        let pool = pool.filter(|address| !self.vips.contains(address));
        self.vips.iter().copied().chain(pool).collect()
    }

    /// Whether candidates of other programs take part.
    #[must_use]
    pub fn has_foreign(&self) -> bool {
        self.nodes.contains(&Kind::Foreign)
    }

    /// Time between two renewals of a holder (`core::rights::election::term::renew_every`).
    #[must_use]
    pub fn renew_every(&self) -> Duration {
        viplet::core::rights::election::term::renew_every(&self.plane.timing)
    }

    /// Whether two nodes may have this address: the user asked for it
    /// (`vip_preserve_on_leadership_loss`).
    #[must_use]
    pub fn may_linger(&self, address: IpAddr) -> bool {
        self.plane.on_loss == OnLoss::PreserveV4 && address.is_ipv4()
    }
}

fn timing(rng: &mut Rng, foreign: usize) -> LeaseTiming {
    let drawn = rng.pick(&[(15, 10, 2), (15, 10, 2), (5, 3, 1), (8, 6, 2)]);
    // client-go acts up to retry period + renew deadline after its last renewal: with 8/6/2 that
    // is the whole duration, and it overlaps with whoever comes next, by its own doing.
    let (duration, deadline, retry) = if foreign > 0 && drawn.0 == 8 { (15, 10, 2) } else { drawn };
    LeaseTiming {
        duration: Duration::from_secs(duration),
        renew_deadline: Duration::from_secs(deadline),
        retry_period: Duration::from_secs(retry),
    }
}
