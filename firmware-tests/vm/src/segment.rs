//! One segment: machines, a client that looks on, and the model API server.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use viplet_kubeapi::client::Client;
use viplet_kubeapi::http::ModelServer;
use viplet_lab::objects::{self, Endpoint, Service};
use viplet_lab::topology::CLIENT_ADDRESS;
use viplet_lab::wait::wait_for;
use viplet_lab::{Capture, Frame, Lab, Prober, http};
use viplet_vm_init::Settings;

use crate::machine::{self, Vm};
use crate::parts::{Parts, target};
use crate::sightings::{Watch, on_two};

/// The control plane's address.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
/// The address of the Service `default/web`.
pub const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 101);
/// Both.
pub const ADDRESSES: [Ipv4Addr; 2] = [VIP, SERVICE];

/// How long a lease lasts, in seconds; then its renew deadline and retry period.
const LEASE: [&str; 3] = ["5", "3", "1"];
/// Emulated machines on a busy one are slow; nothing here measures.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Often enough to see an outage, seldom enough for an emulated machine.
const PROBE: Duration = Duration::from_millis(50);
const API_PORT: u16 = 8080;
const VIPLET_PORT: u16 = 2112;

/// Everything on it. Dropping it ends all of it.
#[derive(Debug)]
pub struct Segment {
    // What asks goes before what answers: fields are dropped in order.
    watch: Watch,
    probers: Vec<Prober>,
    /// Announcements that the client saw.
    pub capture: Capture,
    /// n1 and, where asked for, n2.
    pub machines: Vec<Vm>,
    api: ModelServer,
    lab: Lab,
    _folder: Folder,
    origin: Instant,
}

impl Segment {
    /// Boots `count` machines; `test` names the logs of a failed one. viplet does not run yet.
    pub fn new(parts: &Parts, test: &str, count: u8) -> Self {
        let folder = Folder::new(parts, test);
        let lab = Lab::new(0);
        let api =
            lab.client.run(|| ModelServer::start(SocketAddr::from((CLIENT_ADDRESS, API_PORT))));
        let api = api.expect("the model API server");
        let kubeconfig = api.kubeconfig();
        let switch_on = |number| {
            let initramfs = parts.initramfs(&settings(number), &kubeconfig);
            machine::switch_on(parts, &lab, (number, &initramfs), &folder.path)
        };
        let starting: Vec<_> = (1..=count).map(switch_on).collect();
        let machines: Vec<Vm> = starting.into_iter().map(machine::Starting::boot).collect();
        let segment = Self {
            watch: Watch::start(machines.iter().map(Vm::orders).collect()),
            probers: ADDRESSES
                .map(|address| Prober::start_every(&lab.client, IpAddr::V4(address), PROBE))
                .into(),
            capture: Capture::start(&lab.client),
            origin: Instant::now(),
            machines,
            api,
            lab,
            _folder: folder,
        };
        segment.fill();
        segment
    }

    /// Nodes, and a Service with a ready endpoint on each.
    fn fill(&self) {
        let endpoints: Vec<Endpoint> = (0..self.machines.len()).map(Endpoint::on).collect();
        for vm in &self.machines {
            self.create("/api/v1/nodes", objects::node(&vm.name, &vm.address.to_string()));
        }
        let slice = objects::slice("default", ("web", "web-1"), &endpoints);
        self.create("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice);
        let service = Service::new("web").asks(&SERVICE.to_string());
        self.create("/api/v1/namespaces/default/services", service.object());
    }

    fn create(&self, path: &'static str, object: Value) {
        let client = Client::plain(self.api.address());
        let answer = self.lab.client.run(move || client.create(path, &object));
        let answer = answer.expect("the model API server answers");
        assert_eq!(answer.code, 201, "{path}: {}", answer.text);
    }

    /// Waits until exactly the machine at this place has both addresses, answers for them, and
    /// viplet there says that all is well.
    #[track_caller]
    pub fn settles_on(&self, place: usize) {
        let settled = || {
            let right = |(at, vm): (usize, &Vm)| {
                ADDRESSES.iter().all(|address| vm.has(*address) == (at == place))
            };
            let on = |(at, vm): (usize, &Vm)| !vm.is_on() || right((at, vm));
            let well = self.machines.iter().enumerate().all(on) && self.answer();
            (well && self.is_ready(place)).then_some(())
        };
        let name = &self.machines[place].name;
        wait_for(&format!("{name} alone has the addresses, and they answer"), PATIENCE, settled);
    }

    /// How many machines have an address now.
    pub fn holders(&self, address: Ipv4Addr) -> usize {
        self.machines.iter().filter(|vm| vm.has(address)).count()
    }

    /// Whether both addresses answer the client.
    pub fn answer(&self) -> bool {
        self.probers.iter().all(Prober::answers)
    }

    /// The longest time since then in which the control plane's address did not answer.
    pub fn silence(&self, since: Instant) -> Duration {
        self.probers[0].longest_silence(since)
    }

    /// Whether viplet's `/readyz` says yes.
    pub fn is_ready(&self, place: usize) -> bool {
        let server = SocketAddr::from((self.machines[place].address, VIPLET_PORT));
        let answer = http::get(&self.lab.client, server, "/readyz", Duration::from_secs(5));
        answer.is_some_and(|answer| answer.status == 200)
    }

    /// Where the client's packets to an address go.
    #[track_caller]
    pub fn client_finds(&self, address: Ipv4Addr) -> String {
        let found = self.lab.client.run(move || viplet_vm_init::neighbour(address));
        found.unwrap_or_else(|why| panic!("the client: {why}"))
    }

    /// Waits for a machine's first announcement of an address since then.
    #[track_caller]
    pub fn announced(&self, address: Ipv4Addr, place: usize, since: Instant) -> Duration {
        let vm = &self.machines[place];
        let ours = |frame: &Frame| frame.at >= since && frame.hardware == vm.hardware;
        let look = || self.capture.of(IpAddr::V4(address)).into_iter().find(ours);
        let what = format!("{} announces {address}", vm.name);
        wait_for(&what, PATIENCE, look).0.at - since
    }

    /// No two machines ever reported the same address for the same moment.
    #[track_caller]
    pub fn never_on_two(&self) {
        let seen = self.watch.all();
        assert!(!seen.is_empty(), "no machine reported anything");
        for address in ADDRESSES {
            if let Some(at) = on_two(&seen, address) {
                panic!("{address} was on two machines after {:?}", at - self.origin);
            }
        }
    }
}

/// A temporary folder. A test that fails leaves what its machines wrote where `scripts/test` keeps its logs.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    logs: String,
}

impl Folder {
    fn new(parts: &Parts, test: &str) -> Self {
        let logs = format!("vm-{}-{test}", parts.kind.name());
        let path = std::env::temp_dir().join(format!("viplet-{}-{logs}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Self { path, logs }
    }

    fn keep_consoles(&self) {
        let kept = target().join("test-logs");
        let _ = fs::create_dir_all(&kept);
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(machine) = name.strip_suffix(".console") else { continue };
            let log = kept.join(format!("{}-{machine}.log", self.logs));
            if fs::copy(entry.path(), &log).is_ok() {
                eprintln!("what {machine}'s kernel, init and viplet wrote: {}", log.display());
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_consoles();
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn settings(number: u8) -> Settings {
    let [lease, deadline, retry] = LEASE;
    let (vip, name) = (VIP.to_string(), format!("n{number}"));
    let environment = [
        ("vip_arp", "true"),
        ("vip_interface", "eth0"),
        ("vip_nodename", &name),
        ("cp_enable", "true"),
        ("cp_namespace", "kube-system"),
        ("address", &vip),
        ("svc_enable", "true"),
        ("svc_election", "true"),
        ("vip_leaderelection", "true"),
        ("vip_leaseduration", lease),
        ("vip_renewdeadline", deadline),
        ("vip_retryperiod", retry),
        ("k8s_config_file", "/kubeconfig"),
        ("prometheus_server", ":2112"),
    ];
    Settings {
        address: (machine::address(number), 24),
        arguments: vec!["manager".to_owned()],
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    }
}
