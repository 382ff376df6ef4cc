//! What the process shows of itself, computed when somebody asks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use viplet_backend_api::PeerStatus;

use crate::build_info;
use crate::core::cluster::record::ServiceName;
use crate::core::status::{AddressStatus, Counters, LeaseStatus, ServiceStatus, Status, Why};

/// Where `/status`, `/metrics` and the probes get what they show. Nothing is computed while
/// nobody asks.
pub trait Source {
    /// The state.
    fn status(&self) -> Status;
    /// Why a Service is as it is; `None` where no such Service is known.
    fn why(&self, service: &ServiceName) -> Option<Why>;
    /// The counters since the start.
    fn counters(&self) -> Counters;
    /// How the API server is.
    fn api(&self) -> ApiHealth;
    /// The peers that addresses are announced to, where the network is one of peers.
    fn peers(&self) -> Vec<PeerStatus> {
        Vec::new()
    }
    /// Whether the main loop turns.
    ///
    /// # Errors
    /// Since when it does not, or what else is broken: one line for a person.
    fn health(&self) -> Result<(), String>;
}

/// How the API server is, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Answers", into = "Answers")]
pub enum ApiHealth {
    /// It has not been asked yet.
    Unknown,
    /// It answers.
    Reachable {
        /// For how many seconds.
        seconds: u64,
    },
    /// It does not.
    Unreachable {
        /// For how many seconds.
        seconds: u64,
        /// What was tried, and what came of it.
        reason: String,
    },
}

/// The same as it is written.
#[derive(Serialize, Deserialize)]
struct Answers {
    state: ApiWord,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ApiWord {
    Unknown,
    Reachable,
    Unreachable,
}

impl From<ApiHealth> for Answers {
    fn from(health: ApiHealth) -> Self {
        let (state, seconds, reason) = match health {
            ApiHealth::Unknown => (ApiWord::Unknown, None, None),
            ApiHealth::Reachable { seconds } => (ApiWord::Reachable, Some(seconds), None),
            ApiHealth::Unreachable { seconds, reason } => {
                (ApiWord::Unreachable, Some(seconds), Some(reason))
            }
        };
        Self { state, seconds, reason }
    }
}

impl From<Answers> for ApiHealth {
    fn from(answers: Answers) -> Self {
        let seconds = answers.seconds.unwrap_or_default();
        match answers.state {
            ApiWord::Unknown => Self::Unknown,
            ApiWord::Reachable => Self::Reachable { seconds },
            ApiWord::Unreachable => {
                Self::Unreachable { seconds, reason: answers.reason.unwrap_or_default() }
            }
        }
    }
}

impl ApiHealth {
    /// It has answered for so long.
    #[must_use]
    pub const fn reachable(span: Duration) -> Self {
        Self::Reachable { seconds: span.as_secs() }
    }

    /// It has not answered for so long, and why.
    #[must_use]
    pub fn unreachable(span: Duration, reason: impl Into<String>) -> Self {
        Self::Unreachable { seconds: span.as_secs(), reason: reason.into() }
    }
}

/// The JSON document under `/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Flat", into = "Flat")]
pub struct StatusPage {
    /// viplet's version.
    pub version: String,
    /// The commit it was built from.
    pub build: String,
    /// How the API server is.
    pub api: ApiHealth,
    /// Why `/healthz` fails, absent when it does not.
    pub unhealthy: Option<String>,
    /// The peers that addresses are announced to, where the network is one of peers.
    pub peers: Vec<PeerStatus>,
    /// The state.
    pub status: Status,
}

/// The same with the fields of the state beside the others. (`serde(flatten)` would do it too,
/// with 40 KB of code.)
#[derive(Serialize, Deserialize)]
struct Flat {
    version: String,
    build: String,
    api: ApiHealth,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unhealthy: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    peers: Vec<PeerStatus>,
    node: String,
    leases: Vec<LeaseStatus>,
    addresses: Vec<AddressStatus>,
    links: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    services: Vec<ServiceStatus>,
    not_ready: Vec<String>,
}

impl From<StatusPage> for Flat {
    fn from(page: StatusPage) -> Self {
        let StatusPage { version, build, api, unhealthy, peers, status } = page;
        let Status { node, leases, addresses, links, services, not_ready } = status;
        Self {
            version,
            build,
            api,
            unhealthy,
            peers,
            node,
            leases,
            addresses,
            links,
            services,
            not_ready,
        }
    }
}

impl From<Flat> for StatusPage {
    fn from(flat: Flat) -> Self {
        let Flat { node, leases, addresses, links, services, not_ready, .. } = flat;
        let status = Status { node, leases, addresses, links, services, not_ready };
        let Flat { version, build, api, unhealthy, peers, .. } = flat;
        Self { version, build, api, unhealthy, peers, status }
    }
}

impl StatusPage {
    /// The document as of now.
    #[must_use]
    pub fn of(source: &dyn Source) -> Self {
        Self {
            version: build_info::VERSION.to_owned(),
            build: build_info::BUILD.to_owned(),
            api: source.api(),
            unhealthy: source.health().err(),
            peers: source.peers(),
            status: source.status(),
        }
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
