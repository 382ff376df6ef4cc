//! What happens to a cluster while clients ask.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use viplet_lab::wait_until;

use crate::clients::Clients;
use crate::cluster::{Cluster, SERVICE, is_true};
use crate::machine::name;
use crate::pids::{signal, viplet_on};
use crate::stage::{REPLICAS, SOON, roll_out, viplets, wait_until_both_are_held};
use crate::traffic::Figures;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// What happens, as words in the name of a test.
    pub name: &'static str,
    happens: fn(&mut Cluster),
}

/// What an administrator does on purpose.
pub const PLANNED: [Scene; 5] = [
    Scene { name: "a rolling update", happens: rolling_update },
    Scene { name: "the deletion of the holder's pod", happens: deletion },
    Scene { name: "a restart of the holder's kubelet", happens: kubelet_restart },
    Scene { name: "a drain of the holder", happens: drain },
    Scene { name: "a drain of the holder of a local Service", happens: drain_local },
];
/// What happens by accident.
pub const ACCIDENTS: [Scene; 2] = [
    Scene { name: "a kill of the holder", happens: kill },
    Scene { name: "an end of the holder's memory", happens: out_of_memory },
];

/// What the two clients saw of a scene.
#[derive(Clone, Debug)]
pub struct Seen {
    /// With a connection for each request.
    pub connecting: Figures,
    /// With one connection for all.
    pub keeping: Figures,
    /// The longest time in which no node had the Service's address.
    pub absence: Duration,
}

impl Scene {
    /// Plays it while clients ask, until both addresses are held and new connections answered.
    #[track_caller]
    pub fn play(&self, cluster: &mut Cluster) -> Seen {
        spread_web_servers(cluster);
        let clients = Clients::start(cluster);
        let began = Instant::now();
        (self.happens)(cluster);
        wait_until_both_are_held(cluster);
        clients.wait_for_answers();
        let timeline = cluster.watch.timeline(SERVICE.into());
        Seen {
            connecting: clients.connecting(),
            keeping: clients.keeping(),
            absence: timeline.longest_absence(began, Instant::now()),
        }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let absence = self.absence.as_millis();
        write!(f, "new connections: {}; one kept: {}; ", self.connecting, self.keeping)?;
        write!(f, "the address was absent for {absence} ms")
    }
}

fn rolling_update(cluster: &mut Cluster) {
    cluster.kubectl(&["--namespace=kube-system", "rollout", "restart", "daemonset/kube-vip-ds"]);
    roll_out(cluster);
}

fn deletion(cluster: &mut Cluster) {
    let holder = name(cluster.holder(SERVICE).expect("a holder"));
    let pods = viplets(cluster);
    let pod = pods.iter().find(|pod| pod["spec"]["nodeName"] == holder).expect("its pod");
    let pod = pod["metadata"]["name"].as_str().expect("a name");
    cluster.kubectl(&["--namespace=kube-system", "delete", "pod", pod]);
    roll_out(cluster);
}

fn drain(cluster: &mut Cluster) {
    let _ = drain_holder(cluster);
}

fn drain_local(cluster: &mut Cluster) {
    set_traffic_policy(cluster, "Local");
    wait_until_both_are_held(cluster);
    let drained = drain_holder(cluster);
    wait_until("another node has the address", SOON, || {
        cluster.holder(SERVICE).is_some_and(|holder| holder != drained)
    });
    set_traffic_policy(cluster, "Cluster");
}

fn kubelet_restart(cluster: &mut Cluster) {
    let holder = cluster.holder(SERVICE).expect("a holder");
    let before = heartbeat(cluster, holder);
    cluster.restart_kubelet(holder);
    wait_until("the kubelet has told of its node anew", SOON, || {
        let node = cluster.get(&format!("/api/v1/nodes/{}", name(holder))).body;
        is_true(&node, "Ready") && heartbeat(cluster, holder) != before
    });
    assert_eq!(cluster.holder(SERVICE), Some(holder), "the address stays");
    let never = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"] == 0;
    assert!(viplets(cluster).iter().all(never), "no pod was started again");
}

/// Drains the Service's holder until its web servers run elsewhere, and lets it be used again.
fn drain_holder(cluster: &Cluster) -> usize {
    let holder = cluster.holder(SERVICE).expect("a holder");
    let node = name(holder);
    cluster.kubectl(&["drain", &node, "--ignore-daemonsets", "--timeout=90s"]);
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    cluster.kubectl(&["uncordon", &node]);
    holder
}

fn set_traffic_policy(cluster: &Cluster, policy: &str) {
    let patch = json!({"spec": {"externalTrafficPolicy": policy}}).to_string();
    cluster.kubectl(&["patch", "service", "web", "--patch", &patch]);
}

/// When kubelet told last of its node.
fn heartbeat(cluster: &Cluster, node: usize) -> Value {
    let node = cluster.get(&format!("/api/v1/nodes/{}", name(node))).body;
    node["status"]["conditions"][0]["lastHeartbeatTime"].clone()
}

/// Starts all web servers anew where an earlier drain has left a node without any.
#[track_caller]
fn spread_web_servers(cluster: &Cluster) {
    if are_spread(cluster) {
        return;
    }
    cluster.kubectl(&["delete", "pods", "--selector=app=web", "--grace-period=1"]);
    wait_until("each node has web servers, and no old one is left", SOON, || are_spread(cluster));
}

fn are_spread(cluster: &Cluster) -> bool {
    let pods = cluster.list("/api/v1/namespaces/default/pods");
    let nodes: BTreeSet<&str> =
        pods.iter().filter_map(|pod| pod["spec"]["nodeName"].as_str()).collect();
    let ready = pods.iter().filter(|pod| is_true(pod, "Ready")).count();
    nodes.len() == cluster.lab.nodes.len() && ready == pods.len() && ready == REPLICAS
}

fn kill(cluster: &mut Cluster) {
    let (holder, id) = holder(cluster);
    signal(id, Signal::KILL);
    wait_for_restart(cluster, holder, "Error");
}

fn out_of_memory(cluster: &mut Cluster) {
    let (holder, id) = holder(cluster);
    fs::write(format!("/proc/{id}/oom_score_adj"), "1000").expect("the kernel takes it first");
    fill_memory_beside(id);
    wait_for_restart(cluster, holder, "OOMKilled");
}

/// The Service's holder, and the process there.
fn holder(cluster: &Cluster) -> (usize, u32) {
    let holder = cluster.holder(SERVICE).expect("a holder");
    (holder, viplet_on(&cluster.lab.nodes[holder].namespace).expect("it runs there"))
}

/// Lets another process in the container's memory cgroup fill it.
fn fill_memory_beside(id: u32) {
    let group = memory_cgroup(id);
    let limit = ["memory.max", "memory.limit_in_bytes"];
    let limit = limit.iter().find_map(|file| fs::read_to_string(group.join(file)).ok());
    let limit: u64 = limit.and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX);
    assert!(limit < 256 << 20, "its manifest limits its memory, or this would fill the machine's");
    let members = group.join("cgroup.procs").display().to_string();
    let script = "echo 0 > \"$1\"; head -c 300M /dev/zero | tail -c 300M";
    let mut filler = Command::new("sh");
    filler.args(["-c", script, "sh", &members]).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = filler.status().expect("sh runs");
}

fn memory_cgroup(id: u32) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{id}/cgroup")).expect("its cgroups");
    let path = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            all if all.split(',').any(|one| one == "memory") => "/sys/fs/cgroup/memory",
            _ => return None,
        };
        Some(PathBuf::from(root).join(path.trim_start_matches('/')))
    };
    let mut found: Vec<PathBuf> =
        text.lines().filter_map(path).filter(|path| path.exists()).collect();
    found.sort_by_key(|path| !path.starts_with("/sys/fs/cgroup/memory"));
    found.into_iter().next().expect("a memory cgroup")
}

/// Waits until the container on a node was started again, after it had ended for this reason.
#[track_caller]
pub fn wait_for_restart(cluster: &Cluster, node: usize, reason: &str) {
    let node = name(node);
    wait_until(&format!("viplet on {node} was started again after {reason}"), SOON, || {
        viplets(cluster).iter().any(|pod| {
            let container = &pod["status"]["containerStatuses"][0];
            pod["spec"]["nodeName"] == node
                && container["restartCount"].as_u64() > Some(0)
                && container["lastState"]["terminated"]["reason"] == reason
                && is_true(pod, "Ready")
        })
    });
}
