//! Series about Services of type LoadBalancer. None is per Service: a thousand of them would be a
//! thousand series on every node. `/status` and `viplet why` say it of each.

use std::collections::BTreeMap;

use crate::core::status::{ServiceCounters, ServiceState, Status};
use crate::ordered;

use super::exposition::{Exposition, Kind, sample};

const STATES: [(ServiceState, &str); 6] = [
    (ServiceState::Held, "held"),
    (ServiceState::Pending, "pending"),
    (ServiceState::Elsewhere, "elsewhere"),
    (ServiceState::Waiting, "waiting"),
    (ServiceState::Refused, "refused"),
    (ServiceState::Ignored, "ignored"),
];
/// A watch's words: there from the first scrape on.
const EVENTS: [&str; 3] = ["ADDED", "DELETED", "MODIFIED"];

pub(super) fn render(out: &mut Exposition, status: &Status, counters: &ServiceCounters) {
    of_kube_vip(out, status, counters);
    states(out, status);
    totals(out, counters);
}

fn of_kube_vip(out: &mut Exposition, status: &Status, counters: &ServiceCounters) {
    let mut held: BTreeMap<&str, u64> = BTreeMap::new();
    for service in &status.services {
        let namespace = service.service.split('/').next().unwrap_or_default();
        let here = service.state == ServiceState::Held;
        *held.entry(namespace).or_default() += u64::from(here);
    }
    out.family(
        (
            "kube_vip_active_services",
            Kind::Gauge,
            "Services whose addresses are all on this node and announced, by namespace.",
        ),
        held.iter().map(|(namespace, count)| sample([("namespace", namespace)], count)),
    );
    let mut seen: BTreeMap<&str, u64> = ordered::map(EVENTS.into_iter().map(|word| (word, 0)));
    seen.extend(counters.seen.iter().map(|(word, count)| (word.as_str(), *count)));
    out.family(
        (
            "kube_vip_manager_all_services_events",
            Kind::Counter,
            "Changes of Services that were taken in, by the watch's word.",
        ),
        seen.iter().map(|(word, count)| sample([("type", word)], count)),
    );
}

fn states(out: &mut Exposition, status: &Status) {
    let count = |state| status.services.iter().filter(|service| service.state == state).count();
    out.family(
        (
            "viplet_services",
            Kind::Gauge,
            "Services of type LoadBalancer by their state on this node: held (here and announced), \
             pending (should be here and is not), elsewhere, waiting (no node can hold it), refused \
             (it asks for what cannot be), ignored (not viplet's).",
        ),
        STATES.map(|(state, word)| sample([("state", word)], count(state))),
    );
}

fn totals(out: &mut Exposition, counters: &ServiceCounters) {
    out.family(
        (
            "viplet_services_refused_total",
            Kind::Counter,
            "Times that a Service was refused, by reason; which one and why: its Events, viplet why.",
        ),
        counters
            .refused
            .iter()
            .map(|(reason, count)| sample([("reason", reason.as_str())], count)),
    );
    for (name, help, count) in [
        (
            "viplet_service_writes_total",
            "Writes of annotations and status of Services that were asked for.",
            counters.writes,
        ),
        (
            "viplet_service_write_failures_total",
            "Such writes that failed.",
            counters.write_failures,
        ),
        (
            "viplet_service_events_total",
            "Kubernetes Events about Services that were asked for.",
            counters.events,
        ),
        (
            "viplet_service_lease_renewals_total",
            "Renewals of leases of Services' own that succeeded.",
            counters.renewals,
        ),
        (
            "viplet_service_lease_renewal_failures_total",
            "Tries to read or write such leases that failed.",
            counters.renewal_failures,
        ),
        (
            "viplet_service_lease_transitions_total",
            "Changes of holder of such leases that this node saw.",
            counters.transitions,
        ),
    ] {
        out.family((name, Kind::Counter, help), [sample([], count)]);
    }
}
