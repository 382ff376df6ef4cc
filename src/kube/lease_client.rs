//! [`LeaseClient`]: reads, creates and replaces Leases, over a connection of its own, so that a
//! renewal never waits behind another request.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use ::kube::core::Request;
use ::kube::core::params::{GetParams, PostParams};

use super::connection::Connection;
use super::error::{ApiError, Kind};
use super::lease::{Kept, Lease, collection};
use super::transport::Api;
use crate::core::{
    Input, LeaseName, LeaseRecord, LeaseRequest, LeaseVerb, LeaseView, Origin, WriteOutcome,
};
use crate::ordered;

/// Carries out the core's requests about Leases, one at a time.
#[derive(Debug)]
pub struct LeaseClient {
    connection: Connection,
    memory: LeaseMemory,
}

/// What is known of each Lease beside its record: an update must write it back. Shared between
/// the client and the watches; a clone is the same one.
#[derive(Clone, Debug, Default)]
pub struct LeaseMemory {
    known: Rc<RefCell<BTreeMap<LeaseName, Known>>>,
}

#[derive(Debug)]
struct Known {
    version: Box<str>,
    kept: Kept,
}

impl LeaseMemory {
    /// A watch may tell what is older than the client's last answer: then it changes nothing.
    pub(crate) fn watched(&self, name: &LeaseName, lease: &Lease) {
        let older =
            |known: &Known| match (known.version.parse::<u64>(), lease.version.parse::<u64>()) {
                (Ok(known), Ok(told)) => told < known,
                _ => false,
            };
        if !self.known.borrow().get(name).is_some_and(older) {
            self.answered(name, lease);
        }
    }

    fn answered(&self, name: &LeaseName, lease: &Lease) {
        let version = lease.version.as_str().into();
        let known = Known { version, kept: lease.kept.clone() };
        self.known.borrow_mut().insert(name.clone(), known);
    }

    /// A list of all Leases that `covers` names: the others of them are gone.
    pub(crate) fn replaced(&self, all: &[Lease], covers: impl Fn(&LeaseName) -> bool) {
        let there = ordered::set(all.iter().map(|one| (&*one.namespace, &*one.name)));
        self.known
            .borrow_mut()
            .retain(|name, _| !covers(name) || there.contains(&(&*name.namespace, &*name.name)));
        for one in all {
            self.watched(&one.lease(), one);
        }
    }

    pub(crate) fn forget(&self, name: &LeaseName) {
        self.known.borrow_mut().remove(name);
    }

    fn kept(&self, name: &LeaseName, version: &str) -> Option<Kept> {
        let known = self.known.borrow();
        known.get(name).filter(|known| *known.version == *version).map(|known| known.kept.clone())
    }
}

impl LeaseClient {
    /// A client with a connection of its own, opened at its first use.
    #[must_use]
    pub fn new(api: &Api, memory: LeaseMemory) -> Self {
        Self { connection: api.connection(), memory }
    }

    /// Carries out `request` and tells the core what became of it, within the request's time-out.
    pub async fn perform(&mut self, request: &LeaseRequest) -> Input {
        let name = request.lease.clone();
        match &request.verb {
            LeaseVerb::Read => match self.read(&name, request.timeout).await {
                Ok(view) => Input::Lease { lease: name, origin: Origin::Read, view },
                Err(error) => Input::LeaseUnreadable { lease: name, reason: error.to_string() },
            },
            LeaseVerb::Create { attempt, record, annotations } => {
                let kept = Kept::with_annotations(annotations);
                let outcome = self.create(&name, kept, record, request.timeout).await;
                Input::LeaseWritten { lease: name, attempt: *attempt, outcome }
            }
            LeaseVerb::Replace { attempt, version, record } => {
                let outcome = self.replace(&name, version, record, request.timeout).await;
                Input::LeaseWritten { lease: name, attempt: *attempt, outcome }
            }
        }
    }

    /// Reads `lease` once in `every`, for ever, and tells nobody, so that the API server does not
    /// close a connection that rests (kube-apiserver: after 90 s): a node that has only watched
    /// for hours then takes a lease over without opening TLS first.
    pub async fn keep_warm(&mut self, lease: &LeaseName, every: Duration) {
        loop {
            smol::Timer::after(every).await;
            let request = collection(lease).and_then(|path| {
                Request::new(path).get(&lease.name, &GetParams::default()).map_err(local)
            });
            let Ok(request) = request else { return std::future::pending().await };
            // What is wrong will be told by the next request that matters.
            let _ = self.connection.call(request, every).await;
        }
    }

    async fn read(&mut self, name: &LeaseName, within: Duration) -> Result<LeaseView, ApiError> {
        let request = collection(name)
            .and_then(|path| {
                Request::new(path).get(&name.name, &GetParams::default()).map_err(local)
            })
            .map_err(|kind| self.error(name, kind))?;
        match self.connection.call(request, within).await {
            Ok(answer) => {
                let lease = parsed(&answer.body).map_err(|kind| self.error(name, kind))?;
                self.memory.answered(name, &lease);
                Ok(lease.view())
            }
            Err(ApiError { kind: Kind::NotFound(_), .. }) => {
                self.memory.forget(name);
                Ok(LeaseView::Absent)
            }
            Err(error) => Err(error),
        }
    }

    async fn create(
        &mut self,
        name: &LeaseName,
        kept: Kept,
        record: &LeaseRecord,
        within: Duration,
    ) -> WriteOutcome {
        let body = kept.body(name, None, record, SystemTime::now());
        let request = collection(name).and_then(|path| {
            Request::new(path).create(&PostParams::default(), body).map_err(local)
        });
        match self.write(name, request, within).await {
            // 404 here is the namespace's.
            Err(error @ ApiError { kind: Kind::NotFound(_), .. }) => {
                WriteOutcome::Rejected(error.to_string())
            }
            written => outcome(written),
        }
    }

    async fn replace(
        &mut self,
        name: &LeaseName,
        version: &str,
        record: &LeaseRecord,
        within: Duration,
    ) -> WriteOutcome {
        let started = Instant::now();
        let kept = match self.memory.kept(name, version) {
            Some(kept) => kept,
            // Rare: what the object carries beside its spec is not known for this version.
            None => match self.read(name, within).await {
                Ok(LeaseView::Absent) => return WriteOutcome::Gone,
                Ok(LeaseView::Present { .. }) => match self.memory.kept(name, version) {
                    Some(kept) => kept,
                    None => return WriteOutcome::Conflict,
                },
                // Nothing was written.
                Err(error) => return WriteOutcome::Rejected(error.to_string()),
            },
        };
        let body = kept.body(name, Some(version), record, SystemTime::now());
        let request = collection(name).and_then(|path| {
            Request::new(path).replace(&name.name, &PostParams::default(), body).map_err(local)
        });
        outcome(self.write(name, request, within.saturating_sub(started.elapsed())).await)
    }

    async fn write(
        &mut self,
        name: &LeaseName,
        request: Result<http::Request<Vec<u8>>, Kind>,
        within: Duration,
    ) -> Result<Lease, ApiError> {
        let request = request.map_err(|kind| self.error(name, kind))?;
        let answer = self.connection.call(request, within).await?;
        let lease = parsed(&answer.body).map_err(|kind| self.error(name, kind))?;
        self.memory.answered(name, &lease);
        Ok(lease)
    }

    fn error(&self, name: &LeaseName, kind: Kind) -> ApiError {
        kind.of(&self.connection.api().server(), &format!("Lease {name}"))
    }
}

fn parsed(body: &[u8]) -> Result<Lease, Kind> {
    let json = str::from_utf8(body).map_err(|error| Kind::Malformed(error.to_string()))?;
    Lease::of_json(json).map_err(Kind::Malformed)
}

fn local(error: ::kube::core::request::Error) -> Kind {
    Kind::Local(error.to_string())
}

/// What became of a write. Where the server may have stored it all the same, it is unknown: that
/// includes 500, 502 and 504, which also say "etcd did not answer in time".
fn outcome(written: Result<Lease, ApiError>) -> WriteOutcome {
    let error = match written {
        Ok(lease) => return WriteOutcome::Stored { version: lease.version, record: lease.record },
        Err(error) => error,
    };
    match &error.kind {
        Kind::Conflict(_) | Kind::AlreadyExists(_) => WriteOutcome::Conflict,
        Kind::NotFound(_) => WriteOutcome::Gone,
        Kind::Server(500 | 502 | 504, _)
        | Kind::Unreachable(_)
        | Kind::Timeout(_)
        | Kind::Uncertain(_)
        | Kind::Malformed(_)
        | Kind::TooLarge(_) => WriteOutcome::Unknown(error.to_string()),
        Kind::Tls(_)
        | Kind::Unauthorized(_)
        | Kind::Forbidden(_)
        | Kind::Refused(..)
        | Kind::Gone(_)
        | Kind::TooMany(..)
        | Kind::Server(..)
        | Kind::Local(_) => WriteOutcome::Rejected(error.to_string()),
    }
}
