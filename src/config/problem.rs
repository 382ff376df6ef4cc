//! Where a value came from, and what is wrong with it.

use std::fmt;
use std::net::IpAddr;

use super::setting::{Kind, Setting};
use crate::kube::without_user;

/// What stands in for a value that must not be shown.
pub const MASK: &str = "********";

/// Letters of a value that a problem shows.
const LONGEST_VALUE: usize = 200;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// This environment variable.
    Environment(String),
    /// This flag, with its dashes.
    Flag(String),
    /// This key of this settings file.
    File(String, String),
    /// Nobody gave one.
    Default,
}

impl Source {
    /// The name under which this setting was given there.
    #[must_use]
    pub(super) fn name<'a>(&'a self, setting: &'a Setting) -> &'a str {
        match self {
            Self::Environment(name) | Self::Flag(name) | Self::File(_, name) => name,
            Self::Default => setting.name,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::File(path, key) => write!(f, "{key} in {path}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing that keeps the program from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting's name.
    pub setting: String,
    /// Its value as written, or a mask.
    pub value: String,
    /// Where it came from.
    pub source: Source,
    /// What is wrong, and what is accepted.
    pub why: String,
}

impl Problem {
    /// A problem with this setting.
    #[must_use]
    pub fn new(setting: &Setting, value: &str, source: &Source, why: impl Into<String>) -> Self {
        Self {
            setting: setting.name.to_owned(),
            value: shown(setting, value).chars().take(LONGEST_VALUE).collect(),
            source: source.clone(),
            why: why.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, value, source, why } = self;
        match source {
            Source::Environment(name) if name == setting => {
                write!(f, "{setting}={value} (environment): {why}")
            }
            _ => write!(f, "{setting}={value} ({source}): {why}"),
        }
    }
}

/// The value as it may be shown: without control characters, without secrets.
#[must_use]
pub(super) fn shown(setting: &Setting, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    match setting.kind {
        Kind::Secret => MASK.to_owned(),
        Kind::Peers => mask_peers(value),
        Kind::Endpoint | Kind::Url => without_user(value).chars().flat_map(printable).collect(),
        _ => value.chars().flat_map(printable).collect(),
    }
}

fn printable(letter: char) -> Vec<char> {
    if letter.is_control() { letter.escape_default().collect() } else { vec![letter] }
}

/// Shows each peer's address and AS number; what follows holds a password.
fn mask_peers(peers: &str) -> String {
    peers.split(',').map(mask_peer).collect::<Vec<_>>().join(",")
}

fn mask_peer(peer: &str) -> String {
    let (address, rest) = match peer.split_once("]:") {
        Some((address, rest)) => (format!("{address}]"), rest),
        None => match peer.split_once(':') {
            Some((address, rest)) => (address.to_owned(), rest),
            None => return MASK.to_owned(),
        },
    };
    let (number, more) = match rest.split_once(':') {
        Some((number, _)) => (number, format!(":{MASK}")),
        None => (rest, String::new()),
    };
    let sound = address.trim().trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        && number.trim().parse::<u32>().is_ok();
    if sound { format!("{address}:{number}{more}") } else { MASK.to_owned() }
}
