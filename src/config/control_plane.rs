//! What is said about the control plane's addresses, as the core takes it, and the check of the API
//! server that they may depend on.

use std::time::Duration;

use super::build;
use super::gather::{Gathered, Inputs};
use super::network::PrefixChoice;
use super::settings::{HealthCheck, Mode};
use super::value::Value;
use crate::core::settings as core;

/// What Go's HTTP client does with a time-out of 0: it waits as long as it takes.
const NO_LIMIT: Duration = Duration::from_secs(i32::MAX as u64);

/// The control plane's settings, where it has addresses to hold.
pub(super) fn control_plane(values: &Gathered, inputs: &Inputs<'_>) -> Option<core::ControlPlane> {
    if !values.is_on("cp_enable") {
        return None;
    }
    let (_, targets) = values.control_plane_targets();
    Some(core::ControlPlane {
        lease: build::lease("vip_leasename", values, inputs)?,
        lease_annotations: match values.find("vip_leaseannotations").map(|found| &found.value) {
            Some(Value::Map(map)) => map.clone(),
            _ => Default::default(),
        },
        timing: build::timing(values),
        election: match values.mode() {
            Some(mode) if mode.is_routed() => values.choose(
                "vip_leaderelection",
                core::PlaneElection::ByLease,
                core::PlaneElection::EveryNode,
            ),
            _ => core::PlaneElection::ByLease,
        },
        health: health(values),
        targets: targets.to_vec(),
        dns_mode: build::dns_mode(values),
        prefix: prefix(values.prefixes()),
        link: build::link(values),
        loopback_scope: values.choose(
            "vip_interfaceloglobal",
            core::LoopbackScope::Global,
            core::LoopbackScope::Host,
        ),
        duplicate_detection: build::duplicate_detection(values),
        announce_every: build::announce_every(values),
        on_loss: values.choose(
            "vip_preserve_on_leadership_loss",
            core::OnLoss::PreserveV4,
            core::OnLoss::Withdraw,
        ),
        on_link_down: build::on_link_down(values),
        link_not_up: build::link_not_up(values),
        labelling: build::labelling(values),
    })
}

/// How the API server is checked, in the modes that can announce without it.
pub(super) fn health_check(values: &Gathered) -> Option<HealthCheck> {
    let url = values.text("control_plane_health_check_address");
    let routed = values.mode().is_some_and(Mode::is_routed);
    (routed && values.is_on("cp_enable") && !url.is_empty()).then(|| HealthCheck {
        url,
        every: build::seconds(values, "control_plane_health_check_period_seconds"),
        within: match build::seconds(values, "control_plane_health_check_timeout_seconds") {
            Duration::ZERO => NO_LIMIT,
            within => within,
        },
        authority: build::path(&values.text("control_plane_health_check_ca_path")),
    })
}

/// CP-8.
fn health(values: &Gathered) -> core::HealthGate {
    let failures = values.integer("control_plane_health_check_failure_threshold");
    match health_check(values) {
        Some(_) => core::HealthGate::Failures(u32::try_from(failures).unwrap_or(1).max(1)),
        None => core::HealthGate::Open,
    }
}

/// CFG-11 and CFG-12: one length is for both families where it fits.
fn prefix(choice: Option<PrefixChoice>) -> core::PrefixLengths {
    let (v4, v6) = match choice {
        Some(PrefixChoice::One(length)) if length <= 32 => (length, length),
        Some(PrefixChoice::One(length)) => (32, length),
        Some(PrefixChoice::Both(v4, v6)) => (v4.unwrap_or(32), v6.unwrap_or(128)),
        Some(PrefixChoice::Auto) | None => (32, 128),
    };
    core::PrefixLengths { v4, v6 }
}
