//! `viplet why NAMESPACE/NAME`: asks the viplet on this node why a Service has, or has not, its
//! addresses.

use std::fmt::Write as _;
use std::process::ExitCode;

use argh::FromArgs;

use super::ask::{self, Answer};
use super::printable::say;
use crate::core::status::{ServiceState, ServiceStatus, Why};

/// Nobody could be asked.
const NOT_ASKED: u8 = 2;

/// say why a Service of type LoadBalancer has, or has not, its addresses
#[derive(FromArgs, Clone, Debug, PartialEq, Eq)]
#[argh(
    subcommand,
    name = "why",
    error_code(0, "Some node holds its addresses."),
    error_code(1, "None does, or there is no such Service."),
    error_code(2, "viplet could not be asked.")
)]
pub struct WhyCommand {
    /// the Service: namespace/name
    #[argh(positional, arg_name = "namespace/name")]
    pub service: String,

    /// host:port of a viplet (prometheus_server or health_check_port); by default this node's
    #[argh(option, arg_name = "host:port")]
    pub server: Option<String>,

    /// print the JSON document as it is
    #[argh(switch)]
    pub json: bool,
}

/// What is said, and where to.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// Its addresses are held: on stdout.
    Served(String),
    /// They are not: on stdout.
    Unserved(String),
    /// No such Service: on stderr.
    Unknown(String),
    /// Nobody could be asked: on stderr.
    NotAsked(String),
}

impl WhyCommand {
    /// Asks, prints and ends.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        match self.ask() {
            Said::Served(text) => {
                say(&mut std::io::stdout(), &text);
                ExitCode::SUCCESS
            }
            Said::Unserved(text) => {
                say(&mut std::io::stdout(), &text);
                ExitCode::FAILURE
            }
            Said::Unknown(text) => {
                say(&mut std::io::stderr(), &format!("{}\n", text.trim_end()));
                ExitCode::FAILURE
            }
            Said::NotAsked(text) => {
                say(&mut std::io::stderr(), &format!("{}\n", text.trim_end()));
                ExitCode::from(NOT_ASKED)
            }
        }
    }

    fn ask(&self) -> Said {
        let service = &self.service;
        if !is_name(service) {
            return Said::NotAsked(format!(
                "{service}: not the name of a Service; accepted: NAMESPACE/NAME, default/web for \
                 example"
            ));
        }
        match ask::viplet(self.server.as_deref(), &format!("/why?service={service}")) {
            Ok(Answer::Found(body)) => self.read(body),
            Ok(Answer::NotFound(body)) if body.starts_with(&format!("{service}: ")) => {
                Said::Unknown(body)
            }
            Ok(Answer::NotFound(_)) => {
                Said::NotAsked(format!("{}, or is older", ask::not_viplet("/why")))
            }
            Err(why) => Said::NotAsked(why),
        }
    }

    fn read(&self, body: String) -> Said {
        let why: Why = match serde_json::from_str(&body) {
            Ok(why) => why,
            Err(error) => {
                return Said::NotAsked(format!("what answered is not viplet's reason: {error}"));
            }
        };
        let text = if self.json { body } else { for_a_person(&why) };
        match why.status.state {
            ServiceState::Held | ServiceState::Elsewhere => Said::Served(text),
            _ => Said::Unserved(text),
        }
    }
}

/// Two names that Kubernetes would take.
fn is_name(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    let name = |text: &str| !text.is_empty() && text.bytes().all(letter);
    text.split_once('/').is_some_and(|(namespace, rest)| name(namespace) && name(rest))
}

/// The verdict, and the causes in order.
fn for_a_person(why: &Why) -> String {
    let mut out = format!("{}: {}\n", why.status.service, verdict(&why.status));
    let causes = match why.because.as_slice() {
        [] => std::slice::from_ref(&why.status.reason),
        causes => causes,
    };
    let causes = causes.iter().map(|cause| cause.replace(['\n', '\r'], " "));
    for (number, cause) in causes.filter(|cause| !cause.is_empty()).enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:>3}. {cause}", number + 1);
    }
    out
}

fn verdict(status: &ServiceStatus) -> String {
    let holder = match status.holder.as_str() {
        "" => "nobody",
        holder => holder,
    };
    let what = match status.state {
        ServiceState::Held => format!("held by {holder} (this node)"),
        ServiceState::Elsewhere => format!("held by {holder}"),
        ServiceState::Pending => "PENDING, should be here and is not".to_owned(),
        ServiceState::Waiting => "waiting, no node can hold it now".to_owned(),
        ServiceState::Refused => "REFUSED, it asks for what cannot be".to_owned(),
        ServiceState::Ignored => "ignored, it is not viplet's to serve".to_owned(),
    };
    let addresses: Vec<String> = status.addresses.iter().map(ToString::to_string).collect();
    [what].into_iter().chain(addresses).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
