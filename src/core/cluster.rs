//! The cluster as its API server tells of it: Services, their endpoints, nodes, as compact records.
//!
//! Take in: [`Cluster::take_services`] and its like hand out what changed, as [`Changed`]; a new
//! list swaps the whole store, so that nothing that happened in a gap is lost. Everything else
//! only reads.
//!
//! What only some features need (addresses of pods for egress and IPVS, roles of nodes for
//! allocation) becomes a store of its own beside [`Endpoints`] and [`Nodes`], which are filled only
//! when the feature asks: an `Option<Box<_>>` in [`Cluster`], so that others pay a pointer for it.

pub(crate) mod endpoints;
pub(crate) mod nodes;
pub mod record;
pub(crate) mod unreadable;

use std::collections::BTreeMap;
use std::rc::Rc;

use super::version::is_older;
use crate::ordered;
use endpoints::{Endpoints, NodeId, Reach};
use nodes::{Nodes, OwnAddresses};
use record::{
    Change, NodeRecord, Scheduling, ServiceName, ServiceRecord, SliceName, SliceRecord, Unreadable,
};
use unreadable::UnreadableObjects;

/// Whether a list was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Listed {
    #[default]
    No,
    Yes,
}

/// One change, for those who follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// A Service that was not known.
    Created(ServiceName),
    /// A Service that was known is different.
    Modified(ServiceName),
    /// A Service is gone, or is of another type now.
    Deleted(Rc<ServiceRecord>),
    /// The endpoints of a Service, which may not be known.
    Endpoints(ServiceName),
    /// Services were listed for the first time.
    ServicesListed,
    /// Endpoints, or nodes, were listed for the first time.
    FirstList,
    /// Addresses of nodes.
    NodeAddresses,
    /// Whether new pods may go to this node.
    Scheduling,
}

/// All that is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    services: BTreeMap<ServiceName, Rc<ServiceRecord>>,
    services_listed: Listed,
    endpoints: Endpoints,
    endpoints_listed: Listed,
    nodes: Nodes,
    /// Which addresses are nodes' own is not known before. It may never be: then it is done without.
    nodes_listed: Listed,
    /// What is there and could not be read: what was known of it before stays.
    unreadable: UnreadableObjects,
    /// Up to which version Services have been told.
    version: Option<Box<str>>,
    /// Changes of Services that were taken in, by the watch's word.
    seen: BTreeMap<String, u64>,
}

impl Cluster {
    /// Services were listed, changed or deleted.
    pub(crate) fn take_services(
        &mut self,
        change: Change<ServiceRecord, ServiceName>,
    ) -> Vec<Changed> {
        let mut changes = Vec::new();
        match change {
            Change::Replaced(all) => self.replace_services(all, Vec::new(), &mut changes),
            Change::ReplacedExcept(all, unreadable) => {
                self.replace_services(all, unreadable, &mut changes);
            }
            Change::Applied(record) => self.keep(record, &mut changes),
            Change::Unreadable(one) => self.unreadable.services.add(one),
            Change::Deleted(name) => {
                self.unreadable.services.remove(&name);
                self.count("DELETED");
                changes.extend(self.forget(&name));
            }
        }
        changes
    }

    fn replace_services(
        &mut self,
        all: Vec<ServiceRecord>,
        unreadable: Vec<Unreadable<ServiceName>>,
        changes: &mut Vec<Changed>,
    ) {
        self.unreadable.services.replace(unreadable);
        let there = all.iter().map(|record| &record.name).chain(self.unreadable.services.keys());
        let there = ordered::set(there.cloned());
        let known = self.services.keys();
        let gone: Vec<ServiceName> = known.filter(|name| !there.contains(*name)).cloned().collect();
        changes.extend(gone.iter().filter_map(|name| self.forget(name)));
        all.into_iter().for_each(|record| self.keep(record, changes));
        if self.services_listed == Listed::No {
            self.services_listed = Listed::Yes;
            changes.push(Changed::ServicesListed);
        }
    }

    fn keep(&mut self, mut record: ServiceRecord, changes: &mut Vec<Changed>) {
        self.unreadable.services.remove(&record.name);
        let name = self.shared_name(record.name);
        record.name = name.clone();
        let known = self.services.get(&name);
        let same = known.filter(|known| known.uid == record.uid);
        let stale = |known: &Rc<ServiceRecord>| {
            record.version.is_older(&known.version) || known.version == record.version
        };
        if same.is_some_and(stale) {
            return;
        }
        if same.is_some() {
            self.count("MODIFIED");
            changes.push(Changed::Modified(name.clone()));
        } else {
            self.count("ADDED");
            // One that is known was deleted and made anew without our seeing it.
            changes.extend(self.forget(&name));
            changes.push(Changed::Created(name.clone()));
        }
        self.services.insert(name, Rc::new(record));
    }

    fn forget(&mut self, name: &ServiceName) -> Option<Changed> {
        self.services.remove(name).map(Changed::Deleted)
    }

    fn count(&mut self, word: &str) {
        *self.seen.entry(word.to_owned()).or_default() += 1;
    }

    /// The same name, with the text that is kept already.
    fn shared_name(&self, name: ServiceName) -> ServiceName {
        let known = self.services.get_key_value(&name).map(|(known, _)| known);
        known.or_else(|| self.endpoints.known(&name)).cloned().unwrap_or(name)
    }

    /// Endpoints were listed, changed or deleted.
    pub(crate) fn take_endpoints(
        &mut self,
        change: Change<SliceRecord, SliceName>,
    ) -> Vec<Changed> {
        match change {
            Change::Replaced(all) => self.replace_endpoints(all, Vec::new()),
            Change::ReplacedExcept(all, unreadable) => self.replace_endpoints(all, unreadable),
            Change::Unreadable(one) => {
                self.unreadable.slices.add(one);
                Vec::new()
            }
            Change::Applied(mut slice) => {
                let name = SliceName { service: slice.service.clone(), name: slice.name.clone() };
                self.unreadable.slices.remove(&name);
                slice.service = self.shared_name(slice.service);
                self.endpoints.apply(slice).into_iter().map(Changed::Endpoints).collect()
            }
            Change::Deleted(slice) => {
                self.unreadable.slices.remove(&slice);
                self.endpoints.remove(slice).into_iter().map(Changed::Endpoints).collect()
            }
        }
    }

    fn replace_endpoints(
        &mut self,
        all: Vec<SliceRecord>,
        unreadable: Vec<Unreadable<SliceName>>,
    ) -> Vec<Changed> {
        let first = std::mem::replace(&mut self.endpoints_listed, Listed::Yes) == Listed::No;
        self.unreadable.slices.replace(unreadable);
        let shared =
            |slice: SliceRecord| SliceRecord { service: self.shared_name(slice.service), ..slice };
        let all = all.into_iter().map(shared).collect();
        let changed = self.endpoints.replace(all, self.unreadable.slices.keys());
        let first = first.then_some(Changed::FirstList);
        first.into_iter().chain(changed.into_iter().map(Changed::Endpoints)).collect()
    }

    /// Nodes were listed, changed or deleted; `node` is this one.
    pub(crate) fn take_nodes(
        &mut self,
        change: Change<NodeRecord, Box<str>>,
        node: &str,
    ) -> Vec<Changed> {
        let mut changes = Vec::new();
        if self.nodes_listed == Listed::No {
            self.nodes_listed = Listed::Yes;
            changes.push(Changed::FirstList);
        }
        let before = self.nodes.scheduling(node);
        if self.nodes.take(change, &mut self.unreadable.nodes) == OwnAddresses::Changed {
            changes.push(Changed::NodeAddresses);
        }
        if self.nodes.scheduling(node) != before {
            changes.push(Changed::Scheduling);
        }
        changes
    }

    /// Services were told up to this version: whether that is news.
    pub(crate) fn take_version(&mut self, version: Box<str>) -> Option<&str> {
        if self.version.as_deref().is_some_and(|known| !is_older(known, &version)) {
            return None;
        }
        self.version = Some(version);
        self.version.as_deref()
    }

    /// Up to which version Services have been told.
    #[must_use]
    pub(crate) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// A Service of type LoadBalancer.
    #[must_use]
    pub(crate) fn service(&self, name: &ServiceName) -> Option<&Rc<ServiceRecord>> {
        self.services.get(name)
    }

    /// Why the latest version of a Service cannot be read, if so.
    #[must_use]
    pub(crate) fn unreadable_service(&self, name: &ServiceName) -> Option<&str> {
        self.unreadable.services.get(name)
    }

    /// Why endpoints of a Service cannot be read, each one's reason.
    pub(crate) fn unreadable_endpoints(&self, of: &ServiceName) -> impl Iterator<Item = &str> {
        let all = self.unreadable.slices.iter();
        all.filter(move |(slice, _)| slice.service == *of).map(|(_, reason)| reason)
    }

    /// Changes of Services that were taken in, by the watch's word.
    #[must_use]
    pub(crate) const fn seen(&self) -> &BTreeMap<String, u64> {
        &self.seen
    }

    /// Whether Services were listed.
    #[must_use]
    pub(crate) const fn services_listed(&self) -> Listed {
        self.services_listed
    }

    /// Whether endpoints were listed.
    #[must_use]
    pub(crate) const fn endpoints_listed(&self) -> Listed {
        self.endpoints_listed
    }

    /// Whether nodes were listed.
    #[must_use]
    pub(crate) const fn nodes_listed(&self) -> Listed {
        self.nodes_listed
    }

    /// What a Service's endpoints allow.
    #[must_use]
    pub(crate) fn reach(&self, service: &ServiceName) -> Reach {
        self.endpoints.reach(service)
    }

    /// Whether a node is one of these, by the ids that [`Cluster::reach`] gives.
    #[must_use]
    pub(crate) fn is_among(&self, node: &str, places: &[NodeId]) -> bool {
        self.endpoints.id(node).is_some_and(|id| places.contains(&id))
    }

    /// The name of a node with an endpoint.
    #[must_use]
    pub(crate) fn node_name(&self, id: NodeId) -> &str {
        self.endpoints.name(id)
    }

    /// The nodes: whose address is whose, which are cordoned.
    #[must_use]
    pub(crate) const fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Whether new pods may go to a node.
    #[must_use]
    pub(crate) fn scheduling(&self, node: &str) -> Scheduling {
        self.nodes.scheduling(node)
    }
}
