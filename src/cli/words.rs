//! The words of the command line: kube-vip's habits made argh's, and what exists said where a word
//! is not known.

use argh::{CommandInfo, SubCommands};

use super::{Command, kubeadm, manifest};
use crate::config::table;

/// Commands that print manifests: kube-vip takes their options before and after the kind.
const PRINTERS: [&str; 2] = ["manifest", "kubeadm"];
/// Their options that stand alone, as kube-vip spells them, and as argh does.
const SWITCHES: [(&str, &str); 5] = [
    ("--inCluster", "--in-cluster"),
    ("--in-cluster", "--in-cluster"),
    ("--taint", "--taint"),
    ("--role", "--role"),
    ("--rolebinding", "--rolebinding"),
];
/// Their options that take a value.
const OPTIONS: [&str; 2] = ["--image", "--config"];

/// The arguments as argh takes them: words first, then options, each with its value apart.
pub(super) fn tidy(arguments: Vec<String>) -> Vec<String> {
    let help = |word: String| if word == "-h" { "--help".to_owned() } else { word };
    let arguments: Vec<String> = arguments.into_iter().map(help).collect();
    let first = arguments.iter().find(|word| !word.starts_with('-'));
    if !first.is_some_and(|word| PRINTERS.contains(&word.as_str())) {
        return arguments;
    }
    let (mut words, mut options) = (Vec::new(), Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument.as_str(), None),
        };
        let switch = SWITCHES.iter().find(|(theirs, _)| *theirs == name);
        match (switch, value) {
            (Some(_), Some("false" | "f" | "F" | "0" | "False" | "FALSE")) => {}
            (Some((_, ours)), None | Some("true" | "t" | "T" | "1" | "True" | "TRUE")) => {
                options.push((*ours).to_owned());
            }
            _ if OPTIONS.contains(&name) => {
                options.push(name.to_owned());
                options.extend(value.map(str::to_owned).or_else(|| arguments.next()));
            }
            _ if argument.starts_with('-') => options.push(argument),
            _ => words.push(argument),
        }
    }
    // The rights are always those of a ServiceAccount.
    if words.iter().any(|word| word == "rbac") {
        options.retain(|option| option != "--in-cluster");
    }
    words.extend(options);
    words
}

/// What argh says, with what exists where it does not know a word.
pub(super) fn explained(error: &str, program: &str, arguments: &[&str]) -> String {
    let Some(unknown) = unknown(error) else { return error.to_owned() };
    if unknown.starts_with('-') {
        return unknown_option(unknown, program, arguments);
    }
    let mut words = arguments.iter().filter(|word| !word.starts_with('-'));
    match (words.next().copied(), words.next().copied()) {
        (Some(first), _) if first == unknown => there_are(unknown, program, Command::COMMANDS),
        (Some("manifest"), Some(second)) if second == unknown => {
            there_are(unknown, &format!("{program} manifest"), manifest::Kind::COMMANDS)
        }
        (Some("kubeadm"), Some(second)) if second == unknown => {
            there_are(unknown, &format!("{program} kubeadm"), kubeadm::Step::COMMANDS)
        }
        (Some(first), _) => {
            format!("{unknown} is one word too many; see {program} {first} --help")
        }
        (None, _) => error.to_owned(),
    }
}

fn unknown(error: &str) -> Option<&str> {
    let rest = error.strip_prefix("Unrecognized argument: ")?;
    rest.split_whitespace().next().map(|word| word.trim_end_matches('.').trim_matches('"'))
}

fn there_are(unknown: &str, command: &str, known: &[&CommandInfo]) -> String {
    let names: Vec<&str> = known.iter().map(|command| command.name).collect();
    let renamed = (unknown == "start").then_some("manager").filter(|name| names.contains(name));
    let guess = renamed.or_else(|| table::nearest(unknown, names.iter().copied()));
    let guess = guess.map(|name| format!(" Did you mean {name}?")).unwrap_or_default();
    format!(
        "{unknown} is not a command of {command}; there are: {}.{guess}\nSee {command} --help",
        names.join(", ")
    )
}

fn unknown_option(unknown: &str, program: &str, arguments: &[&str]) -> String {
    let name = unknown.split('=').next().unwrap_or(unknown);
    let settings = table::all().flat_map(|setting| setting.flags).copied();
    let own = SWITCHES.iter().map(|(theirs, _)| *theirs).chain(OPTIONS);
    let own = own.map(|option| option.trim_start_matches('-'));
    let guess = table::nearest(name.trim_start_matches('-'), settings.chain(own));
    let guess = guess.map(|name| format!(" Did you mean --{name}?")).unwrap_or_default();
    let words: Vec<&str> =
        arguments.iter().filter(|word| !word.starts_with('-')).take(2).copied().collect();
    format!(
        "{name} is not an option.{guess}\nSee {program} {} --help, and {program} config --reference \
         for the flags of all settings",
        words.join(" ")
    )
}
