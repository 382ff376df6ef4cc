//! Peers that a backend announces to: routers in BGP, other nodes in WireGuard.

use std::borrow::Cow;
use std::time::Duration;

/// A backend that tells peers of its addresses, one by one, over sessions of their own.
pub trait Peers {
    /// How it stands with each, in the order of the settings.
    fn statuses(&self) -> Vec<PeerStatus>;

    /// Everything that this node is to announce for now has been announced. Before this, peers
    /// that keep what an earlier run announced are not told that they have heard it all
    /// (End-of-RIB, RFC 4724 §3): they would drop the rest.
    fn settled(&mut self);

    /// The process is about to end as planned: makes the network look for other ways, and gives
    /// the time for which addresses are better kept until they are withdrawn.
    fn prepare_to_stop(&mut self) -> Duration;
}

/// How a backend stands with one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PeerStatus {
    /// Its address, or the link that leads to it, as the settings name it.
    pub name: String,
    /// Whether it hears our announcements.
    pub session: Session,
    /// How long its protocol has been in its present state; in JSON, whole seconds.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub since: Duration,
    /// Addresses that it was told of and that were not withdrawn.
    pub addresses: u32,
    /// What went wrong last, with its meaning; it stays after the session has come up.
    pub last_error: Option<String>,
    /// How often the session came up.
    pub established: u64,
    /// How often it went down after that.
    pub lost: u64,
    /// What only BGP has to say.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub bgp: Option<BgpSession>,
}

impl PeerStatus {
    /// The state for a person: by the protocol's own name where it has one.
    #[must_use]
    pub fn state(&self) -> &str {
        match (&self.bgp, self.session) {
            (Some(bgp), _) => &bgp.state,
            (None, Session::Up) => "up",
            (None, Session::Down) => "down",
        }
    }
}

/// A peer's session in the words of BGP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BgpSession {
    /// The peer's AS number, once it is known.
    pub remote_as: Option<u32>,
    /// RFC 4271's name of the state: `Idle`, `Connect`, `Active`, `OpenSent`, `OpenConfirm`,
    /// `Established`.
    pub state: Cow<'static, str>,
    /// BFD's state by RFC 5880's name (`AdminDown`, `Down`, `Init`, `Up`), where it is used.
    pub bfd: Option<Cow<'static, str>>,
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
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
