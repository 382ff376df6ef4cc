//! The one cluster of all tests. Each gets it with the web servers running and without viplet.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;
use viplet_cluster::cluster::{CONTROL_PLANE, SERVICE, VIPLET, WEB, is_true};
use viplet_cluster::machine::STATIC_PODS;
use viplet_cluster::manifest::{self, Manifest};
use viplet_cluster::traffic::{Figures, Manner};
use viplet_cluster::{Cluster, Parts, Traffic, image};
use viplet_lab::wait_until;

/// Long enough for anything that a loaded machine does at once.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// The pods of viplet, and of kube-vip.
pub(crate) const PODS: &str = "/api/v1/namespaces/kube-system/pods";
/// How many web servers there are.
const REPLICAS: u32 = 6;

static BED: Mutex<Option<Cluster>> = Mutex::new(None);

fn bed() -> std::sync::MutexGuard<'static, Option<Cluster>> {
    BED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the cluster.
pub(crate) fn close() {
    *bed() = None;
}

/// A test in the cluster. At no instant may two nodes have one address, and nothing may be asked of
/// the API server that the manifest's rights do not allow.
pub(crate) fn trial(name: &'static str, body: fn(&mut Cluster)) -> Trial {
    Trial::test(name, move || {
        // A test that fails ends the cluster: it is not in the static meanwhile.
        let mut told = Told(Some(bed().take().unwrap_or_else(start)));
        let cluster = told.0.as_mut().expect("a cluster");
        tidy(cluster);
        let before = cluster.refusals().len();
        body(cluster);
        assert_one_holder(cluster);
        let refused = cluster.refusals().split_off(before);
        assert!(refused.is_empty(), "the manifest does not allow {refused:?}");
        *bed() = told.0.take();
        Ok(())
    })
}

/// Says what the programs said last when a test fails.
struct Told(Option<Cluster>);

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(cluster) = &self.0 {
            eprintln!("{}", story(cluster));
        }
    }
}

fn story(cluster: &Cluster) -> String {
    let pods = cluster.try_kubectl(&["get", "pods", "--all-namespaces", "--output=wide"]);
    let events = cluster.try_kubectl(&["get", "events", "--all-namespaces"]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let logs = cluster.lab.nodes.iter().map(|node| node.namespace.run(container_logs));
    let logs: String = logs.collect();
    let watched = format!("{:#?}", cluster.watch.timelines());
    [cluster.last_words(), logs, watched, text(&pods.stdout), text(&events.stdout)].join("\n")
}

/// What the containers of `kube-system` wrote, on the node of the calling thread.
fn container_logs() -> String {
    let script = "tail -n 60 /var/log/pods/kube-system_*/*/*.log";
    let output = std::process::Command::new("sh").args(["-c", script]).output().expect("sh runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn start() -> Cluster {
    let parts = Parts::find().expect("main has looked");
    let folder = std::env::temp_dir();
    let mut archives = vec![image::viplet(VIPLET, &folder)];
    if let Some(program) = &parts.kube_vip {
        let name = kube_vip_image(&kube_vip_manifest(program));
        let recipe = image::Recipe { name: &name, program, at: "/kube-vip", arguments: &[] };
        archives.push(recipe.write(&folder));
    }
    let cluster = Cluster::start(&parts, &archives);
    println!("three nodes were ready after {:.1} s", cluster.started_in.as_secs_f64());
    cluster.apply(&manifest::web(WEB, REPLICAS, &SERVICE.to_string()));
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    cluster
}

/// What kube-vip itself prints for a user who wants both addresses.
pub(crate) fn kube_vip_manifest(program: &Path) -> Manifest {
    let print = |arguments: &[&str]| {
        let output = Command::new(program).arg("manifest").args(arguments).output();
        String::from_utf8(output.expect("kube-vip runs").stdout).expect("text")
    };
    let address = CONTROL_PLANE.to_string();
    let wanted = ["daemonset", "--controlplane", "--services", "--servicesElection", "--arp"];
    let how = ["--leaderElection", "--inCluster", "--taint", "--interface", "eth0"];
    let daemonset = print(&[&wanted[..], &how, &["--address", &address]].concat());
    Manifest::parse(&format!("{}\n---\n{daemonset}", print(&["rbac"])))
}

/// The image that it names.
pub(crate) fn kube_vip_image(manifest: &Manifest) -> String {
    let image = |object: &Value| {
        object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().map(str::to_owned)
    };
    manifest.objects().iter().find_map(image).expect("kube-vip's manifest names an image")
}

/// Takes away what a test has installed, until no node has a virtual address.
fn tidy(cluster: &Cluster) {
    for node in &cluster.lab.nodes {
        node.namespace.run(|| {
            let _ = fs::remove_file(Path::new(STATIC_PODS).join("kube-vip.yaml"));
        });
    }
    let kinds = "daemonsets,serviceaccounts,leases";
    let names = ["kube-vip-ds", "kube-vip", "plndr-cp-lock", "plndr-svcs-lock"];
    let arguments = ["--namespace=kube-system", "delete", "--ignore-not-found", kinds];
    cluster.kubectl(&[&arguments[..], &names].concat());
    let roles = ["clusterrole/system:kube-vip-role", "clusterrolebinding/system:kube-vip-binding"];
    cluster.kubectl(&[&["delete", "--ignore-not-found"], &roles[..]].concat());
    cluster.kubectl(&["delete", "--ignore-not-found", "lease/kubevip-web"]);
    wait_until("nothing is left of the test before", SOON, || {
        viplets(cluster).is_empty()
            && [CONTROL_PLANE, SERVICE]
                .iter()
                .all(|address| cluster.watch.holders(IpAddr::V4(*address)).is_empty())
    });
}

/// All pods of viplet (or kube-vip).
pub(crate) fn viplets(cluster: &Cluster) -> Vec<Value> {
    let ours = |pod: &Value| {
        pod["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("kube-vip"))
    };
    cluster.list(PODS).into_iter().filter(ours).collect()
}

/// The project's DaemonSet with its rights, for the lab's addresses.
pub(crate) fn daemonset() -> [Manifest; 2] {
    let daemonset = Manifest::ours("daemonset.yaml");
    let address = CONTROL_PLANE.to_string();
    [Manifest::ours("rbac.yaml"), daemonset.image(VIPLET).env("address", &address)]
}

/// Applies manifests and waits until both addresses serve.
#[track_caller]
pub(crate) fn install(cluster: &Cluster, manifests: &[Manifest]) {
    for manifest in manifests {
        cluster.apply(manifest);
    }
    wait_until("a viplet on each node is ready", SOON, || {
        let pods = viplets(cluster);
        pods.len() == cluster.lab.nodes.len() && pods.iter().all(|pod| is_true(pod, "Ready"))
    });
    wait_until_both_are_held(cluster);
}

/// Waits until the DaemonSet runs everywhere as it is now.
#[track_caller]
pub(crate) fn roll_out(cluster: &Cluster) {
    let target = "daemonset/kube-vip-ds";
    cluster.kubectl(&["--namespace=kube-system", "rollout", "status", target, "--timeout=120s"]);
}

/// Waits until each address is on one node.
#[track_caller]
pub(crate) fn wait_until_both_are_held(cluster: &Cluster) {
    for address in [CONTROL_PLANE, SERVICE] {
        wait_until(&format!("a node has {address}"), SOON, || cluster.holder(address).is_some());
    }
}

/// The clients of one test.
pub(crate) struct Clients {
    connecting: Traffic,
    keeping: Traffic,
    since: Instant,
}

impl Clients {
    /// Starts them and waits until they are answered.
    #[track_caller]
    pub(crate) fn start(cluster: &Cluster) -> Self {
        let server = SocketAddr::from((SERVICE, 80));
        let start = |manner| Traffic::start(&cluster.lab.client, server, manner);
        let (connecting, keeping) = (start(Manner::Connect), start(Manner::Keep));
        wait_until("the Service answers the client", SOON, || {
            connecting.answers() && keeping.answers()
        });
        Self { connecting, keeping, since: Instant::now() }
    }

    /// Waits until new connections are answered again.
    #[track_caller]
    pub(crate) fn wait_for_answers(&self) {
        let since = Instant::now();
        wait_until("the Service answers the client", SOON, || {
            !self.connecting.servers(since).is_empty() && self.connecting.answers()
        });
    }

    /// What new connections saw in this test; said aloud.
    pub(crate) fn figures(&self, scene: &str) -> Figures {
        let figures = self.connecting.since(self.since);
        println!("{scene}: new connections: {figures}");
        println!("{scene}: one kept connection: {}", self.keeping.since(self.since));
        figures
    }

    /// The same where no new connection may have failed.
    #[track_caller]
    pub(crate) fn assert_none_failed(&self, scene: &str) {
        let figures = self.figures(scene);
        assert!(figures.requests > 100, "{scene}: too few requests: {figures}");
        assert!(figures.failed.is_empty(), "{scene}: {:?}", figures.failed);
    }
}

#[track_caller]
fn assert_one_holder(cluster: &Cluster) {
    for (address, timeline) in cluster.watch.timelines() {
        let overlaps = timeline.overlaps();
        assert!(overlaps.is_empty(), "{address} was on two nodes: {overlaps:?}");
    }
}
