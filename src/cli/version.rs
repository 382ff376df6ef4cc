//! `viplet version`: the three lines that kube-vip prints.

use argh::FromArgs;

use crate::build_info::{BUILD, VERSION};

/// print the version
#[derive(FromArgs, Clone, Copy, Debug, PartialEq, Eq)]
#[argh(subcommand, name = "version")]
pub struct VersionCommand {}

impl VersionCommand {
    /// What it prints on stdout.
    #[must_use]
    pub fn text(self) -> String {
        format!("Kube-VIP Release Information\nVersion:  {VERSION}\nBuild:    {BUILD}\n")
    }
}

#[cfg(test)]
mod tests;
