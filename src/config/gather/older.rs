//! Older names of settings: `vip_cidr` was `vip_subnet`'s.

use super::{FileSettings, Gathered, Inputs, Resolved, sources, value};
use crate::config::problem::{Problem, Source, shown};
use crate::config::setting::{Role, Setting};
use crate::config::table;

/// Takes each older name that was given: in its setting's place, or without effect.
pub(super) fn names(inputs: &Inputs<'_>, file: &(String, FileSettings), gathered: &mut Gathered) {
    for older in table::all() {
        let Role::OlderName(newer) = older.role else { continue };
        let given = sources(older, inputs, file).into_iter().flatten().next();
        if let (Some(written), Some(newer)) = (given, table::find(newer)) {
            take(older, newer, (&written.text, &written.source), gathered);
        }
    }
}

/// kube-vip does not read the older name. Where it starts all the same, so do we, and mean the same;
/// where it would not, because `vip_address` needs a prefix length, the older name counts.
fn take(
    older: &'static Setting,
    newer: &'static Setting,
    (text, source): (&str, &Source),
    gathered: &mut Gathered,
) {
    let name = source.name(older);
    let newer_name = newer.name;
    let is_given =
        |name: &str| gathered.find(name).is_some_and(|found| found.source != Source::Default);
    if is_given(newer_name) || is_given("address") || !is_given("vip_address") {
        gathered.warnings.push(format!("{name} has no effect: its name is {newer_name} now"));
        return;
    }
    let text_shown = shown(older, text);
    gathered.warnings.push(format!(
        "{name}={text_shown} counts as {newer_name}, because vip_address stands without it; write \
         {newer_name}={text_shown}, or address instead of vip_address"
    ));
    match value::parse(newer, text) {
        Ok(parsed) => {
            let resolved = Resolved { setting: newer, value: parsed.value, source: source.clone() };
            gathered.values.insert(newer_name, resolved);
        }
        Err(why) => gathered.unfit.push(Problem::new(newer, text, source, why)),
    }
}
