//! The settings of one backend as a person gave them: the backend itself knows what they mean.

use std::collections::BTreeMap;
use std::fmt;

/// Effective values by the name of the setting, for those that are not empty. Numbers, booleans and
/// words have been checked against the table of settings. Some values are secrets: none is shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Given(pub BTreeMap<&'static str, String>);

impl Given {
    /// The value of a setting; empty where nobody gave one.
    #[must_use]
    pub fn text(&self, setting: &str) -> &str {
        self.0.get(setting).map_or("", String::as_str)
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A setting that a backend cannot take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unacceptable {
    /// The setting.
    pub setting: &'static str,
    /// What is wrong and what is accepted, without any secret: `not a peer: …; accepted: …`.
    pub why: String,
}
