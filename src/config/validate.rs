//! What no single value shows: features, gates, and combinations.

mod control_plane;
mod timing;

use super::build::given;
use super::gather::{Gathered, Resolved};
use super::network::PrefixChoice;
use super::problem::{Problem, Source};
use super::setting::{Gate, Role, Setting};
use super::settings::Mode;
use super::value::{Value, is_unreadable};
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
        self.problems.iter().chain(&self.unfit).any(|problem| problem.setting == name)
    }

    /// Whether this mode has an election, where it can do without one.
    fn elects(&self) -> bool {
        let plane = self.is_on("cp_enable") && self.is_on("vip_leaderelection");
        let services = self.is_on("svc_election") || self.is_on("per_service_election_on_demand");
        plane || services && self.is_on("svc_enable") || !self.mode().is_some_and(Mode::is_routed)
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
    timing::without_election(gathered);
    unfit(gathered, features);
    features_and_gates(gathered, features);
    let settings = match purpose {
        Purpose::Run => {
            mode(gathered);
            backend(gathered)
        }
        Purpose::Rights => None,
    };
    timing::lease(gathered);
    if gathered.is_on("cp_enable") {
        control_plane::addresses(gathered);
        control_plane::prefix_lengths(gathered);
    } else {
        control_plane::automatic_prefix(gathered);
    }
    name_what_was_missed(gathered);
    settings
}

/// A problem says too what was meant for its setting and has another name.
fn name_what_was_missed(gathered: &mut Gathered) {
    let Gathered { problems, missed, .. } = gathered;
    for problem in problems {
        if let Some(text) = missed.get(problem.setting.as_str()) {
            problem.why.push_str("; ");
            problem.why.push_str(text);
        }
    }
}

/// A value that cannot be right is a problem where its setting matters. Elsewhere it is pointed at,
/// since kube-vip never looks at it there, unless kube-vip cannot even read it.
fn unfit(gathered: &mut Gathered, features: &[&str]) {
    let found = std::mem::take(&mut gathered.unfit);
    let refused: Vec<String> = found.iter().map(|problem| problem.setting.clone()).collect();
    for problem in found {
        let idle = super::table::find(&problem.setting)
            .filter(|setting| !is_unreadable(setting, &problem.value))
            .and_then(|setting| why_idle(setting, gathered, features))
            .filter(|(gate, _)| !refused.iter().any(|name| name == gate));
        match idle {
            Some((_, why)) => {
                let Problem { setting, value, why: wrong, .. } = problem;
                gathered.warnings.push(format!("{setting}={value} has no effect: {why}; {wrong}"));
            }
            None => gathered.problems.push(problem),
        }
    }
}

/// What keeps a setting from mattering: the gate's or the feature's name, and in words.
fn why_idle(
    setting: &Setting,
    gathered: &Gathered,
    features: &[&str],
) -> Option<(&'static str, String)> {
    if let Some(gate) = gathered.closed_by(setting.gate) {
        let state = gathered.text(gate);
        let state = if state.is_empty() { "not set".to_owned() } else { state };
        return Some((gate, format!("{gate} is {state}")));
    }
    let feature = setting.feature;
    let lacks = !feature.is_empty() && !features.contains(&feature);
    let adjusts = setting.role == Role::Parameter;
    (lacks && adjusts)
        .then(|| (feature, format!("it needs the feature {feature}, which this build lacks")))
}

/// Refuses what this build lacks; points at what has no effect.
fn features_and_gates(gathered: &mut Gathered, features: &[&str]) {
    let given: Vec<Resolved> =
        gathered.values.values().filter(|found| is_changed(found)).cloned().collect();
    for Resolved { setting, value, source } in given {
        let (name, feature) = (setting.name, setting.feature);
        if let Some((_, why)) = why_idle(setting, gathered, features) {
            gathered.warnings.push(format!("{name} has no effect: {why}"));
        } else if !feature.is_empty() && !features.contains(&feature) {
            let lacks = format!("needs the feature {feature}, which this build lacks");
            let text = value.to_string();
            gathered.problems.push(Problem::new(setting, &text, &source, lacks));
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
