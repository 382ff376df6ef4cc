//! Whether this node can do what the holder of an address has to do.

use std::time::Duration;

use viplet_backend_api::{Class, Command, LinkState, Refusal};

use crate::core::control_plane::{Group, Stopping};
use crate::core::jitter::backoff;
use crate::core::observed::{Observed, Sight, state_text};
use crate::core::rights::election::{Fitness, Role};
use crate::core::settings::{HealthGate, LinkChoice, LinkNotUp, OnLinkDown};
use crate::core::time::Moment;

/// After the backend refused what a holder must do for an address, the node stays out of the
/// election for a while, so that one that can do it holds the address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Penalty {
    times: u32,
    until: Moment,
    reason: String,
}

/// Passing troubles of an address are borne so often before the node hands over.
const PATIENCE: u32 = 3;
/// A penalty is forgotten when everything has worked for so long after its end.
const PROBATION: Duration = Duration::from_secs(30);

impl Penalty {
    /// Weighs a refusal: `times` in a row for that address.
    pub fn consider(&mut self, command: &Command, refusal: &Refusal, times: u32, now: Moment) {
        let hopeless = matches!(refusal.class, Class::Misconfigured | Class::Forbidden);
        let lasting = times >= PATIENCE;
        let needed = match command {
            Command::Install { .. } => hopeless || lasting,
            Command::Announce { .. } => hopeless,
            Command::Withdraw { .. } => false,
        };
        if !needed || now < self.until {
            return;
        }
        self.times += 1;
        let rest = backoff(Duration::from_secs(5), Duration::from_secs(60), self.times);
        self.until = now + rest;
        self.reason.clone_from(&refusal.reason);
    }

    /// Why the node is kept out now, if it is.
    #[must_use]
    pub fn reason(&self, now: Moment) -> Option<&str> {
        (now < self.until).then_some(self.reason.as_str())
    }

    /// When the node may stand again, if it is kept out now.
    #[must_use]
    pub fn ends(&self, now: Moment) -> Option<Moment> {
        Some(self.until).filter(|until| *until > now)
    }

    /// Whether nothing is held against the node any more, now that everything works.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        now >= self.until + PROBATION
    }
}

/// What checks of the API server on this node have found (CP-8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether one has succeeded, and failures in a row since, or since the start.
    succeeded: bool,
    failures: u32,
    why: String,
}

impl Health {
    /// A check was made.
    pub fn checked(&mut self, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => *self = Self { succeeded: true, ..Self::default() },
            Err(why) => {
                self.failures = self.failures.saturating_add(1);
                self.why = why;
            }
        }
    }

    /// Whether no check was answered yet that would have to be.
    #[must_use]
    pub fn is_unknown(&self, gate: HealthGate) -> bool {
        gate != HealthGate::Open && !self.succeeded && self.failures == 0
    }

    /// Why this node may not hold the addresses, if so.
    #[must_use]
    pub fn ineligible(&self, gate: HealthGate) -> Option<String> {
        let HealthGate::Failures(most) = gate else { return None };
        let (failures, why) = (self.failures, &self.why);
        match (self.succeeded, failures) {
            (false, 0) => Some("the API server on this node has not been checked yet".to_owned()),
            (true, failures) if failures < most => None,
            _ => Some(format!(
                "the API server on this node failed {failures} health checks in a row: {why}"
            )),
        }
    }
}

/// Whether the node is fit to hold the group's addresses.
#[must_use]
pub fn of(group: &Group, observed: &Observed, stopping: Stopping, now: Moment) -> Fitness {
    if stopping != Stopping::No {
        return Fitness::Leaving;
    }
    match ineligible(group, observed, now) {
        Some(why) => Fitness::Unfit(why),
        None => Fitness::Fit,
    }
}

fn ineligible(group: &Group, observed: &Observed, now: Moment) -> Option<String> {
    by_link(group, observed, now)
        .or_else(|| by_addresses(group, observed, now))
        .or_else(|| group.health.ineligible(group.settings.health))
}

fn by_link(group: &Group, observed: &Observed, now: Moment) -> Option<String> {
    let Some(name) = &group.link else {
        return Some(match (observed.sight(), &group.settings.link) {
            (Sight::Blind(why), _) => format!("links cannot be read: {why}"),
            (_, LinkChoice::Named(name)) => missing(name.as_str()),
            (_, LinkChoice::DefaultRoute) => {
                "there is no default route to tell the interface by: waiting for one; or set \
                 vip_interface"
                    .to_owned()
            }
        });
    };
    let Some(seen) = observed.link(name) else {
        return Some(match (observed.sight(), &group.settings.link) {
            (Sight::Blind(why), _) => format!("links cannot be read: {why}"),
            (_, LinkChoice::Named(_)) => missing(name.as_str()),
            (_, LinkChoice::DefaultRoute) => {
                format!("interface {name}, which had the default route, is gone: waiting for one")
            }
        });
    };
    if seen.link.state == LinkState::Up || tolerated(group, seen.down_since, now) {
        return None;
    }
    Some(format!("interface {name} is {}: waiting for it", state_text(seen.link.state)))
}

fn missing(name: &str) -> String {
    format!("interface {name} does not exist: waiting for it; vip_interface names it")
}

/// A link that is not up is borne by a holder as `vip_loseleadership` says, and by a candidate
/// only with `vip_allow_interface_not_up`.
fn tolerated(group: &Group, down_since: Option<Moment>, now: Moment) -> bool {
    let given_up = match group.settings.on_link_down {
        OnLinkDown::Keep => false,
        OnLinkDown::Yield(after) => down_since.is_none_or(|since| now >= since + after),
    };
    match group.role(now) {
        _ if given_up => false,
        Role::Holding { .. } => true,
        Role::Following => group.settings.link_not_up == LinkNotUp::Allow,
    }
}

fn by_addresses(group: &Group, observed: &Observed, now: Moment) -> Option<String> {
    if group.claims.is_empty() {
        return Some(match group.names.first() {
            Some(name) => match name.trouble() {
                Some(why) => format!("{} is not resolved: {why}", name.name()),
                None => format!("{} is being resolved", name.name()),
            },
            None => "there is no address to hold".to_owned(),
        });
    }
    // One address that cannot be had does not cost the others.
    let reasons: Option<Vec<String>> =
        group.claims.values().map(|claim| claim.ineligible(observed, now)).collect();
    reasons?.into_iter().next()
}

/// When the answer may change by itself.
#[must_use]
pub fn deadline(group: &Group, observed: &Observed, now: Moment) -> Option<(Moment, &'static str)> {
    let rests = group.claims.values().filter_map(|claim| claim.kept_out_until(now));
    let rest = rests.min().map(|until| (until, "the node may stand again"));
    let seen = group.link.as_ref().and_then(|name| observed.link(name));
    let given_up = match group.settings.on_link_down {
        OnLinkDown::Yield(after) => {
            seen.and_then(|seen| seen.down_since).map(|since| since + after)
        }
        OnLinkDown::Keep => None,
    };
    let given_up = given_up.filter(|at| *at > now).map(|at| (at, "the link has been down"));
    rest.into_iter().chain(given_up).min_by_key(|(at, _)| *at)
}
