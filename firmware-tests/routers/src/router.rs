//! What every router tells: about a peer of its own, and about what it has learned of a prefix.

use std::net::IpAddr;

/// A session as a router sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbour {
    /// The state's name, lower case: `established`, `active`, …
    pub state: String,
    /// Routes that it has from this peer now.
    pub prefixes: u64,
    /// UPDATEs that this peer has sent, where the router counts them.
    pub updates: u64,
    /// Why the last session ended or none begins, in the router's own words.
    pub last_error: String,
}

impl Neighbour {
    /// Whether the session is up.
    pub fn is_up(&self) -> bool {
        self.state == "established"
    }
}

/// One path to a prefix, from one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// The peer that told it, by its address.
    pub from: Option<IpAddr>,
    /// Where packets go.
    pub next_hops: Vec<IpAddr>,
    /// AS numbers with a space between.
    pub as_path: String,
    /// COMMUNITIES: `65000:1`, or a well-known one's name as the router spells it.
    pub communities: Vec<String>,
    /// LARGE_COMMUNITY: `65000:1:2`.
    pub large_communities: Vec<String>,
    /// LOCAL_PREF.
    pub local_preference: Option<u64>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u64>,
    /// Kept for a peer that restarts (RFC 4724).
    pub stale: bool,
}

impl Path {
    /// Whether it carries GRACEFUL_SHUTDOWN (RFC 8326), however the router spells it.
    pub fn is_asked_to_be_left(&self) -> bool {
        let names = ["gracefulShutdown", "graceful-shutdown", "65535:0"];
        self.communities.iter().any(|one| names.contains(&one.as_str()))
    }
}

/// A router in a namespace.
pub trait Router {
    /// The session with this peer; none where the router knows no such peer.
    fn neighbour(&self, peer: IpAddr) -> Option<Neighbour>;

    /// All paths to exactly this prefix (`192.0.2.1/32`); empty where there is none.
    fn paths(&self, prefix: &str) -> Vec<Path>;

    /// Everything that helps to understand a failed test.
    fn report(&self) -> String;
}
