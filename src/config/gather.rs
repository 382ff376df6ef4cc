//! One value per setting, from the source that wins: environment, flag, file, default.

use std::collections::BTreeMap;
use std::path::Path;

use super::file::{self, FileSettings};
use super::flags::GivenFlag;
use super::problem::{Problem, Source, shown};
use super::setting::{Empty, Role, Setting};
use super::table;
use super::value::{self, Value};

/// Names that a shell may have for purposes of its own.
const COMMON_NAMES: [&str; 4] = ["port", "address", "annotation", "annotations"];
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

/// All that settings are made from. Nothing else is read.
pub struct Inputs<'a> {
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// The flags, from [`super::flags::split_arguments`].
    pub flags: Vec<GivenFlag>,
    /// The host's name.
    pub hostname: String,
    /// Content of the service account's `namespace` file, where there is one.
    pub service_account_namespace: Option<String>,
    /// Reads a file as text; the error is for a person.
    pub read_file: &'a dyn Fn(&Path) -> Result<String, String>,
}

/// A setting's value and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) setting: &'static Setting,
    pub(super) value: Value,
    pub(super) source: Source,
}

/// A value as written.
struct Written {
    text: String,
    source: Source,
}

/// Every setting, resolved; and what came up on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    pub(super) values: BTreeMap<&'static str, Resolved>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

/// Resolves every setting of the table.
pub(super) fn gather(inputs: &Inputs<'_>) -> Gathered {
    let mut gathered = Gathered::default();
    let file = settings_file(inputs, &mut gathered);
    for setting in table::all() {
        resolve(setting, inputs, &file, &mut gathered);
    }
    misspelt(inputs, &mut gathered);
    gathered
}

/// The path of the settings file, and what it says.
fn settings_file(inputs: &Inputs<'_>, gathered: &mut Gathered) -> (String, FileSettings) {
    let nothing = (String::new(), FileSettings::default());
    let Some(setting) = table::find("config_file") else { return nothing };
    let Some(written) = from_environment(setting, inputs).or_else(|| from_flags(setting, inputs))
    else {
        return nothing;
    };
    let path = written.text.trim();
    match file::load(path, inputs.read_file) {
        Ok(mut found) => {
            let warnings = found.warnings.drain(..).map(|warning| format!("{path}: {warning}"));
            gathered.warnings.extend(warnings);
            (path.to_owned(), found)
        }
        Err(why) => {
            gathered.problems.push(Problem::new(setting, path, &written.source, why));
            nothing
        }
    }
}

fn resolve(
    setting: &'static Setting,
    inputs: &Inputs<'_>,
    file: &(String, FileSettings),
    gathered: &mut Gathered,
) {
    flags_without_value(setting, inputs, gathered);
    let sources =
        [from_environment(setting, inputs), from_flags(setting, inputs), from_file(setting, file)];
    overridden(setting, &sources, gathered);
    let written = sources
        .into_iter()
        .flatten()
        .next()
        .unwrap_or_else(|| Written { text: setting.default.to_owned(), source: Source::Default });
    let given = written.source != Source::Default;
    if let Role::Removed(why) = setting.role {
        if given {
            let why = format!("is not a setting any more: {why}");
            gathered.problems.push(Problem::new(setting, &written.text, &written.source, why));
        }
        return;
    }
    if let (Role::NoEffect(why), true) = (setting.role, given) {
        gathered.warnings.push(format!("{} has no effect: {why}", setting.name));
        return;
    }
    let parsed = value::parse(setting, &written.text).unwrap_or_else(|why| {
        gathered.problems.push(Problem::new(setting, &written.text, &written.source, why));
        // A stand-in, so that the other settings are checked too: nothing is loaded.
        let default = value::parse(setting, setting.default);
        default.unwrap_or_else(|_| Value::Text(String::new()).into())
    });
    if let Some(warning) = parsed.warning {
        let text = shown(setting, &written.text);
        gathered.warnings.push(format!("{}={text}: {warning}", setting.name));
    }
    let resolved = Resolved { setting, value: parsed.value, source: written.source };
    gathered.values.insert(setting.name, resolved);
}

fn from_environment(setting: &Setting, inputs: &Inputs<'_>) -> Option<Written> {
    let found = setting.environment.iter().find_map(|name| {
        let text = inputs.environment.get(*name)?;
        let counts = !text.trim().is_empty() || setting.empty == Empty::Value;
        counts.then(|| (*name, text.clone()))
    });
    found.map(|(name, text)| Written { text, source: Source::Environment(name.to_owned()) })
}

fn from_flags(setting: &Setting, inputs: &Inputs<'_>) -> Option<Written> {
    let given = inputs.flags.iter().filter(|given| given.setting == setting.name);
    let mut texts: Vec<(&str, &str)> = given
        .filter_map(|given| given.value.as_deref().map(|value| (given.flag.as_str(), value)))
        .collect();
    // A repeated flag: the last counts, but lists grow.
    let (flag, last) = texts.pop()?;
    let text = if setting.is_list() {
        let earlier = texts.iter().map(|(_, text)| *text);
        earlier.chain([last]).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(",")
    } else {
        last.to_owned()
    };
    let counts = !text.trim().is_empty() || setting.empty != Empty::Unset;
    counts.then(|| Written { text, source: Source::Flag(flag.to_owned()) })
}

fn from_file(setting: &Setting, (path, file): &(String, FileSettings)) -> Option<Written> {
    let (key, text) = file.values.get(setting.name)?;
    let counts = !text.trim().is_empty() || setting.empty != Empty::Unset;
    counts.then(|| Written { text: text.clone(), source: Source::File(path.clone(), key.clone()) })
}

fn flags_without_value(setting: &Setting, inputs: &Inputs<'_>, gathered: &mut Gathered) {
    for given in &inputs.flags {
        if given.setting == setting.name && given.value.is_none() {
            let source = Source::Flag(given.flag.clone());
            gathered.problems.push(Problem::new(setting, "", &source, "needs a value"));
        }
    }
}

/// Says when a variable that may belong to somebody else beats what was given on purpose.
fn overridden(setting: &Setting, sources: &[Option<Written>; 3], gathered: &mut Gathered) {
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

/// Points at variables that look like ours and are not: they have no effect.
fn misspelt(inputs: &Inputs<'_>, gathered: &mut Gathered) {
    let known = || table::all().flat_map(|setting| setting.environment.iter().copied());
    for name in inputs.environment.keys() {
        if known().any(|known| known == name) {
            continue;
        }
        if let Some(setting) = camel_case(name) {
            gathered.warnings.push(format!(
                "{name} in the environment has no effect; its name there is {setting}"
            ));
        } else if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            let guess = table::nearest(name, known());
            let guess = guess.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            gathered.warnings.push(format!("{name} in the environment is not a setting{guess}"));
        }
    }
}

/// The variable that somebody meant who used a flag's or a file key's name as one.
fn camel_case(name: &str) -> Option<&'static str> {
    let mixed = name.bytes().any(|b| b.is_ascii_uppercase())
        && name.bytes().any(|b| b.is_ascii_lowercase());
    if !mixed {
        return None;
    }
    let setting = table::by_flag(name).or_else(|| table::by_file_key(name))?;
    setting.environment.first().copied()
}
