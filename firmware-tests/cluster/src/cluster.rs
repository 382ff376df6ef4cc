//! The cluster: the control plane, three nodes, the instruments.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use viplet_kubeapi::client::{Answer, Client};
use viplet_kubeapi::real::{RealOptions, RealServer};
use viplet_lab::topology::API_ADDRESS;
use viplet_lab::{HolderWatch, Lab, Namespace, Process, Program, wait_until};

use crate::image::Recipe;
use crate::machine::{self, Machine, Membership, last_words, name, pod_network};
use crate::manifest::Manifest;
use crate::parts::Parts;
use crate::relay;

/// The control plane's virtual address.
pub const CONTROL_PLANE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
/// The Service's.
pub const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 120);
/// viplet's image, as the manifests name it.
pub const VIPLET: &str = "registry.example/viplet:0.1.0";
/// The web servers' image.
pub const WEB: &str = "registry.example/web:1";
/// The user whose requests are noted.
const AUDITED: &str = "system:serviceaccount:kube-system:kube-vip";
const API_PORT: u16 = 6443;
const NODES: u8 = 3;
const START: Duration = Duration::from_secs(90);

/// A running cluster.
pub struct Cluster {
    /// The namespaces and their cables.
    pub lab: Lab,
    /// Who has the two virtual addresses.
    pub watch: HolderWatch,
    /// The time from nothing to three ready nodes.
    pub started_in: Duration,
    parts: Parts,
    server: RealServer,
    admin: PathBuf,
    folder: PathBuf,
    machines: Vec<Machine>,
    controllers: Vec<Process>,
}

impl Cluster {
    /// Starts one and waits until its nodes are ready; each has the images of `archives`.
    pub fn start(parts: &Parts, archives: &[PathBuf]) -> Self {
        let began = Instant::now();
        let folder = std::env::temp_dir();
        let archives = [archives, &own_images(parts, &folder)].concat();
        let lab = Lab::new(NODES);
        let mut machines: Vec<Machine> = (lab.nodes.iter().enumerate())
            .map(|(place, node)| Machine::new(place, &node.namespace, parts))
            .collect();
        let server = start_server(&lab.api);
        let admin = server.kubeconfig("admin", &["system:masters"], None).expect("a kubeconfig");
        let controllers = start_controllers(&lab.api, parts, &server);
        for (place, machine) in machines.iter_mut().enumerate() {
            relay::start(&lab.nodes[place].namespace, API_PORT, server.address());
            machine.import(&lab.nodes[place].namespace, &archives);
            join(machine, &lab.nodes[place].namespace, (place, &server));
        }
        let watch = watch(&lab);
        let started_in = began.elapsed();
        let parts = parts.clone();
        let mut cluster =
            Self { lab, watch, started_in, parts, server, admin, folder, machines, controllers };
        cluster.route_pods();
        cluster.wait_for_nodes();
        cluster.started_in = began.elapsed();
        cluster
    }

    /// Files of the tests go here: a tmpfs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The programs it is made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Runs kubectl as administrator.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.parts.kubernetes);
        command.arg("kubectl").args(arguments).env("KUBECONFIG", &self.admin);
        command.env("HOME", &self.folder).stdin(Stdio::null());
        self.lab.api.run(move || command.output().expect("kubectl runs"))
    }

    /// The same where it has to succeed; what it printed.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.try_kubectl(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "kubectl {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// `kubectl apply` of a manifest.
    #[track_caller]
    pub fn apply(&self, manifest: &Manifest) {
        let file = manifest.write(&self.folder.join("applied.json"));
        self.kubectl(&["apply", "--filename", &file.display().to_string()]);
    }

    /// GETs from the API server as administrator, straight.
    pub fn get(&self, path: &str) -> Answer {
        let (client, path) = (self.server.admin().clone(), path.to_owned());
        self.lab.api.run(move || client.get(&path)).expect("the API server answers")
    }

    /// The objects of a collection.
    pub fn list(&self, path: &str) -> Vec<Value> {
        match self.get(path).body["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        }
    }

    /// Asks for `path` at the control plane's virtual address, from the client's place.
    pub fn get_through_address(&self, path: &str) -> std::io::Result<Answer> {
        let address = SocketAddr::from((CONTROL_PLANE, API_PORT));
        let client = Client::tls(address, &self.server.ca(), None)?;
        let path = path.to_owned();
        self.lab.client.run(move || client.get(&path))
    }

    /// An administrator's kubeconfig as kubeadm writes it: by the virtual address.
    pub fn kubeadm_kubeconfig(&self) -> PathBuf {
        let url = format!("https://{CONTROL_PLANE}:{API_PORT}");
        let groups = ["system:masters"];
        self.server.kubeconfig("kubernetes-admin", &groups, Some(&url)).expect("a kubeconfig")
    }

    /// The requests of viplet's ServiceAccount that were refused for want of a right.
    pub fn refusals(&self) -> Vec<String> {
        let refused = |event: &Value| event["responseStatus"]["code"] == 403;
        let text = |event: &Value| format!("{} {}", event["verb"], event["requestURI"]);
        self.server.audit().iter().filter(|event| refused(event)).map(text).collect()
    }

    /// How many requests of viplet's ServiceAccount were noted.
    pub fn requests(&self) -> usize {
        self.server.audit().len()
    }

    /// Forgets who had the addresses.
    pub fn watch_anew(&mut self) {
        self.watch = watch(&self.lab);
    }

    /// The one node that has `address`, if it is one.
    pub fn holder(&self, address: Ipv4Addr) -> Option<usize> {
        match self.watch.holders(IpAddr::V4(address)).as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// Ends a node's kubelet by SIGKILL and starts it again, as after a crash or an update.
    pub fn restart_kubelet(&mut self, node: usize) {
        self.machines[node].start_kubelet(&self.lab.nodes[node].namespace);
    }

    /// What its programs said last, for a failed test.
    pub fn last_words(&self) -> String {
        let controllers = self.controllers.iter().map(last_words);
        controllers.chain(self.machines.iter().map(Machine::last_words)).collect()
    }

    /// Each node sends other nodes' pods what is theirs.
    fn route_pods(&self) {
        for (from, node) in self.lab.nodes.iter().enumerate() {
            for (to, other) in self.lab.nodes.iter().enumerate().filter(|(to, _)| *to != from) {
                let (network, gateway) = (pod_network(to), other.address.to_string());
                let status = node.namespace.run(move || {
                    Command::new("ip").args(["route", "add", &network, "via", &gateway]).status()
                });
                assert!(status.is_ok_and(|status| status.success()), "a route for pods");
            }
        }
    }

    #[track_caller]
    fn wait_for_nodes(&self) {
        wait_until("three nodes are ready", START, || {
            let nodes = self.list("/api/v1/nodes");
            nodes.iter().filter(|node| is_true(node, "Ready")).count() == self.lab.nodes.len()
        });
        let label = "node-role.kubernetes.io/control-plane=";
        self.kubectl(&["label", "nodes", "--all", "--overwrite", label]);
    }
}

/// Whether an object's condition is `True`.
pub fn is_true(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| {
        all.iter().any(|one| one["type"] == condition && one["status"] == "True")
    })
}

fn watch(lab: &Lab) -> HolderWatch {
    HolderWatch::start(lab, &[CONTROL_PLANE.into(), SERVICE.into()])
}

fn own_images(parts: &Parts, folder: &Path) -> Vec<PathBuf> {
    let recipe = |name, at, arguments| Recipe { name, program: &parts.web, at, arguments };
    let all = [recipe(WEB, "/web", &[]), recipe(machine::PAUSE, "/pause", &["pause"])];
    all.iter().map(|recipe| recipe.write(folder)).collect()
}

fn start_server(namespace: &Namespace) -> RealServer {
    let listen = SocketAddr::from((API_ADDRESS, API_PORT));
    let mut options = RealOptions::at(listen).audited(AUDITED).for_cluster();
    // The Service `kubernetes` has the first address of the range.
    options.addresses = vec![CONTROL_PLANE.into(), IpAddr::from([10, 96, 0, 1])];
    namespace.run(move || RealServer::start(&options)).expect("the API server starts")
}

fn start_controllers(namespace: &Namespace, parts: &Parts, server: &RealServer) -> Vec<Process> {
    let start = |part: &str, more: &[String]| {
        let kubeconfig = server.kubeconfig(&format!("system:{part}"), &["system:masters"], None);
        let kubeconfig = kubeconfig.expect("a kubeconfig").display().to_string();
        let program = Program::new(&parts.kubernetes)
            .arg(part)
            .arg(&format!("--kubeconfig={kubeconfig}"))
            .arg("--leader-elect=false");
        let program = more.iter().fold(program, |program, flag| program.arg(flag));
        program.start(part, namespace)
    };
    let key = format!("--service-account-private-key-file={}", server.token_key().display());
    let authority = format!("--root-ca-file={}", server.ca().display());
    vec![start("kube-controller-manager", &[key, authority]), start("kube-scheduler", &[])]
}

fn join(machine: &mut Machine, namespace: &Namespace, (place, server): (usize, &RealServer)) {
    let user = format!("system:node:{}", name(place));
    let kubeconfig =
        |user: &str, group: &str| server.kubeconfig(user, &[group], None).expect("a kubeconfig");
    let membership = Membership {
        kubelet: &kubeconfig(&user, "system:nodes"),
        proxy: &kubeconfig("system:kube-proxy", "system:node-proxier"),
        authority: &server.ca(),
    };
    machine.join(namespace, &membership);
}
