//! The watches of Leases: of one by its name, and of all at once.

use super::lease::{Lease, collection};
use super::lease_client::LeaseMemory;
use super::transport::Api;
use super::watch::{Event, Pace, Scope, Watch};
use crate::core::cluster::record::Change;
use crate::core::input::LeaseSeen;
use crate::core::{Input, LeaseName, LeaseView, Origin};

/// What [`watch_lease`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseNews {
    /// For the core.
    Input(Input),
    /// The watch does not work, and why; told again only when the reason changes.
    Trouble(String),
    /// It works again.
    Recovered,
}

/// Follows one Lease for ever, over a connection of its own: every change, its deletion, its
/// absence at the start and after each gap. `memory` learns what [`super::LeaseClient`] must keep.
pub async fn watch_lease(
    api: Api,
    lease: LeaseName,
    memory: LeaseMemory,
    pace: Pace,
    mut sink: impl AsyncFnMut(LeaseNews),
) {
    let path = match collection(&lease) {
        Ok(path) => path,
        Err(kind) => {
            sink(LeaseNews::Trouble(kind.to_string())).await;
            return std::future::pending().await;
        }
    };
    let fields = Some(format!("metadata.name={}", lease.name));
    let watch = Watch::new(&api, Scope { path, fields, labels: None, page: 1 }, pace);
    let view = Viewer { lease, memory };
    watch
        .run(async |event| {
            if let Some(news) = view.news(event) {
                sink(news).await;
            }
        })
        .await;
}

/// Turns events of the watch into what the core is told.
struct Viewer {
    lease: LeaseName,
    memory: LeaseMemory,
}

impl Viewer {
    fn news(&self, event: Event<Lease, LeaseName>) -> Option<LeaseNews> {
        let view = match event {
            Event::Trouble(text) => return Some(LeaseNews::Trouble(text)),
            Event::Recovered => return Some(LeaseNews::Recovered),
            Event::Rejected(reason) => return Some(self.unreadable(reason)),
            Event::Unreadable(one) if one.key.name == self.lease.name => {
                return Some(self.unreadable(one.reason));
            }
            Event::Replaced(all) => self.own(all),
            Event::ReplacedExcept(all, unreadable) => {
                let own = unreadable.into_iter().find(|one| one.key.name == self.lease.name);
                match own {
                    Some(own) => return Some(self.unreadable(own.reason)),
                    None => self.own(all),
                }
            }
            Event::Applied(one) if one.name == self.lease.name => Some(one),
            Event::Deleted(gone) if gone.name == self.lease.name => None,
            Event::Applied(_) | Event::Unreadable(_) | Event::Deleted(_) | Event::Reached(_) => {
                return None;
            }
        };
        let view = match view {
            Some(lease) => {
                self.memory.watched(&self.lease, &lease);
                lease.view()
            }
            None => {
                self.memory.forget(&self.lease);
                LeaseView::Absent
            }
        };
        let (lease, origin) = (self.lease.clone(), Origin::Watch);
        Some(LeaseNews::Input(Input::Lease { lease, origin, view }))
    }

    fn own(&self, all: Vec<Lease>) -> Option<Lease> {
        all.into_iter().find(|one| one.name == self.lease.name)
    }

    /// The Lease is there: what is known of it stays.
    fn unreadable(&self, reason: String) -> LeaseNews {
        let lease = self.lease.clone();
        LeaseNews::Input(Input::LeaseUnreadable { lease, reason })
    }
}

/// The Leases that a wide watch covers: all but the kubelets' heartbeats, or one namespace's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Only this namespace.
    pub namespace: Option<String>,
}

/// Where the kubelets' heartbeats are: hundreds of Leases that nobody elects by.
const HEARTBEATS: &str = "kube-node-lease";

impl Coverage {
    /// Whether this Lease is among them.
    #[must_use]
    pub fn covers(&self, lease: &LeaseName) -> bool {
        match &self.namespace {
            Some(namespace) => lease.namespace == *namespace,
            None => lease.namespace != HEARTBEATS,
        }
    }

    /// What to watch.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let heartbeats = format!("metadata.namespace!={HEARTBEATS}");
        Scope {
            path: super::collection("coordination.k8s.io", self.namespace.as_deref(), "leases"),
            fields: self.namespace.is_none().then_some(heartbeats),
            labels: None,
            page: 100,
        }
    }

    /// What the core is told of an event; `memory` learns what an update must keep.
    #[must_use]
    pub fn learn(&self, change: Change<Lease, LeaseName>, memory: &LeaseMemory) -> Input {
        Input::Leases(match change {
            Change::Replaced(all) => {
                memory.replaced(&all, |name| self.covers(name));
                Change::Replaced(all.into_iter().map(seen).collect())
            }
            Change::ReplacedExcept(all, unreadable) => {
                let stays = |name: &LeaseName| unreadable.iter().any(|one| one.key == *name);
                memory.replaced(&all, |name| self.covers(name) && !stays(name));
                Change::ReplacedExcept(all.into_iter().map(seen).collect(), unreadable)
            }
            Change::Unreadable(one) => Change::Unreadable(one),
            Change::Applied(one) => {
                memory.watched(&one.lease(), &one);
                Change::Applied(seen(one))
            }
            Change::Deleted(name) => {
                memory.forget(&name);
                Change::Deleted(name)
            }
        })
    }
}

fn seen(lease: Lease) -> LeaseSeen {
    let Lease { namespace, name, version, record, .. } = lease;
    LeaseSeen { lease: LeaseName { namespace, name }, version, record }
}
