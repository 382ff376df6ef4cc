//! The objects of the API server that Services are decided by, as compact records: only what is
//! read, each text once. `crate::kube` makes them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::core::uid::Uid;
use crate::core::version::ResourceVersion;

/// Namespace and name of a Service, as one text that copies share: there are many of each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceName(Rc<str>);

impl ServiceName {
    /// A name of two parts, neither of which has a `/`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(format!("{namespace}/{name}").into())
    }

    /// `metadata.namespace`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(_, name)| name)
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `metadata.creationTimestamp` (RFC 3339 in UTC, to the second): its digits as a number, so that
/// the earlier is the smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Creation(u64);

impl From<&str> for Creation {
    fn from(text: &str) -> Self {
        let digits = text.bytes().filter(u8::is_ascii_digit).take(14);
        Self(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    }
}

/// What a list-then-watch says of objects of one kind: `T` with the key `K`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change<T, K> {
    /// All that there are: what is not among them is gone.
    Replaced(Vec<T>),
    /// All that there are, and those of them that could not be read: what is among neither is gone.
    ReplacedExcept(Vec<T>, Vec<Unreadable<K>>),
    /// One was created or changed.
    Applied(T),
    /// One was created or changed, and could not be read.
    Unreadable(Unreadable<K>),
    /// One was deleted.
    Deleted(K),
}

impl<T, K> Change<T, K> {
    /// How many of its objects could not be read.
    #[must_use]
    pub const fn unreadable(&self) -> usize {
        match self {
            Self::ReplacedExcept(_, unreadable) => unreadable.len(),
            Self::Unreadable(_) => 1,
            Self::Replaced(_) | Self::Applied(_) | Self::Deleted(_) => 0,
        }
    }
}

/// An object that is there and holds a value that makes no sense to us, say one of a later
/// Kubernetes: what was known of it before stays, and why is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable<K> {
    /// Which one.
    pub key: K,
    /// Its name, the field, and what is wrong with it.
    pub reason: String,
}

/// A Service of type LoadBalancer (`v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// Its name.
    pub name: ServiceName,
    /// `metadata.uid`.
    pub uid: Uid,
    /// `metadata.resourceVersion`.
    pub version: ResourceVersion,
    /// `metadata.creationTimestamp`.
    pub created: Creation,
    /// `spec.loadBalancerClass`.
    pub class: Option<Box<str>>,
    /// `spec.externalTrafficPolicy`.
    pub policy: TrafficPolicy,
    /// `spec.ipFamilies` and `spec.ipFamilyPolicy`.
    pub families: Families,
    /// `spec.ports`, in order.
    pub ports: Rc<[ServicePort]>,
    /// `spec.loadBalancerIP`, if not empty.
    pub load_balancer_ip: Option<Box<str>>,
    /// The annotations that viplet reads; none given: `None`.
    pub annotations: Option<Box<ServiceAnnotations>>,
    /// `status.loadBalancer.ingress`, in order.
    pub ingress: Box<[Ingress]>,
    /// The condition in `status.conditions` that viplet writes.
    pub condition: Option<Box<Condition>>,
}

/// Annotations of a Service, as written (`reference/annotations.csv`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAnnotations {
    /// `kube-vip.io/loadbalancerIPs`.
    pub addresses: Option<Box<str>>,
    /// `kube-vip.io/vipHost`, which the holder writes.
    pub host: Option<Box<str>>,
    /// Those that few Services have; none given: `None`.
    pub rare: Option<Box<RareAnnotations>>,
}

/// Annotations that few Services have, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RareAnnotations {
    /// `kube-vip.io/ignore`.
    pub ignore: Option<Box<str>>,
    /// `kube-vip.io/serviceInterface`.
    pub interface: Option<Box<str>>,
    /// `kube-vip.io/serviceVLAN`.
    pub vlan: Option<Box<str>>,
    /// `kube-vip.io/leaseName`.
    pub lease: Option<Box<str>>,
    /// `kube-vip.io/forcePerServiceElection`.
    pub own_election: Option<Box<str>>,
    /// `kube-vip.io/allow-reconcile-without-endpoints`.
    pub without_endpoints: Option<Box<str>>,
    /// `kube-vip.io/egress`.
    pub egress: Option<Box<str>>,
}

impl RareAnnotations {
    const NONE: Self = Self {
        ignore: None,
        interface: None,
        vlan: None,
        lease: None,
        own_election: None,
        without_endpoints: None,
        egress: None,
    };
}

impl ServiceAnnotations {
    /// Those that few Services have.
    #[must_use]
    pub fn rare(&self) -> &RareAnnotations {
        self.rare.as_deref().unwrap_or(const { &RareAnnotations::NONE })
    }

    /// Those that few Services have, to be set.
    pub fn rare_mut(&mut self) -> &mut RareAnnotations {
        self.rare.get_or_insert_default()
    }
}

/// `spec.externalTrafficPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrafficPolicy {
    /// Any node serves, whichever endpoints there are.
    #[default]
    Cluster,
    /// Only a node with an endpoint of its own serves.
    Local,
}

/// Which address families a Service has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Families {
    /// Nothing is said.
    #[default]
    Any,
    /// Only IPv4.
    V4,
    /// Only IPv6.
    V6,
    /// Both where possible (`PreferDualStack`, or two families).
    Dual,
    /// Both (`RequireDualStack`).
    DualRequired,
}

/// A port's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// A port of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServicePort {
    /// `port`.
    pub port: u16,
    /// `protocol`.
    pub protocol: Protocol,
}

impl fmt::Display for ServicePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol)
    }
}

/// One entry of `status.loadBalancer.ingress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingress {
    /// `ip`, if it is one.
    pub address: Option<IpAddr>,
    /// `hostname`.
    pub hostname: Option<Box<str>>,
    /// `ports` without errors, in order. kube-vip and viplet write them; others usually do not.
    /// The same list as the Service's, where it is the same.
    pub ports: Rc<[ServicePort]>,
}

/// A condition of a Service's status (`metav1.Condition`) with viplet's type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Whether the Service's addresses are held: `status` is `True` or `False`.
    pub served: Served,
    /// `reason`, one word in CamelCase.
    pub reason: Box<str>,
    /// `message`, for a person.
    pub message: Box<str>,
}

/// The type of the condition.
pub const CONDITION: &str = "viplet.io/Served";

/// The `status` of the condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Served {
    /// `True`.
    Yes,
    /// `False`.
    No,
}

/// An EndpointSlice (`discovery.k8s.io/v1`), or an Endpoints object (`v1`) as one slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceRecord {
    /// The Service that it belongs to (label `kubernetes.io/service-name`).
    pub service: ServiceName,
    /// Its own name.
    pub name: Box<str>,
    /// Its endpoints: where each is, and how.
    pub endpoints: Vec<EndpointRecord>,
}

/// The key of a [`SliceRecord`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SliceName {
    /// The Service that it belongs to.
    pub service: ServiceName,
    /// Its own name.
    pub name: Box<str>,
}

/// One endpoint (all its addresses count as one).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// `nodeName`, or `hostname` where there is none (EP-2).
    pub node: Option<Box<str>>,
    /// Whether it takes traffic.
    pub state: EndpointState,
}

/// Whether an endpoint takes traffic (KEP-1669; `conditions` of an EndpointSlice's endpoint).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EndpointState {
    /// `ready`, or nothing said.
    Ready,
    /// `serving`, not `ready`: it is terminating and still answers.
    Serving,
    /// Neither.
    Unready,
}

/// A Node (`v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// `metadata.name`.
    pub name: Box<str>,
    /// `status.addresses` of the types InternalIP and ExternalIP.
    pub addresses: Box<[IpAddr]>,
    /// `spec.unschedulable`.
    pub scheduling: Scheduling,
    /// The labels that kube-vip and viplet write, of this node's own Node object; of others: none.
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

/// Whether new pods may go to a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheduling {
    /// Yes.
    #[default]
    Open,
    /// `kubectl cordon`.
    Cordoned,
}
