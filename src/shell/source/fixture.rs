//! A source with one address held and one wanted, for the tests of everything that shows it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{ApiHealth, Source};
use crate::core::cluster::record::ServiceName;
use crate::core::status::{
    AddressState, AddressStatus, Counters, LeaseStatus, RoleStatus, ServiceState, ServiceStatus,
    Status, Why,
};

pub(crate) struct Fixture {
    pub(crate) status: RefCell<Status>,
    pub(crate) counters: RefCell<Counters>,
    pub(crate) api: RefCell<ApiHealth>,
    pub(crate) health: RefCell<Result<(), String>>,
}

impl Source for Fixture {
    fn status(&self) -> Status {
        self.status.borrow().clone()
    }
    fn why(&self, service: &ServiceName) -> Option<Why> {
        let status = self.status.borrow();
        let name = service.to_string();
        let found = status.services.iter().find(|status| status.service == name)?.clone();
        Some(Why { because: vec![found.reason.clone()], status: found })
    }
    fn counters(&self) -> Counters {
        self.counters.borrow().clone()
    }
    fn api(&self) -> ApiHealth {
        self.api.borrow().clone()
    }
    fn health(&self) -> Result<(), String> {
        self.health.borrow().clone()
    }
}

pub(crate) fn address(literal: &str, state: AddressState, reason: &str) -> AddressStatus {
    AddressStatus {
        address: Some(literal.parse().unwrap()),
        name: None,
        link: "eth0".into(),
        lease: "kube-system/plndr-cp-lock".into(),
        state,
        announced: 7,
        reason: reason.into(),
    }
}

pub(crate) fn service(name: &str, state: ServiceState) -> ServiceStatus {
    ServiceStatus {
        service: name.into(),
        state,
        addresses: vec!["192.0.2.20".parse().unwrap()],
        lease: "kube-system/plndr-svcs-lock".into(),
        holder: "node-b".into(),
        reason: "as it should be".into(),
    }
}

pub(crate) fn holding() -> Fixture {
    let lease = "kube-system/plndr-cp-lock".to_owned();
    Fixture {
        status: RefCell::new(Status {
            node: "node-a".into(),
            leases: vec![LeaseStatus {
                lease: lease.clone(),
                holder: "node-a".into(),
                role: RoleStatus::Holding,
                held_for: Some(Duration::from_millis(12_500)),
                renewed_ago: Some(Duration::from_millis(1_500)),
                transitions: 3,
                reason: "renewed".into(),
            }],
            addresses: vec![
                address("192.0.2.10", AddressState::Held, "this node holds the lease"),
                address("2001:db8::10", AddressState::Pending, "link eth0 is down"),
            ],
            links: BTreeMap::from([("eth0".to_owned(), "up".to_owned())]),
            services: Vec::new(),
            not_ready: Vec::new(),
        }),
        counters: RefCell::new(Counters {
            renewals: BTreeMap::from([(lease.clone(), 41)]),
            transitions: BTreeMap::from([(lease, 2)]),
            announcements: 9,
            rejects: BTreeMap::from([("lease: bad \"json\"\nhere".to_owned(), 5)]),
            ..Counters::default()
        }),
        api: RefCell::new(ApiHealth::reachable(Duration::from_secs(60))),
        health: RefCell::new(Ok(())),
    }
}
