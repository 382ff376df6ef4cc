//! One value per setting, from the source that wins: environment, flag, file, default.

mod names;
mod older;

use std::collections::BTreeMap;
use std::path::Path;

use super::file::{self, FileSettings};
use super::flags::GivenFlag;
use super::problem::{Problem, Source, shown};
use super::setting::{Empty, Role, Setting};
use super::table;
use super::value::{self, Value};

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

/// Every setting, resolved; and what came up on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    pub(super) values: BTreeMap<&'static str, Resolved>,
    pub(super) problems: Vec<Problem>,
    /// Values that cannot be what their settings take: problems where the settings matter. The default
    /// stands in for them.
    pub(super) unfit: Vec<Problem>,
    /// By setting, what was meant for it and was not read: said again where it has a problem.
    pub(super) missed: BTreeMap<&'static str, String>,
    pub(super) warnings: Vec<String>,
}

/// Resolves every setting of the table.
pub(super) fn gather(inputs: &Inputs<'_>) -> Gathered {
    let mut gathered = Gathered::default();
    let file = settings_file(inputs, &mut gathered);
    for setting in table::all() {
        resolve(setting, inputs, &file, &mut gathered);
    }
    older::names(inputs, &file, &mut gathered);
    names::without_effect(inputs, &mut gathered);
    gathered
}

/// A value as written.
struct Written {
    text: String,
    source: Source,
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
    let sources = sources(setting, inputs, file);
    names::overridden(setting, &sources, gathered);
    let given = sources.into_iter().flatten().next();
    match (setting.role, given) {
        (Role::Switch | Role::Parameter, Some(written)) => take(setting, &written, gathered),
        (Role::Switch | Role::Parameter, None) => {
            let text = setting.default.to_owned();
            take(setting, &Written { text, source: Source::Default }, gathered);
        }
        (Role::Removed(why), Some(written)) => {
            let why = format!("is not a setting any more: {why}");
            gathered.problems.push(Problem::new(setting, &written.text, &written.source, why));
        }
        (Role::NoEffect(why), Some(written)) => {
            // Several names may stand in one row: then the one that was given is said.
            let given = written.source.name(setting);
            let name = if setting.environment.len() > 1 { given } else { setting.name };
            gathered.warnings.push(format!("{name} has no effect: {why}"));
        }
        (Role::Removed(_) | Role::NoEffect(_), None) | (Role::OlderName(_), _) => {}
    }
}

/// What the environment, the flags and the file say, in this order.
fn sources(
    setting: &Setting,
    inputs: &Inputs<'_>,
    file: &(String, FileSettings),
) -> [Option<Written>; 3] {
    [from_environment(setting, inputs), from_flags(setting, inputs), from_file(setting, file)]
}

/// Makes a value of what was written.
fn take(setting: &'static Setting, written: &Written, gathered: &mut Gathered) {
    let parsed = value::parse(setting, &written.text).unwrap_or_else(|why| {
        gathered.unfit.push(Problem::new(setting, &written.text, &written.source, why));
        let default = value::parse(setting, setting.default);
        default.unwrap_or_else(|_| Value::Text(String::new()).into())
    });
    if let Some(warning) = parsed.warning {
        let text = shown(setting, &written.text);
        gathered.warnings.push(format!("{}={text}: {warning}", setting.name));
    }
    let resolved = Resolved { setting, value: parsed.value, source: written.source.clone() };
    gathered.values.insert(setting.name, resolved);
}

fn from_environment(setting: &Setting, inputs: &Inputs<'_>) -> Option<Written> {
    if !setting.beside.is_empty() && !is_given(setting.beside, inputs) {
        return None;
    }
    let found = setting.environment.iter().find_map(|name| {
        let text = inputs.environment.get(*name)?;
        let counts = !text.trim().is_empty() || setting.empty == Empty::Value;
        counts.then(|| (*name, text.clone()))
    });
    found.map(|(name, text)| Written { text, source: Source::Environment(name.to_owned()) })
}

/// Whether the environment has more than nothing under this name.
fn is_given(name: &str, inputs: &Inputs<'_>) -> bool {
    inputs.environment.get(name).is_some_and(|text| !text.trim().is_empty())
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
    } else if setting.is_number() {
        value::from_flag(last)
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
