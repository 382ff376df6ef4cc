//! Tests of the settings as a whole.

mod compatibility;
mod documentation;
mod parity;
mod printed;
mod properties;
mod refusals;
mod services;
mod sources;
mod table;
mod weaknesses;

use std::collections::BTreeMap;
use std::path::Path;

use super::{Inputs, Loaded, Problem, load, split_arguments};

/// The features of the builds under test.
const FEATURES: &[&str] = &["arp"];

/// Those of a build that lacks nothing.
const EVERYTHING: &[&str] = &[
    "arp",
    "bgp",
    "ddns",
    "dhcp",
    "egress",
    "etcd",
    "ipvs",
    "mirror",
    "record",
    "route-table",
    "security",
    "upnp",
    "wireguard",
    "zebra",
];

/// What a test gives.
#[derive(Clone, Default)]
struct Given {
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
    file: Option<(&'static str, String)>,
    account: Option<String>,
}

impl Given {
    fn env(mut self, pairs: &[(&str, &str)]) -> Self {
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        self.environment.extend(pairs);
        self
    }

    fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|text| (*text).to_owned()));
        self
    }

    fn file(mut self, path: &'static str, text: &str) -> Self {
        self.file = Some((path, text.to_owned()));
        self.args(&["--config-file", path])
    }

    fn load_with(&self, features: &[&str]) -> Result<Loaded, Vec<Problem>> {
        let (flags, rest) = split_arguments(&self.arguments);
        assert_eq!(rest, Vec::<String>::new(), "arguments that are no settings");
        let read = |path: &Path| match &self.file {
            Some((known, text)) if path == Path::new(known) => Ok(text.clone()),
            _ => Err("config file does not exist".to_owned()),
        };
        let inputs = Inputs {
            environment: self.environment.clone(),
            flags,
            hostname: "Host-1".to_owned(),
            service_account_namespace: self.account.clone(),
            read_file: &read,
        };
        load(&inputs, features)
    }

    fn load(&self) -> Result<Loaded, Vec<Problem>> {
        self.load_with(FEATURES)
    }

    fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|problems| panic!("{}", lines(&problems)))
    }

    /// The problems, one a line.
    fn refused(&self) -> String {
        lines(&self.load().expect_err("loads"))
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// ARP mode with a control-plane address: the least that runs.
fn least() -> Given {
    Given::default().env(&[("vip_arp", "true"), ("cp_enable", "true"), ("address", "192.0.2.1")])
}

/// BGP mode with one peer, a control-plane address and Services, without an election.
fn announcing() -> Given {
    Given::default().env(&[
        ("bgp_enable", "true"),
        ("bgp_peers", "192.0.2.9:65001"),
        ("cp_enable", "true"),
        ("svc_enable", "true"),
        ("address", "192.0.2.1"),
    ])
}

fn value<'a>(loaded: &'a Loaded, setting: &str) -> &'a str {
    &loaded.effective.iter().find(|line| line.setting == setting).expect("a setting").value
}
