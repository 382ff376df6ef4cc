//! The name by which a person calls a network interface.

use std::fmt;

use crate::LinkName;

/// A name that settings or annotations give an interface: the interface's own name (`eth0`) or one
/// of its alternative names (`enp1s0f0np0`, `ip link property`; `IFLA_ALT_IFNAME`), which may be
/// longer: 1 to 127 bytes (`ALTIFNAMSIZ`), no `/`, no `:`, no white space.
///
/// What is observed has [`LinkName`]s: which link is meant is known once its names are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct InterfaceName(Box<str>);

impl InterfaceName {
    /// `ALTIFNAMSIZ` (`linux/if.h`) without the zero at the end.
    pub const MOST: usize = 127;

    /// Takes a name that the kernel would take, else `None`.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        (name.len() <= Self::MOST && is_valid(name)).then(|| Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same name as a link's own, if it is short enough for one.
    #[must_use]
    pub fn as_link(&self) -> Option<LinkName> {
        LinkName::new(&self.0)
    }
}

/// What both sorts of names have in common (`net/core/dev.c`, `dev_valid_name`).
pub(crate) fn is_valid(name: &str) -> bool {
    let special = name.is_empty() || name == "." || name == "..";
    let plain = |b: u8| b != b'/' && b != b':' && !b.is_ascii_whitespace() && b != 0;
    !special && name.bytes().all(plain)
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InterfaceName").field(&self.as_str()).finish()
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<LinkName> for InterfaceName {
    fn from(name: LinkName) -> Self {
        Self(name.as_str().into())
    }
}

impl TryFrom<String> for InterfaceName {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::new(&name).ok_or_else(|| format!("{name:?} is not an interface name"))
    }
}

impl From<InterfaceName> for String {
    fn from(name: InterfaceName) -> Self {
        name.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alternative_name_may_be_longer_than_a_links_own() {
        let long = "x".repeat(127);
        assert_eq!(InterfaceName::new(&long).unwrap().as_str(), long);
        assert_eq!(InterfaceName::new(&long).unwrap().as_link(), None);
        assert_eq!(InterfaceName::new("eth0").unwrap().as_link(), LinkName::new("eth0"));
        for bad in ["", ".", "..", "a/b", "a b", "a:b", &"x".repeat(128)] {
            assert_eq!(InterfaceName::new(bad), None, "{bad:?}");
        }
    }
}
