//! The API server of a lab: the model one in this process, or the real kube-apiserver beside it.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use viplet_kubeapi::http::{Effect, Ending, ModelServer, Rule};

use crate::http;
use crate::namespace::Namespace;
use crate::topology::API_ADDRESS;

const PORT: u16 = 8080;
const PATIENCE: Duration = Duration::from_secs(2);

/// The model API server in the lab's `api` namespace, and the kubeconfig that leads to it.
#[derive(Debug)]
pub struct Api {
    server: ModelServer,
    kubeconfig: PathBuf,
}

impl Api {
    /// Starts the model API server; its kubeconfig goes into `folder`.
    pub fn model(namespace: &Namespace, folder: &Path) -> Self {
        let address = SocketAddr::from((API_ADDRESS, PORT));
        let server = namespace.run(move || ModelServer::start(address)).expect("the model server");
        let kubeconfig = folder.join("kubeconfig");
        fs::write(&kubeconfig, kubeconfig_text(&server.url())).expect("a kubeconfig");
        Self { server, kubeconfig }
    }

    /// The kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Behaves as if the server were stopped: what runs is cut off, nothing is answered.
    pub fn stop(&self) {
        self.server.set_faults(vec![Rule::always(Effect::Cut)]);
        self.server.end_watches(Ending::Cut);
    }

    /// Takes every request and answers none.
    pub fn hang(&self) {
        self.server.set_faults(vec![Rule::always(Effect::Hang)]);
    }

    /// Behaves well again.
    pub fn resume(&self) {
        self.server.set_faults(Vec::new());
    }

    /// Fails requests by these rules.
    pub fn set_faults(&self, rules: Vec<Rule>) {
        self.server.set_faults(rules);
    }

    /// The model server itself.
    pub fn model_server(&self) -> &ModelServer {
        &self.server
    }
}

fn kubeconfig_text(url: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: lab\n\
         clusters:\n- name: lab\n  cluster:\n    server: {url}\n\
         users:\n- name: lab\n  user: {{}}\n\
         contexts:\n- name: lab\n  context:\n    cluster: lab\n    user: lab\n"
    )
}

/// The control-plane Lease as the API server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSeen {
    /// `spec.holderIdentity`, empty when nobody holds it.
    pub holder: String,
    /// `spec.renewTime` as written.
    pub renewed: String,
    /// `spec.leaseTransitions`.
    pub transitions: u64,
}

/// Reads a Lease of `kube-system` from the model server, inside the `api` namespace.
pub fn read_lease(api: &Namespace, name: &str) -> Option<LeaseSeen> {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}");
    let server = SocketAddr::new(IpAddr::V4(API_ADDRESS), PORT);
    let answer = http::get(api, server, &path, PATIENCE).filter(|answer| answer.status == 200)?;
    let object: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
    let spec = &object["spec"];
    let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
    Some(LeaseSeen {
        holder: text("holderIdentity"),
        renewed: text("renewTime"),
        transitions: spec["leaseTransitions"].as_u64().unwrap_or_default(),
    })
}
