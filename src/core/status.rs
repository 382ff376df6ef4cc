//! What is so at this moment, for `/status`, `/readyz`, `/metrics`, `viplet status` and SIGUSR1.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The whole state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// This node's name.
    pub node: String,
    /// One entry per Lease, in order of name.
    pub leases: Vec<LeaseStatus>,
    /// One entry per address or unresolved name, in order.
    pub addresses: Vec<AddressStatus>,
    /// The links that matter, with their state in a word.
    pub links: BTreeMap<String, String>,
    /// Services of type LoadBalancer, where they are served, in order of name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceStatus>,
    /// Ready: what should be here is here and announced (design law 8). The reasons why not.
    pub not_ready: Vec<String>,
}

/// One Lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseStatus {
    /// `namespace/name`.
    pub lease: String,
    /// Who holds it as far as we saw; empty when nobody does.
    pub holder: String,
    /// What this node does about it.
    pub role: RoleStatus,
    /// Time left of our own hold; in JSON, seconds.
    #[serde(with = "seconds")]
    pub held_for: Option<Duration>,
    /// Time since the last successful renewal of ours, or since we saw the holder's last one; in
    /// JSON, seconds.
    #[serde(with = "seconds")]
    pub renewed_ago: Option<Duration>,
    /// `leaseTransitions`.
    pub transitions: u32,
    /// Why it is so.
    pub reason: String,
}

/// A node's part in an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleStatus {
    /// The Lease has not been read yet.
    Starting,
    /// Somebody else holds it, or nobody yet.
    Following,
    /// This node holds it.
    Holding,
    /// This node does not stand (link down, stopping).
    Abstaining,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressStatus {
    /// The address, absent while a name is unresolved.
    pub address: Option<IpAddr>,
    /// The DNS name it came from.
    pub name: Option<String>,
    /// The link that carries or would carry it.
    pub link: String,
    /// The Lease that decides.
    pub lease: String,
    /// Where it is.
    pub state: AddressState,
    /// Announcements sent from here.
    pub announced: u64,
    /// Why it is so.
    pub reason: String,
}

/// One Service of type LoadBalancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// `namespace/name`.
    pub service: String,
    /// How it is.
    pub state: ServiceState,
    /// Its addresses as far as they are known.
    pub addresses: Vec<IpAddr>,
    /// The Lease that decides on the first of them; empty while there is none.
    pub lease: String,
    /// The node that holds the first of them, as this node sees it; empty: none.
    pub holder: String,
    /// Why it is so.
    pub reason: String,
}

/// How a Service is, as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceState {
    /// All its addresses are here and announced.
    Held,
    /// Some address should be here and is not (yet).
    Pending,
    /// Another node holds it.
    Elsewhere,
    /// Nobody can hold it now: no endpoint, no address yet, a name that is not resolved.
    Waiting,
    /// It asks for something that cannot be.
    Refused,
    /// Not ours to serve: its class, or `kube-vip.io/ignore`.
    Ignored,
}

/// Why a Service has or has no address: the answer of `viplet why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The Service as this node sees it.
    pub status: ServiceStatus,
    /// What led to it, the first cause first; each one line for a person.
    pub because: Vec<String>,
}

/// Where an address is, as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressState {
    /// Present here and announced.
    Held,
    /// Should be here and is not (yet): see the reason.
    Pending,
    /// Present here without our holding the lease (adopted or preserved), not announced.
    Kept,
    /// Not here, and should not be.
    Elsewhere,
    /// Will never be put here: see the reason (it is the node's own, say).
    Blocked,
}

/// Counters since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Renewals that succeeded, by lease.
    pub renewals: BTreeMap<String, u64>,
    /// Lease writes that failed, by lease.
    pub renewal_failures: BTreeMap<String, u64>,
    /// Changes of holder that we saw, by lease.
    pub transitions: BTreeMap<String, u64>,
    /// Announcements asked for.
    pub announcements: u64,
    /// Addresses installed or refreshed.
    pub installs: u64,
    /// Addresses withdrawn.
    pub withdrawals: u64,
    /// Commands that the backend refused.
    pub refusals: u64,
    /// Commands that were too late to be carried out and were decided anew.
    #[serde(default)]
    pub late: u64,
    /// Times that another station claimed one of our addresses.
    pub rivals: u64,
    /// Inputs that made no sense, by reason.
    pub rejects: BTreeMap<String, u64>,
    /// About Services.
    #[serde(default)]
    pub services: ServiceCounters,
}

/// Counters about Services since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceCounters {
    /// Changes of Services that were taken in, by the watch's word (`ADDED`, `MODIFIED`,
    /// `DELETED`).
    pub seen: BTreeMap<String, u64>,
    /// Times that a Service was refused, by the reason's word.
    pub refused: BTreeMap<String, u64>,
    /// Writes to Services that were asked for.
    pub writes: u64,
    /// Writes to Services that failed.
    pub write_failures: u64,
    /// Events that were asked for.
    pub events: u64,
    /// Renewals of Services' leases that succeeded.
    pub renewals: u64,
    /// Requests about Services' leases that failed.
    pub renewal_failures: u64,
    /// Changes of holder of Services' leases that were seen.
    pub transitions: u64,
}

/// A time span in JSON, for people and `jq`: seconds with three decimals, or null.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        span.map(|span| (span.as_secs_f64() * 1_000.0).round() / 1_000.0).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        seconds
            .map(|seconds| Duration::try_from_secs_f64(seconds).map_err(D::Error::custom))
            .transpose()
    }
}
