//! What a test writes to the API server and reads from it, as its administrator.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use viplet_kubeapi::client::{Answer, Client, Payload};

use crate::namespace::Namespace;
use crate::objects::{self, Endpoint, Service};
use crate::wait::wait_until;

/// Connections that a bulk of objects goes out on.
const CONNECTIONS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(10);

/// A request with a body of its own.
#[derive(Clone, Debug)]
pub enum Write {
    /// POST to a collection.
    Create(Value),
    /// PUT.
    Replace(Value),
    /// PATCH, `application/merge-patch+json`.
    Merge(Value),
    /// DELETE.
    Delete,
}

/// A way to the API server from inside its namespace.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    namespace: &'a Namespace,
    client: &'a Client,
}

/// An Event about a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSeen {
    /// `Normal` or `Warning`.
    pub weight: String,
    /// `reason`.
    pub reason: String,
    /// `message`.
    pub message: String,
}

impl<'a> Store<'a> {
    pub(crate) fn new(namespace: &'a Namespace, client: &'a Client) -> Self {
        Self { namespace, client }
    }

    /// GETs a path, whatever the answer.
    pub fn get(&self, path: &str) -> Answer {
        let (client, path) = (self.client.clone(), path.to_owned());
        self.namespace.run(move || client.get(&path)).expect("the API server answers")
    }

    /// The object at a path, if it exists.
    pub fn find(&self, path: &str) -> Option<Value> {
        Some(self.get(path)).filter(|answer| answer.code == 200).map(|answer| answer.body)
    }

    /// The objects of a collection.
    pub fn list(&self, path: &str) -> Vec<Value> {
        let mut body = self.get(path).body;
        match body["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        }
    }

    /// Writes, whatever the answer.
    pub fn try_write(&self, path: &str, write: Write) -> Answer {
        let (client, path) = (self.client.clone(), path.to_owned());
        self.namespace.run(move || send(&client, &path, &write))
    }

    /// Writes; what the server stored.
    #[track_caller]
    pub fn write(&self, path: &str, write: Write) -> Value {
        let answer = self.try_write(path, write);
        assert!(matches!(answer.code, 200..=202), "{path}: {} {}", answer.code, answer.text);
        answer.body
    }

    /// Many writes at once, over several connections.
    #[track_caller]
    pub fn write_all(&self, writes: Vec<(String, Write)>) {
        let (client, writes) = (self.client.clone(), Arc::new(writes));
        let refused = self.namespace.run(move || {
            let next = Arc::new(AtomicUsize::new(0));
            let work = |_| {
                let (client, writes, next) = (client.clone(), Arc::clone(&writes), next.clone());
                thread::spawn(move || write_in_turn(&client, &writes, &next))
            };
            let workers: Vec<_> = (0..CONNECTIONS).map(work).collect();
            let texts = workers.into_iter().map(|one| one.join().expect("a worker"));
            texts.flatten().collect::<Vec<String>>()
        });
        assert!(refused.is_empty(), "{} refused, such as {}", refused.len(), refused[0]);
    }

    /// Makes a namespace, if it is not there.
    pub fn make_namespace(&self, name: &str) {
        self.try_write("/api/v1/namespaces", Write::Create(objects::namespace(name)));
    }

    /// Makes a Service.
    #[track_caller]
    pub fn create(&self, service: &Service) -> Value {
        self.write(&services(&service.namespace), Write::Create(service.object()))
    }

    /// Makes a Service and, first, one EndpointSlice with these endpoints.
    #[track_caller]
    pub fn serve(&self, service: &Service, endpoints: &[Endpoint]) -> Value {
        self.set_slice(service, "", endpoints);
        self.create(service)
    }

    /// Sets the EndpointSlice `SERVICE` + `suffix` of a Service to these endpoints.
    #[track_caller]
    pub fn set_slice(&self, service: &Service, suffix: &str, endpoints: &[Endpoint]) {
        let name = format!("{}{suffix}", service.name);
        let object = objects::slice(&service.namespace, (&service.name, &name), endpoints);
        let all = slices(&service.namespace);
        if self.try_write(&format!("{all}/{name}"), Write::Replace(object.clone())).code == 404 {
            self.write(&all, Write::Create(object));
        }
    }

    /// Sets the Endpoints object of a Service.
    #[track_caller]
    pub fn set_endpoints(&self, service: &Service, endpoints: &[Endpoint]) {
        let object = objects::endpoints(&service.namespace, &service.name, endpoints);
        let all = format!("/api/v1/namespaces/{}/endpoints", service.namespace);
        let one = format!("{all}/{}", service.name);
        if self.try_write(&one, Write::Replace(object.clone())).code == 404 {
            self.write(&all, Write::Create(object));
        }
    }

    /// Makes a Service (its endpoints are there) and watches it; the moment before the request, and
    /// that at which its status could first be read, unless `patience` was over.
    pub fn create_timed(
        &self,
        service: &Service,
        patience: Duration,
    ) -> (Instant, Option<Instant>) {
        let (client, object) = (self.client.clone(), service.object());
        let all = services(&service.namespace);
        let watch = format!("{all}?watch=true&fieldSelector=metadata.name%3D{}", service.name);
        self.namespace.run(move || {
            let mut events = client.watch(&watch).expect("a watch of one Service");
            let sent = Instant::now();
            let answer = send(&client, &all, &Write::Create(object));
            assert_eq!(answer.code, 201, "{}", answer.text);
            while let Ok(event) = events.next_change(patience.saturating_sub(sent.elapsed())) {
                if event["object"]["status"]["loadBalancer"]["ingress"][0]["ip"].is_string() {
                    return (sent, Some(Instant::now()));
                }
            }
            (sent, None)
        })
    }

    /// The Service as it is now.
    pub fn service(&self, service: &Service) -> Option<Value> {
        self.find(&path(service))
    }

    /// Changes a Service (merge patch).
    #[track_caller]
    pub fn change(&self, service: &Service, patch: &Value) {
        self.write(&path(service), Write::Merge(patch.clone()));
    }

    /// Sets or removes (`None`) the annotation `kube-vip.io/KEY` of a Service.
    #[track_caller]
    pub fn annotate(&self, service: &Service, key: &str, value: Option<&str>) {
        let key = format!("kube-vip.io/{key}");
        self.change(service, &json!({"metadata": {"annotations": {key: value}}}));
    }

    /// Sets `status.loadBalancer.ingress` of a Service.
    #[track_caller]
    pub fn set_ingress(&self, service: &Service, ingress: &Value) {
        let patch = json!({"status": {"loadBalancer": {"ingress": ingress}}});
        self.write(&format!("{}/status", path(service)), Write::Merge(patch));
    }

    /// Deletes a Service.
    #[track_caller]
    pub fn delete(&self, service: &Service) {
        self.write(&path(service), Write::Delete);
    }

    /// `status.loadBalancer.ingress` of a Service.
    pub fn ingress(&self, service: &Service) -> Vec<Value> {
        let service = self.service(service).unwrap_or_default();
        service["status"]["loadBalancer"]["ingress"].as_array().cloned().unwrap_or_default()
    }

    /// The `ip`s of a Service's ingress.
    pub fn ingress_addresses(&self, service: &Service) -> Vec<String> {
        let ingress = self.ingress(service);
        ingress.iter().filter_map(|entry| entry["ip"].as_str().map(str::to_owned)).collect()
    }

    /// The annotation `kube-vip.io/KEY` of a Service.
    pub fn annotation(&self, service: &Service, key: &str) -> Option<String> {
        let service = self.service(service)?;
        let text = service["metadata"]["annotations"][format!("kube-vip.io/{key}")].as_str();
        text.map(str::to_owned)
    }

    /// viplet's condition of a Service: `status`, `reason`, `message`.
    pub fn condition(&self, service: &Service) -> Option<(String, String, String)> {
        let service = self.service(service)?;
        let all = service["status"]["conditions"].as_array()?;
        let ours = all.iter().find(|one| one["type"] == "viplet.io/Served")?;
        let text = |field: &str| ours[field].as_str().unwrap_or_default().to_owned();
        Some((text("status"), text("reason"), text("message")))
    }

    /// viplet's Events about a Service, as the server lists them. The API server writes some of
    /// its own: a new Service's cluster address may be "not allocated" for it.
    pub fn events(&self, service: &Service) -> Vec<EventSeen> {
        let all = self.list(&format!("/api/v1/namespaces/{}/events", service.namespace));
        let ours = all.iter().filter(|event| {
            event["involvedObject"]["name"] == service.name
                && event["source"]["component"] == "viplet"
        });
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let seen = |event: &Value| EventSeen {
            weight: text(&event["type"]),
            reason: text(&event["reason"]),
            message: text(&event["message"]),
        };
        ours.map(seen).collect()
    }

    /// A label of a Node.
    pub fn node_label(&self, node: &str, key: &str) -> Option<String> {
        let node = self.find(&format!("/api/v1/nodes/{node}"))?;
        node["metadata"]["labels"][key].as_str().map(str::to_owned)
    }

    /// Gives a Lease to somebody, as a rival would take it.
    #[track_caller]
    pub fn give_lease(&self, namespace: &str, name: &str, holder: &str) {
        let patch = json!({"spec": {"holderIdentity": holder}});
        self.write(&format!("{LEASES}/namespaces/{namespace}/leases/{name}"), Write::Merge(patch));
    }

    /// Who holds a Lease, if it exists; empty when nobody does.
    pub fn lease_holder(&self, namespace: &str, name: &str) -> Option<String> {
        let lease = self.find(&format!("{LEASES}/namespaces/{namespace}/leases/{name}"))?;
        Some(lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned())
    }

    /// Every Lease, as `namespace/name`, that somebody holds.
    pub fn held_leases(&self) -> Vec<String> {
        let held = |lease: &Value| {
            let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
            let name = lease["metadata"]["name"].as_str()?;
            // The API server has one of its own.
            let ours = !holder.is_empty() && !name.starts_with("apiserver-");
            ours.then(|| {
                format!("{}/{name}", lease["metadata"]["namespace"].as_str().unwrap_or(""))
            })
        };
        self.list(&format!("{LEASES}/leases")).iter().filter_map(held).collect()
    }

    /// Removes what a test may have left: Services, slices, Endpoints, Events, Leases,
    /// Nodes.
    pub fn clear(&self) {
        let kinds = [
            "/api/v1/services",
            "/apis/discovery.k8s.io/v1/endpointslices",
            "/api/v1/endpoints",
            "/api/v1/events",
            "/apis/coordination.k8s.io/v1/leases",
            "/api/v1/nodes",
        ];
        let left = || -> Vec<String> {
            kinds
                .iter()
                .flat_map(|kind| {
                    self.list(kind)
                        .iter()
                        .filter_map(|one| removable(kind, one))
                        .collect::<Vec<_>>()
                })
                .collect()
        };
        wait_until("the API server is as it was at first", PATIENCE, || {
            let left = left();
            let writes = left.iter().map(|path| (path.clone(), Write::Delete));
            self.write_all(writes.collect());
            left.is_empty()
        });
    }
}

const LEASES: &str = "/apis/coordination.k8s.io/v1";

/// The collection of Services in a namespace.
pub fn services(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/services")
}

/// The collection of EndpointSlices in a namespace.
pub fn slices(namespace: &str) -> String {
    format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")
}

/// Where a Service is.
pub fn path(service: &Service) -> String {
    format!("{}/{}", services(&service.namespace), service.name)
}

/// The path of an object that a test may remove.
fn removable(kind: &str, object: &Value) -> Option<String> {
    let text = |field: &str| object["metadata"][field].as_str();
    let (name, (group, plural)) = (text("name")?, kind.rsplit_once('/')?);
    let servers = name == "kubernetes" || name.starts_with("apiserver-");
    let path = match text("namespace") {
        Some(namespace) => format!("{group}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("{kind}/{name}"),
    };
    (!servers).then_some(path)
}

fn write_in_turn(client: &Client, writes: &[(String, Write)], next: &AtomicUsize) -> Vec<String> {
    let mut refused = Vec::new();
    while let Some((path, write)) = writes.get(next.fetch_add(1, Ordering::Relaxed)) {
        let answer = send(client, path, write);
        let gone = answer.code == 404 && matches!(write, Write::Delete);
        if !(gone || matches!(answer.code, 200..=202)) {
            refused.push(format!("{path}: {} {}", answer.code, answer.text));
        }
    }
    refused
}

fn send(client: &Client, path: &str, write: &Write) -> Answer {
    let (method, payload) = match write {
        Write::Create(object) => ("POST", Payload::Json(object)),
        Write::Replace(object) => ("PUT", Payload::Json(object)),
        Write::Merge(patch) => ("PATCH", Payload::Merge(patch)),
        Write::Delete => ("DELETE", Payload::None),
    };
    client.call(method, path, payload).expect("the API server answers")
}
