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
    let mut view = Viewer { lease, memory, unreadable: false };
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
    /// The Lease is there, and makes no sense.
    unreadable: bool,
}

impl Viewer {
    fn news(&mut self, event: Event<Lease, LeaseName>) -> Option<LeaseNews> {
        let view = match event {
            Event::Trouble(text) => return Some(LeaseNews::Trouble(text)),
            Event::Recovered => return Some(LeaseNews::Recovered),
            Event::Rejected(reason) => {
                self.unreadable = true;
                let lease = self.lease.clone();
                return Some(LeaseNews::Input(Input::LeaseUnreadable { lease, reason }));
            }
            Event::Replaced(all) => all.into_iter().find(|one| one.name == self.lease.name),
            Event::Applied(one) if one.name == self.lease.name => Some(one),
            Event::Deleted(gone) if gone.name == self.lease.name => {
                self.unreadable = false;
                None
            }
            Event::Applied(_) | Event::Deleted(_) | Event::Reached(_) => return None,
        };
        let view = match view {
            Some(lease) => {
                self.memory.watched(&self.lease, &lease);
                lease.view()
            }
            None if std::mem::take(&mut self.unreadable) => return None,
            None => {
                self.memory.forget(&self.lease);
                LeaseView::Absent
            }
        };
        let (lease, origin) = (self.lease.clone(), Origin::Watch);
        Some(LeaseNews::Input(Input::Lease { lease, origin, view }))
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
