//! `targets.toml` as values: targets, sets of features, and what each binary has to be.

use std::collections::BTreeMap;

use serde::Deserialize;

/// All that `targets.toml` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Sets of features by name.
    pub set: BTreeMap<String, Set>,
    /// Targets by the name that Rust gives them.
    pub target: BTreeMap<String, Target>,
}

/// A named set of features.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// As the root's Cargo.toml spells them.
    pub features: Vec<String>,
    /// Whom the set is for, in a few words.
    #[serde(rename = "for")]
    pub purpose: String,
}

/// One kind of machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Short names that `scripts/build` takes too.
    pub names: Vec<String>,
    /// As container images name it.
    pub platform: String,
    /// The machine in the ELF header.
    pub machine: Machine,
    /// 32 or 64.
    pub bits: u8,
    /// Bits that the ELF header's flags must have: they name the calling convention.
    #[serde(default)]
    pub flags: u32,
    /// The largest size in bytes by set.
    pub ceiling: BTreeMap<String, u64>,
    /// What else is asked of the binary.
    pub hardening: Vec<Hardening>,
}

/// A machine by the number in an ELF header.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Machine {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM.
    Arm,
    /// RISC-V.
    Riscv,
}

/// One thing that is asked of a binary.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Hardening {
    /// It needs no shared library.
    Static,
    /// No dynamic linker starts it.
    NoInterpreter,
    /// What is relocated once is read-only from then on.
    Relro,
    /// Nothing that can be written can be executed, the stack included.
    Nx,
    /// No code is changed when it is loaded.
    NoTextRelocations,
    /// No symbols and nothing for debuggers.
    Stripped,
}

impl Facts {
    /// Reads the text of `targets.toml`.
    ///
    /// # Errors
    /// When it is not TOML, a value is of another kind, or a target lacks the ceiling of a set.
    pub fn parse(text: &str) -> Result<Self, String> {
        let facts: Self = toml::from_str(text).map_err(|error| format!("targets.toml: {error}"))?;
        for (name, target) in &facts.target {
            if let Some(set) = facts.set.keys().find(|set| !target.ceiling.contains_key(*set)) {
                return Err(format!(
                    "targets.toml: target {name} has no ceiling for the set {set}"
                ));
            }
        }
        Ok(facts)
    }

    /// A target by its name.
    ///
    /// # Errors
    /// When there is none of that name: the text lists those that there are.
    pub fn target(&self, name: &str) -> Result<&Target, String> {
        self.target.get(name).ok_or_else(|| {
            let all: Vec<&str> = self.target.keys().map(String::as_str).collect();
            format!("there is no target {name}; there are: {}", all.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    const OURS: &str = include_str!("../targets.toml");

    #[test]
    fn our_targets_are_complete() {
        let facts = Facts::parse(OURS).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(facts.target.len(), 4);
        assert_eq!(facts.target("aarch64-unknown-linux-musl").unwrap().platform, "linux/arm64");
    }

    #[test]
    fn our_sets_name_only_features_that_exist_and_full_has_all_of_them() {
        let manifest: toml::Table = toml::from_str(include_str!("../../Cargo.toml")).unwrap();
        let mut there: Vec<&str> =
            manifest["features"].as_table().unwrap().keys().map(String::as_str).collect();
        there.retain(|name| *name != "default");
        let facts = Facts::parse(OURS).unwrap();
        for (name, set) in &facts.set {
            for feature in &set.features {
                assert!(there.contains(&feature.as_str()), "{name} has {feature}");
            }
        }
        let mut full: Vec<&str> = facts.set["full"].features.iter().map(String::as_str).collect();
        full.sort_unstable();
        there.sort_unstable();
        assert_eq!(full, there);
    }

    #[test]
    fn a_target_without_a_ceiling_for_a_set_is_refused_by_name() {
        let text = OURS.replacen("arp = ", "art = ", 1);
        assert!(Facts::parse(&text).unwrap_err().contains("has no ceiling for the set arp"));
    }

    #[test]
    fn an_unknown_kind_of_hardening_is_refused() {
        let text = OURS.replacen("\"relro\"", "\"rero\"", 1);
        assert!(Facts::parse(&text).unwrap_err().contains("rero"));
    }

    #[test]
    fn an_unknown_target_is_answered_with_those_that_there_are() {
        let facts = Facts::parse(OURS).unwrap();
        let why = facts.target("mips").unwrap_err();
        assert!(
            why.starts_with("there is no target mips; there are: aarch64-unknown-linux-musl"),
            "{why}"
        );
    }
}
