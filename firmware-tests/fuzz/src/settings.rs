//! All settings: whatever is given as environment, flags and file, the reader ends with settings or
//! with words.

use std::collections::{BTreeMap, BTreeSet};

use viplet::config::{Inputs, load, split_arguments};

const FEATURES: [&str; 3] = ["arp", "bgp", "manifest"];

/// Lines: `NAME=VALUE` is a variable, what begins with a dash a flag; after a line `---` comes the
/// file that `config_file` names.
pub(crate) fn load_from(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (given, file) = text.split_once("---\n").unwrap_or((&text, ""));
    let (flags, variables): (Vec<&str>, Vec<&str>) =
        given.lines().partition(|line| line.starts_with('-'));
    let environment: BTreeMap<String, String> = variables
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let words: Vec<String> =
        flags.iter().flat_map(|line| line.split(' ')).map(str::to_owned).collect();
    let (flags, _) = split_arguments(&words);
    let inputs = Inputs {
        environment,
        flags,
        hostname: "node-a".to_owned(),
        service_account_namespace: None,
        read_file: &|_| Ok(file.to_owned()),
    };
    match load(&inputs, &FEATURES) {
        Ok(loaded) => {
            let names: BTreeSet<_> = loaded.effective.iter().map(|one| one.setting).collect();
            assert_eq!(names.len(), loaded.effective.len(), "a setting in effect twice");
            assert!(loaded.warnings.iter().all(|warning| !warning.is_empty()), "an empty warning");
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a problem");
            let speaks = |problem: &viplet::config::Problem| {
                !problem.setting.is_empty() && !problem.why.is_empty()
            };
            assert!(problems.iter().all(speaks), "{problems:?}");
        }
    }
}
