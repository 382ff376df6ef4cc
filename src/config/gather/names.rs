//! Variables that steer nothing, and those that may belong to somebody else: each is pointed at.

use super::{Gathered, Inputs, Written, is_given};
use crate::config::problem::{Source, shown};
use crate::config::setting::Setting;
use crate::config::table;

/// Names that a shell may have for purposes of its own.
const COMMON_NAMES: [&str; 3] = ["port", "address", "annotation"];
/// How kube-vip's variables begin.
const PREFIXES: [&str; 11] = [
    "vip_",
    "cp_",
    "svc_",
    "bgp_",
    "lb_",
    "egress_",
    "mpbgp_",
    "zebra_",
    "dhcp_",
    "dns_",
    "control_plane_",
];

/// Who holds an address depends on these, and kube-vip takes them from no settings file.
const NOT_FROM_A_FILE: [&str; 5] = [
    "cp_namespace",
    "per_service_election_on_demand",
    "svc_leasename",
    "vip_leaderelection",
    "vip_leasename",
];

/// Points at variables that look like ours and have no effect.
pub(super) fn without_effect(inputs: &Inputs<'_>, gathered: &mut Gathered) {
    let known = || table::all().flat_map(|setting| setting.environment.iter().copied());
    for name in inputs.environment.keys().filter(|name| is_given(name, inputs)) {
        if known().any(|known| known == name) {
            continue;
        }
        if let Some((setting, main)) = meant(name) {
            let text = format!("{name} in the environment has no effect; its name there is {main}");
            gathered.missed.entry(setting).or_insert_with(|| text.clone());
            gathered.warnings.push(text);
        } else if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            let guess = table::nearest(name, known());
            let guess = guess.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            gathered.warnings.push(format!("{name} in the environment is not a setting{guess}"));
        }
    }
    table::all().for_each(|setting| alone(setting, inputs, gathered));
    NOT_FROM_A_FILE.iter().for_each(|name| only_ours(name, gathered));
}

/// Says when a variable that may belong to somebody else beats what was given on purpose.
pub(super) fn overridden(
    setting: &Setting,
    sources: &[Option<Written>; 3],
    gathered: &mut Gathered,
) {
    let [Some(winner), flag, file] = sources else { return };
    let Source::Environment(name) = &winner.source else { return };
    let Some(loser) = flag.as_ref().or(file.as_ref()) else { return };
    if COMMON_NAMES.contains(&name.as_str()) && loser.text.trim() != winner.text.trim() {
        let (winner, beaten) = (shown(setting, &winner.text), shown(setting, &loser.text));
        gathered.warnings.push(format!(
            "{name}={winner} of the environment beats {beaten} ({}); other programs use a \
             variable of that name too, so make sure that it is meant for viplet",
            loser.source
        ));
    }
}

/// A kube-vip with the same settings file would elect otherwise, and both would hold the address.
fn only_ours(name: &str, gathered: &mut Gathered) {
    let Some(found) = gathered.values.get(name) else { return };
    let (Source::File(path, key), default) = (&found.source, found.setting.default) else { return };
    if found.value.to_string() != default {
        gathered.warnings.push(format!(
            "{path}: {key} counts here, but kube-vip takes it from no file and goes by {default}: \
             beside kube-vip set {name} in the environment"
        ));
    }
}

/// The setting, and its variable, that somebody meant who used a name of the documentation, of a flag
/// or of a file key.
fn meant(name: &str) -> Option<(&'static str, &'static str)> {
    let documented = table::all().find(|setting| setting.unread.contains(&name));
    let mixed = name.bytes().any(|b| b.is_ascii_uppercase())
        && name.bytes().any(|b| b.is_ascii_lowercase());
    let alike = || table::by_flag(name).or_else(|| table::by_file_key(name)).filter(|_| mixed);
    let setting = documented.or_else(alike)?;
    Some((setting.name, setting.environment.first()?))
}

/// CFG-5: without `svc_enable` beside them kube-vip reads some variables of Services not at all.
fn alone(setting: &Setting, inputs: &Inputs<'_>, gathered: &mut Gathered) {
    let Setting { name, beside, default, .. } = *setting;
    let given = || inputs.environment.get(name).map(|text| text.trim());
    if beside.is_empty() || is_given(beside, inputs) || given().is_none_or(str::is_empty) {
        return;
    }
    if given() != Some(default) {
        gathered.warnings.push(format!(
            "{name} in the environment has no effect: {beside} is not set there, and kube-vip reads \
             it only beside that"
        ));
    }
}
