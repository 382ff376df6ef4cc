//! The demo: scenes one after another, each with what the client saw, and a line that shows live who
//! holds the addresses and how the requests go.

use std::io::{IsTerminal as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use viplet_lab::HolderWatch;

use crate::cluster::{CONTROL_PLANE, Cluster, SERVICE, VIPLET};
use crate::machine::name;
use crate::parts::Parts;
use crate::scenes::{ACCIDENTS, PLANNED, Scene};
use crate::stage::{self, daemonset, install, kube_vip, roll_out, set_image};
use crate::traffic::{Manner, Traffic};
use crate::{Clients, traffic::Figures};

const REFRESH: Duration = Duration::from_millis(200);

/// Plays all of it.
pub fn run() -> ExitCode {
    let parts = Parts::find().expect("main has looked");
    println!(
        "Starting Kubernetes: an API server, its controllers, and three nodes with containerd ..."
    );
    let mut cluster = stage::start(&parts);
    println!("Three nodes were ready after {:.1} s.", cluster.started_in.as_secs_f64());
    println!(
        "The DaemonSet: viplet on each node, {CONTROL_PLANE} for the API server, {SERVICE} for a"
    );
    println!(
        "Service with {} web servers, which a client asks 100 times a second.",
        stage::REPLICAS
    );
    install(&cluster, &daemonset());
    let mut story = Story { lines: Vec::new(), verdict: Verdict::Good };
    for scene in PLANNED {
        story.play(&mut cluster, &scene, Duty::Planned);
    }
    for scene in ACCIDENTS {
        story.play(&mut cluster, &scene, Duty::Accident);
    }
    if parts.kube_vip.is_some() {
        story.exchange(&mut cluster);
    }
    story.end(&cluster)
}

/// Whether a failed connection may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duty {
    Planned,
    Accident,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Bad,
}

struct Story {
    lines: Vec<String>,
    verdict: Verdict,
}

impl Story {
    fn play(&mut self, cluster: &mut Cluster, scene: &Scene, duty: Duty) {
        let live = Live::start(cluster, scene.name);
        let seen = scene.play(cluster);
        drop(live);
        self.note(scene.name, &seen.connecting, duty);
    }

    /// kube-vip's own manifest, in which only the image is changed.
    fn exchange(&mut self, cluster: &mut Cluster) {
        stage::tidy(cluster);
        install(cluster, &[kube_vip(cluster)]);
        let what = "kube-vip's manifest, its image set to viplet";
        let live = Live::start(cluster, what);
        let clients = Clients::start(cluster);
        set_image(cluster, VIPLET);
        roll_out(cluster);
        stage::wait_until_both_are_held(cluster);
        clients.wait_for_answers();
        drop(live);
        self.note(what, &clients.connecting(), Duty::Planned);
    }

    fn note(&mut self, what: &str, figures: &Figures, duty: Duty) {
        let silence = figures.silence.as_millis();
        let (requests, failed) = (figures.requests, figures.failed.len());
        let line = format!("{what:45} {requests:6} {failed:7} {silence:10} ms");
        println!("  {line}");
        self.lines.push(line);
        if failed > 0 && duty == Duty::Planned {
            self.verdict = Verdict::Bad;
        }
    }

    fn end(mut self, cluster: &Cluster) -> ExitCode {
        println!("\n{:45} {:>6} {:>7} {:>13}", "", "asked", "failed", "silence");
        for line in &self.lines {
            println!("{line}");
        }
        for (address, timeline) in cluster.watch.timelines() {
            let overlap = timeline.longest_overlap();
            println!("{address} was on two nodes for {} ms", overlap.as_millis());
            if !overlap.is_zero() {
                self.verdict = Verdict::Bad;
            }
        }
        match self.verdict {
            Verdict::Good => ExitCode::SUCCESS,
            Verdict::Bad => ExitCode::FAILURE,
        }
    }
}

/// The line that shows what goes on, on a terminal, until it is dropped.
struct Live {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    fn start(cluster: &Cluster, what: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(!std::io::stdout().is_terminal()));
        let addresses = [CONTROL_PLANE, SERVICE];
        let watch = HolderWatch::start(&cluster.lab, &addresses.map(IpAddr::V4));
        let server = SocketAddr::from((SERVICE, 80));
        let traffic = Traffic::start(&cluster.lab.client, server, Manner::Connect);
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let since = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let holders = addresses.map(|address| holders(&watch, address)).join(", ");
                let figures = traffic.since(since);
                let (requests, failed) = (figures.requests, figures.failed.len());
                print!("\r\x1b[K  {what}: {holders}; {requests} requests, {failed} failed");
                let _ = std::io::stdout().flush();
                thread::sleep(REFRESH);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

fn holders(watch: &HolderWatch, address: Ipv4Addr) -> String {
    let names: Vec<String> = watch.holders(address.into()).into_iter().map(name).collect();
    match names.as_slice() {
        [] => format!("{address} on no node"),
        _ => format!("{address} on {}", names.join(" and ")),
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if std::io::stdout().is_terminal() {
            print!("\r\x1b[K");
        }
    }
}
