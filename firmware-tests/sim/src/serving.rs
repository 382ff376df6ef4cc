//! One seed's Services: the settings, the addresses they may ask for, how busy the users are.

use std::net::IpAddr;
use std::time::Duration;

use viplet::core::LeaseName;
use viplet::core::settings::{
    ClassFilter, ControlPlane, DnsMode, EndpointSource, Labelling, LeaseTiming, LinkChoice,
    LinkNotUp, OnDemand, OnLinkDown, PER_TURN, PrefixLength, ServiceElection, ServiceLink,
    ServicePrefixes, Services, Target, Unclassed, Updates,
};
use viplet_backend_api::{DuplicateDetection, Presence};

use crate::clock::{MS, Nanos, S};
use crate::kernel::eth0;
use crate::rng::Rng;

/// The settings of kube-vip's own manifest: one Lease for all, 15/10/2.
#[must_use]
pub fn plain() -> Services {
    Services {
        namespace: None,
        class: ClassFilter::Legacy {
            name: "kube-vip.io/kube-vip-class".to_owned(),
            unclassed: Unclassed::Served,
        },
        election: ServiceElection::OneForAll,
        on_demand: OnDemand::Off,
        lease: LeaseName { namespace: "kube-system".into(), name: "plndr-svcs-lock".into() },
        timing: LeaseTiming {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        },
        link: ServiceLink::Choice(LinkChoice::Named(eth0().into())),
        presence: Presence::OnLink,
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

/// Whether there is a control-plane address beside the Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// Yes.
    Served,
    /// No.
    Absent,
}

/// Services of type LoadBalancer and their users.
#[derive(Clone, Debug)]
pub struct Serving {
    /// The settings, the same on every node.
    pub settings: Services,
    /// Addresses that Services ask for.
    pub pool: Vec<IpAddr>,
    /// The most Services at a time.
    pub most: usize,
    /// The longest time between two changes by users.
    pub pause: Nanos,
    /// Whether there is a control plane too.
    pub plane: Plane,
}

impl Serving {
    /// The Services of a seed, in a cluster with this control plane.
    #[must_use]
    pub fn draw(rng: &mut Rng, control_plane: &ControlPlane) -> Self {
        let plane = rng.pick(&[Plane::Served, Plane::Absent]);
        let same = plane == Plane::Served && rng.chance(250);
        let settings = Services {
            election: rng.pick(&[ServiceElection::OneForAll, ServiceElection::Each]),
            lease: if same { control_plane.lease.clone() } else { plain().lease },
            timing: control_plane.timing,
            link: ServiceLink::Choice(
                rng.pick(&[LinkChoice::Named(eth0().into()), LinkChoice::DefaultRoute]),
            ),
            duplicate_detection: control_plane.duplicate_detection,
            announce_every: control_plane.announce_every,
            on_link_down: control_plane.on_link_down,
            link_not_up: control_plane.link_not_up,
            updates: match rng.chance(150) {
                true => Updates::Withheld,
                false => Updates::Written,
            },
            labelling: control_plane.labelling,
            per_turn: rng.pick(&[1, 2, PER_TURN]),
            ..plain()
        };
        let pause = rng.pick(&[300 * MS, 2 * S, 10 * S, 30 * S]);
        let most = rng.between(1, 8) as usize;
        Self { settings, pool: pool(rng, plane, control_plane), most, pause, plane }
    }

    /// Whether Services share the control plane's lease.
    #[must_use]
    pub fn shares_lease(&self, control_plane: &ControlPlane) -> bool {
        self.plane == Plane::Served
            && self.settings.election == ServiceElection::OneForAll
            && self.settings.lease == control_plane.lease
    }

    /// How long a lease lasts.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.settings.timing.duration
    }
}

fn pool(rng: &mut Rng, plane: Plane, control_plane: &ControlPlane) -> Vec<IpAddr> {
    let count = rng.between(1, 6);
    let mut pool: Vec<IpAddr> = (0..count)
        .map(|n| match rng.chance(350) {
            true => format!("2001:db8::2:{n}").parse().unwrap(),
            false => IpAddr::from([192, 0, 2, 200 + n as u8]),
        })
        .collect();
    if let (Plane::Served, true, Some(Target::Address(shared))) =
        (plane, rng.chance(200), control_plane.targets.first())
    {
        pool.push(*shared);
    }
    pool
}
