//! The typed, validated, immutable result.

use std::path::PathBuf;

use super::network::Listener;
use crate::core;

/// Everything that the program is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For the core; its seed is 0 here, the shell draws one.
    pub core: core::settings::Settings,
    /// How addresses are made known.
    pub mode: Mode,
    /// How to reach the API server.
    pub access: AccessSettings,
    /// `vip_loglevel`.
    pub log: LogThreshold,
    /// `prometheus_server`; `None`: no metrics.
    pub metrics: Option<Listener>,
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

/// What the settings say about reaching the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSettings {
    /// `k8s_config_file`, when it names another file than the two that are looked for anyway.
    pub kubeconfig: Option<PathBuf>,
    /// `kubernetes_addr`.
    pub server_override: Option<String>,
    /// `cp_detect`.
    pub detect_control_plane: Detect,
    /// `port`.
    pub port: u16,
    /// `cp_enable`.
    pub control_plane: ControlPlane,
}

/// `cp_detect`: whether to use the API server of this very node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detect {
    /// No.
    Off,
    /// Yes: on loopback.
    On,
}

/// `cp_enable`: whether the control plane's address is held from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlPlane {
    /// No.
    Off,
    /// Yes.
    On,
}

/// `vip_loglevel`: the lowest slog level that is logged (-4 debug, 0 info, 4 warnings, 8 errors).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogThreshold(pub i32);

impl LogThreshold {
    /// Whether a line of this slog level is logged.
    #[must_use]
    pub const fn shows(self, level: i32) -> bool {
        level >= self.0
    }
}
