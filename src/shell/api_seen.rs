//! How the API server is, put together from what each watch and each kind of request has found: one
//! that works does not hide one that fails.

use std::collections::BTreeMap;
use std::time::Duration;

use super::source::ApiHealth;
use crate::core::Moment;

/// A request that failed and was not made again for so long is given up by whoever made it.
const GIVEN_UP: Duration = Duration::from_secs(120);

/// Who asks the API server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    /// Whoever looks for the credentials: without them nobody asks.
    Credentials,
    /// Requests about Leases.
    Leases,
    /// Marks on Leases.
    Marks,
    /// Writes to Services.
    Services,
    /// A watch, by the name that it has in the log.
    Watch(String),
}

/// What was found.
#[derive(Debug, Default)]
pub struct ApiSeen {
    /// Since when it has answered everybody.
    answers_since: Option<Moment>,
    failures: BTreeMap<Asker, Failure>,
}

#[derive(Debug)]
struct Failure {
    since: Moment,
    last: Moment,
    reason: String,
}

impl ApiSeen {
    /// `asker` was answered, or was not and why.
    pub fn learn(&mut self, asker: Asker, outcome: Result<(), String>, now: Moment) {
        match outcome {
            Ok(()) => {
                self.failures.remove(&asker);
                self.failures.remove(&Asker::Credentials);
                self.failures.retain(|asker, failure| {
                    matches!(asker, Asker::Watch(_)) || now.since(failure.last) < GIVEN_UP
                });
                if self.failures.is_empty() {
                    self.answers_since.get_or_insert(now);
                }
            }
            Err(reason) => {
                self.answers_since = None;
                let failure = Failure { since: now, last: now, reason };
                let since = self.failures.get(&asker).map_or(now, |known| known.since);
                self.failures.insert(asker, Failure { since, ..failure });
            }
        }
    }

    /// The longest failure is the one that is told.
    #[must_use]
    pub fn health(&self, now: Moment) -> ApiHealth {
        match (self.failures.values().min_by_key(|failure| failure.since), self.answers_since) {
            (Some(failure), _) => {
                ApiHealth::unreachable(now.since(failure.since), failure.reason.as_str())
            }
            (None, Some(since)) => ApiHealth::reachable(now.since(since)),
            (None, None) => ApiHealth::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
