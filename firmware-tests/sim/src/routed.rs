//! One seed's routed network: nodes announce to routers (BGP) instead of to a segment, and
//! routers choose among them.

use std::time::Duration;

use viplet::core::settings::{
    HealthGate, LinkChoice, OnLoss, PlaneElection, ServiceElection, ServiceLink, Target,
};
use viplet_backend_api::{LinkName, Presence};

use crate::clock::{MS, Nanos, S};
use crate::kernel::eth0;
use crate::rng::Rng;
use crate::setup::Setup;

/// How nodes and routers get on.
#[derive(Clone, Copy, Debug)]
pub struct Routed {
    /// Routers that each node has a session with; they all hear the same.
    pub peers: u32,
    /// After so long without a word a router gives a session up (RFC 4271 §4.2).
    pub hold: Nanos,
    /// How long routers keep the routes of a process that went without a word (RFC 4724).
    pub restart: Option<Nanos>,
    /// The most that a session takes to come up.
    pub connect: Nanos,
    /// Time between two checks of a node's API server.
    pub check_every: Nanos,
}

impl Setup {
    /// The same cluster with Services in a routed network.
    #[must_use]
    pub fn routed(self, rng: &mut Rng) -> Self {
        let mut setup = self.serving(rng);
        setup.clients = 0;
        let every = Duration::from_secs(60);
        let lo = LinkName::new("lo").expect("a valid name");
        let plane = &mut setup.plane;
        plane.targets = setup.vips.iter().copied().map(Target::Address).collect();
        plane.election =
            rng.pick(&[PlaneElection::EveryNode, PlaneElection::EveryNode, PlaneElection::ByLease]);
        plane.health =
            rng.pick(&[HealthGate::Open, HealthGate::Failures(1), HealthGate::Failures(3)]);
        plane.announce_every = every;
        plane.on_loss = OnLoss::Withdraw;
        plane.link = LinkChoice::Named(rng.pick(&[lo.clone(), lo.clone(), eth0()]).into());
        let serving = setup.services.as_mut().expect("Services");
        let settings = &mut serving.settings;
        settings.election = rng.pick(&[
            ServiceElection::EveryNode,
            ServiceElection::EveryNode,
            ServiceElection::EveryNode,
            ServiceElection::Each,
        ]);
        settings.presence = rng.pick(&[Presence::MadeKnown, Presence::OnLink]);
        let link = match settings.presence {
            Presence::MadeKnown => lo,
            Presence::OnLink => rng.pick(&[lo, eth0()]),
        };
        settings.link = ServiceLink::Choice(LinkChoice::Named(link.into()));
        settings.announce_every = every;
        setup.routed = Some(Routed {
            peers: rng.between(1, 3) as u32,
            hold: rng.pick(&[3 * S, 9 * S, 30 * S]),
            restart: rng.pick(&[None, Some(20 * S), Some(120 * S)]),
            connect: rng.pick(&[50 * MS, 2 * S]),
            check_every: rng.pick(&[S, 2 * S, 5 * S]),
        });
        setup
    }

    /// Whether no lease decides about the control plane's addresses.
    #[must_use]
    pub fn plane_is_everywhere(&self) -> bool {
        self.plane.election == PlaneElection::EveryNode
    }

    /// Whether no lease decides about Services' addresses.
    #[must_use]
    pub fn services_are_everywhere(&self) -> bool {
        let election = self.services.as_ref().map(|serving| serving.settings.election);
        election == Some(ServiceElection::EveryNode)
    }
}
