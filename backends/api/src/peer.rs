//! Peers that a backend announces to: routers in BGP, other nodes in WireGuard.

use std::time::Duration;

/// How a backend stands with one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its address, or the link that leads to it, as the settings name it.
    pub name: String,
    /// Its AS number, once it is known.
    pub remote_as: Option<u32>,
    /// Whether it hears our announcements.
    pub session: Session,
    /// The state by the protocol's own name: `Idle`, `Connect`, `Active`, `OpenSent`,
    /// `OpenConfirm`, `Established`.
    pub state: &'static str,
    /// How long it has been in that state.
    pub since: Duration,
    /// Addresses that it was told of and that were not withdrawn.
    pub prefixes: u32,
    /// BFD's state by RFC 5880's name (`AdminDown`, `Down`, `Init`, `Up`), where it is used.
    pub bfd: Option<&'static str>,
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
pub enum Session {
    /// It does not.
    Down,
    /// It does.
    Up,
}
