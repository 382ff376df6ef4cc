//! Kubernetes objects as a lab needs them: Services of type LoadBalancer, their endpoints, nodes.

use serde_json::{Map, Value, json};

/// A Service of type LoadBalancer that is to be made.
#[derive(Clone, Debug)]
pub struct Service {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    annotations: Map<String, Value>,
    spec: Map<String, Value>,
}

impl Service {
    /// One in `default`, with port 80/TCP, that asks for nothing.
    pub fn new(name: &str) -> Self {
        let (namespace, name) = ("default".to_owned(), name.to_owned());
        let empty = Self { namespace, name, annotations: Map::new(), spec: Map::new() };
        empty
            .with("type", &json!("LoadBalancer"))
            // 2,768 node ports are not enough for 10,000 Services.
            .with("allocateLoadBalancerNodePorts", &json!(false))
            .ports(&[80])
    }

    /// In this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// With the annotation `kube-vip.io/KEY`.
    #[must_use]
    pub fn annotate(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(format!("kube-vip.io/{key}"), json!(value));
        self
    }

    /// That asks for these addresses by annotation.
    #[must_use]
    pub fn asks(self, addresses: &str) -> Self {
        self.annotate("loadbalancerIPs", addresses)
    }

    /// With this field of its spec.
    #[must_use]
    pub fn with(mut self, field: &str, value: &Value) -> Self {
        self.spec.insert(field.to_owned(), value.clone());
        self
    }

    /// That asks for this address in its spec.
    #[must_use]
    pub fn ip(self, address: &str) -> Self {
        self.with("loadBalancerIP", &json!(address))
    }

    /// With this class.
    #[must_use]
    pub fn class(self, class: &str) -> Self {
        self.with("loadBalancerClass", &json!(class))
    }

    /// With these TCP ports instead.
    #[must_use]
    pub fn ports(self, ports: &[u16]) -> Self {
        let ports: Vec<Value> = ports.iter().map(|number| port(*number, "TCP")).collect();
        self.with("ports", &json!(ports))
    }

    /// With `externalTrafficPolicy: Local`.
    #[must_use]
    pub fn local(self) -> Self {
        self.with("externalTrafficPolicy", &json!("Local"))
    }

    /// The object.
    pub fn object(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "namespace": self.namespace,
                "name": self.name,
                "annotations": self.annotations,
            },
            "spec": self.spec,
        })
    }
}

/// A port of a Service.
pub fn port(number: u16, protocol: &str) -> Value {
    json!({"name": format!("p{number}-{}", protocol.to_lowercase()), "port": number, "protocol": protocol})
}

/// How an endpoint is (`conditions` of an EndpointSlice's endpoint).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It takes traffic.
    Ready,
    /// It does not.
    Unready,
    /// It ends and still answers.
    Draining,
    /// It ends and answers no more.
    Ended,
}

/// One endpoint: where it is, and how.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `nodeName`.
    pub node: Option<String>,
    /// `conditions`.
    pub health: Health,
}

impl Endpoint {
    /// A ready one on a node, by its place in the lab.
    pub fn on(node: usize) -> Self {
        Self { node: Some(format!("n{}", node + 1)), health: Health::Ready }
    }

    /// In this health.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    fn object(&self, place: usize) -> Value {
        let (ready, serving, terminating) = match self.health {
            Health::Ready => (true, true, false),
            Health::Unready => (false, false, false),
            Health::Draining => (false, true, true),
            Health::Ended => (false, false, true),
        };
        let mut object = json!({
            "addresses": [pod(place)],
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        });
        if let Some(node) = &self.node {
            object["nodeName"] = json!(node);
        }
        object
    }
}

fn pod(place: usize) -> String {
    format!("10.200.0.{}", place + 1)
}

/// An EndpointSlice that is to be made: `NAME` of a Service in a namespace, with its endpoints.
pub fn slice(namespace: &str, (service, name): (&str, &str), endpoints: &[Endpoint]) -> Value {
    let endpoints: Vec<Value> =
        endpoints.iter().enumerate().map(|(place, one)| one.object(place)).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "p80-tcp", "port": 8080, "protocol": "TCP"}],
    })
}

/// The Endpoints object of a Service: ready ones, and the others.
pub fn endpoints(namespace: &str, service: &str, endpoints: &[Endpoint]) -> Value {
    let of = |wanted: bool| {
        let ours = endpoints
            .iter()
            .enumerate()
            .filter(|(_, one)| matches!(one.health, Health::Ready) == wanted);
        ours.map(|(place, one)| json!({"ip": pod(place), "nodeName": one.node})).collect::<Vec<_>>()
    };
    let mut subset = json!({"ports": [{"name": "p80-tcp", "port": 8080, "protocol": "TCP"}]});
    for (field, addresses) in [("addresses", of(true)), ("notReadyAddresses", of(false))] {
        if !addresses.is_empty() {
            subset[field] = json!(addresses);
        }
    }
    let subsets = if endpoints.is_empty() { json!([]) } else { json!([subset]) };
    json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"namespace": namespace, "name": service},
        "subsets": subsets,
    })
}

/// A Node with an InternalIP.
pub fn node(name: &str, address: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"addresses": [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": name},
        ]},
    })
}

/// A Namespace.
pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}
