//! `viplet status`: asks the viplet on this node for `/status` and prints it for a person.

use std::fmt::Write as _;
use std::time::Duration;

use argh::FromArgs;

use super::ask::{self, Answer};
use super::peers;
use super::services::{self, Listing};
use crate::core::status::{AddressState, AddressStatus, LeaseStatus, RoleStatus};
use crate::shell::source::{ApiHealth, StatusPage};

/// show each address and Service, who holds it, until when and why
#[derive(FromArgs, Clone, Debug, PartialEq, Eq)]
#[argh(subcommand, name = "status")]
pub struct StatusCommand {
    /// host:port of a viplet (prometheus_server or health_check_port); by default this node's
    #[argh(option, arg_name = "host:port")]
    pub server: Option<String>,

    /// print the JSON document as it is
    #[argh(switch)]
    pub json: bool,

    /// list every Service, where there are more than 50 of them
    #[argh(switch)]
    pub all: bool,
}

impl StatusCommand {
    /// What it prints on stdout.
    ///
    /// # Errors
    /// With the text for stderr: nothing listens, or what answers is not viplet.
    pub fn text(&self) -> Result<String, String> {
        let body = match ask::viplet(self.server.as_deref(), "/status")? {
            Answer::Found(body) => body,
            Answer::NotFound(_) => return Err(ask::not_viplet("/status")),
        };
        if self.json {
            return Ok(body);
        }
        let listing = if self.all { Listing::All } else { Listing::Troubled };
        serde_json::from_str(&body)
            .map(|page| for_a_person(&page, listing))
            .map_err(|error| format!("what answered is not viplet's status: {error}"))
    }
}

/// The page in words.
#[must_use]
pub fn for_a_person(page: &StatusPage, listing: Listing) -> String {
    let status = &page.status;
    let mut out = format!("viplet {} on node {}\n", page.version, status.node);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "API server: {}", api(&page.api));
    if let Some(why) = &page.unhealthy {
        let _ = writeln!(out, "Unhealthy: {why}");
    }
    match status.not_ready.as_slice() {
        [] => out.push_str("Ready: yes\n"),
        reasons => {
            let _ = writeln!(out, "Ready: NO\n  {}", reasons.join("\n  "));
        }
    }
    if status.addresses.is_empty() && status.services.is_empty() {
        out.push_str("\nNo addresses.\n");
    }
    if !page.peers.is_empty() {
        let _ = write!(out, "\n{}", peers::table(&page.peers));
    }
    for address in &status.addresses {
        let lease = status.leases.iter().find(|lease| lease.lease == address.lease);
        let _ = write!(out, "\n{}", one_address(address, lease, &status.node));
    }
    if !status.services.is_empty() && listing != Listing::Without {
        let _ = write!(out, "\n{}", services::table(&status.services, listing));
    }
    for (link, state) in &status.links {
        let _ = write!(out, "\nlink {link}: {state}");
    }
    if !status.links.is_empty() {
        out.push('\n');
    }
    out
}

/// `12.5 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 if span.subsec_millis() >= 50 => format!("{:.1} s", span.as_secs_f64()),
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

fn api(api: &ApiHealth) -> String {
    match api {
        ApiHealth::Unknown => "not asked yet".into(),
        ApiHealth::Reachable { seconds } => {
            format!("answers, for {}", span(Duration::from_secs(*seconds)))
        }
        ApiHealth::Unreachable { seconds, reason } => {
            format!("UNREACHABLE for {}: {reason}", span(Duration::from_secs(*seconds)))
        }
    }
}

fn one_address(address: &AddressStatus, lease: Option<&LeaseStatus>, node: &str) -> String {
    let what = match (&address.address, &address.name) {
        (Some(literal), Some(name)) => format!("{literal} ({name})"),
        (Some(literal), None) => literal.to_string(),
        (None, Some(name)) => format!("{name} (not resolved)"),
        (None, None) => "(no address)".into(),
    };
    let state = match address.state {
        AddressState::Held => "held: here and announced",
        AddressState::Pending => "PENDING: should be here and is not",
        AddressState::Kept => "kept: here, not announced",
        AddressState::Elsewhere => "elsewhere: not here, and should not be",
        AddressState::Blocked => "BLOCKED: will not be put here",
    };
    let mut out = format!("{what} on {}\n  state:  {state}\n", address.link);
    if !address.reason.is_empty() {
        let _ = writeln!(out, "  why:    {}", address.reason);
    }
    if address.announced > 0 {
        let _ = writeln!(out, "  sent:   {} announcements", address.announced);
    }
    match lease {
        Some(lease) => {
            out.push_str(&one_lease(lease, node));
            if !address.reason.contains(&lease.reason) {
                let _ = writeln!(out, "          {}", lease.reason);
            }
        }
        None if address.lease.is_empty() => {}
        None => {
            let _ = writeln!(out, "  lease:  {}", address.lease);
        }
    }
    out
}

fn one_lease(lease: &LeaseStatus, node: &str) -> String {
    let holder = match lease.holder.as_str() {
        "" => "nobody".to_owned(),
        holder if holder == node => format!("{holder} (this node)"),
        holder => holder.to_owned(),
    };
    let role = match lease.role {
        RoleStatus::Starting => ", not read yet",
        RoleStatus::Abstaining => ", this node does not stand",
        RoleStatus::Following | RoleStatus::Holding => "",
    };
    let mut out = format!("  holder: {holder}{role}\n");
    if let Some(left) = lease.held_for {
        let _ = writeln!(out, "  until:  {} from now, unless renewed", span(left));
    }
    let renewed = lease.renewed_ago.map(|ago| format!(", renewed {} ago", span(ago)));
    let _ = writeln!(
        out,
        "  lease:  {}{}, {} transitions",
        lease.lease,
        renewed.unwrap_or_default(),
        lease.transitions
    );
    out
}

#[cfg(test)]
mod tests;
