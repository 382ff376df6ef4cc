//! What the core asks of a backend.

use std::fmt;
use std::net::IpAddr;

/// The name of a network interface: 1 to 15 bytes, no `/`, no white space (`dev_valid_name`).
/// Kept in place, as every address and every command has one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct LinkName {
    /// Padded with zeros, which no name contains: the order is that of the text.
    bytes: [u8; LinkName::MOST],
    length: u8,
}

impl LinkName {
    /// `IFNAMSIZ` without the zero at the end.
    const MOST: usize = 15;

    /// Takes a name that the kernel would take (`net/core/dev.c`, `dev_valid_name`), else `None`.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; Self::MOST];
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        let length = u8::try_from(name.len()).ok()?;
        crate::interface::is_valid(name).then_some(Self { bytes, length })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Debug for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LinkName").field(&self.as_str()).finish()
    }
}

impl TryFrom<String> for LinkName {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::new(&name).ok_or_else(|| format!("{name:?} is not an interface name"))
    }
}

impl From<LinkName> for String {
    fn from(name: LinkName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an address is valid (`rtm_scope`, rtnetlink(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Scope {
    /// `RT_SCOPE_UNIVERSE`: everywhere.
    Universe,
    /// `RT_SCOPE_HOST`: inside this host; the default on `lo`.
    Host,
}

/// Whether the kernel probes for a duplicate of an IPv6 address (RFC 4862 §5.4) before use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum DuplicateDetection {
    /// As the link's sysctls say.
    Kernel,
    /// `IFA_F_NODAD`: the election already made sure that there is one holder.
    Skip,
}

/// Whether an address is put on its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Presence {
    /// On the link.
    OnLink,
    /// It is only made known (to BGP's peers); whoever takes its packets does so without it, as
    /// kube-proxy does. Backends whose network is a segment put it on the link all the same.
    MadeKnown,
}

/// A virtual address and how it is put on a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Vip {
    /// The address itself.
    pub address: IpAddr,
    /// Prefix length, 1..=32 or 1..=128.
    pub prefix_len: u8,
    /// The link that carries it.
    pub link: LinkName,
    /// Whether it is put there.
    pub presence: Presence,
    /// Its scope.
    pub scope: Scope,
    /// Duplicate address detection, IPv6 only.
    pub duplicate_detection: DuplicateDetection,
}

impl Vip {
    /// The command that takes it away again.
    #[must_use]
    pub fn withdrawal(&self) -> Command {
        Command::Withdraw { address: self.address, link: self.link.clone() }
    }
}

impl fmt::Display for Vip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} on {}", self.address, self.prefix_len, self.link)
    }
}

/// How long the kernel keeps an address that nobody refreshes (`ifa_valid` of
/// `struct ifa_cacheinfo`): the dead-man of design law 3. Whole seconds, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lifetime(u32);

impl Lifetime {
    /// `None` for 0 and for `u32::MAX`, which the kernel reads as «for ever».
    #[must_use]
    pub const fn from_secs(seconds: u32) -> Option<Self> {
        if seconds == 0 || seconds == u32::MAX { None } else { Some(Self(seconds)) }
    }

    /// Whole seconds.
    #[must_use]
    pub const fn as_secs(self) -> u32 {
        self.0
    }
}

/// One thing for a backend to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Command {
    /// Make the address present for at most `lifetime`; present already: refresh it. Change in
    /// place: never a delete and an add.
    Install {
        /// The address, and how it is to be on its link.
        vip: Vip,
        /// When it goes if it is not refreshed before.
        lifetime: Lifetime,
    },
    /// Tell the network at once who has the address (gratuitous ARP, unsolicited NA).
    Announce {
        /// The address, as it was installed.
        vip: Vip,
    },
    /// Take the address away from this link, with whatever prefix length it is there. Absent
    /// already is success, and a copy on another link is left alone.
    Withdraw {
        /// The address that goes.
        address: IpAddr,
        /// The link that is to lose it.
        link: LinkName,
    },
}

impl Command {
    /// The address that the command is about.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        match self {
            Self::Install { vip, .. } | Self::Announce { vip } => vip.address,
            Self::Withdraw { address, .. } => *address,
        }
    }

    /// The link that the command is about.
    #[must_use]
    pub const fn link(&self) -> &LinkName {
        match self {
            Self::Install { vip, .. } | Self::Announce { vip } => &vip.link,
            Self::Withdraw { link, .. } => link,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_refuses_are_refused() {
        for bad in ["", ".", "..", "a/b", "a b", "a:b", "sixteen-bytes-xx"] {
            assert_eq!(LinkName::new(bad), None, "{bad:?}");
        }
        assert!(LinkName::new("fifteen-bytes-x").is_some());
    }

    #[test]
    fn a_name_is_read_back_and_ordered_as_text() {
        let names = ["a", "a-longer-one", "ab", "br\u{fc}cke", "eth0", "eth1", "fifteen-bytes-x"];
        let made: Vec<_> = names.iter().map(|name| LinkName::new(name).unwrap()).collect();
        assert!(made.iter().zip(names).all(|(made, name)| made.as_str() == name));
        assert!(made.is_sorted() && names.is_sorted());
        assert_eq!(format!("{:?}", made[4]), r#"LinkName("eth0")"#);
    }

    #[test]
    fn a_lifetime_is_finite_and_not_zero() {
        assert_eq!(Lifetime::from_secs(0), None);
        assert_eq!(Lifetime::from_secs(u32::MAX), None);
        assert_eq!(Lifetime::from_secs(1).map(Lifetime::as_secs), Some(1));
    }
}
