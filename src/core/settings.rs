//! What the core needs to know, typed and already validated. `crate::config` makes it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use viplet_backend_api::{DuplicateDetection, LinkName};

use super::lease::LeaseName;

/// Everything that the core is told at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// This node's name, lower-case: the holder identity in leases and the Node object's name.
    pub node: String,
    /// The control-plane address, when there is one.
    pub control_plane: Option<ControlPlane>,
    /// Seed of the jitter.
    pub seed: u64,
}

/// The control-plane address and its election.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlPlane {
    /// The Lease that decides who holds the addresses.
    pub lease: LeaseName,
    /// Annotations for the Lease when we create it (`vip_leaseannotations`).
    pub lease_annotations: BTreeMap<String, String>,
    /// The election's times.
    pub timing: LeaseTiming,
    /// What to hold, at least one.
    pub targets: Vec<Target>,
    /// Which families of a DNS name count.
    pub dns_mode: DnsMode,
    /// Prefix lengths (`vip_subnet`).
    pub prefix: PrefixLengths,
    /// The link that carries the addresses.
    pub link: LinkChoice,
    /// Scope of addresses on `lo`.
    pub loopback_scope: LoopbackScope,
    /// Duplicate detection for IPv6 (`vip_skipdad`).
    pub duplicate_detection: DuplicateDetection,
    /// Time between two announcements of one address (`vip_arpRate`).
    pub announce_every: Duration,
    /// What to do with the IPv4 address when the lease is lost.
    pub on_loss: OnLoss,
    /// What to do as holder when the link goes down.
    pub on_link_down: OnLinkDown,
    /// What to do as candidate when the link is not up.
    pub link_not_up: LinkNotUp,
    /// Whether the holder's Node object carries a label.
    pub labelling: Labelling,
}

/// `vip_leaseduration`, `vip_renewdeadline`, `vip_retryperiod`; duration > deadline > 1.2 retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseTiming {
    /// How long a lease lasts without renewal.
    pub duration: Duration,
    /// A holder that has not renewed for so long says so.
    pub renew_deadline: Duration,
    /// Time between two tries.
    pub retry_period: Duration,
}

/// One thing to hold: an address, or whatever a DNS name resolves to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Target {
    /// A literal address.
    Address(IpAddr),
    /// A DNS name.
    Name(String),
}

/// Which addresses of a DNS name count (`dns_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DnsMode {
    /// The first record, whichever family.
    First,
    /// The first IPv4 address.
    Ipv4,
    /// The first IPv6 address.
    Ipv6,
    /// The first of each family; one family may be missing.
    Dual,
}

/// Prefix lengths per family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixLengths {
    /// 1..=32.
    pub v4: u8,
    /// 1..=128.
    pub v6: u8,
}

/// Which link carries the addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkChoice {
    /// `vip_interface`.
    Named(LinkName),
    /// The link of the default route, IPv4's first.
    DefaultRoute,
}

/// Scope of addresses on `lo` (`vip_interfaceloglobal`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoopbackScope {
    /// `RT_SCOPE_HOST`.
    Host,
    /// `RT_SCOPE_UNIVERSE`.
    Global,
}

/// `vip_preserve_on_leadership_loss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnLoss {
    /// Withdraw at once.
    Withdraw,
    /// Stop announcing at once; keep IPv4 addresses until another holder is seen.
    PreserveV4,
}

/// `vip_loseleadership` and `vip_loseleadership_timeout_seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnLinkDown {
    /// Keep the lease.
    Keep,
    /// Give the lease up when the link has been down for so long.
    Yield(Duration),
}

/// `vip_allow_interface_not_up`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkNotUp {
    /// Wait for it, and do not stand in the election.
    Wait,
    /// Stand all the same.
    Allow,
}

/// `enable_node_labeling`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Labelling {
    /// No label.
    Off,
    /// `kube-vip.io/has-ip` on the holder's Node.
    On,
}
