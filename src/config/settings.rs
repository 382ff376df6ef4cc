//! The typed, validated, immutable result.

use std::path::PathBuf;

use crate::core;
use crate::kube::AccessSettings;
use crate::shell::http::Listen;

/// Everything that the program is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For the core; its seed is 0 here, the shell draws one.
    pub core: core::settings::Settings,
    /// How addresses are made known.
    pub mode: Mode,
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
    /// The settings file that was read.
    pub config_file: Option<PathBuf>,
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
