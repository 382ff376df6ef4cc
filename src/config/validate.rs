//! What no single value shows: features, gates, and combinations.

use super::build::given;
use super::gather::{Gathered, Resolved};
use super::network::PrefixChoice;
use super::problem::{Problem, Source};
use super::setting::{Gate, Role};
use super::settings::Mode;
use super::value::Value;
use crate::core::address::unusable;
use crate::core::settings::Target;
use crate::registry::BackendSettings;

/// The modes and the settings that turn them on.
const MODES: [(&str, Mode); 4] = [
    ("vip_arp", Mode::Arp),
    ("bgp_enable", Mode::Bgp),
    ("vip_routingtable", Mode::RoutingTable),
    ("vip_wireguard", Mode::Wireguard),
];

impl Gathered {
    pub(super) fn find(&self, name: &str) -> Option<&Resolved> {
        self.values.get(name)
    }

    /// The value as text; empty when there is none.
    pub(super) fn text(&self, name: &str) -> String {
        self.find(name).map(|found| found.value.to_string()).unwrap_or_default()
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        self.find(name).is_some_and(|found| found.value == Value::Bool(true))
    }

    /// `on` where this boolean is true, else `off`.
    pub(super) fn choose<T>(&self, name: &str, on: T, off: T) -> T {
        if self.is_on(name) { on } else { off }
    }

    pub(super) fn integer(&self, name: &str) -> i64 {
        match self.find(name).map(|found| &found.value) {
            Some(Value::Integer(value)) => *value,
            _ => 0,
        }
    }

    pub(super) fn targets(&self, name: &str) -> &[Target] {
        match self.find(name).map(|found| &found.value) {
            Some(Value::Targets(targets)) => targets,
            _ => &[],
        }
    }

    pub(super) fn prefixes(&self) -> Option<PrefixChoice> {
        match self.find("vip_subnet").map(|found| &found.value) {
            Some(Value::Prefixes(choice)) => *choice,
            _ => None,
        }
    }

    /// The control plane's addresses and the setting that has them.
    pub(super) fn control_plane_targets(&self) -> (&'static str, &[Target]) {
        match self.targets("address") {
            [] => ("vip_address", self.targets("vip_address")),
            targets => ("address", targets),
        }
    }

    /// The mode, when there is exactly one.
    pub(super) fn mode(&self) -> Option<Mode> {
        let mut on = MODES.iter().filter(|(name, _)| self.is_on(name));
        match (on.next(), on.next()) {
            (Some((_, mode)), None) => Some(*mode),
            _ => None,
        }
    }

    fn blame(&mut self, name: &str, why: impl Into<String>) {
        if let Some(found) = self.values.get(name) {
            let value = found.value.to_string();
            self.problems.push(Problem::new(found.setting, &value, &found.source, why));
        }
    }

    fn was_refused(&self, name: &str) -> bool {
        self.problems.iter().any(|problem| problem.setting == name)
    }

    /// Which setting keeps this one from mattering, when one does.
    pub(super) fn closed_by(&self, gate: Gate) -> Option<&'static str> {
        let on = |found: &Resolved| found.value == Value::Bool(true);
        match gate {
            Gate::Always => None,
            Gate::AnyOn(names) => {
                let mut closed = names.iter().map(|name| self.closed_at(name, on));
                let first = closed.next().flatten();
                first.filter(|_| closed.all(|other| other.is_some()))
            }
            Gate::Given(name) => self.closed_at(name, |found| !found.value.to_string().is_empty()),
            Gate::Is(name, value) => self.closed_at(name, |found| found.value.to_string() == value),
        }
    }

    /// The gate itself, or what keeps the gate from mattering.
    fn closed_at(
        &self,
        gate: &'static str,
        is_open: impl Fn(&Resolved) -> bool,
    ) -> Option<&'static str> {
        match self.find(gate) {
            Some(found) if is_open(found) => self.closed_by(found.setting.gate),
            _ => Some(gate),
        }
    }
}

/// What settings are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To run with them.
    Run,
    /// To know which rights they need: then they need not be all there.
    Rights,
}

/// Finds every problem that a single value does not show. The settings of the mode's own backend
/// come back where nothing is wrong with them.
pub(super) fn validate(
    gathered: &mut Gathered,
    features: &[&str],
    purpose: Purpose,
) -> Option<BackendSettings> {
    features_and_gates(gathered, features);
    let settings = match purpose {
        Purpose::Run => {
            mode(gathered);
            backend(gathered)
        }
        Purpose::Rights => None,
    };
    lease_timing(gathered);
    if gathered.is_on("cp_enable") {
        control_plane(gathered);
        prefix_lengths(gathered);
    } else {
        automatic_prefix(gathered);
    }
    settings
}

/// Refuses what this build lacks; points at what has no effect.
fn features_and_gates(gathered: &mut Gathered, features: &[&str]) {
    let given: Vec<Resolved> =
        gathered.values.values().filter(|found| is_changed(found)).cloned().collect();
    for Resolved { setting, value, source } in given {
        let name = setting.name;
        if let Some(gate) = gathered.closed_by(setting.gate) {
            let state = gathered.text(gate);
            let state = if state.is_empty() { "not set".to_owned() } else { state };
            gathered.warnings.push(format!("{name} has no effect: {gate} is {state}"));
        } else if !setting.feature.is_empty() && !features.contains(&setting.feature) {
            let feature = setting.feature;
            let lacks = format!("needs the feature {feature}, which this build lacks");
            if setting.role == Role::Switch {
                let text = value.to_string();
                gathered.problems.push(Problem::new(setting, &text, &source, lacks));
            } else {
                gathered.warnings.push(format!("{name} has no effect: it {lacks}"));
            }
        }
    }
}

/// Given, and not to the default.
fn is_changed(found: &Resolved) -> bool {
    found.source != Source::Default && found.value.to_string() != found.setting.default
}

/// CLI-7: exactly one mode, at least one thing to do.
fn mode(gathered: &mut Gathered) {
    let on: Vec<&str> =
        MODES.iter().map(|(name, _)| *name).filter(|name| gathered.is_on(name)).collect();
    match on.as_slice() {
        [] if !MODES.iter().any(|(name, _)| gathered.was_refused(name)) => gathered.blame(
            "vip_arp",
            "no valid kube-vip mode detected; accepted: one of vip_arp, bgp_enable, \
             vip_routingtable, vip_wireguard is true",
        ),
        [first, _, ..] => {
            let why = format!(
                "multiple kube-vip modes detected: {}; accepted: exactly one",
                on.join(", ")
            );
            gathered.blame(first, why);
        }
        _ => {}
    }
    let idle = !gathered.is_on("cp_enable") && !gathered.is_on("svc_enable");
    if idle && !gathered.was_refused("cp_enable") && !gathered.was_refused("svc_enable") {
        gathered.blame(
            "cp_enable",
            "no features are enabled; accepted: cp_enable or svc_enable is true",
        );
    }
}

/// duration > renew deadline > 1.2 × retry period: client-go panics otherwise.
fn lease_timing(gathered: &mut Gathered) {
    let names = ["vip_leaseduration", "vip_renewdeadline", "vip_retryperiod"];
    if names.iter().any(|name| gathered.was_refused(name)) {
        return;
    }
    let [duration, deadline, retry] = names.map(|name| gathered.integer(name));
    if duration <= deadline {
        let why =
            format!("not less than the lease; accepted: less than vip_leaseduration={duration}");
        gathered.blame("vip_renewdeadline", why);
    }
    if deadline * 10 <= retry * 12 {
        let why =
            format!("too long; accepted: 1.2 times it is less than vip_renewdeadline={deadline}");
        gathered.blame("vip_retryperiod", why);
    }
}

/// An address to hold, and one that can be held.
fn control_plane(gathered: &mut Gathered) {
    let (name, targets) = gathered.control_plane_targets();
    let targets = targets.to_vec();
    if targets.is_empty() {
        if !["address", "vip_address", "vip_ddns"].iter().any(|name| gathered.was_refused(name)) {
            gathered.blame(
                "address",
                "cp_enable is true, so an address is needed; accepted: IP addresses or DNS names",
            );
        }
        return;
    }
    let subnet_said = gathered.prefixes().is_some() || gathered.was_refused("vip_subnet");
    if name == "vip_address" && !subnet_said {
        gathered.blame(
            "vip_address",
            "vip_subnet must be set with vip_address; accepted: vip_subnet=32, or address instead \
             of vip_address",
        );
    }
    let older = gathered.targets("vip_address");
    if name == "address" && !older.is_empty() && older != targets {
        gathered.warnings.push("vip_address has no effect: address is set".to_owned());
    }
    let link = gathered.text("vip_interface");
    for target in &targets {
        let Target::Address(address) = target else { continue };
        if address.is_unspecified() {
            let why = format!(
                "{address} asks for an address by DHCP, which is for Services; accepted: the \
                 address itself or a DNS name"
            );
            gathered.blame(name, why);
        } else if let Some(why) = unusable(*address, &link) {
            gathered.blame(name, format!("{address} {why}"));
        }
    }
    if gathered.mode() == Some(Mode::Arp)
        && gathered.find("vip_leaderelection").is_some_and(|found| {
            found.value == Value::Bool(false) && found.source != Source::Default
        })
    {
        let lease = gathered.text("vip_leasename");
        gathered.warnings.push(format!(
            "vip_leaderelection=false: in ARP mode an address has one holder, so the election runs \
             on {lease} all the same"
        ));
    }
}

/// CFG-12: lengths that fit the addresses' families; `auto` is not for the control plane.
fn prefix_lengths(gathered: &mut Gathered) {
    let Some(choice) = gathered.prefixes() else { return };
    let (_, targets) = gathered.control_plane_targets();
    let any = |v4: bool| {
        let wanted = |t: &Target| matches!(t, Target::Address(a) if a.is_ipv4() == v4);
        targets.iter().any(wanted)
    };
    let (has_v4, has_v6) = (any(true), any(false));
    match choice {
        PrefixChoice::Auto | PrefixChoice::Both(None, _) | PrefixChoice::Both(_, None)
            if !targets.is_empty() =>
        {
            gathered.blame(
                "vip_subnet",
                "auto is for Services in ARP mode, not with an address; accepted: 24, or 24,64",
            );
        }
        PrefixChoice::One(length) if has_v4 && length > 32 => gathered.blame(
            "vip_subnet",
            "too long for an IPv4 address; accepted: 1 to 32, or both lengths as 32,128",
        ),
        PrefixChoice::One(length) if has_v6 && length <= 32 => {
            gathered.warnings.push(format!(
                "vip_subnet={length} is the length of the IPv6 address too; write both lengths, \
                 {length},128 say"
            ));
        }
        _ => {}
    }
}

/// CFG-12: `auto` is where an address becomes part of a link's own network.
fn automatic_prefix(gathered: &mut Gathered) {
    let automatic = match gathered.prefixes() {
        Some(PrefixChoice::Auto) => true,
        Some(PrefixChoice::Both(v4, v6)) => v4.is_none() || v6.is_none(),
        Some(PrefixChoice::One(_)) | None => false,
    };
    if let Some(mode) = gathered.mode()
        && automatic
        && mode != Mode::Arp
    {
        let why = format!(
            "auto is for Services in ARP mode, not in {} mode; accepted: 32, or 32,128",
            mode.as_str()
        );
        gathered.blame("vip_subnet", why);
    }
}

/// The settings of the mode's own backend, read once; what it cannot take becomes a problem.
fn backend(gathered: &mut Gathered) -> Option<BackendSettings> {
    let mode = gathered.mode()?;
    if MODES.iter().any(|(name, known)| *known == mode && gathered.was_refused(name)) {
        return None;
    }
    match BackendSettings::read(mode, &given(gathered, mode)) {
        Ok(settings) => {
            gathered.warnings.extend_from_slice(settings.warnings());
            Some(settings)
        }
        Err(wrong) => {
            for wrong in wrong {
                if !gathered.was_refused(wrong.setting) {
                    gathered.blame(wrong.setting, wrong.why);
                }
            }
            None
        }
    }
}
