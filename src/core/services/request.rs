//! What a Service asks for: whether it is ours to serve, which addresses it wants, where they are
//! to be put and which Lease decides. Pure text to types; what cannot be is refused with a reason.

use std::net::IpAddr;

use viplet_backend_api::InterfaceName;

use crate::core::address::unusable;
use crate::core::cluster::nodes::{Nodes, Reported};
use crate::core::cluster::record::{
    Families, Ingress, RareAnnotations, ServiceAnnotations, ServiceRecord, TrafficPolicy,
};
use crate::core::rights::lease::LeaseName;
use crate::core::settings::{
    ClassFilter, DnsMode, OnDemand, ServiceElection, Services, Target, Unclassed,
};

/// What becomes of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not ours to serve, and why.
    Ignored(String),
    /// It asks for something that cannot be.
    Refused(Refused),
    /// It has not asked for an address yet.
    Waiting(String),
    /// It asks for this.
    Asks(Ask),
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// One word, for counting.
    pub(crate) word: &'static str,
    /// What is wrong and what would be accepted.
    pub(crate) text: String,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Addresses and names, at least one, in order.
    pub(crate) targets: Vec<Target>,
    /// Which addresses of a name count.
    pub(crate) dns_mode: DnsMode,
}

/// Where addresses are to be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AskedLink {
    /// As the settings say.
    Usual,
    /// `kube-vip.io/serviceInterface`.
    Named(InterfaceName),
    /// `kube-vip.io/serviceInterface: auto`.
    OfSubnet,
}

/// Which Lease decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AskedLease {
    /// The one for all Services.
    ForAll,
    /// The Service's own: `kubevip-NAME` in its namespace (ELE-2).
    Own(LeaseName),
    /// `kube-vip.io/leaseName` (ELE-3).
    Shared(LeaseName),
    /// None: every node that can has the address.
    None,
}

/// An annotation that is `true` in one of the ways that kube-vip takes.
fn is_true(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn given(value: &Option<Box<str>>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

impl ServiceRecord {
    fn annotation(&self, pick: fn(&ServiceAnnotations) -> &Option<Box<str>>) -> Option<&str> {
        given(pick(self.annotations.as_deref()?))
    }

    fn rare(&self, pick: fn(&RareAnnotations) -> &Option<Box<str>>) -> Option<&str> {
        given(pick(self.annotations.as_deref()?.rare()))
    }

    /// The node that `kube-vip.io/vipHost` names.
    #[must_use]
    pub(crate) fn host(&self) -> Option<&str> {
        self.annotation(|a| &a.host)
    }

    /// Whether it is served without endpoints too (EP-4).
    #[must_use]
    pub(crate) fn is_served_without_endpoints(&self) -> bool {
        self.policy == TrafficPolicy::Cluster && is_true(self.rare(|a| &a.without_endpoints))
    }

    /// Whether it asks for egress, which this version does not do.
    #[must_use]
    pub(crate) fn wants_egress(&self) -> bool {
        is_true(self.rare(|a| &a.egress))
    }

    /// The Lease of its own.
    #[must_use]
    pub(crate) fn own_lease(&self) -> LeaseName {
        LeaseName {
            namespace: self.name.namespace().to_owned(),
            name: format!("kubevip-{}", self.name.name()),
        }
    }
}

/// What becomes of a Service under these settings, given the nodes' own addresses and those that
/// the Service has already.
#[must_use]
pub(crate) fn judge(
    record: &ServiceRecord,
    settings: &Services,
    nodes: &Nodes,
    had: &[IpAddr],
) -> Verdict {
    if let Some(why) = ignored(record, settings) {
        return Verdict::Ignored(why);
    }
    match ask(record, settings, &|address| node_of(record, nodes, had, address)) {
        Ok(Some(ask)) => Verdict::Asks(ask),
        Ok(None) => Verdict::Waiting(
            "no address is asked for yet: waiting for the annotation \
             kube-vip.io/loadbalancerIPs or spec.loadBalancerIP, from you or from an address \
             allocator"
                .to_owned(),
        ),
        Err(refused) => Verdict::Refused(refused),
    }
}

/// SVC-5 to SVC-7.
fn ignored(record: &ServiceRecord, settings: &Services) -> Option<String> {
    if record.rare(|a| &a.ignore) == Some("true") {
        return Some("the annotation kube-vip.io/ignore is \"true\"".to_owned());
    }
    match (&settings.class, record.class.as_deref()) {
        (ClassFilter::Legacy { name, .. } | ClassFilter::Strict { name }, Some(class)) => {
            let other = format!("its loadBalancerClass is {class}, ours is {name} (lb_class_name)");
            (class != name).then_some(other)
        }
        (ClassFilter::Legacy { unclassed: Unclassed::Ignored, name }, None) => {
            Some(format!("it has no loadBalancerClass, and lb_class_only asks for {name}"))
        }
        (ClassFilter::Strict { name }, None) if !name.is_empty() => {
            Some(format!("it has no loadBalancerClass, and lb_class_name asks for {name}"))
        }
        (ClassFilter::Legacy { .. } | ClassFilter::Strict { .. }, None) => None,
    }
}

/// The node whose own address this is; none where the Service had the address before the node
/// was seen to report it: a kubelet without `--node-ip` reports what viplet holds there.
#[must_use]
pub(crate) fn node_of<'a>(
    record: &ServiceRecord,
    nodes: &'a Nodes,
    had: &[IpAddr],
    address: IpAddr,
) -> Option<&'a str> {
    let (node, reported) = nodes.owner(address)?;
    let shown = |entry: &Ingress| entry.address == Some(address) && !entry.ports.is_empty();
    let held_somewhere = record.host().is_some() && record.ingress.iter().any(shown);
    let had_before = reported == Reported::Later && had.contains(&address);
    (!held_somewhere && !had_before).then_some(node)
}

/// Whose own address an address is, if it is a node's.
type NodeOf<'a> = dyn Fn(IpAddr) -> Option<&'a str> + 'a;

fn ask(
    record: &ServiceRecord,
    settings: &Services,
    node_of: &NodeOf<'_>,
) -> Result<Option<Ask>, Refused> {
    asked_link(record)?;
    asked_lease(record, settings)?;
    let targets = match record.annotation(|a| &a.addresses) {
        Some(text) => parse("the annotation kube-vip.io/loadbalancerIPs", text)?,
        None => match record.load_balancer_ip.as_deref() {
            Some(text) => parse("spec.loadBalancerIP", text)?,
            None => from_status(record, node_of),
        },
    };
    for target in &targets {
        if let Target::Address(address) = target {
            usable(*address, node_of)?;
        }
    }
    let dns_mode = match record.families {
        Families::Any => settings.dns_mode,
        Families::V4 => DnsMode::Ipv4,
        Families::V6 => DnsMode::Ipv6,
        Families::Dual | Families::DualRequired => DnsMode::Dual,
    };
    Ok((!targets.is_empty()).then_some(Ask { targets, dns_mode }))
}

fn parse(place: &str, text: &str) -> Result<Vec<Target>, Refused> {
    let mut targets = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let target = Target::parse(part).map_err(|why| Refused {
            word: "bad_address",
            text: format!("{place} is {text:?}: {part}: {why}"),
        })?;
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// Addresses that are in the status already, in the form that kube-vip and viplet write: with
/// ports. Other controllers' entries are theirs, and a node's address is never a virtual one
/// (K3s' ServiceLB writes those).
fn from_status(record: &ServiceRecord, node_of: &NodeOf<'_>) -> Vec<Target> {
    let ours = record.ingress.iter().filter(|entry| !entry.ports.is_empty());
    let addresses = ours.filter_map(|entry| entry.address);
    addresses.filter(|address| node_of(*address).is_none()).map(Target::Address).collect()
}

fn usable(address: IpAddr, node_of: &NodeOf<'_>) -> Result<(), Refused> {
    if address.is_unspecified() {
        return Err(Refused {
            word: "dhcp",
            text: format!(
                "{address} asks for an address by DHCP, which this build does not do; accepted: \
                 the address itself or a DNS name"
            ),
        });
    }
    if let Some(why) = unusable(address, "") {
        return Err(Refused { word: "bad_address", text: format!("{address} {why}") });
    }
    match node_of(address) {
        Some(node) => Err(Refused {
            word: "node_address",
            text: format!(
                "{address} is the own address of node {node}: it is never taken; accepted: an \
                 address that no node has"
            ),
        }),
        None => Ok(()),
    }
}

/// Where a Service's addresses are to be put (SVC-11); a VLAN needs what this build lacks.
pub(crate) fn asked_link(record: &ServiceRecord) -> Result<AskedLink, Refused> {
    if let Some(vlan) = record.rare(|a| &a.vlan) {
        let text = format!(
            "the annotation kube-vip.io/serviceVLAN ({vlan}) needs VLAN interfaces, which this \
             build does not make; accepted: make the interface yourself and name it in \
             kube-vip.io/serviceInterface"
        );
        return Err(Refused { word: "vlan", text });
    }
    match record.rare(|a| &a.interface) {
        None => Ok(AskedLink::Usual),
        Some("auto") => Ok(AskedLink::OfSubnet),
        Some(name) => InterfaceName::new(name).map(AskedLink::Named).ok_or_else(|| Refused {
            word: "bad_interface",
            text: format!(
                "the annotation kube-vip.io/serviceInterface is {name:?}: not the name of an \
                 interface; accepted: 1 to 127 characters without /, : and spaces, or auto"
            ),
        }),
    }
}

/// Which Lease decides about a Service's addresses, where they have one of their own (ELE-2,
/// ELE-3, SVC-3, SVC-10).
pub(crate) fn asked_lease(
    record: &ServiceRecord,
    settings: &Services,
) -> Result<AskedLease, Refused> {
    let named = record.rare(|a| &a.lease);
    if let Some(text) = named
        && record.policy == TrafficPolicy::Local
    {
        let text = format!(
            "the annotation kube-vip.io/leaseName ({text}) needs externalTrafficPolicy Cluster: \
             with Local each Service follows its own endpoints"
        );
        return Err(Refused { word: "lease_needs_cluster", text });
    }
    let forced = is_true(record.rare(|a| &a.own_election));
    let on_demand = forced && settings.on_demand == OnDemand::On;
    match settings.election {
        ServiceElection::OneForAll if !on_demand => return Ok(AskedLease::ForAll),
        ServiceElection::EveryNode if !on_demand => return Ok(AskedLease::None),
        _ => {}
    }
    let Some(text) = named else { return Ok(AskedLease::Own(record.own_lease())) };
    LeaseName::parse(text, record.name.namespace()).map(AskedLease::Shared).ok_or_else(|| Refused {
        word: "bad_lease",
        text: format!(
            "the annotation kube-vip.io/leaseName is {text:?}; accepted: name, or namespace/name"
        ),
    })
}

#[cfg(test)]
mod tests;
