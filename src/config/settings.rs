//! The typed, validated, immutable result.

use std::path::PathBuf;
use std::time::Duration;

use crate::core;
use crate::kube::AccessSettings;
use crate::registry::BackendSettings;
use crate::shell::http::Listen;

/// Everything that the program is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For the core; its seed is 0 here, the shell draws one.
    pub core: core::settings::Settings,
    /// How addresses are made known.
    pub mode: Mode,
    /// The settings of that mode's own backend.
    pub backend: BackendSettings,
    /// How the API server on this node is checked, where the control plane depends on it.
    pub health_check: Option<HealthCheck>,
    /// Which deployment of several on this node: `instance_name`, else `svc_namespace` (J-26).
    pub instance: String,
    /// How to reach the API server.
    pub access: AccessSettings,
    /// `vip_loglevel`.
    pub log: LogThreshold,
    /// `prometheus_server`; `None`: no metrics.
    pub metrics: Option<Listen>,
    /// `health_check_port`; `None`: off.
    pub health_port: Option<u16>,
    /// `record_file`: where the last inputs are written when they are asked for; `None`: they are
    /// not kept.
    pub record_file: Option<PathBuf>,
    /// The settings file that was read.
    pub config_file: Option<PathBuf>,
}

/// `control_plane_health_check_*` (CP-8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked, `https://127.0.0.1:6443/livez`: 200 is healthy.
    pub url: String,
    /// Time between two checks.
    pub every: Duration,
    /// A check that takes longer has failed.
    pub within: Duration,
    /// A file with certificates that are trusted too.
    pub authority: Option<PathBuf>,
}

/// How addresses are made known: exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `vip_arp`.
    Arp,
    /// `bgp_enable`.
    Bgp,
    /// `vip_routingtable`.
    RoutingTable,
    /// `vip_wireguard`.
    Wireguard,
}

impl Mode {
    /// Whether routers find the way to an address, so that several nodes may have it.
    #[must_use]
    pub const fn is_routed(self) -> bool {
        matches!(self, Self::Bgp)
    }

    /// The Cargo feature of its backend.
    #[must_use]
    pub const fn feature(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::Bgp => "bgp",
            Self::RoutingTable => "route-table",
            Self::Wireguard => "wireguard",
        }
    }

    /// Its name, for a person.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arp => "ARP",
            Self::Bgp => "BGP",
            Self::RoutingTable => "routing table",
            Self::Wireguard => "WireGuard",
        }
    }
}

impl Settings {
    /// Where `/metrics`, `/status` and the probes are served.
    pub fn listeners(&self) -> impl Iterator<Item = Listen> {
        self.metrics.clone().into_iter().chain(self.health_port.map(Listen::Everywhere))
    }
}

/// `vip_loglevel`: the lowest slog level that is logged (-4 debug, 0 info, 4 warnings, 8
/// errors), as `crate::shell::logger::install` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogThreshold(pub i32);
