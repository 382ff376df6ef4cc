//! What should become of each address, by what the API server says now: an independent reading
//! of the rules, against which the cores are held.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use viplet::core::cluster::record::Protocol;
use viplet::core::cluster::record::{
    EndpointState, ServiceName, ServicePort, ServiceRecord, TrafficPolicy,
};
use viplet::core::settings::ServiceElection;

use crate::objects::Objects;
use crate::serving::Serving;

/// Where an address may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Places {
    /// Nowhere.
    #[default]
    Nowhere,
    /// On any node.
    Anywhere,
    /// On these.
    On(BTreeSet<String>),
    /// Where the control plane's addresses are.
    ControlPlane,
}

/// What should become of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Where it may be.
    pub places: Places,
    /// The lease that decides.
    pub lease: Option<String>,
    /// The Services that have it, the oldest first.
    pub requesters: Vec<ServiceName>,
    /// Whether a requester follows its own endpoints.
    pub local: bool,
}

impl Placement {
    /// Whether a node may have it.
    #[must_use]
    pub fn allows(&self, node: &str) -> bool {
        match &self.places {
            Places::Nowhere => false,
            Places::Anywhere | Places::ControlPlane => true,
            Places::On(nodes) => nodes.contains(node),
        }
    }
}

/// The addresses that a Service asks for; none where it is ignored or refused.
#[must_use]
pub fn asks(record: &ServiceRecord, objects: &Objects) -> Vec<IpAddr> {
    let Some(annotations) = record.annotations.as_deref() else { return Vec::new() };
    let ignored = annotations.rare().ignore.as_deref() == Some("true");
    let at_odds = annotations.rare().lease.is_some() && record.policy == TrafficPolicy::Local;
    if ignored || at_odds {
        return Vec::new();
    }
    let text = annotations.addresses.as_deref().or(record.load_balancer_ip.as_deref());
    let all = text.unwrap_or_default().split(',').filter_map(|part| part.parse().ok());
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in all {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let of_node = |ip: &IpAddr| objects.nodes().values().any(|node| node.addresses.contains(ip));
    if addresses.iter().any(of_node) { Vec::new() } else { addresses }
}

/// What should become of every address that is asked for.
#[must_use]
pub fn placements(
    objects: &Objects,
    serving: &Serving,
    control_plane: &[IpAddr],
) -> BTreeMap<IpAddr, Placement> {
    let mut requesters: BTreeMap<IpAddr, Vec<&ServiceRecord>> = BTreeMap::new();
    for record in objects.services().values() {
        for address in asks(record, objects) {
            requesters.entry(address).or_default().push(record);
        }
    }
    let placement = |(address, mut all): (IpAddr, Vec<&ServiceRecord>)| {
        all.sort_by_key(|record| (record.created, record.name.clone()));
        let own = match control_plane.contains(&address) {
            true => Own::ControlPlane,
            false => Own::Services,
        };
        (address, placement(&accepted(&all, own), own, objects, serving))
    };
    requesters.into_iter().map(placement).collect()
}

/// Whose address it is in the first place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    ControlPlane,
    Services,
}

fn accepted<'a>(all: &[&'a ServiceRecord], own: Own) -> Vec<&'a ServiceRecord> {
    let mut taken = Vec::new();
    if own == Own::ControlPlane {
        taken.push(ServicePort { port: 6443, protocol: Protocol::Tcp });
    }
    let mut accepted = Vec::new();
    for record in all {
        if record.ports.iter().all(|port| !taken.contains(port)) {
            taken.extend(record.ports.iter().copied());
            accepted.push(*record);
        }
    }
    accepted
}

fn placement(
    requesters: &[&ServiceRecord],
    own: Own,
    objects: &Objects,
    serving: &Serving,
) -> Placement {
    let names = requesters.iter().map(|record| record.name.clone()).collect();
    let local = requesters.iter().any(|record| record.policy == TrafficPolicy::Local);
    let policy = if local { TrafficPolicy::Local } else { TrafficPolicy::Cluster };
    let Some(lead) = requesters.first() else { return Placement::default() };
    if own == Own::ControlPlane {
        return Placement { places: Places::ControlPlane, lease: None, requesters: names, local };
    }
    let mut places = Places::Nowhere;
    for record in requesters {
        places = both(places, places_of(record, objects));
    }
    let lease = lease(lead, policy, serving);
    Placement { places, lease, requesters: names, local }
}

fn lease(lead: &ServiceRecord, policy: TrafficPolicy, serving: &Serving) -> Option<String> {
    let named =
        lead.annotations.as_deref().and_then(|annotations| annotations.rare().lease.as_deref());
    let own = format!("{}/kubevip-{}", lead.name.namespace(), lead.name.name());
    Some(match (serving.settings.election, named) {
        (ServiceElection::EveryNode, _) => return None,
        _ if policy == TrafficPolicy::Local => own,
        (ServiceElection::OneForAll, _) => serving.settings.lease.to_string(),
        (ServiceElection::Each, Some(text)) if text.contains('/') => text.to_owned(),
        (ServiceElection::Each, Some(text)) => format!("{}/{text}", lead.name.namespace()),
        (ServiceElection::Each, None) => own,
    })
}

fn both(older: Places, younger: Places) -> Places {
    match (older, younger) {
        (Places::On(older), Places::On(younger)) => {
            let common: BTreeSet<String> = older.intersection(&younger).cloned().collect();
            Places::On(if common.is_empty() { older } else { common })
        }
        (Places::On(nodes), _) | (_, Places::On(nodes)) => Places::On(nodes),
        (Places::Anywhere, _) | (_, Places::Anywhere) => Places::Anywhere,
        (other, _) => other,
    }
}

fn places_of(record: &ServiceRecord, objects: &Objects) -> Places {
    let own = objects.slices().values().filter(|slice| slice.service == record.name);
    let endpoints: Vec<_> = own.flat_map(|slice| &slice.endpoints).collect();
    let ready = endpoints.iter().any(|endpoint| endpoint.state == EndpointState::Ready);
    let counts = if ready { EndpointState::Ready } else { EndpointState::Serving };
    let usable = || endpoints.iter().filter(|endpoint| endpoint.state == counts);
    let nodes: BTreeSet<String> =
        usable().filter_map(|endpoint| endpoint.node.as_deref().map(str::to_owned)).collect();
    let without = record.annotations.as_deref().and_then(|a| a.rare().without_endpoints.as_deref());
    match record.policy {
        TrafficPolicy::Local if nodes.is_empty() => Places::Nowhere,
        TrafficPolicy::Local => Places::On(nodes),
        TrafficPolicy::Cluster if usable().next().is_some() || without == Some("true") => {
            Places::Anywhere
        }
        TrafficPolicy::Cluster => Places::Nowhere,
    }
}
