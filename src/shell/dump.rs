//! The text that SIGUSR1 writes to stdout: kube-vip's sections as far as they apply, and the
//! state. Pure: all it says is given.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use super::source::{ApiHealth, StatusPage};
use crate::cli::printable::printable;
use crate::cli::services::Listing;
use crate::cli::status::for_a_person;
use crate::config::Mode;
use crate::core::settings::{
    ControlPlane, DnsMode, Labelling, LinkChoice, LoopbackScope, OnLinkDown, OnLoss, Settings,
    Target,
};
use crate::core::status::{AddressState, Counters, ServiceState};
use crate::dates::rfc3339;

mod services;

const RULE: &str =
    "================================================================================";

/// What is dumped.
#[derive(Clone, Debug)]
pub struct Dump<'a> {
    /// What the core was told.
    pub settings: &'a Settings,
    /// The API server's port (`port`).
    pub port: u16,
    /// The settings of the mode's own backend, by name and value; no secret.
    pub backend: Vec<(&'static str, String)>,
    /// How addresses are made known.
    pub mode: Mode,
    /// The rest that the process shows.
    pub page: &'a StatusPage,
    /// The counters.
    pub counters: &'a Counters,
    /// The wall clock.
    pub now: SystemTime,
    /// The process's id.
    pub process: u32,
    /// Where `/metrics` is (`prometheus_server`), empty when it is off.
    pub metrics_at: &'a str,
    /// `health_check_port`, 0 when it is off.
    pub health_port: u16,
}

impl Dump<'_> {
    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("\n{RULE}\n                   KUBE-VIP CONFIGURATION DUMP\n{RULE}\n");
        line(&mut out, "Timestamp", rfc3339(self.now));
        line(&mut out, "Node Name", &self.settings.node);
        line(&mut out, "Process ID", self.process);
        let _ = writeln!(out, "{RULE}");
        self.basic(&mut out);
        self.bgp(&mut out);
        self.arp(&mut out);
        self.services(&mut out);
        self.interfaces(&mut out);
        self.election(&mut out);
        self.runtime(&mut out);
        section(&mut out, "STATE");
        out.push_str(&for_a_person(self.page, Listing::Without));
        let _ = write!(out, "\n{RULE}\n                   END OF CONFIGURATION DUMP\n{RULE}\n\n");
        printable(&out)
    }

    fn basic(&self, out: &mut String) {
        section(out, "BASIC CONFIGURATION");
        line(out, "Version", &self.page.version);
        line(out, "Mode", self.mode.as_str());
        if let Some(plane) = &self.settings.control_plane {
            line(out, "VIP", targets(plane));
            let subnet = format!("{},{}", plane.prefix.v4, plane.prefix.v6);
            line(out, "VIP Subnet", subnet);
            line(out, "Port", self.port);
            line(out, "Namespace", &plane.lease.namespace);
            line(out, "Interface", link(&plane.link));
            line(out, "DNS Mode", dns_mode(plane.dns_mode));
        }
    }

    /// The peers and what they were told, where there are any.
    fn bgp(&self, out: &mut String) {
        section(out, "BGP CONFIGURATION");
        line(out, "BGP Enabled", self.mode == Mode::Bgp);
        if self.mode != Mode::Bgp {
            return;
        }
        for (name, value) in &self.backend {
            line(out, name, value);
        }
        section(out, "ACTIVE BGP RIB STATE");
        for peer in &self.page.peers {
            let told = format!("{}, {} prefixes sent", peer.state(), peer.addresses);
            line(out, &format!("Peer {}", peer.name), told);
        }
        let services = self.page.status.services.iter();
        let services = services.filter(|service| service.state == ServiceState::Held);
        let own = self.page.status.addresses.iter();
        let own = own.filter(|a| a.state == AddressState::Held).filter_map(|a| a.address);
        for address in own.chain(services.flat_map(|service| service.addresses.iter().copied())) {
            line(out, "Announced", address);
        }
    }

    fn arp(&self, out: &mut String) {
        section(out, "ARP/NDP CONFIGURATION");
        line(out, "ARP Enabled", self.mode == Mode::Arp);
        if let Some(plane) = &self.settings.control_plane {
            line(out, "ARP Broadcast Rate", plane.announce_every.as_millis());
            let preserve = plane.on_loss == OnLoss::PreserveV4;
            line(out, "Preserve VIP On Leadership Loss", preserve);
            let lose = match plane.on_link_down {
                OnLinkDown::Keep => "false".to_owned(),
                OnLinkDown::Yield(after) => format!("after {} seconds", after.as_secs()),
            };
            line(out, "Lose Leadership When Interface Is Down", lose);
            let global = plane.loopback_scope == LoopbackScope::Global;
            line(out, "Loopback Global Scope", global);
        }
    }

    fn services(&self, out: &mut String) {
        section(out, "SERVICES CONFIGURATION");
        line(out, "Services Enabled", self.settings.services.is_some());
        if let Some(services) = &self.settings.services {
            services::settings(services, |name, value| line(out, name, value));
        }
        for service in &self.page.status.services {
            line(out, "Service", services::one(service));
        }
    }

    fn interfaces(&self, out: &mut String) {
        section(out, "NETWORK INTERFACES");
        for (name, state) in &self.page.status.links {
            line(out, name, state);
        }
    }

    fn election(&self, out: &mut String) {
        section(out, "LEADER ELECTION CONFIGURATION");
        line(out, "Control Plane Enabled", self.settings.control_plane.is_some());
        if let Some(plane) = &self.settings.control_plane {
            let seconds = |span: Duration| format!("{} seconds", span.as_secs_f64());
            line(out, "Leader Election Type", "kubernetes");
            line(out, "Lease Name", &plane.lease.name);
            line(out, "Lease Duration", seconds(plane.timing.duration));
            line(out, "Renew Deadline", seconds(plane.timing.renew_deadline));
            line(out, "Retry Period", seconds(plane.timing.retry_period));
            line(out, "Node Labeling Enabled", plane.labelling == Labelling::On);
        }
    }

    fn runtime(&self, out: &mut String) {
        let counters = self.counters;
        let sum = |counts: &std::collections::BTreeMap<String, u64>| counts.values().sum::<u64>();
        section(out, "RUNTIME STATISTICS");
        line(out, "Prometheus HTTP Server", self.metrics_at);
        line(out, "Health Check Port", self.health_port);
        line(out, "API Server Reachable", matches!(self.page.api, ApiHealth::Reachable { .. }));
        for (name, count) in [
            ("Lease Renewals", sum(&counters.renewals)),
            ("Lease Renewal Failures", sum(&counters.renewal_failures)),
            ("Lease Transitions Seen", sum(&counters.transitions)),
            ("Announcements", counters.announcements),
            ("Installs", counters.installs),
            ("Withdrawals", counters.withdrawals),
            ("Refusals", counters.refusals),
            ("Late Commands", counters.late),
            ("Rivals", counters.rivals),
        ] {
            line(out, name, count);
        }
        for (reason, count) in counters.rejects.iter().filter(|(_, count)| **count > 0) {
            line(out, "Rejected Input", format!("{count} times: {reason}"));
        }
    }
}

fn section(out: &mut String, title: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\n--- {title} ---");
}

/// `Name: value`, on one line whatever the value holds.
fn line(out: &mut String, name: &str, value: impl ToString) {
    let value = value.to_string().replace(['\n', '\r'], " ");
    let _ = writeln!(out, "{name}: {value}");
}

fn targets(plane: &ControlPlane) -> String {
    plane.targets.iter().map(Target::to_string).collect::<Vec<_>>().join(",")
}

fn link(choice: &LinkChoice) -> String {
    match choice {
        LinkChoice::Named(name) => name.to_string(),
        LinkChoice::DefaultRoute => "of the default route".into(),
    }
}

const fn dns_mode(mode: DnsMode) -> &'static str {
    match mode {
        DnsMode::First => "first",
        DnsMode::Ipv4 => "ipv4",
        DnsMode::Ipv6 => "ipv6",
        DnsMode::Dual => "dual",
    }
}

#[cfg(test)]
mod tests;
