//! What the core needs to know, typed and already validated. `crate::config` makes it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use viplet_backend_api::{DuplicateDetection, InterfaceName, Presence};

use crate::core::rights::lease::LeaseName;

/// Everything that the core is told at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// This node's name, lower-case: the holder identity in leases and the Node object's name.
    pub node: String,
    /// The control-plane address, when there is one.
    pub control_plane: Option<ControlPlane>,
    /// Services of type LoadBalancer, when they are ours to serve.
    pub services: Option<Services>,
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
    /// Who holds the addresses.
    pub election: PlaneElection,
    /// What has to be so on a node that holds them.
    pub health: HealthGate,
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

/// Who holds the control plane's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlaneElection {
    /// The holder of the Lease.
    ByLease,
    /// Every node that can: the network chooses among them (`vip_leaderelection` off in BGP mode).
    EveryNode,
}

/// `control_plane_health_check_address` (CP-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthGate {
    /// Nothing is checked.
    Open,
    /// The check has to have succeeded, and not to have failed so often in a row since.
    Failures(u32),
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

impl Target {
    /// Reads an IP address or a DNS name.
    ///
    /// # Errors
    /// What is wrong with it, and what is accepted.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address));
        }
        if text.contains('/') {
            return Err(
                "no prefix length here, that is vip_subnet's; accepted: IP address or DNS \
                        name",
            );
        }
        if is_dns_name(text) {
            return Ok(Self::Name(text.trim_end_matches('.').to_ascii_lowercase()));
        }
        Err("neither an IP address nor a DNS name")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// RFC 1123 §2.1, with the `_` that some resolvers take. The last label is not all digits: that
/// would be a mistyped address.
fn is_dns_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

/// Which addresses of a DNS name count (`dns_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// `vip_interface`: its own name or an alternative one.
    Named(InterfaceName),
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

/// Services of type LoadBalancer: which ones, who holds their addresses, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    /// `svc_namespace`: the only namespace whose Services count; `None`: all.
    pub namespace: Option<String>,
    /// Which classes count.
    pub class: ClassFilter,
    /// Who decides on the holder.
    pub election: ServiceElection,
    /// `per_service_election_on_demand`.
    pub on_demand: OnDemand,
    /// The Lease for all Services (`svc_leasename`).
    pub lease: LeaseName,
    /// The elections' times.
    pub timing: LeaseTiming,
    /// The link of Services that name none.
    pub link: ServiceLink,
    /// Whether addresses are put on that link (`bgp_attach_ip_to_interface`).
    pub presence: Presence,
    /// Prefix lengths (`vip_subnet`).
    pub prefix: ServicePrefixes,
    /// Which families of a DNS name count, where the Service says nothing.
    pub dns_mode: DnsMode,
    /// Duplicate detection for IPv6 (`vip_skipdad`).
    pub duplicate_detection: DuplicateDetection,
    /// Time between two announcements of one address (`vip_arpRate`).
    pub announce_every: Duration,
    /// What to do as holder when the link goes down.
    pub on_link_down: OnLinkDown,
    /// What to do as candidate when the link is not up.
    pub link_not_up: LinkNotUp,
    /// Whether annotations and status are written (`disable_service_updates`).
    pub updates: Updates,
    /// Where endpoints are read (`enable_endpoints`).
    pub endpoints: EndpointSource,
    /// Whether the holder's Node object carries a label for each Service.
    pub labelling: Labelling,
    /// `port`: the control plane's own, which a Service with the same address may not have.
    pub control_plane_port: u16,
    /// Services, addresses, and leases, that are looked at in one turn; the others have the next one, so
    /// that renewals are never far behind thousands of them. At least 1.
    pub per_turn: usize,
}

/// [`Services::per_turn`], on every node. Only the simulator draws others.
pub const PER_TURN: usize = 64;

/// Which Services count by their `spec.loadBalancerClass` (SVC-6, SVC-7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClassFilter {
    /// A class must be this one.
    Legacy {
        /// `lb_class_name`.
        name: String,
        /// `lb_class_only`.
        unclassed: Unclassed,
    },
    /// The class is exactly this one; empty: none at all.
    Strict {
        /// `lb_class_name`.
        name: String,
    },
}

/// Services without a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unclassed {
    /// They count.
    Served,
    /// They do not (`lb_class_only`).
    Ignored,
}

/// Who decides on the holder of a Service's address (SVC-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceElection {
    /// One Lease for all (`svc_election` off).
    OneForAll,
    /// One Lease for each address (`svc_election` on).
    Each,
    /// No Lease: every node that can has it, and the network chooses among them (`svc_election`
    /// off in BGP mode).
    EveryNode,
}

/// `per_service_election_on_demand`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnDemand {
    /// The annotation has no effect.
    Off,
    /// Services with `kube-vip.io/forcePerServiceElection` have a Lease of their own.
    On,
}

/// `vip_servicesinterface`, else `vip_interface`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceLink {
    /// As the control plane's.
    Choice(LinkChoice),
    /// `auto`: the link with a network that the address is in, else this one.
    OfSubnet(LinkChoice),
}

/// Prefix lengths of Services' addresses, per family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePrefixes {
    /// IPv4's.
    pub v4: PrefixLength,
    /// IPv6's.
    pub v6: PrefixLength,
}

/// One prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrefixLength {
    /// This one.
    Fixed(u8),
    /// `auto`: that of the link's network which the address is in.
    OfSubnet,
}

/// `disable_service_updates`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Updates {
    /// Annotations and status are written.
    Written,
    /// Nothing is written to a Service.
    Withheld,
}

/// `enable_endpoints`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndpointSource {
    /// `discovery.k8s.io/v1` EndpointSlices.
    Slices,
    /// `v1` Endpoints.
    Endpoints,
}
