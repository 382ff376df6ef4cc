//! Settings as a manifest says them: to be read by another viplet, on another machine.

use super::build::dhcp_mode;
use super::gather::{Gathered, Inputs, Resolved, gather};
use super::network;
use super::problem::{Problem, Source};
use super::setting::{Empty, Setting};
use super::table::printed::{ELSEWHERE, ORDER, Printed};
use super::table::{all, find};
use super::validate::{Purpose, validate};
use crate::shell::http::Listen;

/// Settings that were found to be right, to be printed.
pub struct Draft {
    gathered: Gathered,
    features: &'static [&'static str],
}

/// One variable of a manifest's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: VariableValue,
}

/// Where a variable's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableValue {
    /// It is this text.
    Text(String),
    /// The kubelet fills the node's name in.
    NodeName,
}

/// Reads and checks the settings for a purpose; `features` are those of the image.
///
/// # Errors
/// With every problem at once, in the table's order.
pub fn draft(
    inputs: &Inputs<'_>,
    features: &'static [&'static str],
    purpose: Purpose,
) -> Result<Draft, Vec<Problem>> {
    let mut gathered = gather(inputs);
    validate(&mut gathered, features, purpose);
    dhcp_mode(&mut gathered);
    match gathered.problems.is_empty() {
        true => Ok(Draft { gathered, features }),
        false => Err(super::build::in_table_order(gathered.problems)),
    }
}

impl Draft {
    /// The value as text; empty when there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.gathered.text(name)
    }

    /// Whether this boolean is true.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.gathered.is_on(name)
    }

    /// Whether somebody gave it a value.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.gathered.find(name).is_some_and(|found| found.source != Source::Default)
    }

    /// A problem with this setting as it was given.
    #[must_use]
    pub fn problem(&self, name: &str, why: &str) -> Option<Problem> {
        let found = self.gathered.find(name)?;
        Some(Problem::new(found.setting, &found.value.to_string(), &found.source, why))
    }

    /// What a person should know.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.gathered.warnings
    }

    /// The variables of the environment that settings were taken from.
    pub fn variables_read(&self) -> impl Iterator<Item = &str> {
        self.gathered.values.values().filter_map(|found| match &found.source {
            Source::Environment(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Settings with something secret in them that the manifest shows.
    pub fn secrets(&self) -> impl Iterator<Item = &'static str> {
        let secret = |found: &&Resolved| found.setting.is_secret() && self.differs(found);
        self.gathered.values.values().filter(secret).map(|found| found.setting.name)
    }

    /// Where the probes are answered.
    #[must_use]
    pub fn probed(&self) -> Option<Listen> {
        match u16::try_from(self.gathered.integer("health_check_port")) {
            Ok(port) if port > 0 => Some(Listen::Everywhere(port)),
            _ => network::listener(&self.text("prometheus_server")).ok().flatten(),
        }
    }

    /// The environment of the container, in kube-vip's order.
    #[must_use]
    pub fn environment(&self) -> Vec<Variable> {
        let listed = ORDER.iter().filter_map(|(name, when)| Some((find(name)?, *when)));
        let rest = all().filter(|setting| !ORDER.iter().any(|(name, _)| *name == setting.name));
        let rest = rest.map(|setting| (setting, Printed::Changed));
        listed.chain(rest).filter_map(|(setting, when)| self.variable(setting, when)).collect()
    }

    /// What the environment cannot say, as flags.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let needed = all().filter_map(|setting| {
            let found = self.gathered.find(setting.name)?;
            let flag = setting.flags.first()?;
            let needed = self.differs(found) && !sayable(found);
            needed.then(|| format!("--{flag}={}", found.value))
        });
        needed.collect()
    }

    fn variable(&self, setting: &'static Setting, when: Printed) -> Option<Variable> {
        let name = *setting.environment.first()?;
        let found = self.gathered.find(setting.name)?;
        if ELSEWHERE.contains(&name) {
            return None;
        }
        if name == "vip_nodename" {
            return Some(Variable { name, value: VariableValue::NodeName });
        }
        let wanted = match when {
            // A default that depends on others is worked out by the one who reads it.
            Printed::Always => {
                found.source != Source::Default || found.value.to_string() == setting.default
            }
            Printed::Changed => self.differs(found),
            Printed::With(other) => self.turned_on(other) || self.differs(found),
        };
        let wanted = wanted && sayable(found) && self.is_the_address(name);
        wanted.then(|| Variable { name, value: VariableValue::Text(found.value.to_string()) })
    }

    /// Given, not the default, and of an effect.
    fn differs(&self, found: &Resolved) -> bool {
        let setting = found.setting;
        let counts = self.gathered.closed_by(setting.gate).is_none()
            && (setting.feature.is_empty() || self.features.contains(&setting.feature));
        counts && found.source != Source::Default && found.value.to_string() != setting.default
    }

    fn turned_on(&self, name: &str) -> bool {
        let value = self.text(name);
        !value.is_empty()
            && value != "false"
            && self.gathered.find(name).is_some_and(|found| self.differs(found))
    }

    /// Of `address` and `vip_address` the one that counts; `address` where neither is given.
    fn is_the_address(&self, name: &str) -> bool {
        let older = self.text("address").is_empty() && !self.text("vip_address").is_empty();
        match name {
            "address" => !older,
            "vip_address" => older,
            _ => true,
        }
    }
}

/// Whether the environment can say this value: an empty one counts as none there.
fn sayable(found: &Resolved) -> bool {
    let setting = found.setting;
    let off = setting.empty == Empty::ValueOutsideEnvironment && found.value.to_string().is_empty();
    !setting.environment.is_empty() && !off
}
