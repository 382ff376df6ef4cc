//! What the watches of Services serve from: Services, EndpointSlices, Nodes and Leases as the
//! core's records, with a log of changes that a gap loses. Versions come from the one counter of
//! the [`crate::api::Store`], as they come from one etcd.

use std::collections::{BTreeMap, VecDeque};

use viplet::core::cluster::record::{
    Change, NodeRecord, ServiceName, ServiceRecord, SliceName, SliceRecord,
};
use viplet::core::input::LeaseSeen;
use viplet::core::{Input, LeaseName};

/// What a watch is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Services.
    Services,
    /// EndpointSlices.
    Slices,
    /// Nodes.
    Nodes,
    /// Leases.
    Leases,
}

/// All sorts; a process has a watch for each.
pub const SORTS: [Sort; 4] = [Sort::Services, Sort::Slices, Sort::Nodes, Sort::Leases];

/// The log has lost what a watch has not seen (410).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired;

/// The objects.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    services: BTreeMap<ServiceName, ServiceRecord>,
    slices: BTreeMap<SliceName, SliceRecord>,
    nodes: BTreeMap<Box<str>, NodeRecord>,
    leases: BTreeMap<LeaseName, LeaseSeen>,
    log: VecDeque<(u64, Sort, Input)>,
    /// Changes up to and including this version are no longer in the log.
    forgotten: u64,
    version: u64,
    bound: usize,
}

impl Objects {
    /// An empty one with a log of `bound` changes.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self { bound, ..Self::default() }
    }

    /// Stores a Service at a version.
    pub fn put_service(&mut self, record: ServiceRecord, version: u64) {
        let record = ServiceRecord { version: version.to_string().into(), ..record };
        self.services.insert(record.name.clone(), record.clone());
        self.note(version, Sort::Services, Input::Services(Change::Applied(record)));
    }

    /// Deletes a Service, and its slices as the garbage collector would.
    pub fn delete_service(&mut self, name: &ServiceName, version: u64) {
        if self.services.remove(name).is_some() {
            self.note(version, Sort::Services, Input::Services(Change::Deleted(name.clone())));
        }
    }

    /// Stores a slice.
    pub fn put_slice(&mut self, record: SliceRecord, version: u64) {
        let key = SliceName { service: record.service.clone(), name: record.name.clone() };
        self.slices.insert(key, record.clone());
        self.note(version, Sort::Slices, Input::Endpoints(Change::Applied(record)));
    }

    /// Deletes a slice.
    pub fn delete_slice(&mut self, name: &SliceName, version: u64) {
        if self.slices.remove(name).is_some() {
            self.note(version, Sort::Slices, Input::Endpoints(Change::Deleted(name.clone())));
        }
    }

    /// Stores a Node.
    pub fn put_node(&mut self, record: NodeRecord, version: u64) {
        self.nodes.insert(record.name.clone(), record.clone());
        self.note(version, Sort::Nodes, Input::Nodes(Change::Applied(record)));
    }

    /// Takes over what the other store says of a Lease.
    pub fn put_lease(&mut self, seen: LeaseSeen, version: u64) {
        self.leases.insert(seen.lease.clone(), seen.clone());
        self.note(version, Sort::Leases, Input::Leases(Change::Applied(seen)));
    }

    /// A Lease is gone.
    pub fn delete_lease(&mut self, lease: &LeaseName, version: u64) {
        if self.leases.remove(lease).is_some() {
            self.note(version, Sort::Leases, Input::Leases(Change::Deleted(lease.clone())));
        }
    }

    fn note(&mut self, version: u64, sort: Sort, input: Input) {
        self.version = version;
        self.log.push_back((version, sort, input));
        while self.log.len() > self.bound {
            if let Some((oldest, ..)) = self.log.pop_front() {
                self.forgotten = oldest;
            }
        }
    }

    /// Drops the log.
    pub fn compact(&mut self) {
        self.log.clear();
        self.forgotten = self.version;
    }

    /// The version of the last change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All Services.
    #[must_use]
    pub fn services(&self) -> &BTreeMap<ServiceName, ServiceRecord> {
        &self.services
    }

    /// All slices.
    #[must_use]
    pub fn slices(&self) -> &BTreeMap<SliceName, SliceRecord> {
        &self.slices
    }

    /// All Nodes.
    #[must_use]
    pub fn nodes(&self) -> &BTreeMap<Box<str>, NodeRecord> {
        &self.nodes
    }

    /// All Leases.
    #[must_use]
    pub fn leases(&self) -> &BTreeMap<LeaseName, LeaseSeen> {
        &self.leases
    }

    /// Everything of a sort.
    #[must_use]
    pub fn list(&self, sort: Sort) -> Input {
        match sort {
            Sort::Services => {
                Input::Services(Change::Replaced(self.services.values().cloned().collect()))
            }
            Sort::Slices => {
                Input::Endpoints(Change::Replaced(self.slices.values().cloned().collect()))
            }
            Sort::Nodes => Input::Nodes(Change::Replaced(self.nodes.values().cloned().collect())),
            Sort::Leases => {
                Input::Leases(Change::Replaced(self.leases.values().cloned().collect()))
            }
        }
    }

    /// The changes of a sort after a version, in order.
    ///
    /// # Errors
    /// The log does not go back so far.
    pub fn since(&self, sort: Sort, version: u64) -> Result<Vec<(u64, Input)>, Expired> {
        if version < self.forgotten {
            return Err(Expired);
        }
        let start = self.log.partition_point(|(at, ..)| *at <= version);
        let news = self.log.range(start..).filter(|(_, of, _)| *of == sort);
        Ok(news.map(|(at, _, input)| (*at, input.clone())).collect())
    }
}
