//! `/metrics` in Prometheus' text format: kube-vip's names where they mean the same, ours
//! (`viplet_…`) for the rest.
//!
//! kube-vip's series name a lease without its namespace. They keep their labels here, so that
//! dashboards go on working; ours carry both.

mod exposition;
mod peers;
mod services;

use crate::build_info::{BUILD, VERSION};
use crate::core::status::{AddressState, Counters, LeaseStatus, RoleStatus, Status};

use super::process::Process;
use super::source::{ApiHealth, Source};
use exposition::{Exposition, Kind, Sample, sample};

/// The format's media type.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything, as of now.
#[must_use]
pub fn render(source: &dyn Source, process: Process) -> String {
    let (status, counters) = (source.status(), source.counters());
    let mut out = Exposition::default();
    kube_vip(&mut out, &status, &counters);
    health(&mut out, source, &status);
    leases(&mut out, &status, &counters);
    addresses(&mut out, &status);
    peers::render(&mut out, &source.peers());
    services::render(&mut out, &status, &counters.services);
    totals(&mut out, &counters);
    of_process(&mut out, process);
    out.into_text()
}

fn kube_vip(out: &mut Exposition, status: &Status, counters: &Counters) {
    let node = status.node.as_str();
    out.family(
        ("kube_vip_build_info", Kind::Gauge, "Version and build of this viplet, always 1."),
        [sample([("version", VERSION), ("build", BUILD), ("node", node)], 1)],
    );
    let names = lease_names(status, counters);
    let unqualified = |wanted: &str| {
        let same = |lease: &&String| split(lease).1 == wanted;
        names.iter().filter(same).cloned().collect::<Vec<_>>()
    };
    out.family(
        ("kube_vip_is_leader", Kind::Gauge, "Whether this node holds the lease (1) or not (0)."),
        status.leases.iter().map(|lease| {
            let (_, name) = split(&lease.lease);
            let held = unqualified(name).iter().any(|full| holds(status, full));
            sample([("node", node), ("lease_name", name)], u8::from(held))
        }),
    );
    out.family(
        (
            "kube_vip_leader_election_transitions_total",
            Kind::Counter,
            "Changes of the lease's holder that this node saw since its start.",
        ),
        names.iter().map(|lease| {
            let (_, name) = split(lease);
            let seen = |full: &String| counters.transitions.get(full).copied().unwrap_or_default();
            sample([("lease_name", name)], unqualified(name).iter().map(seen).sum::<u64>())
        }),
    );
}

fn health(out: &mut Exposition, source: &dyn Source, status: &Status) {
    out.family(
        ("viplet_healthy", Kind::Gauge, "Whether the main loop turns: what /healthz says."),
        [sample([], u8::from(source.health().is_ok()))],
    );
    out.family(
        (
            "viplet_ready",
            Kind::Gauge,
            "Whether every address that should be here is here and announced: what /readyz says.",
        ),
        [sample([], u8::from(status.not_ready.is_empty()))],
    );
    let (reachable, since) = match source.api() {
        ApiHealth::Unknown => (None, None),
        ApiHealth::Reachable { seconds } => (Some(1), Some(seconds)),
        ApiHealth::Unreachable { seconds, .. } => (Some(0), Some(seconds)),
    };
    out.family(
        (
            "viplet_api_reachable",
            Kind::Gauge,
            "Whether the Kubernetes API server answers; absent until it was asked.",
        ),
        reachable.map(|reachable| sample([], reachable)),
    );
    out.family(
        (
            "viplet_api_state_seconds",
            Kind::Gauge,
            "For how long the Kubernetes API server has been reachable, or unreachable.",
        ),
        since.map(|since| sample([], since)),
    );
}

fn leases(out: &mut Exposition, status: &Status, counters: &Counters) {
    let each = |value: fn(&LeaseStatus) -> Option<f64>| {
        status.leases.iter().filter_map(move |lease| {
            value(lease).map(|value| sample(lease_labels(&lease.lease), value))
        })
    };
    out.family(
        ("viplet_lease_held", Kind::Gauge, "Whether this node holds the lease (1) or not (0)."),
        each(|lease| Some(f64::from(u8::from(lease.role == RoleStatus::Holding)))),
    );
    out.family(
        (
            "viplet_lease_hold_remaining_seconds",
            Kind::Gauge,
            "Time until this node's hold ends unless it is renewed, 0 while it holds nothing.",
        ),
        each(|lease| Some(lease.held_for.unwrap_or_default().as_secs_f64())),
    );
    out.family(
        (
            "viplet_lease_last_renewal_age_seconds",
            Kind::Gauge,
            "Time since this node's last renewal, or since it saw the holder's last one.",
        ),
        each(|lease| lease.renewed_ago.map(|ago| ago.as_secs_f64())),
    );
    let names = lease_names(status, counters);
    for (name, help, counts) in [
        (
            "viplet_lease_renewals_total",
            "Renewals of the lease that succeeded.",
            &counters.renewals,
        ),
        (
            "viplet_lease_renewal_failures_total",
            "Tries to read or write the lease that failed.",
            &counters.renewal_failures,
        ),
        (
            "viplet_lease_transitions_total",
            "Changes of the lease's holder that this node saw.",
            &counters.transitions,
        ),
    ] {
        out.family(
            (name, Kind::Counter, help),
            names.iter().map(|lease| {
                sample(lease_labels(lease), counts.get(lease).copied().unwrap_or_default())
            }),
        );
    }
}

fn addresses(out: &mut Exposition, status: &Status) {
    let literal = |address: &crate::core::status::AddressStatus| {
        address.address.map(|address| address.to_string()).unwrap_or_default()
    };
    let mut states: Vec<Sample> = Vec::new();
    let mut announced: Vec<Sample> = Vec::new();
    for entry in &status.addresses {
        let address = literal(entry);
        let name = entry.name.as_deref().unwrap_or_default();
        let common = [("address", address.as_str()), ("name", name), ("link", &entry.link)];
        let [a, n, l] = common;
        for (state, word) in STATES {
            let labels = [a, n, l, ("lease", &entry.lease), ("state", word)];
            states.push(sample(labels, u8::from(entry.state == state)));
        }
        announced.push(sample(common, entry.announced));
    }
    out.family(
        (
            "viplet_address_state",
            Kind::Gauge,
            "1 for the state that the control plane's address is in on this node: held (here and \
             announced), pending (should be here and is not), kept (here, not announced), elsewhere, \
             blocked. Services' addresses: viplet_services, and /status for each.",
        ),
        states,
    );
    out.family(
        (
            "viplet_address_announcements_total",
            Kind::Counter,
            "Announcements (gratuitous ARP, unsolicited NA) of the control plane's address from \
             this node; those of Services' addresses are in viplet_announcements_total.",
        ),
        announced,
    );
}

fn totals(out: &mut Exposition, counters: &Counters) {
    for (name, help, count) in [
        ("viplet_announcements_total", "Announcements of all addresses.", counters.announcements),
        ("viplet_installs_total", "Addresses installed or refreshed.", counters.installs),
        ("viplet_withdrawals_total", "Addresses withdrawn.", counters.withdrawals),
        ("viplet_refusals_total", "Commands that the kernel refused.", counters.refusals),
        (
            "viplet_late_commands_total",
            "Commands that were too late to be carried out and were decided anew.",
            counters.late,
        ),
        (
            "viplet_rivals_total",
            "Times that another station claimed an address held here.",
            counters.rivals,
        ),
    ] {
        out.family((name, Kind::Counter, help), [sample([], count)]);
    }
    out.family(
        ("viplet_rejects_total", Kind::Counter, "Inputs that made no sense, by reason."),
        counters
            .rejects
            .iter()
            .map(|(reason, count)| sample([("reason", reason.as_str())], *count)),
    );
}

fn of_process(out: &mut Exposition, process: Process) {
    out.family(
        ("process_resident_memory_bytes", Kind::Gauge, "Resident memory size in bytes."),
        process.resident_bytes.map(|bytes| sample([], bytes)),
    );
    out.family(
        ("process_cpu_seconds_total", Kind::Counter, "User and system CPU time spent in seconds."),
        [sample([], process.cpu_seconds)],
    );
    out.family(
        (
            "process_start_time_seconds",
            Kind::Gauge,
            "Start time of the process since unix epoch in seconds.",
        ),
        process.started.map(|seconds| sample([], seconds)),
    );
    out.family(
        ("process_open_fds", Kind::Gauge, "Number of open file descriptors."),
        process.open_files.map(|files| sample([], files)),
    );
}

const STATES: [(AddressState, &str); 5] = [
    (AddressState::Held, "held"),
    (AddressState::Pending, "pending"),
    (AddressState::Kept, "kept"),
    (AddressState::Elsewhere, "elsewhere"),
    (AddressState::Blocked, "blocked"),
];

/// Every lease that has a status or was ever counted, so that a counter starts at 0.
fn lease_names(status: &Status, counters: &Counters) -> Vec<String> {
    let counted = [&counters.renewals, &counters.renewal_failures, &counters.transitions];
    let mut names: Vec<String> = status.leases.iter().map(|lease| lease.lease.clone()).collect();
    names.extend(counted.into_iter().flat_map(|counts| counts.keys().cloned()));
    names.sort();
    names.dedup();
    names
}

fn holds(status: &Status, lease: &str) -> bool {
    let this = |entry: &&LeaseStatus| entry.lease == lease;
    status.leases.iter().find(this).is_some_and(|entry| entry.role == RoleStatus::Holding)
}

fn split(lease: &str) -> (&str, &str) {
    lease.split_once('/').unwrap_or(("", lease))
}

fn lease_labels(lease: &str) -> [(&'static str, &str); 2] {
    let (namespace, name) = split(lease);
    [("lease_namespace", namespace), ("lease_name", name)]
}

#[cfg(test)]
mod tests;
