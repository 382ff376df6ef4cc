//! The API server of a lab: the model one in this process, or the real kube-apiserver beside it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use viplet_kubeapi::client::{Answer, Client, Payload};
use viplet_kubeapi::http::{Effect, Ending, ModelServer, Rule};
use viplet_kubeapi::real::{RealError, RealOptions, RealServer};

use crate::account::{self, ACCOUNT, Request, USER};
use crate::namespace::Namespace;
use crate::store::Store;
use crate::topology::API_ADDRESS;

const MODEL_PORT: u16 = 8080;
const REAL_PORT: u16 = 6443;
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/plndr-cp-lock";

/// Which API server a lab has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKind {
    /// The model one: starts at once, can be told to misbehave.
    Model,
    /// The real kube-apiserver: starts in 4 s, where there is one.
    Real,
}

/// As whom the programs come to the real API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiUser {
    /// In `system:masters`: everything is allowed.
    Master,
    /// The ServiceAccount of `manifests/rbac.yaml`, with its rights; each of its requests is noted.
    ServiceAccount,
    /// The same, and nothing is noted: where the API server's time counts.
    Unaudited,
}

enum Server {
    Model(ModelServer),
    Real(Box<RealServer>),
}

/// An API server in the lab's `api` namespace, and the kubeconfig that leads to it.
pub struct Api {
    server: Server,
    client: Client,
    kubeconfig: PathBuf,
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

impl Api {
    /// Starts one; the model's kubeconfig goes into `folder`.
    ///
    /// # Errors
    /// There is no real API server on this machine, or it did not start.
    pub fn start(
        (kind, user): (ApiKind, ApiUser),
        namespace: &Namespace,
        folder: &Path,
    ) -> Result<Self, RealError> {
        match kind {
            ApiKind::Model => Ok(Self::model(namespace, folder)),
            ApiKind::Real => Self::real(namespace, user),
        }
    }

    fn model(namespace: &Namespace, folder: &Path) -> Self {
        let address = SocketAddr::from((API_ADDRESS, MODEL_PORT));
        let server = namespace.run(move || ModelServer::start(address)).expect("the model server");
        let kubeconfig = folder.join("kubeconfig");
        fs::write(&kubeconfig, kubeconfig_text(&server.url())).expect("a kubeconfig");
        Self { server: Server::Model(server), client: Client::plain(address), kubeconfig }
    }

    fn real(namespace: &Namespace, user: ApiUser) -> Result<Self, RealError> {
        let options = RealOptions::at(SocketAddr::from((API_ADDRESS, REAL_PORT)));
        let options = match user {
            ApiUser::Master | ApiUser::Unaudited => options,
            ApiUser::ServiceAccount => options.audited(USER),
        };
        let server = namespace.run(move || RealServer::start(&options))?;
        let client = server.admin().clone();
        let (server, kubeconfig) = match user {
            ApiUser::Master => {
                let kubeconfig = server.kubeconfig("viplet", &["system:masters"], None)?;
                (server, kubeconfig)
            }
            ApiUser::ServiceAccount | ApiUser::Unaudited => {
                account::grant(&Store::new(namespace, &client));
                // It asks the server for a token, so it has to run on the namespace's thread.
                let (server, kubeconfig) = namespace.run(move || {
                    let kubeconfig = server.token_kubeconfig(ACCOUNT.0, ACCOUNT.1, None);
                    (server, kubeconfig)
                });
                (server, kubeconfig?)
            }
        };
        Ok(Self { server: Server::Real(Box::new(server)), client, kubeconfig })
    }

    /// The way of an administrator, from inside the `api` namespace.
    pub fn store<'a>(&'a self, namespace: &'a Namespace) -> Store<'a> {
        Store::new(namespace, &self.client)
    }

    /// What the ServiceAccount has asked for so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        match &self.server {
            Server::Real(server) => server.audit().iter().filter_map(Request::from_audit).collect(),
            Server::Model(_) => Vec::new(),
        }
    }

    /// The kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The model server itself; panics in a lab with the real one.
    pub fn model_server(&self) -> &ModelServer {
        match &self.server {
            Server::Model(server) => server,
            Server::Real(_) => panic!("this lab has the real API server"),
        }
    }

    /// Behaves as if the server were stopped: what runs is cut off, nothing is answered.
    pub fn stop(&self) {
        self.set_faults(vec![Rule::always(Effect::Cut)]);
        self.model_server().end_watches(Ending::Cut);
    }

    /// Takes every request and answers none.
    pub fn hang(&self) {
        self.set_faults(vec![Rule::always(Effect::Hang)]);
    }

    /// Behaves well again.
    pub fn resume(&self) {
        self.set_faults(Vec::new());
    }

    /// Fails requests by these rules.
    pub fn set_faults(&self, rules: Vec<Rule>) {
        self.model_server().set_faults(rules);
    }

    /// Kills the real server; its data stays.
    pub fn kill_real(&mut self) {
        match &mut self.server {
            Server::Real(server) => server.kill(),
            Server::Model(_) => panic!("this lab has the model API server"),
        }
    }

    /// Starts the real server again, in the same namespace, and waits until it is ready.
    pub fn start_real_again(&mut self, namespace: &Namespace) {
        let Server::Real(_) = &self.server else { panic!("this lab has the model API server") };
        // It has to run on the namespace's thread, and comes back from there.
        let spare = Server::Model(
            ModelServer::start(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a placeholder"),
        );
        let Server::Real(mut server) = std::mem::replace(&mut self.server, spare) else { return };
        let server = namespace.run(move || {
            server.start_again().expect("kube-apiserver starts again");
            server
        });
        self.server = Server::Real(server);
    }

    /// GETs a path, from inside the `api` namespace; none when the server does not answer.
    pub fn get(&self, namespace: &Namespace, path: &str) -> Option<Answer> {
        let (client, path) = (self.client.clone(), path.to_owned());
        namespace.run(move || client.get(&path)).ok()
    }

    /// Deletes the control-plane Lease, if there is one.
    pub fn delete_lease(&self, namespace: &Namespace) {
        let client = self.client.clone();
        let _ = namespace.run(move || client.call("DELETE", LEASE, Payload::None));
    }

    /// Reads the control-plane Lease.
    pub fn lease(&self, namespace: &Namespace) -> Option<LeaseSeen> {
        let answer = self.get(namespace, LEASE).filter(|answer| answer.code == 200)?;
        let spec = &answer.body["spec"];
        let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
        Some(LeaseSeen {
            holder: text("holderIdentity"),
            renewed: text("renewTime"),
            transitions: spec["leaseTransitions"].as_u64().unwrap_or_default(),
        })
    }

    /// Writes of leases that the API server has answered, by `apiserver_request_total`.
    pub fn lease_writes(&self, namespace: &Namespace) -> u64 {
        self.writes(namespace, |line| line.contains("resource=\"leases\""))
    }

    /// All writes that the API server has answered, by `apiserver_request_total`.
    pub fn all_writes(&self, namespace: &Namespace) -> u64 {
        self.writes(namespace, |_| true)
    }

    fn writes(&self, namespace: &Namespace, counts: impl Fn(&str) -> bool) -> u64 {
        let page = self.get(namespace, "/metrics").expect("the API server's metrics").text;
        let is_write = |line: &&str| {
            let verbs = ["verb=\"PUT\"", "verb=\"POST\"", "verb=\"PATCH\""];
            line.starts_with("apiserver_request_total{")
                && counts(line)
                && verbs.iter().any(|verb| line.contains(verb))
        };
        let counts = page.lines().filter(is_write);
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("kubeconfig", &self.kubeconfig).finish_non_exhaustive()
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
