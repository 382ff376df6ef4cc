//! The Service on the wire (`v1`) as [`ServiceRecord`]: only what is read, each text once.

use std::net::IpAddr;
use std::rc::Rc;

use serde::Deserialize;

use super::json::{Text, read_json};
use super::watch::{Scope, Watched};
use crate::core::cluster::record::{
    CONDITION, Condition, Families, Ingress, Protocol, RareAnnotations, Served, ServiceAnnotations,
    ServiceName, ServicePort, ServiceRecord, TrafficPolicy,
};
use crate::core::uid::Uid;
use crate::core::version::ResourceVersion;

/// What to watch: Services of type LoadBalancer, in one namespace or in all. One that becomes of
/// another type leaves the selection, which the server tells as its deletion.
#[must_use]
pub fn service_scope(namespace: Option<&str>) -> Scope {
    Scope {
        path: super::collection("", namespace, "services"),
        fields: Some("spec.type=LoadBalancer".to_owned()),
        labels: None,
        page: 40,
    }
}

impl Watched for ServiceRecord {
    type Key = ServiceName;

    fn read(json: &str) -> Result<Option<Self>, String> {
        let service: Service<'_> = read_json(json)?;
        service.record().map(Some)
    }

    fn key(json: &str) -> Result<Option<ServiceName>, String> {
        let named: Named = read_json(json)?;
        Ok(Some(ServiceName::new(&named.metadata.namespace, &named.metadata.name)))
    }
}

/// The name of any object that has a namespace.
#[derive(Deserialize)]
pub(crate) struct Named {
    pub(crate) metadata: Name,
}

#[derive(Deserialize)]
pub(crate) struct Name {
    pub(crate) namespace: Box<str>,
    pub(crate) name: Box<str>,
}

#[derive(Deserialize)]
struct Service<'a> {
    metadata: Metadata,
    #[serde(borrow)]
    spec: Option<Spec<'a>>,
    #[serde(borrow)]
    status: Option<Status<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    namespace: Box<str>,
    name: Box<str>,
    uid: Box<str>,
    resource_version: Box<str>,
    creation_timestamp: Option<Box<str>>,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "kube-vip.io/loadbalancerIPs")]
    addresses: Option<Box<str>>,
    #[serde(rename = "kube-vip.io/ignore")]
    ignore: Option<Box<str>>,
    #[serde(rename = "kube-vip.io/serviceInterface")]
    interface: Option<Box<str>>,
    #[serde(rename = "kube-vip.io/serviceVLAN")]
    vlan: Option<Box<str>>,
    #[serde(rename = "kube-vip.io/leaseName")]
    lease: Option<Box<str>>,
    #[serde(rename = "kube-vip.io/forcePerServiceElection")]
    own_election: Option<Box<str>>,
    #[serde(rename = "kube-vip.io/allow-reconcile-without-endpoints")]
    without_endpoints: Option<Box<str>>,
    #[serde(rename = "kube-vip.io/egress")]
    egress: Option<Box<str>>,
    #[serde(rename = "kube-vip.io/vipHost")]
    host: Option<Box<str>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    load_balancer_class: Option<Box<str>>,
    #[serde(borrow)]
    external_traffic_policy: Option<Text<'a>>,
    #[serde(borrow)]
    ip_families: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    ip_family_policy: Option<Text<'a>>,
    #[serde(borrow)]
    ports: Option<Vec<Port<'a>>>,
    #[serde(rename = "loadBalancerIP")]
    load_balancer_ip: Option<Box<str>>,
}

#[derive(Deserialize)]
struct Port<'a> {
    port: u16,
    #[serde(borrow)]
    protocol: Option<Text<'a>>,
    /// Only in a status: why the port is not served.
    error: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow)]
    load_balancer: Option<LoadBalancer<'a>>,
    #[serde(borrow)]
    conditions: Option<Vec<WireCondition<'a>>>,
}

#[derive(Deserialize)]
struct LoadBalancer<'a> {
    #[serde(borrow)]
    ingress: Option<Vec<WireIngress<'a>>>,
}

#[derive(Deserialize)]
struct WireIngress<'a> {
    #[serde(borrow)]
    ip: Option<Text<'a>>,
    hostname: Option<Box<str>>,
    #[serde(borrow)]
    ports: Option<Vec<Port<'a>>>,
}

#[derive(Deserialize)]
struct WireCondition<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    reason: Option<Box<str>>,
    message: Option<Box<str>>,
}

impl Service<'_> {
    fn record(self) -> Result<ServiceRecord, String> {
        let Metadata { namespace, name, uid, resource_version, creation_timestamp, annotations } =
            self.metadata;
        for (field, text) in [("namespace", &namespace), ("name", &name), ("uid", &uid)] {
            if text.is_empty() {
                return Err(format!("metadata.{field} is empty"));
            }
        }
        let spec = self.spec.unwrap_or_default();
        let (policy, families) = (spec.policy(), spec.families());
        let status = self.status.unwrap_or(Status { load_balancer: None, conditions: None });
        let ingress = status.load_balancer.and_then(|balancer| balancer.ingress);
        let ports: Rc<[ServicePort]> = spec.ports.iter().flatten().filter_map(Port::port).collect();
        let ingress = ingress.into_iter().flatten().map(|entry| entry.entry(&ports)).collect();
        Ok(ServiceRecord {
            name: ServiceName::new(&namespace, &name),
            uid: Uid::from(&*uid),
            version: ResourceVersion::from(&*resource_version),
            created: creation_timestamp.as_deref().unwrap_or_default().into(),
            class: spec.load_balancer_class,
            policy,
            families,
            ports,
            load_balancer_ip: some(spec.load_balancer_ip),
            annotations: annotations.and_then(Annotations::given),
            ingress,
            condition: ours(status.conditions),
        })
    }
}

impl Spec<'_> {
    /// A policy of a later Kubernetes counts as `Cluster`, as for kube-vip: any node may hold the
    /// address.
    fn policy(&self) -> TrafficPolicy {
        match said(self.external_traffic_policy.as_ref()) {
            "Local" => TrafficPolicy::Local,
            _ => TrafficPolicy::Cluster,
        }
    }

    /// A family that we do not know is left out; a policy that we do not know says no more than
    /// the families do.
    fn families(&self) -> Families {
        let listed = self.ip_families.iter().flatten().filter_map(|Text(family)| match &**family {
            "IPv4" => Some(Families::V4),
            "IPv6" => Some(Families::V6),
            _ => None,
        });
        let families: Vec<Families> = listed.collect();
        let both = families.contains(&Families::V4) && families.contains(&Families::V6);
        match (said(self.ip_family_policy.as_ref()), families.first()) {
            ("RequireDualStack", _) => Families::DualRequired,
            ("PreferDualStack", _) => Families::Dual,
            _ if both => Families::Dual,
            (_, Some(first)) => *first,
            (_, None) => Families::Any,
        }
    }
}

impl Annotations {
    /// A record of them, if there is any of ours.
    fn given(self) -> Option<Box<ServiceAnnotations>> {
        let rare = RareAnnotations {
            ignore: self.ignore,
            interface: self.interface,
            vlan: self.vlan,
            lease: self.lease,
            own_election: self.own_election,
            without_endpoints: self.without_endpoints,
            egress: self.egress,
        };
        let rare = (rare != RareAnnotations::default()).then(|| Box::new(rare));
        let annotations = ServiceAnnotations { addresses: self.addresses, host: self.host, rare };
        (annotations != ServiceAnnotations::default()).then(|| Box::new(annotations))
    }
}

impl Port<'_> {
    /// `None` for a protocol of a later Kubernetes: such a port is in no conflict with others on
    /// its address, and is not written to the status.
    fn port(&self) -> Option<ServicePort> {
        let protocol = match said(self.protocol.as_ref()) {
            "TCP" | "" => Protocol::Tcp,
            "UDP" => Protocol::Udp,
            "SCTP" => Protocol::Sctp,
            _ => return None,
        };
        Some(ServicePort { port: self.port, protocol })
    }

    fn works(&self) -> bool {
        self.error.as_ref().is_none_or(|error| error.is_empty())
    }
}

impl WireIngress<'_> {
    /// The record of it, given the Service's own ports.
    fn entry(self, own: &Rc<[ServicePort]>) -> Ingress {
        let ports = self.ports.unwrap_or_default();
        let ports = || ports.iter().filter(|port| port.works()).filter_map(Port::port);
        Ingress {
            address: self.ip.and_then(|Text(ip)| ip.trim().parse::<IpAddr>().ok()),
            hostname: some(self.hostname),
            ports: if ports().eq(own.iter().copied()) { Rc::clone(own) } else { ports().collect() },
        }
    }
}

fn ours(conditions: Option<Vec<WireCondition<'_>>>) -> Option<Box<Condition>> {
    let is_ours = |one: &WireCondition<'_>| one.r#type.as_ref().is_some_and(|t| t.0 == CONDITION);
    let one = conditions?.into_iter().find(is_ours)?;
    let served = match one.status {
        Some(Text(status)) if status == "True" => Served::Yes,
        _ => Served::No,
    };
    let (reason, message) = (one.reason.unwrap_or_default(), one.message.unwrap_or_default());
    Some(Box::new(Condition { served, reason, message }))
}

fn said<'a>(text: Option<&'a Text<'_>>) -> &'a str {
    text.map_or("", |Text(text)| text)
}

fn some(text: Option<Box<str>>) -> Option<Box<str>> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
