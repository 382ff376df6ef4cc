//! The one cluster of all tests. Each gets it with the web servers running and without viplet.

use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use libtest_mimic::Trial;
use viplet_cluster::stage::{self, tidy};
use viplet_cluster::{Cluster, Parts};
use viplet_lab::timed;

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
pub(crate) fn trial(name: &str, body: impl FnOnce(&mut Cluster) + Send + 'static) -> Trial {
    in_cluster(name, |cluster| {
        let before = cluster.refusals().len();
        body(cluster);
        assert_one_holder(cluster);
        let refused = cluster.refusals().split_off(before);
        assert!(refused.is_empty(), "the manifest does not allow {refused:?}");
    })
}

/// The same without those conditions.
pub(crate) fn in_cluster(name: &str, body: impl FnOnce(&mut Cluster) + Send + 'static) -> Trial {
    let title = name.to_owned();
    Trial::test(name, move || {
        timed(&title, || run(body));
        Ok(())
    })
}

fn run(body: impl FnOnce(&mut Cluster)) {
    // A test that fails ends the cluster: it is not in the static meanwhile.
    let mut told = Told(Some(bed().take().unwrap_or_else(start)));
    let cluster = told.0.as_mut().expect("a cluster");
    tidy(cluster);
    cluster.watch_anew();
    body(cluster);
    *bed() = told.0.take();
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
    let kubectl = |arguments: &[&str]| {
        let text = cluster.try_kubectl(arguments).stdout;
        String::from_utf8_lossy(&text).into_owned()
    };
    let pods = kubectl(&["get", "pods", "--all-namespaces", "--output=wide"]);
    let events = kubectl(&["get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"]);
    let latest = events.lines().count().saturating_sub(40);
    let events: Vec<&str> = events.lines().skip(latest).collect();
    let logs = cluster.lab.nodes.iter().map(|node| node.namespace.run(container_logs));
    let mut story = format!("{}{}", cluster.last_words(), logs.collect::<String>());
    for (address, timeline) in cluster.watch.timelines() {
        for span in timeline.spans.iter().rev().take(6) {
            let ago = |at: Instant| at.elapsed().as_secs_f64();
            let gone = span.gone.map(ago);
            let from = ago(span.first);
            story += &format!("{address} on n{}: {from:.3} s ago … {gone:.3?}\n", span.node + 1);
        }
    }
    format!("{story}{pods}{}\n", events.join("\n"))
}

/// What the containers of `kube-system` wrote, on the node of the calling thread.
fn container_logs() -> String {
    let script = "tail --verbose --lines=60 /var/log/pods/kube-system_*/*/*.log";
    let output = Command::new("sh").args(["-c", script]).output().expect("sh runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn start() -> Cluster {
    let cluster = stage::start(&Parts::find().expect("main has looked"));
    println!("three nodes were ready after {:.1} s", cluster.started_in.as_secs_f64());
    cluster
}

/// Panics if an address was ever on two nodes.
#[track_caller]
pub(crate) fn assert_one_holder(cluster: &Cluster) {
    for (address, timeline) in cluster.watch.timelines() {
        let overlaps = timeline.overlaps();
        assert!(overlaps.is_empty(), "{address} was on two nodes: {overlaps:?}");
    }
}
