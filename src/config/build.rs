//! From resolved values to typed settings.

use std::path::PathBuf;
use std::time::Duration;

use viplet_backend_api::{DuplicateDetection, Given, InterfaceName};

use super::control_plane::{control_plane, health_check};
use super::gather::{Gathered, Inputs, gather};
use super::network;
use super::problem::{Problem, Source, shown};
use super::services::services;
use super::settings::{LogThreshold, Mode, Settings};
use super::validate::{Purpose, validate};
use super::value::Value;
use crate::core::LeaseName;
use crate::core::settings as core;
use crate::kube::{AccessSettings, ControlPlane, Detect};
use crate::ordered;

/// The kubeconfig that is looked for anyway.
const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";

/// Settings that can be run with.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The typed settings.
    pub settings: Settings,
    /// What a person should know: for the log at the start.
    pub warnings: Vec<String>,
    /// Every setting's value and where it came from, in the table's order.
    pub effective: Vec<Effective>,
}

/// A setting as it is in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its name.
    pub setting: &'static str,
    /// Its value, or a mask.
    pub value: String,
    /// Where it came from.
    pub source: Source,
}

/// Makes settings of everything that was given; `features` are those of this build.
///
/// # Errors
/// With every problem at once, in the table's order.
pub fn load(inputs: &Inputs<'_>, features: &[&str]) -> Result<Loaded, Vec<Problem>> {
    let mut gathered = gather(inputs);
    one_holder(&mut gathered);
    let backend = validate(&mut gathered, features, Purpose::Run);
    let node = node_name(inputs, &mut gathered);
    dhcp_mode(&mut gathered);
    let mode = gathered.mode();
    let (true, Some(mode), Some(backend)) = (gathered.problems.is_empty(), mode, backend) else {
        return Err(in_table_order(gathered.problems));
    };
    let values = &gathered;
    let settings = Settings {
        core: core::Settings {
            node,
            control_plane: control_plane(values, inputs),
            services: services(values, inputs),
            seed: 0,
        },
        health_check: health_check(values),
        mode,
        backend,
        instance: instance(values),
        access: access(values, inputs),
        log: LogThreshold(i32::try_from(values.integer("vip_loglevel")).unwrap_or_default()),
        metrics: network::listener(&values.text("prometheus_server")).ok().flatten(),
        health_port: u16::try_from(values.integer("health_check_port")).ok().filter(|p| *p > 0),
        record_file: path(&values.text("record_file")),
        config_file: path(&values.text("config_file")),
    };
    let effective = effective(values, &settings.core.node);
    Ok(Loaded { settings, warnings: gathered.warnings, effective })
}

/// What was given for the mode's own backend.
pub(super) fn given(values: &Gathered, mode: Mode) -> Given {
    let own = super::table::all().filter(|setting| setting.feature == mode.feature());
    let found = own.filter_map(|setting| values.find(setting.name));
    let texts = found.map(|found| (found.setting.name, found.value.to_string()));
    Given(ordered::map(texts.filter(|(_, text)| !text.is_empty())))
}

pub(super) fn in_table_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| super::table::all().position(|s| s.name == problem.setting));
    problems
}

/// CFG-10: where nobody said otherwise, `dns_mode` says which families.
pub(super) fn dhcp_mode(gathered: &mut Gathered) {
    let dns = gathered.text("dns_mode");
    if let Some(found) = gathered.values.get_mut("dhcp_mode")
        && found.source == Source::Default
        && dns != "first"
    {
        found.value = Value::Text(dns);
    }
}

/// A path, where there is one.
pub(super) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

/// ELE-3: the name's own namespace, else the service account's, else `cp_namespace`.
pub(super) fn lease(name: &str, values: &Gathered, inputs: &Inputs<'_>) -> Option<LeaseName> {
    let account = inputs.service_account_namespace.as_deref().map(str::trim);
    let fallback = values.text("cp_namespace");
    let namespace = account.filter(|text| !text.is_empty()).unwrap_or(&fallback);
    LeaseName::parse(&values.text(name), namespace)
}

/// One rhythm for every election.
pub(super) fn timing(values: &Gathered) -> core::LeaseTiming {
    core::LeaseTiming {
        duration: seconds(values, "vip_leaseduration"),
        renew_deadline: seconds(values, "vip_renewdeadline"),
        retry_period: seconds(values, "vip_retryperiod"),
    }
}

/// A number of seconds.
pub(super) fn seconds(values: &Gathered, name: &str) -> Duration {
    Duration::from_secs(u64::try_from(values.integer(name)).unwrap_or_default())
}

pub(super) fn dns_mode(values: &Gathered) -> core::DnsMode {
    match values.text("dns_mode").as_str() {
        "ipv4" => core::DnsMode::Ipv4,
        "ipv6" => core::DnsMode::Ipv6,
        "dual" => core::DnsMode::Dual,
        _ => core::DnsMode::First,
    }
}

pub(super) fn link(values: &Gathered) -> core::LinkChoice {
    InterfaceName::new(&values.text("vip_interface"))
        .map_or(core::LinkChoice::DefaultRoute, core::LinkChoice::Named)
}

pub(super) fn duplicate_detection(values: &Gathered) -> DuplicateDetection {
    values.choose("vip_skipdad", DuplicateDetection::Skip, DuplicateDetection::Kernel)
}

/// Announcements in ARP mode are repeated for whoever missed them; routers forget nothing while
/// the session stands.
pub(super) fn announce_every(values: &Gathered) -> Duration {
    if values.mode().is_some_and(Mode::is_routed) {
        return Duration::from_secs(60);
    }
    Duration::from_millis(u64::try_from(values.integer("vip_arpRate")).unwrap_or_default())
}

pub(super) fn on_link_down(values: &Gathered) -> core::OnLinkDown {
    let patience = seconds(values, "vip_loseleadership_timeout_seconds");
    values.choose("vip_loseleadership", core::OnLinkDown::Yield(patience), core::OnLinkDown::Keep)
}

pub(super) fn link_not_up(values: &Gathered) -> core::LinkNotUp {
    values.choose("vip_allow_interface_not_up", core::LinkNotUp::Allow, core::LinkNotUp::Wait)
}

pub(super) fn labelling(values: &Gathered) -> core::Labelling {
    values.choose("enable_node_labeling", core::Labelling::On, core::Labelling::Off)
}

/// Where an election gives each address one holder and nobody said otherwise: the routes of a node
/// that died go before another one has the address.
fn one_holder(gathered: &mut Gathered) {
    let elected = |on: &str, by: &str| gathered.is_on(on) && gathered.is_on(by);
    if !elected("cp_enable", "vip_leaderelection") && !elected("svc_enable", "svc_election") {
        return;
    }
    let hold = gathered.integer("vip_leaseduration").clamp(3, 30);
    for (name, value) in [
        ("bgp_graceful_restart_seconds", 0),
        ("bgp_hold_time", hold),
        ("bgp_keepalive_interval", hold / 3),
    ] {
        if let Some(found) = gathered.values.get_mut(name)
            && found.source == Source::Default
        {
            found.value = Value::Integer(value);
        }
    }
}

fn effective(values: &Gathered, node: &str) -> Vec<Effective> {
    let found = super::table::all().filter_map(|setting| values.find(setting.name));
    found
        .map(|found| Effective {
            setting: found.setting.name,
            value: match found.setting.name {
                "vip_nodename" => node.to_owned(), // Its default is the host's name.
                _ => shown(found.setting, &found.value.to_string()),
            },
            source: found.source.clone(),
        })
        .collect()
}

/// `vip_nodename` or the host's name, lower-case (K8S-4).
fn node_name(inputs: &Inputs<'_>, gathered: &mut Gathered) -> String {
    let given = gathered.text("vip_nodename");
    let name = if given.is_empty() { inputs.hostname.trim() } else { &given };
    let name = name.to_lowercase();
    let strange = |c: char| c.is_whitespace() || c.is_control() || c == '/';
    if (name.is_empty() || name.chars().any(strange))
        && let Some(found) = gathered.find("vip_nodename")
    {
        let why = "not a node's name (the host name counts when it is empty); accepted: the name \
                   of this node's Node object";
        let problem = Problem::new(found.setting, &name, &found.source, why);
        gathered.problems.push(problem);
    }
    name
}

/// The explicit kubeconfig is the one that is not looked for anyway (K8S-1).
fn access(values: &Gathered, inputs: &Inputs<'_>) -> AccessSettings {
    let home = inputs.environment.get("HOME").map(|home| format!("{home}/.kube/config"));
    let file = values.text("k8s_config_file");
    let usual = file == ADMIN_CONF || Some(&file) == home.as_ref();
    let server = values.text("kubernetes_addr");
    AccessSettings {
        kubeconfig: path(&file).filter(|_| !usual),
        server_override: (!server.is_empty()).then_some(server),
        detect_control_plane: if values.is_on("cp_detect") { Detect::On } else { Detect::Off },
        port: u16::try_from(values.integer("port")).unwrap_or_default(),
        control_plane: if values.is_on("cp_enable") { ControlPlane::On } else { ControlPlane::Off },
        virtual_addresses: values.control_plane_targets().1.to_vec(),
    }
}

/// The deployment's own name; tenants that share a node have a namespace each (J-26).
fn instance(values: &Gathered) -> String {
    match values.text("instance_name") {
        name if name.is_empty() && values.is_on("svc_enable") => values.text("svc_namespace"),
        name => name,
    }
}
