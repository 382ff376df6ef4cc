//! The settings by name while they are read, and what is found about them. No message repeats a
//! value that may hold a password.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::str::FromStr;

use viplet_backend_api::{Given, LinkName, Unacceptable};

/// What is to be said about the settings.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What cannot be taken.
    pub(super) wrong: Vec<Unacceptable>,
    /// What can be taken, and is hardly meant so.
    pub(super) warnings: Vec<String>,
}

impl Findings {
    pub(super) fn refuse(&mut self, setting: &'static str, why: impl Into<String>) {
        self.wrong.push(Unacceptable { setting, why: why.into() });
    }
}

/// The settings by name, and what was found about them so far.
pub(super) struct Reader<'a> {
    given: &'a Given,
    pub(super) found: Findings,
}

impl<'a> Reader<'a> {
    pub(super) fn new(given: &'a Given) -> Self {
        Self { given, found: Findings::default() }
    }

    pub(super) fn text(&self, setting: &str) -> &'a str {
        self.given.text(setting).trim()
    }

    /// As it was written: a password may end with a space.
    pub(super) fn untrimmed(&self, setting: &str) -> &'a str {
        self.given.text(setting)
    }

    pub(super) fn refuse(&mut self, setting: &'static str, why: impl Into<String>) {
        self.found.refuse(setting, why);
    }

    /// A value of a type that says itself what it takes; `None` where nothing is given.
    pub(super) fn value<T: FromStr>(&mut self, setting: &'static str, accepted: &str) -> Option<T> {
        let text = self.text(setting);
        if text.is_empty() {
            return None;
        }
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.refuse(setting, format!("it cannot be read; accepted: {accepted}"));
        }
        parsed
    }

    /// A number between limits, both included.
    pub(super) fn number(&mut self, setting: &'static str, limits: (u32, u32), usual: u32) -> u32 {
        let (least, most) = limits;
        let accepted = format!("a whole number from {least} to {most}");
        let number = self.value(setting, &accepted).unwrap_or(usual);
        if !(least..=most).contains(&number) {
            self.refuse(setting, format!("it is out of range; accepted: {accepted}"));
        }
        number
    }

    pub(super) fn link(&mut self, setting: &'static str) -> Option<LinkName> {
        let text = self.text(setting);
        if text.is_empty() {
            return None;
        }
        let link = LinkName::new(text);
        if link.is_none() {
            self.refuse(setting, "it is not the name of an interface that BGP can use; accepted: the interface's name, or an alternative name of at most 15 bytes");
        }
        link
    }
}
