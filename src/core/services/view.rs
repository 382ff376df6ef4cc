//! Services in the words of [`Status`](crate::core::Status), and why each is as it is.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::core::addresses::requester::{Authority, Obstacle, clash_text};
use crate::core::cluster::record::{ServiceName, ServicePort};
use crate::core::control_plane::Group;
use crate::core::input::{Effect, KubernetesRequest};
use crate::core::observed::{peers, unheard};
use crate::core::rights::election::Role;
use crate::core::services::{Around, Entry, Listed, Services, Standing};
use crate::core::settings::Labelling;
use crate::core::status::{ServiceCounters, ServiceState, ServiceStatus, Why};
use crate::ordered;

impl Services {
    /// Every Service, in order of name.
    #[must_use]
    pub fn statuses(&self, around: &Around<'_>) -> Vec<ServiceStatus> {
        self.entries.values().map(|entry| self.status(entry, around)).collect()
    }

    fn status(&self, entry: &Entry, around: &Around<'_>) -> ServiceStatus {
        let (state, reason) = self.state_of(entry, around);
        let first = entry.addresses.first().and_then(|ip| self.addresses.get(ip));
        let authority = first.map(|address| &address.authority);
        ServiceStatus {
            service: entry.record.name.to_string(),
            state,
            addresses: entry.addresses.to_vec(),
            lease: authority.map(|a| self.lease_text(a, around)).unwrap_or_default(),
            holder: authority
                .and_then(|a| self.holder_under(a, around))
                .or_else(|| (state == ServiceState::Held).then(|| self.node.clone()))
                .unwrap_or_default(),
            reason,
        }
    }

    fn lease_text(&self, authority: &Authority, around: &Around<'_>) -> String {
        match authority {
            Authority::Nobody | Authority::EveryNode => String::new(),
            Authority::ControlPlane | Authority::ControlPlaneLease => around
                .control_plane
                .and_then(Group::lease)
                .map(ToString::to_string)
                .unwrap_or_default(),
            Authority::Lease(lease) => lease.to_string(),
        }
    }

    /// How a Service is, and why in one line.
    pub(in crate::core) fn state_of(
        &self,
        entry: &Entry,
        around: &Around<'_>,
    ) -> (ServiceState, String) {
        match &entry.standing {
            Standing::Ignored(why) => (ServiceState::Ignored, why.to_string()),
            Standing::Refused(refused) => (ServiceState::Refused, refused.text.clone()),
            Standing::Waiting(why) => (ServiceState::Waiting, why.to_string()),
            Standing::Asking => {
                let states = entry.addresses.iter().map(|ip| self.state_at(entry, *ip, around));
                let worst = |state: &ServiceState| match state {
                    ServiceState::Held => 0,
                    ServiceState::Elsewhere => 1,
                    ServiceState::Ignored => 2,
                    ServiceState::Pending => 3,
                    ServiceState::Waiting => 4,
                    ServiceState::Refused => 5,
                };
                let found = states.max_by_key(|(state, _)| worst(state));
                let (state, text) =
                    found.unwrap_or((ServiceState::Waiting, "it has no address yet".to_owned()));
                (state, self.with_unresolved(entry, text))
            }
        }
    }

    /// A text about a Service, and which of the names that it asks for stand for nothing: one of
    /// several addresses that was mistyped is such a name.
    pub(super) fn with_unresolved(&self, entry: &Entry, text: String) -> String {
        let unresolved = self.unresolved(&entry.record.name);
        if unresolved.is_empty() { text } else { format!("{text}; {unresolved}") }
    }

    /// Who has a port of an address that a Service wants too.
    pub(in crate::core) fn clash(
        &self,
        entry: &Entry,
        ip: IpAddr,
        around: &Around<'_>,
    ) -> Option<(ServicePort, Option<&ServiceName>)> {
        let taken = self.taken(ip, around);
        let address = self.addresses.get(&ip)?;
        address.clash(&entry.record.name, &taken, |service| self.ports(service))
    }

    fn state_at(&self, entry: &Entry, ip: IpAddr, around: &Around<'_>) -> (ServiceState, String) {
        if let Some((port, with)) = self.clash(entry, ip, around) {
            return (ServiceState::Refused, clash_text(ip, port, with));
        }
        let Some(address) = self.addresses.get(&ip) else {
            return (ServiceState::Pending, format!("{ip} has not been looked at yet"));
        };
        if address.obstacle == Some(Obstacle::NoEndpoints) {
            return (ServiceState::Waiting, self.no_endpoints(entry));
        }
        if self.is_held(ip, around) {
            return (ServiceState::Held, "this node holds it".to_owned());
        }
        let holding = matches!(self.role_under(&address.authority, around), Role::Holding { .. });
        match self.holder_under(&address.authority, around) {
            Some(holder) if holder != self.node => {
                (ServiceState::Elsewhere, format!("{holder} holds it"))
            }
            _ if holding && address.obstacle.is_none() => {
                (ServiceState::Pending, self.pending(ip, around))
            }
            _ => {
                let why = self.why_here(ip, around);
                let state = match &address.obstacle {
                    Some(Obstacle::EndpointsElsewhere(_)) => ServiceState::Elsewhere,
                    _ => ServiceState::Pending,
                };
                (state, why)
            }
        }
    }

    fn no_endpoints(&self, entry: &Entry) -> String {
        let reach = self.endpoints.reach(&entry.record.name);
        match reach.unready {
            0 => "it has no endpoint on any node: no pod matches its selector, or none is there \
                  yet"
            .to_owned(),
            count => format!("none of its {count} endpoints is ready on any node"),
        }
    }

    /// What keeps an address that should be here from being here and announced.
    fn pending(&self, ip: IpAddr, around: &Around<'_>) -> String {
        let claim = self.addresses.get(&ip).and_then(|address| address.claim.as_deref());
        let refused = claim.and_then(|claim| claim.setback()).map(|back| back.refusal.to_string());
        let muted = claim.and_then(|claim| claim.muted());
        let deaf = around.observed.reach(ip).filter(|reach| reach.told == 0);
        refused
            .or_else(|| muted.map(|refusal| format!("present, not announced: {refusal}")))
            .or_else(|| deaf.map(unheard))
            .unwrap_or_else(|| format!("{ip} is being put on its link"))
    }

    /// Why an address is or is not on this node, in one line.
    pub(in crate::core) fn why_here(&self, ip: IpAddr, around: &Around<'_>) -> String {
        let Some(address) = self.addresses.get(&ip) else {
            return "nothing asks for it".to_owned();
        };
        if address.tenants.is_empty() {
            return "no Service asks for it any more".to_owned();
        }
        if let Some(obstacle) = &address.obstacle {
            return self.words(obstacle);
        }
        if address.authority == Authority::EveryNode {
            return "every node that can has it (no election)".to_owned();
        }
        let lease = self.lease_text(&address.authority, around);
        match self.holder_under(&address.authority, around) {
            Some(holder) if holder == self.node => format!("this node holds the lease {lease}"),
            Some(holder) => format!("{holder} holds the lease {lease}"),
            None => {
                format!("nobody holds the lease {lease} yet{}", self.trouble(&address.authority))
            }
        }
    }

    fn trouble(&self, authority: &Authority) -> String {
        match authority {
            Authority::Lease(lease) => self
                .seats
                .get(&**lease)
                .map(|seat| seat.election.trouble_suffix())
                .unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// An obstacle for a person.
    pub(in crate::core) fn words(&self, obstacle: &Obstacle) -> String {
        match obstacle {
            Obstacle::Unread => "endpoints have not been read from the API server yet".to_owned(),
            Obstacle::NoEndpoints => "no node has an endpoint that takes traffic".to_owned(),
            Obstacle::EndpointsElsewhere(nodes) => {
                let names: Vec<&str> = nodes.iter().map(|id| self.endpoints.name(*id)).collect();
                format!(
                    "its endpoints are on {} and not on {} (externalTrafficPolicy Local)",
                    names.join(", "),
                    self.node
                )
            }
            Obstacle::LeaderServes(leader) => {
                format!("{leader} holds the lease for all and has an endpoint of its own")
            }
            Obstacle::StillHeld(holder) => {
                format!("{holder} has it still, under the lease that decided before")
            }
            Obstacle::Outdated => {
                "its lease says that another one decides about the address; this \
                node waits to hear of that change from the API server"
                    .to_owned()
            }
            Obstacle::Node(why) => why.to_string(),
        }
    }

    /// Why a Service is as it is, the first cause first.
    #[must_use]
    pub fn why(&self, name: &ServiceName, around: &Around<'_>) -> Option<Why> {
        let Some(entry) = self.entries.get(name) else { return self.why_unreadable(name) };
        let mut because = Vec::new();
        match &entry.standing {
            Standing::Ignored(why) => because.push(format!("it is not ours to serve: {why}")),
            Standing::Refused(refused) => {
                because.push(format!("its request is refused: {}", refused.text));
            }
            Standing::Waiting(why) => because.push(why.to_string()),
            Standing::Asking => {
                because.push(format!(
                    "it asks for {}",
                    crate::core::services::write::list(&entry.addresses)
                ));
                let unresolved = self.unresolved(name);
                because.extend(Some(unresolved).filter(|text| !text.is_empty()));
                because.push(self.endpoint_words(entry));
                for ip in &entry.addresses {
                    self.address_words(entry, *ip, around, &mut because);
                }
            }
        }
        self.unreadable_words(name, &mut because);
        if entry.record.wants_egress() {
            because.push("kube-vip.io/egress is not done by this version".to_owned());
        }
        if let Some(why) = entry.writer.trouble() {
            because.push(format!("its status could not be written: {why}; it is tried again"));
        }
        Some(Why { status: self.status(entry, around), because })
    }

    /// A Service that could never be read.
    fn why_unreadable(&self, name: &ServiceName) -> Option<Why> {
        let reason = self.unreadable.services.get(name)?;
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

    fn unreadable_words(&self, name: &ServiceName, because: &mut Vec<String>) {
        let stays = "what was known of it before stays, until it is changed or deleted";
        if let Some(reason) = self.unreadable.services.get(name) {
            because.push(format!("its latest version cannot be read: {reason}; {stays}"));
        }
        let slices = self.unreadable.slices.iter();
        for (_, reason) in slices.filter(|(slice, _)| slice.service == *name) {
            because.push(format!("endpoints of it cannot be read: {reason}; {stays}"));
        }
    }

    fn endpoint_words(&self, entry: &Entry) -> String {
        if self.endpoints_listed == Listed::No {
            return self.words(&Obstacle::Unread);
        }
        let reach = self.endpoints.reach(&entry.record.name);
        let policy = match entry.record.policy {
            crate::core::cluster::record::TrafficPolicy::Cluster => "Cluster: any node may hold it",
            crate::core::cluster::record::TrafficPolicy::Local => {
                "Local: only a node with an endpoint may hold it"
            }
        };
        let names: Vec<&str> = reach.nodes.iter().map(|id| self.endpoints.name(*id)).collect();
        let places = match reach.anywhere {
            crate::core::cluster::endpoints::Anywhere::Nowhere => self.no_endpoints(entry),
            crate::core::cluster::endpoints::Anywhere::Somewhere if names.is_empty() => {
                "its endpoints are on no node of the cluster".to_owned()
            }
            crate::core::cluster::endpoints::Anywhere::Somewhere => {
                format!("it has endpoints on {}", names.join(", "))
            }
        };
        format!("{places} (externalTrafficPolicy {policy})")
    }

    fn address_words(
        &self,
        entry: &Entry,
        ip: IpAddr,
        around: &Around<'_>,
        because: &mut Vec<String>,
    ) {
        let (state, reason) = self.state_at(entry, ip, around);
        if state == ServiceState::Refused {
            return because.push(reason);
        }
        let Some(address) = self.addresses.get(&ip) else { return };
        let lease = self.lease_text(&address.authority, around);
        because.push(match self.holder_under(&address.authority, around) {
            _ if address.authority == Authority::EveryNode => {
                format!("{ip}: no election: every node that can announces it")
            }
            Some(holder) => format!("{ip}: the lease {lease} decides; {holder} holds it"),
            None => format!("{ip}: the lease {lease} decides; nobody holds it"),
        });
        let others = address.tenants.iter().filter(|t| t.service != entry.record.name);
        let others: Vec<String> = others.map(|tenant| tenant.service.to_string()).collect();
        if !others.is_empty() {
            because.push(format!("{ip} is shared with {}", others.join(", ")));
        }
        because.push(match state {
            ServiceState::Held => match around.observed.reach(ip) {
                Some(reach) => format!("{ip} is announced by {} {}", self.node, peers(reach)),
                None => format!("{ip} is on {} and announced", self.node),
            },
            _ => format!("{ip} is not on {}: {reason}", self.node),
        });
        if let Some(obstacle) = &address.obstacle {
            let words = self.words(obstacle);
            if !because.iter().any(|line| line.ends_with(&words)) {
                because.push(format!("{} cannot hold it: {words}", self.node));
            }
        }
    }

    /// Why this node is not ready for what Services ask of it.
    #[must_use]
    pub fn not_ready(&self, around: &Around<'_>) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.services_listed == Listed::No {
            reasons.push("Services have not been read from the API server yet".to_owned());
        } else if self.endpoints_listed == Listed::No {
            reasons.push("endpoints have not been read from the API server yet".to_owned());
        }
        let pending = self.entries.values().filter_map(|entry| {
            let held = entry
                .addresses
                .iter()
                .any(|ip| self.addresses.get(ip).is_some_and(|address| address.is_had()));
            let (state, why) = self.state_of(entry, around);
            (held && state == ServiceState::Pending)
                .then(|| format!("Service {}: {why}", entry.record.name))
        });
        reasons.extend(pending.take(10));
        reasons
    }

    /// Numbers since the start.
    #[must_use]
    pub fn counters(&self) -> ServiceCounters {
        let tally = self.tally();
        ServiceCounters {
            renewals: tally.renewals,
            renewal_failures: tally.failures,
            transitions: tally.transitions,
            ..self.counters.clone()
        }
    }

    /// The labels that this node's Node object should have for Services (LBL-1).
    pub(in crate::core) fn wanted_labels(&self, around: &Around<'_>) -> BTreeMap<String, String> {
        if self.is_stopping(around) {
            return BTreeMap::new();
        }
        let held = self.entries.values().filter_map(|entry| {
            let held = self.held_for(entry, around);
            (!held.is_empty()).then(|| (label_key(&entry.record.name), label_values(&held)))
        });
        ordered::map(held)
    }

    fn is_stopping(&self, around: &Around<'_>) -> bool {
        around.stopping != crate::core::control_plane::Stopping::No
    }

    pub(in crate::core) fn drive_label(&mut self, around: &Around<'_>, effects: &mut Vec<Effect>) {
        if self.settings.labelling == Labelling::Off {
            return;
        }
        let wanted = self.wanted_labels(around);
        let Some(write) = self.label.drive(wanted, around.now) else { return };
        let there = self.nodes.get(&self.node).map(|node| &node.labels);
        let of_services = there.into_iter().flat_map(|labels| labels.keys());
        let stale =
            of_services.filter(|key| key.starts_with(LABEL) && !write.contains_key(&***key));
        let mut change: BTreeMap<String, Option<String>> =
            ordered::map(stale.map(|key| (key.to_string(), None)));
        let before = self.labelled.iter().filter(|key| !write.contains_key(*key));
        change.extend(before.map(|key| (key.clone(), None)));
        change.extend(write.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
        self.labelled = ordered::set(write.into_keys());
        if change.is_empty() {
            return self.label.answered(Ok(()), around.now);
        }
        effects.push(Effect::Kubernetes(KubernetesRequest::ServiceLabels(change)));
    }

    /// The labels were written, or not and why.
    pub fn labelled(&mut self, outcome: Result<(), String>, now: crate::core::Moment) {
        self.label.answered(outcome, now);
    }
}

/// What the keys of Services' labels begin with (LBL-1).
const LABEL: &str = "service-provided.kube-vip.io/";

/// `service-provided.kube-vip.io/NAME.NAMESPACE`; a name part has 63 characters at the most.
fn label_key(name: &ServiceName) -> String {
    let full = format!("{}.{}", name.name(), name.namespace());
    if full.len() <= 63 {
        return format!("{LABEL}{full}");
    }
    let all = std::time::Duration::from_nanos(u64::from(u32::MAX));
    let hash = crate::core::jitter::rank(&[name.namespace(), name.name()], all).as_nanos();
    let start: String = full.chars().take(54).collect();
    format!("{LABEL}{}-{hash:08x}", start.trim_end_matches(['.', '-']))
}

/// Addresses joined by `_`: a label's value has no comma, and 63 characters at the most.
fn label_values(addresses: &[IpAddr]) -> String {
    let mut value = String::new();
    for address in addresses {
        let text = crate::core::addresses::claim::label_value(*address);
        if value.len() + text.len() >= 63 {
            break;
        }
        if !value.is_empty() {
            value.push('_');
        }
        value.push_str(&text);
    }
    value
}
