//! A lab with an API server and viplet on its nodes, and all instruments running.

mod plan;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use viplet_kubeapi::real::RealError;

use crate::account::Request;
use crate::api::{Api, LeaseSeen};
use crate::binaries;
use crate::capture::Capture;
use crate::holders::HolderWatch;
use crate::http::{self, Answer};
use crate::objects;
use crate::prober::Prober;
use crate::process::{Process, Program};
use crate::store::{Store, Write};
use crate::topology::{Lab, Wire, is_own};
use crate::wait::wait_for;

pub use plan::{Duty, Plan, Timing};

/// Where viplet serves `/status`, `/readyz`, `/metrics` (`prometheus_server`).
pub const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2112);
const HTTP_PATIENCE: Duration = Duration::from_secs(2);

/// The lab with everything running in it. Dropping it ends all of it.
#[derive(Debug)]
pub struct Cluster {
    // Programs first: fields are dropped in order.
    programs: Vec<Option<Process>>,
    /// Those that ended or were replaced, for their logs.
    past: Vec<Process>,
    /// The client's view of each address.
    pub probers: BTreeMap<IpAddr, Prober>,
    /// The announcements that the client's link saw.
    pub capture: Capture,
    /// Who had which address.
    pub watch: HolderWatch,
    /// The API server.
    pub api: Api,
    /// Namespaces and cables.
    pub lab: Lab,
    plan: Plan,
    folder: Folder,
    /// When it was built.
    pub origin: Instant,
}

/// A temporary folder, gone with this value.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("viplet-lab-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Cluster {
    /// As [`Cluster::try_new`], where the API server is sure to start.
    pub fn new(plan: Plan) -> Self {
        Self::try_new(plan).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Builds the lab and starts the API server and the instruments, but no viplet.
    ///
    /// # Errors
    /// The plan asks for the real API server and there is none, or it did not start.
    pub fn try_new(plan: Plan) -> Result<Self, RealError> {
        let folder = Folder::new();
        let lab = Lab::new(plan.nodes);
        let api = Api::start((plan.api, plan.user), &lab.api, &folder.0)?;
        let watch = match plan.duty {
            Duty::ControlPlane => HolderWatch::start(&lab, &plan.addresses),
            Duty::Services | Duty::Both => HolderWatch::start_all(&lab),
        };
        if plan.duty != Duty::ControlPlane {
            lab.widen();
        }
        let capture = Capture::start(&lab.client);
        let programs = lab.nodes.iter().map(|_| None).collect();
        let (past, origin) = (Vec::new(), Instant::now());
        let probers = BTreeMap::new();
        let mut cluster =
            Self { programs, past, probers, capture, watch, api, lab, plan, folder, origin };
        cluster.ping_all();
        Ok(cluster)
    }

    /// Whether [`Cluster::rearrange`] does for a plan: as many nodes, and the same access to the
    /// same API server.
    pub fn fits(&self, plan: &Plan) -> bool {
        let parts = |plan: &Plan| (plan.nodes, plan.api, plan.user);
        parts(&self.plan) == parts(plan)
    }

    /// As if it were built anew by another plan that [fits](Cluster::fits): nothing runs, nothing
    /// is stored, no node has an address but its own.
    pub fn rearrange(&mut self, plan: Plan) {
        self.probers.clear();
        for node in 0..self.lab.nodes.len() {
            self.retire(node);
            self.lab.restore(node, Wire::Lan);
            self.lab.restore(node, Wire::Mgmt);
            self.strip(node);
        }
        self.store().clear();
        self.past.clear();
        self.watch.forget();
        self.capture.forget();
        (self.plan, self.origin) = (plan, Instant::now());
        self.ping_all();
    }

    /// Makes a Node object for each node, with its addresses.
    pub fn register_nodes(&self) {
        for node in &self.lab.nodes {
            let object = objects::node(&node.name, &node.address.to_string());
            self.store().write("/api/v1/nodes", Write::Create(object));
        }
    }

    /// Takes every address off a node but its own.
    pub fn strip(&self, node: usize) {
        self.lab.nodes[node].rtnl(|rtnl| {
            for listed in rtnl.addresses().into_iter().filter(|one| !is_own(one.address)) {
                let _ = rtnl.remove_address_at(listed.link, (listed.address, listed.prefix));
            }
        });
    }

    fn ping_all(&mut self) {
        for address in self.plan.addresses.clone() {
            self.ping(address);
        }
    }

    /// Lets the client ping one more address.
    pub fn ping(&mut self, address: IpAddr) {
        let (client, period) = (&self.lab.client, self.plan.probe_every);
        self.probers.entry(address).or_insert_with(|| Prober::start_every(client, address, period));
    }

    /// The API server's objects.
    pub fn store(&self) -> Store<'_> {
        self.api.store(&self.lab.api)
    }

    /// What the programs asked of the API server, as a ServiceAccount, in all of its time.
    pub fn requests(&self) -> Vec<Request> {
        self.api.requests()
    }

    /// The first address.
    pub fn vip(&self) -> IpAddr {
        self.plan.addresses[0]
    }

    /// All addresses.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.plan.addresses
    }

    /// The election's times.
    pub fn timing(&self) -> Timing {
        self.plan.timing
    }

    /// A folder of this lab's own.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// The pinger of the first address.
    pub fn prober(&self) -> &Prober {
        &self.probers[&self.vip()]
    }

    /// viplet as a node runs it: kube-vip's environment and `manager`.
    pub fn viplet(&self, node: usize) -> Program {
        self.manager(binaries::viplet(), node)
    }

    /// A program that takes kube-vip's environment, as a node runs it.
    pub fn manager(&self, path: PathBuf, node: usize) -> Program {
        let Timing(lease, deadline, retry) = self.plan.timing;
        let config = self.api.kubeconfig().to_str().expect("a UTF-8 path").to_owned();
        let program = Program::new(path)
            .arg("manager")
            .env("vip_arp", "true")
            .env("vip_interface", Wire::Lan.link())
            .env("vip_nodename", &self.lab.nodes[node].name)
            .env("cp_namespace", "kube-system")
            .env("vip_leaderelection", "true")
            .env("vip_leaseduration", &lease.to_string())
            .env("vip_renewdeadline", &deadline.to_string())
            .env("vip_retryperiod", &retry.to_string())
            .env("k8s_config_file", &config)
            .env("prometheus_server", ":2112");
        let program = self.with_duty(program);
        self.plan.settings.iter().fold(program, |program, (name, value)| program.env(name, value))
    }

    fn with_duty(&self, program: Program) -> Program {
        let addresses: Vec<String> = self.plan.addresses.iter().map(ToString::to_string).collect();
        let holds = |program: Program| {
            program.env("cp_enable", "true").env("address", &addresses.join(","))
        };
        match self.plan.duty {
            Duty::ControlPlane => holds(program),
            Duty::Services => program.env("svc_enable", "true"),
            Duty::Both => holds(program).env("svc_enable", "true"),
        }
    }

    /// Starts viplet on a node.
    pub fn start(&mut self, node: usize) -> &mut Process {
        self.run(node, &self.viplet(node))
    }

    /// Starts viplet on every node.
    pub fn start_all(&mut self) {
        for node in 0..self.lab.nodes.len() {
            self.start(node);
        }
    }

    /// Starts a program in a node's place for one.
    pub fn run(&mut self, node: usize, program: &Program) -> &mut Process {
        self.retire(node);
        let at = &self.lab.nodes[node];
        self.programs[node].insert(program.start(&at.name, &at.namespace))
    }

    /// Ends what runs on a node, by SIGKILL if it still runs, and keeps its log.
    pub fn retire(&mut self, node: usize) {
        if let Some(mut old) = self.programs[node].take() {
            old.kill();
            self.past.push(old);
        }
    }

    /// What runs on a node.
    pub fn process(&mut self, node: usize) -> &mut Process {
        self.programs[node].as_mut().expect("a program runs there")
    }

    /// Whether a node has a program.
    pub fn is_running(&mut self, node: usize) -> bool {
        self.programs[node].as_mut().is_some_and(Process::runs)
    }

    /// Sends a signal to what runs on a node.
    pub fn signal(&mut self, node: usize, signal: Signal) {
        self.process(node).signal(signal);
    }

    /// Power-off: both cables out and the process gone, at once.
    pub fn power_off(&mut self, node: usize) {
        self.lab.cut(node, Wire::Lan);
        self.lab.cut(node, Wire::Mgmt);
        self.retire(node);
    }

    /// Waits until exactly one node has the first address and the client hears it.
    #[track_caller]
    pub fn wait_for_holder(&self, timeout: Duration) -> usize {
        self.wait_for_holder_of(self.vip(), timeout)
    }

    /// Waits until exactly one node has `address` and the client hears it.
    #[track_caller]
    pub fn wait_for_holder_of(&self, address: IpAddr, timeout: Duration) -> usize {
        let prober = &self.probers[&address];
        let what = format!("one node has {address} and the client hears it");
        let single = || match self.watch.holders(address).as_slice() {
            [one] if prober.answers() => Some(*one),
            _ => None,
        };
        wait_for(&what, timeout, single).0
    }

    /// Waits until a node other than `old` has the first address and the client hears it.
    #[track_caller]
    pub fn wait_for_other_holder(&self, old: usize, timeout: Duration) -> usize {
        self.wait_for_other_holder_of(self.vip(), old, timeout)
    }

    /// Waits until a node other than `old` has `address` and the client hears it.
    #[track_caller]
    pub fn wait_for_other_holder_of(
        &self,
        address: IpAddr,
        old: usize,
        timeout: Duration,
    ) -> usize {
        let prober = &self.probers[&address];
        let what = format!("a node other than n{} has {address} alone", old + 1);
        let other = || match self.watch.holders(address).as_slice() {
            [one] if *one != old && prober.answers() => Some(*one),
            _ => None,
        };
        wait_for(&what, timeout, other).0
    }

    /// The control-plane Lease as the API server has it.
    pub fn lease(&self) -> Option<LeaseSeen> {
        self.api.lease(&self.lab.api)
    }

    /// GETs a page of a node's viplet.
    pub fn get(&self, node: usize, path: &str) -> Option<Answer> {
        http::get(&self.lab.nodes[node].namespace, METRICS, path, HTTP_PATIENCE)
    }

    /// A node's `/status`.
    pub fn status(&self, node: usize) -> Option<serde_json::Value> {
        serde_json::from_str(&self.get(node, "/status")?.body).ok()
    }

    /// A node's `/readyz`: its HTTP status and text.
    pub fn ready(&self, node: usize) -> Option<(u16, String)> {
        self.get(node, "/readyz").map(|answer| (answer.status, answer.body))
    }

    /// Every log, oldest first, and who had what: for a failed test.
    pub fn story(&self) -> String {
        let running = self.programs.iter().flatten();
        let mut text: String =
            self.past.iter().chain(running).map(|one| one.annotated_log(self.origin)).collect();
        let since = |at: Instant| at.saturating_duration_since(self.origin).as_secs_f64();
        for (address, timeline) in self.watch.timelines() {
            text += &format!("---- who had {address} ----\n");
            for span in &timeline.spans {
                let end = span.gone.map_or_else(String::new, |gone| format!("{:.3}", since(gone)));
                text += &format!("n{}: {:.3} … {end}\n", span.node + 1, since(span.first));
            }
        }
        text
    }

    /// Panics if any address was ever seen on two nodes for longer than `allowed`.
    #[track_caller]
    pub fn assert_single_holder(&self, allowed: Duration) {
        for (address, timeline) in self.watch.timelines() {
            for overlap in timeline.overlaps() {
                assert!(
                    overlap.length <= allowed,
                    "{address} was on n{} and n{} for {:?} (allowed: {allowed:?})",
                    overlap.nodes.0 + 1,
                    overlap.nodes.1 + 1,
                    overlap.length
                );
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.story());
        }
    }
}
