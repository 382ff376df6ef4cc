//! What users and Kubernetes do to Services while faults happen: create, change, delete; pods
//! that come and go; nodes that are cordoned.

use std::rc::Rc;

use viplet::core::cluster::record::{
    EndpointRecord, EndpointState, Ingress, NodeRecord, Protocol, RareAnnotations, Scheduling,
    ServiceAnnotations, ServiceName, ServicePort, ServiceRecord, SliceName, SliceRecord,
    TrafficPolicy,
};

use super::{Event, World, own_address};
use crate::clock::{MS, Nanos, S};
use crate::leases::wall_text;
use crate::serving::Serving;

/// Values of the annotation `kube-vip.io/leaseName`.
const SHARED: [&str; 3] = ["shared", "kube-system/shared", "other"];
const PORTS: [u16; 4] = [80, 443, 8080, 6443];

impl World {
    /// The cluster's nodes are there from the start, and some Services.
    pub(super) fn found_services(&mut self) {
        if self.setup.services.is_none() {
            return;
        }
        for node in 0..self.nodes.len() {
            let record = NodeRecord {
                name: self.nodes[node].name.as_str().into(),
                addresses: [own_address(node)].into(),
                scheduling: Scheduling::Open,
                labels: Default::default(),
            };
            let version = self.store.next_version();
            self.objects.put_node(record, version);
        }
        for _ in 0..self.rng.between(0, 3) {
            self.create();
        }
        self.queue.at(3 * S, Event::Work);
    }

    fn serving(&self) -> &Serving {
        self.setup.services.as_ref().expect("a set-up with Services")
    }

    /// One thing happens to the Services, and later the next.
    pub(super) fn work(&mut self) {
        if self.now >= self.laws.services.calm_from {
            return;
        }
        let pause = self.serving().pause;
        let at = self.now + self.rng.between(MS, pause);
        self.queue.at(at, Event::Work);
        let kind = self.rng.between(0, 19);
        if matches!(kind, 3 | 4) {
            self.laws.routes.change(self.now); // Of several objects at once.
        }
        match kind {
            0..=2 => self.create(),
            3 => self.delete(),
            4 => self.create_again(),
            5 | 6 => self.change_policy(),
            7 => self.change_ports(),
            8 | 9 => self.change_addresses(),
            10 => self.change_lease(),
            11 => self.change_ignore(),
            12 => self.change_need_of_endpoints(),
            13..=16 => self.move_endpoints(),
            17 => self.flap(),
            18 => self.cordon(),
            _ => self.touch_service(),
        }
        self.laws.routes.change(self.now);
        self.objects_changed();
    }

    fn any_service(&mut self) -> Option<ServiceRecord> {
        let all: Vec<ServiceRecord> = self.objects.services().values().cloned().collect();
        (!all.is_empty()).then(|| self.rng.pick(&all))
    }

    fn store_service(&mut self, record: ServiceRecord, what: &str) {
        let shown = record.annotations.as_deref();
        let line = format_args!(
            "WORK {what} {}: {:?} {:?} ports {:?} lease {:?} ignore {:?}",
            record.name,
            record.policy,
            shown.and_then(|a| a.addresses.as_deref()).or(record.load_balancer_ip.as_deref()),
            record.ports.iter().map(|port| port.port).collect::<Vec<_>>(),
            shown.and_then(|a| a.rare().lease.as_deref()),
            shown.and_then(|a| a.rare().ignore.as_deref()),
        );
        self.trace.line(self.now, line);
        let version = self.store.next_version();
        self.objects.put_service(record, version);
    }

    fn annotate(&mut self, what: &str, change: impl FnOnce(&mut ServiceAnnotations)) {
        let Some(mut record) = self.any_service() else { return };
        change(record.annotations.get_or_insert_default());
        self.store_service(record, what);
    }

    fn create(&mut self) {
        let most = self.serving().most;
        let name = ServiceName::new("default", &format!("s{}", self.rng.index(most)));
        if !self.objects.services().contains_key(&name) {
            self.create_named(name);
        }
    }

    fn create_named(&mut self, name: ServiceName) {
        let addresses = self.some_addresses();
        let (by_field, local) = (self.rng.chance(200), self.rng.chance(400));
        let without = self.rng.chance(100);
        let record = ServiceRecord {
            uid: format!("uid-{}", self.store.version()).into(),
            version: "".into(),
            // Of whole seconds, as the API server has it.
            created: wall_text(self.now / S * 1_000_000).as_str().into(),
            class: None,
            policy: if local { TrafficPolicy::Local } else { TrafficPolicy::Cluster },
            families: Default::default(),
            ports: self.some_ports(),
            load_balancer_ip: by_field.then(|| addresses.as_str().into()),
            annotations: Some(Box::new(ServiceAnnotations {
                addresses: (!by_field).then(|| addresses.as_str().into()),
                rare: without.then(|| {
                    let without_endpoints = Some("true".into());
                    Box::new(RareAnnotations { without_endpoints, ..Default::default() })
                }),
                ..Default::default()
            })),
            ingress: Box::default(),
            condition: None,
            name: name.clone(),
        };
        self.store_service(record, "create");
        if self.rng.chance(700) {
            self.put_endpoints(&name, "a");
        }
    }

    fn delete(&mut self) {
        if let Some(record) = self.any_service() {
            self.delete_named(&record.name);
        }
    }

    fn delete_named(&mut self, name: &ServiceName) {
        self.trace.line(self.now, format_args!("WORK delete {name}"));
        let version = self.store.next_version();
        self.objects.delete_service(name, version);
        let slices: Vec<SliceName> =
            self.objects.slices().keys().filter(|slice| slice.service == *name).cloned().collect();
        for slice in slices {
            let version = self.store.next_version();
            self.objects.delete_slice(&slice, version);
        }
        self.objects_changed();
    }

    fn create_again(&mut self) {
        let Some(record) = self.any_service() else { return };
        self.delete_named(&record.name);
        if self.rng.chance(500) {
            return self.create_named(record.name);
        }
        let uid = format!("uid-{}", self.store.version()).into();
        let created = wall_text(self.now / S * 1_000_000).as_str().into();
        let name = record.name.clone();
        let fresh = ServiceRecord { uid, created, condition: None, ..record };
        self.store_service(ServiceRecord { ingress: Box::default(), ..fresh }, "create again");
        self.put_endpoints(&name, "a");
    }

    fn change_policy(&mut self) {
        let Some(mut record) = self.any_service() else { return };
        record.policy = match record.policy {
            TrafficPolicy::Local => TrafficPolicy::Cluster,
            TrafficPolicy::Cluster => TrafficPolicy::Local,
        };
        self.store_service(record, "policy of");
    }

    fn change_ports(&mut self) {
        let Some(mut record) = self.any_service() else { return };
        record.ports = self.some_ports();
        self.store_service(record, "ports of");
    }

    fn change_addresses(&mut self) {
        let Some(mut record) = self.any_service() else { return };
        let addresses = self.some_addresses();
        match record.load_balancer_ip.is_some() {
            true => record.load_balancer_ip = Some(addresses.as_str().into()),
            false => {
                let annotations = record.annotations.get_or_insert_default();
                annotations.addresses = Some(addresses.as_str().into());
            }
        }
        self.store_service(record, "addresses of");
    }

    fn change_lease(&mut self) {
        let value = self.rng.pick(&SHARED);
        self.annotate("lease of", |annotations| {
            annotations.rare_mut().lease = match annotations.rare().lease {
                Some(_) => None,
                None => Some(value.into()),
            };
        });
    }

    fn change_ignore(&mut self) {
        self.annotate("ignore of", |annotations| {
            annotations.rare_mut().ignore = match annotations.rare().ignore {
                Some(_) => None,
                None => Some("true".into()),
            };
        });
    }

    fn change_need_of_endpoints(&mut self) {
        self.annotate("need of endpoints of", |annotations| {
            annotations.rare_mut().without_endpoints = match annotations.rare().without_endpoints {
                Some(_) => None,
                None => Some("true".into()),
            };
        });
    }

    /// Somebody else writes: an entry of another controller's, or nothing that matters.
    fn touch_service(&mut self) {
        let Some(mut record) = self.any_service() else { return };
        let known = record.ingress.iter().any(|entry| entry.hostname.is_some());
        if !known && self.rng.chance(500) {
            let hostname = Some("lb.example".into());
            let entry = Ingress { address: None, hostname, ports: Rc::default() };
            record.ingress = record.ingress.iter().cloned().chain([entry]).collect();
        }
        self.store_service(record, "touch");
    }

    fn some_addresses(&mut self) -> String {
        let pool = self.serving().pool.clone();
        let first = self.rng.pick(&pool);
        let others: Vec<_> =
            pool.iter().filter(|ip| ip.is_ipv4() != first.is_ipv4()).copied().collect();
        if self.rng.chance(20) {
            return own_address(0).to_string();
        }
        match !others.is_empty() && self.rng.chance(400) {
            true => format!("{first},{}", self.rng.pick(&others)),
            false => first.to_string(),
        }
    }

    fn some_ports(&mut self) -> Rc<[ServicePort]> {
        let count = self.rng.between(1, 2);
        let mut ports: Vec<ServicePort> = (0..count)
            .map(|_| ServicePort { port: self.rng.pick(&PORTS), protocol: Protocol::Tcp })
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports.into()
    }

    fn move_endpoints(&mut self) {
        let Some(record) = self.any_service() else { return };
        let name = self.rng.pick(&["a", "a", "a", "b"]);
        let key = SliceName {
            service: record.name.clone(),
            name: format!("{}-{name}", record.name.name()).into(),
        };
        if self.rng.chance(150) && self.objects.slices().contains_key(&key) {
            self.trace.line(self.now, format_args!("WORK delete slice {}", key.name));
            let version = self.store.next_version();
            return self.objects.delete_slice(&key, version);
        }
        self.put_endpoints(&record.name, name);
    }

    fn put_endpoints(&mut self, service: &ServiceName, slice: &str) {
        let nodes = self.nodes.len();
        let count = self.rng.between(0, nodes as u64);
        let endpoints = (0..count)
            .map(|_| {
                let node = self.nodes[self.rng.index(nodes)].name.as_str().into();
                let state = self.rng.pick(&[
                    EndpointState::Ready,
                    EndpointState::Ready,
                    EndpointState::Ready,
                    EndpointState::Serving,
                    EndpointState::Unready,
                ]);
                EndpointRecord { node: (!self.rng.chance(30)).then_some(node), state }
            })
            .collect();
        self.put_slice(service, slice, endpoints);
    }

    fn put_slice(&mut self, service: &ServiceName, name: &str, endpoints: Vec<EndpointRecord>) {
        let name = format!("{}-{name}", service.name()).into();
        let record = SliceRecord { service: service.clone(), name, endpoints };
        let shown: Vec<String> = record
            .endpoints
            .iter()
            .map(|e| format!("{} {:?}", e.node.as_deref().unwrap_or("-"), e.state))
            .collect();
        self.trace.line(self.now, format_args!("WORK slice {}: {shown:?}", record.name));
        let version = self.store.next_version();
        self.objects.put_slice(record, version);
    }

    /// All endpoints of a slice fail, and come back a little later.
    fn flap(&mut self) {
        let all: Vec<SliceRecord> = self.objects.slices().values().cloned().collect();
        if all.is_empty() {
            return;
        }
        let slice = self.rng.pick(&all);
        let unready = |endpoint: &EndpointRecord| EndpointRecord {
            state: EndpointState::Unready,
            ..endpoint.clone()
        };
        let down = slice.endpoints.iter().map(unready).collect();
        let name = slice.name.rsplit('-').next().unwrap_or_default().to_owned();
        self.put_slice(&slice.service, &name, down);
        let at: Nanos = self.now + self.rng.between(100 * MS, 5 * S);
        self.queue.at(at, Event::SliceBack { slice });
    }

    pub(super) fn slice_back(&mut self, slice: SliceRecord) {
        let key = SliceName { service: slice.service.clone(), name: slice.name.clone() };
        if self.objects.slices().contains_key(&key) && self.now < self.laws.services.calm_from {
            let name = slice.name.rsplit('-').next().unwrap_or_default().to_owned();
            self.put_slice(&slice.service, &name, slice.endpoints);
            self.laws.routes.change(self.now);
            self.objects_changed();
        }
    }

    fn cordon(&mut self) {
        let node = self.rng.index(self.nodes.len());
        let name = self.nodes[node].name.as_str();
        let Some(mut record) = self.objects.nodes().get(name).cloned() else { return };
        record.scheduling = match record.scheduling {
            Scheduling::Open => Scheduling::Cordoned,
            Scheduling::Cordoned => Scheduling::Open,
        };
        self.trace.line(self.now, format_args!("WORK {name} is {:?}", record.scheduling));
        let version = self.store.next_version();
        self.objects.put_node(record, version);
    }
}
