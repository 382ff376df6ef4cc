//! Flags of the settings table, taken out of the arguments before the sub-commands see them.

use super::setting::Setting;
use super::table;

/// A flag as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenFlag {
    /// As written, with its dashes.
    pub flag: String,
    /// Its setting's name.
    pub setting: &'static str,
    /// Its value; `None` where one was needed and the arguments ended.
    pub value: Option<String>,
}

/// Splits arguments (without the program's name) into settings' flags and the rest.
///
/// As kube-vip's do, a flag stands anywhere, before or after the sub-command, as `--flag value` or
/// `--flag=value`; a boolean one is `--flag` or `--flag=false`. What is not in the table is left
/// in place, and so is everything after `--`.
#[must_use]
pub fn split_arguments(arguments: &[String]) -> (Vec<GivenFlag>, Vec<String>) {
    let mut given = Vec::new();
    let mut rest = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            rest.push(argument.clone());
            rest.extend(arguments.cloned());
            break;
        }
        let Some((setting, flag, attached)) = recognise(argument) else {
            rest.push(argument.clone());
            continue;
        };
        let value = match attached {
            Some(value) => Some(value.to_owned()),
            None if setting.is_bool() => Some("true".to_owned()),
            None => arguments.next().cloned(),
        };
        given.push(GivenFlag { flag: flag.to_owned(), setting: setting.name, value });
    }
    (given, rest)
}

/// The setting of an argument, the flag as written and the value in the same argument.
fn recognise(argument: &str) -> Option<(&'static Setting, &str, Option<&str>)> {
    let (flag, value) = match argument.split_once('=') {
        Some((flag, value)) => (flag, Some(value)),
        None => (argument, None),
    };
    if let Some(name) = flag.strip_prefix("--") {
        let long = name.chars().count() > 1;
        return table::by_flag(name).filter(|_| long).map(|setting| (setting, flag, value));
    }
    let name = flag.strip_prefix('-')?;
    if name.chars().count() == 1 {
        return table::by_flag(name).map(|setting| (setting, flag, value));
    }
    attached(argument)
}

/// `-nkube-system`: a short flag with its value attached.
fn attached(argument: &str) -> Option<(&'static Setting, &str, Option<&str>)> {
    let (flag, value) = argument.split_at_checked(2)?;
    let setting = table::by_flag(flag.strip_prefix('-')?)?;
    Some((setting, flag, Some(value)))
}
