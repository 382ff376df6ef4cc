//! What a lab is built of: nodes, addresses, times, the API server, settings.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::api::{ApiKind, ApiUser};
use crate::prober;

/// Lease duration, renew deadline and retry period, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing(pub u32, pub u32, pub u32);

impl Timing {
    /// Short, for tests.
    pub const SHORT: Self = Self(4, 3, 1);
    /// As people set it who want a fast move.
    pub const FAST: Self = Self(5, 3, 1);
    /// kube-vip's default.
    pub const DEFAULT: Self = Self(15, 10, 2);

    /// The lease duration.
    pub fn lease(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

/// What is asked of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// The control plane's addresses.
    ControlPlane,
    /// The addresses of Services, whichever they come to be.
    Services,
    /// Both.
    Both,
}

/// What to build.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many nodes.
    pub nodes: u8,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// The election's times.
    pub timing: Timing,
    /// Which API server.
    pub api: ApiKind,
    /// As whom the programs come to it.
    pub user: ApiUser,
    /// What is asked of the programs.
    pub duty: Duty,
    /// How often the client asks.
    pub probe_every: Duration,
    /// More settings, on every node.
    pub settings: Vec<(&'static str, &'static str)>,
}

impl Plan {
    /// `nodes` nodes, short times, and one address: 10.77.0.100.
    pub fn new(nodes: u8) -> Self {
        let address = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 100));
        Self {
            nodes,
            addresses: vec![address],
            timing: Timing::SHORT,
            api: ApiKind::Model,
            user: ApiUser::Master,
            duty: Duty::ControlPlane,
            probe_every: prober::PERIOD,
            settings: Vec::new(),
        }
    }

    /// `nodes` nodes that serve Services on the real API server, with the rights of a
    /// ServiceAccount; no control plane.
    pub fn services(nodes: u8) -> Self {
        let plan = Self::new(nodes).addresses(&[]).api(ApiKind::Real);
        Self { user: ApiUser::ServiceAccount, duty: Duty::Services, ..plan }
    }

    /// With nothing noted of what the programs ask of the API server.
    #[must_use]
    pub fn unaudited(mut self) -> Self {
        self.user = ApiUser::Unaudited;
        self
    }

    /// With the control plane's address 10.77.0.100 too.
    #[must_use]
    pub fn and_control_plane(mut self) -> Self {
        self.duty = Duty::Both;
        self.addresses(&["10.77.0.100"])
    }

    /// With these addresses instead.
    #[must_use]
    pub fn addresses(mut self, addresses: &[&str]) -> Self {
        self.addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        self
    }

    /// With these times instead.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// With this API server instead.
    #[must_use]
    pub fn api(mut self, kind: ApiKind) -> Self {
        self.api = kind;
        self
    }

    /// With a client that asks this often.
    #[must_use]
    pub fn probe_every(mut self, period: Duration) -> Self {
        self.probe_every = period;
        self
    }

    /// With one more setting.
    #[must_use]
    pub fn set(mut self, name: &'static str, value: &'static str) -> Self {
        self.settings.push((name, value));
        self
    }
}
