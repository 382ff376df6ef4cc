//! Services in the words of [`Status`](crate::core::Status), and why each is as it is.

use std::net::IpAddr;

use super::state::{no_endpoints, state_at};
use super::wish::list;
use super::{Entry, Services, Standing};
use crate::core::addresses::View;
use crate::core::addresses::eligibility::Ineligibility;
use crate::core::cluster::endpoints::Anywhere;
use crate::core::cluster::record::{ServiceName, TrafficPolicy};
use crate::core::cluster::{Cluster, Listed};
use crate::core::observed::peers;
use crate::core::rights::Authority;
use crate::core::rights::election::author::CURE;
use crate::core::status::{ServiceCounters, ServiceState, ServiceStatus, Why};

impl Services {
    /// Every Service, in order of name.
    #[must_use]
    pub(crate) fn statuses(&self, view: &View<'_>) -> Vec<ServiceStatus> {
        self.entries.values().map(|entry| self.status(entry, view)).collect()
    }

    fn status(&self, entry: &Entry, view: &View<'_>) -> ServiceStatus {
        let (state, reason) = self.state_of(entry, view);
        let first = entry.addresses.first();
        let holder = first.and_then(|ip| view.right(*ip).holder());
        let here = || (state == ServiceState::Held).then_some(self.site.node.as_str());
        ServiceStatus {
            service: entry.record.name.to_string(),
            state,
            addresses: entry.addresses.to_vec(),
            lease: first.map(|ip| view.lease_text(*ip)).unwrap_or_default(),
            holder: holder.or_else(here).unwrap_or_default().to_owned(),
            reason,
        }
    }

    /// Why a Service is as it is, the first cause first.
    #[must_use]
    pub(crate) fn why(&self, name: &ServiceName, view: &View<'_>) -> Option<Why> {
        let Some(entry) = self.entries.get(name) else {
            return why_unreadable(name, view.around.cluster);
        };
        let mut because = Vec::new();
        match &entry.standing {
            Standing::Ignored(why) => because.push(format!("it is not ours to serve: {why}")),
            Standing::Refused(refused) => {
                because.push(format!("its request is refused: {}", refused.text));
            }
            Standing::Waiting(why) => because.push(why.to_string()),
            Standing::Asking => {
                because.push(format!("it asks for {}", list(&entry.addresses)));
                let unresolved = self.names.unresolved(&entry.names);
                because.extend(Some(unresolved).filter(|text| !text.is_empty()));
                because.push(endpoint_words(entry, view));
                for ip in &entry.addresses {
                    self.address_words(entry, *ip, view, &mut because);
                }
            }
        }
        unreadable_words(name, view.around.cluster, &mut because);
        if entry.record.wants_egress() {
            because.push("kube-vip.io/egress is not done by this version".to_owned());
        }
        if let Some(why) = entry.writer.trouble() {
            because.push(format!("its status could not be written: {why}; it is tried again"));
        }
        Some(Why { status: self.status(entry, view), because })
    }

    fn address_words(&self, entry: &Entry, ip: IpAddr, view: &View<'_>, because: &mut Vec<String>) {
        let (state, reason) = state_at(entry, ip, view);
        if state == ServiceState::Refused {
            return because.push(reason);
        }
        let Some(authority) = view.authority(ip) else { return };
        let lease = view.lease_text(ip);
        let right = view.right(ip);
        because.push(match right.holder() {
            _ if *authority == Authority::EveryNode => {
                format!("{ip}: no election: every node that can announces it")
            }
            Some(holder) => {
                format!("{ip}: the lease {lease} decides; {holder} holds it{}", right.advice())
            }
            None => format!("{ip}: the lease {lease} decides; nobody holds it"),
        });
        let others = view.services(ip).filter(|other| other.name != entry.record.name);
        let others: Vec<String> = others.map(|other| other.name.to_string()).collect();
        if !others.is_empty() {
            because.push(format!("{ip} is shared with {}", others.join(", ")));
        }
        because.push(match state {
            ServiceState::Held => match view.around.observed.reach(ip) {
                Some(reach) => format!("{ip} is announced by {} {}", self.site.node, peers(reach)),
                None => format!("{ip} is on {} and announced", self.site.node),
            },
            _ => format!("{ip} is not on {}: {reason}", self.site.node),
        });
        if let Some(why) = view.ineligible(ip) {
            let words = view.words(why);
            if !because.iter().any(|line| line.ends_with(&words)) {
                because.push(format!("{} cannot hold it: {words}", self.site.node));
            }
        }
    }

    /// Why this node is not ready for what Services ask of it.
    #[must_use]
    pub(crate) fn not_ready(&self, view: &View<'_>) -> Vec<String> {
        let mut reasons = Vec::new();
        if view.around.cluster.services_listed() == Listed::No {
            reasons.push("Services have not been read from the API server yet".to_owned());
        } else if view.around.cluster.endpoints_listed() == Listed::No {
            reasons.push("endpoints have not been read from the API server yet".to_owned());
        }
        let pending = self.entries.values().filter_map(|entry| {
            let held = entry.addresses.iter().any(|ip| view.is_had(*ip));
            let (state, why) = self.state_of(entry, view);
            (held && state == ServiceState::Pending)
                .then(|| format!("Service {}: {why}", entry.record.name))
        });
        reasons.extend(pending.take(10));
        reasons.extend(
            view.rights
                .namesake()
                .map(|(lease, called)| format!("lease {lease}: {called} holds it: {CURE}")),
        );
        reasons
    }

    /// Numbers since the start.
    #[must_use]
    pub(crate) fn counters(&self, view: &View<'_>) -> ServiceCounters {
        let tally = view.rights.tally();
        ServiceCounters {
            seen: view.around.cluster.seen().clone(),
            renewals: tally.renewals,
            renewal_failures: tally.failures,
            transitions: tally.transitions,
            ..self.counters.clone()
        }
    }
}

/// A Service that could never be read.
fn why_unreadable(name: &ServiceName, cluster: &Cluster) -> Option<Why> {
    let reason = cluster.unreadable_service(name)?;
    let status = ServiceStatus {
        service: name.to_string(),
        state: ServiceState::Refused,
        addresses: Vec::new(),
        lease: String::new(),
        holder: String::new(),
        reason: format!("it cannot be read: {reason}"),
    };
    Some(Why { because: vec![status.reason.clone()], status })
}

fn unreadable_words(name: &ServiceName, cluster: &Cluster, because: &mut Vec<String>) {
    let stays = "what was known of it before stays, until it is changed or deleted";
    if let Some(reason) = cluster.unreadable_service(name) {
        because.push(format!("its latest version cannot be read: {reason}; {stays}"));
    }
    let endpoints = cluster.unreadable_endpoints(name);
    because.extend(
        endpoints.map(|reason| format!("endpoints of it cannot be read: {reason}; {stays}")),
    );
}

fn endpoint_words(entry: &Entry, view: &View<'_>) -> String {
    let cluster = view.around.cluster;
    if cluster.endpoints_listed() == Listed::No {
        return view.words(&Ineligibility::Unread);
    }
    let reach = cluster.reach(&entry.record.name);
    let policy = match entry.record.policy {
        TrafficPolicy::Cluster => "Cluster: any node may hold it",
        TrafficPolicy::Local => "Local: only a node with an endpoint may hold it",
    };
    let names: Vec<&str> = reach.nodes.iter().map(|id| cluster.node_name(*id)).collect();
    let places = match reach.anywhere {
        Anywhere::Nowhere => no_endpoints(entry, view),
        Anywhere::Somewhere if names.is_empty() => {
            "its endpoints are on no node of the cluster".to_owned()
        }
        Anywhere::Somewhere => format!("it has endpoints on {}", names.join(", ")),
    };
    format!("{places} (externalTrafficPolicy {policy})")
}
