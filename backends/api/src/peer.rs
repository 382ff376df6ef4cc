//! Peers that a backend announces to: routers in BGP, other nodes in WireGuard.

use std::borrow::Cow;
use std::time::Duration;

/// How a backend stands with one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PeerStatus {
    /// Its address, or the link that leads to it, as the settings name it.
    pub name: String,
    /// Its AS number, once it is known.
    pub remote_as: Option<u32>,
    /// Whether it hears our announcements.
    pub session: Session,
    /// The state by the protocol's own name: `Idle`, `Connect`, `Active`, `OpenSent`,
    /// `OpenConfirm`, `Established`.
    pub state: Cow<'static, str>,
    /// How long it has been in that state; in JSON, whole seconds.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub since: Duration,
    /// Addresses that it was told of and that were not withdrawn.
    pub prefixes: u32,
    /// BFD's state by RFC 5880's name (`AdminDown`, `Down`, `Init`, `Up`), where it is used.
    pub bfd: Option<Cow<'static, str>>,
    /// What went wrong last, with its meaning; it stays after the session has come up.
    pub last_error: Option<String>,
    /// How often the session came up.
    pub established: u64,
    /// How often it went down after that.
    pub lost: u64,
    /// Messages sent and received.
    pub messages: (u64, u64),
    /// UPDATEs sent.
    pub updates: u64,
}

/// Whether a peer hears our announcements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Session {
    /// It does not.
    Down,
    /// It does.
    Up,
}

#[cfg(feature = "serde")]
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(span.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_secs)
    }
}
