//! From text to values: each [`Kind`] of the table, with kube-vip's leniency and no more.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::network::{self, PrefixChoice};
use super::setting::{Kind, Setting, Unknown};
use crate::core::rights::lease::{LeaseName, is_label};
use crate::core::settings::Target;
use viplet_backend_api::InterfaceName;

/// Below this, kube-vip does not announce.
const FASTEST_ANNOUNCEMENT: i64 = 500;
/// What it does instead, and the default.
const USUAL_ANNOUNCEMENT: i64 = 3000;
/// A day in milliseconds.
const SLOWEST_ANNOUNCEMENT: i64 = 86_400_000;

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
            Self::Duration(value) => write_duration(f, *value),
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
        Kind::Integer(min, max) => {
            integer(text, min, max).map(|value| Value::Integer(value).into())
        }
        Kind::HighPort => high_port(text).map(|value| Value::Integer(value).into()),
        Kind::AnnounceInterval => announce_interval(text),
        Kind::Duration => duration(text).map(|value| Value::Duration(value).into()),
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
        Kind::Listener => network::listener(text).map(drop),
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

fn integer(text: &str, min: i64, max: i64) -> Result<i64, String> {
    let accepted = || format!("accepted: a whole number from {min} to {max}");
    let value: i64 = text.parse().map_err(|_| format!("not a whole number; {}", accepted()))?;
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(format!("out of range; {}", accepted()))
    }
}

fn high_port(text: &str) -> Result<i64, String> {
    match integer(text, 0, 65_535) {
        Ok(port) if port == 0 || port >= 1024 => Ok(port),
        _ => Err("not usable; accepted: 0 (off), or a port from 1024 to 65535".into()),
    }
}

fn announce_interval(text: &str) -> Result<Parsed, String> {
    let value = integer(text, i64::MIN, SLOWEST_ANNOUNCEMENT).map_err(|_| {
        format!(
            "not a number of milliseconds; accepted: a whole number from \
             {FASTEST_ANNOUNCEMENT} to {SLOWEST_ANNOUNCEMENT}"
        )
    })?;
    if value >= FASTEST_ANNOUNCEMENT {
        return Ok(Value::Integer(value).into());
    }
    let warning = format!("{value} ms is less than 500; {USUAL_ANNOUNCEMENT} ms is used");
    Ok(Parsed { value: Value::Integer(USUAL_ANNOUNCEMENT), warning: Some(warning) })
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
            let value = Value::Text(setting.default.to_owned());
            Ok(Parsed { value, warning: Some(warning) })
        }
    }
}

fn text_map(text: &str) -> Result<BTreeMap<String, String>, String> {
    if text.is_empty() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(text).map_err(|_| {
        "not a JSON object with text values; accepted: {\"name\": \"text\"}".to_owned()
    })
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

/// Go's `time.ParseDuration`: `300ms`, `1.5h`, `2h45m`; not negative.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "not a length of time; accepted: 300ms, 1.5s, 2m30s, 0".to_owned();
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at_checked(digits).ok_or_else(wrong)?;
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters).ok_or_else(wrong)?;
        let nanoseconds = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(wrong()),
        };
        let part = decimal(number, nanoseconds).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = tail;
    }
    // Go's limit: an i64 of nanoseconds.
    if total.as_nanos() > i64::MAX as u128 {
        return Err(wrong());
    }
    Ok(total)
}

/// `1.5` units of so many nanoseconds.
fn decimal(number: &str, unit: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanoseconds = whole.checked_mul(unit)?;
    let mut weight = unit;
    for digit in fraction.bytes() {
        weight /= 10;
        nanoseconds = nanoseconds.checked_add(u64::from(digit.checked_sub(b'0')?) * weight)?;
    }
    Some(Duration::from_nanos(nanoseconds))
}

/// The largest unit that leaves no remainder.
fn write_duration(f: &mut fmt::Formatter<'_>, value: Duration) -> fmt::Result {
    let nanoseconds = value.as_nanos();
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];
    match units.iter().find(|(size, _)| nanoseconds.is_multiple_of(*size)) {
        Some((size, unit)) => write!(f, "{}{unit}", nanoseconds / size),
        None => write!(f, "0s"),
    }
}
