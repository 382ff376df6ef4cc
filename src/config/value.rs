//! From text to values: each [`Kind`] of the table, with kube-vip's leniency and no more.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

mod duration;
mod number;

pub(super) use number::from_flag;

use super::network::{self, PrefixChoice};
use super::setting::{Kind, Setting, Unknown};
use crate::core::rights::lease::{LeaseName, is_label};
use crate::core::settings::Target;
use viplet_backend_api::InterfaceName;

/// A value, parsed. `Display` writes it so that it parses to the same again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// `true`, `false`.
    Bool(bool),
    /// A whole number within its limits.
    Integer(i64),
    /// A length of time.
    Duration(Duration),
    /// Text, checked as its kind demands.
    Text(String),
    /// Addresses and names, each once.
    Targets(Vec<Target>),
    /// Prefix lengths; `None`: not said.
    Prefixes(Option<PrefixChoice>),
    /// Names and texts.
    Map(BTreeMap<String, String>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Duration(value) => duration::write(f, *value),
            Self::Text(value) => f.write_str(value),
            Self::Targets(targets) => {
                let texts: Vec<String> = targets.iter().map(Target::to_string).collect();
                f.write_str(&texts.join(","))
            }
            Self::Prefixes(None) => Ok(()),
            Self::Prefixes(Some(choice)) => write!(f, "{choice}"),
            Self::Map(map) => {
                let entries = map.iter().map(|(k, v)| (k.clone(), v.clone().into()));
                let mut map = serde_json::Map::new();
                map.extend(entries);
                write!(f, "{}", serde_json::Value::Object(map))
            }
        }
    }
}

/// A value, and what a person should know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    /// The value that counts.
    pub(super) value: Value,
    /// Why it is not what was written.
    pub(super) warning: Option<String>,
}

impl Parsed {
    /// This value in place of what was written.
    fn instead(value: Value, warning: String) -> Self {
        Self { value, warning: Some(warning) }
    }
}

impl From<Value> for Parsed {
    fn from(value: Value) -> Self {
        Self { value, warning: None }
    }
}

/// Reads `text` as this setting's kind.
///
/// # Errors
/// Says what is wrong and what is accepted, without repeating the value.
pub(super) fn parse(setting: &Setting, text: &str) -> Result<Parsed, String> {
    if matches!(setting.kind, Kind::Secret) {
        return Ok(Value::Text(text.to_owned()).into());
    }
    let text = text.trim();
    // JSON may stand on several lines.
    if text.chars().any(char::is_control) && !matches!(setting.kind, Kind::TextMap) {
        return Err("contains a control character; accepted: one line of text".to_owned());
    }
    match setting.kind {
        Kind::Bool => boolean(text).map(|value| Value::Bool(value).into()),
        Kind::Integer(min, max) => number::integer(setting, text, min..=max),
        Kind::HighPort => number::high_port(text),
        Kind::AnnounceInterval => number::announce_interval(text),
        Kind::Duration => duration::parse(text).map(|value| Value::Duration(value).into()),
        Kind::Listener => Ok(listener(text)),
        Kind::Words(words, unknown) => word(setting, text, words, unknown),
        Kind::TextMap => text_map(text).map(|value| Value::Map(value).into()),
        Kind::Targets => network::targets(text).map(|value| Value::Targets(value).into()),
        Kind::PrefixLengths => network::prefixes(text).map(|value| Value::Prefixes(value).into()),
        kind => {
            if !text.is_empty() {
                check(kind, text)?;
            }
            Ok(Value::Text(text.to_owned()).into())
        }
    }
}

/// Whether kube-vip refuses this text too, whatever else is set.
pub(super) fn is_unreadable(setting: &Setting, text: &str) -> bool {
    match setting.kind {
        Kind::Bool => boolean(text).is_err(),
        Kind::Integer(..) | Kind::HighPort | Kind::AnnounceInterval => {
            text.trim().parse::<i64>().is_err()
        }
        Kind::TextMap => text_map(text).is_err(),
        Kind::Url => network::url(text).is_err(),
        _ => false,
    }
}

/// Kinds whose value stays text. Empty means «none» and is not checked.
fn check(kind: Kind, text: &str) -> Result<(), String> {
    let interface = || {
        InterfaceName::new(text).map(drop).ok_or_else(|| {
            "not the name of an interface; accepted: its name or an alternative name, 1 to 127 bytes \
             without space, / and :"
                .into()
        })
    };
    match kind {
        Kind::Interface => interface(),
        Kind::InterfaceOrAuto if text == "auto" => Ok(()),
        Kind::InterfaceOrAuto => interface(),
        Kind::Address => text
            .parse::<IpAddr>()
            .map(drop)
            .map_err(|_| "not an IP address; accepted: 192.0.2.1 or 2001:db8::1".into()),
        Kind::Cidrs => text.split(',').try_for_each(|part| network::cidr(part.trim())),
        Kind::Lease => lease(text),
        Kind::Namespace => namespace(text),
        Kind::Url => network::url(text),
        Kind::Endpoint => network::endpoint(text),
        Kind::InstanceName => instance_name(text),
        _ => Ok(()),
    }
}

/// Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("neither true nor false; accepted: true, false, 1, 0, t, f".into()),
    }
}

fn word(setting: &Setting, text: &str, words: &[&str], unknown: Unknown) -> Result<Parsed, String> {
    if text.is_empty() {
        return Ok(Value::Text(setting.default.to_owned()).into());
    }
    if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
        return Ok(Value::Text((*word).to_owned()).into());
    }
    let accepted = format!("not known; accepted: {}", words.join(", "));
    match unknown {
        Unknown::Refused => Err(accepted),
        Unknown::Default => {
            let used = match setting.default {
                "" => "it is ignored".to_owned(),
                default => format!("{default} is used"),
            };
            let warning = format!("{accepted}; {used}");
            Ok(Parsed::instead(Value::Text(setting.default.to_owned()), warning))
        }
    }
}

/// Where to listen. kube-vip goes on without metrics where it cannot listen.
fn listener(text: &str) -> Parsed {
    match network::listener(text) {
        Ok(_) => Value::Text(text.to_owned()).into(),
        Err(why) => Parsed::instead(Value::Text(String::new()), format!("{why}; it is off")),
    }
}

fn text_map(text: &str) -> Result<BTreeMap<String, String>, String> {
    if text.is_empty() {
        return Ok(BTreeMap::new());
    }
    // As Go reads it: null is no object, and an empty text.
    let read: Option<BTreeMap<String, Option<String>>> =
        serde_json::from_str(text).map_err(|_| {
            "not a JSON object with text values; accepted: {\"name\": \"text\"}".to_owned()
        })?;
    let entries = read.unwrap_or_default().into_iter();
    Ok(entries.map(|(name, text)| (name, text.unwrap_or_default())).collect())
}

/// A Lease's name as written: the namespace may be missing.
fn lease(text: &str) -> Result<(), String> {
    LeaseName::parse(text, "default").map(drop).ok_or_else(|| {
        "not the name of a Lease; accepted: name or namespace/name, of lower-case letters, digits, \
         - and . (RFC 1123)"
            .to_owned()
    })
}

fn namespace(text: &str) -> Result<(), String> {
    if is_label(text) {
        Ok(())
    } else {
        Err("not the name of a namespace; accepted: lower-case letters, digits and -, at most 63 \
             bytes (RFC 1123)"
            .to_owned())
    }
}

fn instance_name(text: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if text.len() <= 243 && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err("not usable; accepted: letters, digits, ., - and _, at most 243 bytes".to_owned())
    }
}
