//! What happens by accident is over soon, and the address is never on two nodes.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use rustix::process::Signal;
use viplet_cluster::Cluster;
use viplet_cluster::cluster::{SERVICE, is_true};
use viplet_cluster::machine::name;
use viplet_lab::wait_until;

use crate::bed::{Clients, SOON, daemonset, install, trial, viplets, wait_until_both_are_held};
use crate::pids::{signal, viplet_on};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("after_a_kill_of_the_holder_the_service_is_served_again", kill),
        trial("after_the_holder_ran_out_of_memory_the_service_is_served_again", out_of_memory),
    ]
}

fn kill(cluster: &mut Cluster) {
    install(cluster, &daemonset());
    let clients = Clients::start(cluster);
    let holder = cluster.holder(SERVICE).expect("a holder");
    let id = viplet_on(&cluster.lab.nodes[holder].namespace).expect("viplet runs there");
    signal(id, Signal::KILL);
    wait_for_restart(cluster, holder, "Error");
    wait_until_both_are_held(cluster);
    clients.wait_for_answers();
    clients.figures("kill of the holder");
}

fn out_of_memory(cluster: &mut Cluster) {
    let [rights, daemonset] = daemonset();
    let limit = serde_json::json!({"limits": {"memory": "64Mi"}});
    let limited = daemonset.container(|container| container["resources"] = limit.clone());
    install(cluster, &[rights, limited]);
    let clients = Clients::start(cluster);
    let holder = cluster.holder(SERVICE).expect("a holder");
    let id = viplet_on(&cluster.lab.nodes[holder].namespace).expect("viplet runs there");
    fs::write(format!("/proc/{id}/oom_score_adj"), "1000").expect("the kernel prefers viplet");
    fill_memory_beside(id);
    wait_for_restart(cluster, holder, "OOMKilled");
    wait_until_both_are_held(cluster);
    clients.wait_for_answers();
    clients.figures("out of memory at the holder");
}

/// Lets another process in the container's memory cgroup fill it, which the kernel spares.
fn fill_memory_beside(id: u32) {
    let members = memory_cgroup(id).join("cgroup.procs").display().to_string();
    let script = "echo 0 > \"$1\"; echo -1000 > /proc/self/oom_score_adj; \
                  exec head -c 100M /dev/zero | tail -c 100M";
    let mut filler = Command::new("sh");
    filler.args(["-c", script, "sh", &members]).stdout(Stdio::null());
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
pub(crate) fn wait_for_restart(cluster: &Cluster, node: usize, reason: &str) {
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
