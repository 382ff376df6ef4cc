//! One node: its mounts, its pod network, and the programs that every node of a cluster runs. Each
//! node's namespace has mounts of its own, so that all programs keep their usual paths.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::mount::{MountFlags, mount};
use serde_json::{Value, json};
use viplet_lab::{Namespace, Process, Program, wait_until};

use crate::confine;
use crate::parts::Parts;

/// The pause image of every pod.
pub const PAUSE: &str = "registry.example/pause:1";
/// Where a program finds what it calls.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SOCKET: &str = "/run/containerd/containerd.sock";
/// Where kubelet looks for pods that no API server has to tell it of.
pub const STATIC_PODS: &str = "/etc/kubernetes/manifests";
const START: Duration = Duration::from_secs(30);

/// A node's programs.
#[derive(Debug)]
pub struct Machine {
    place: usize,
    parts: Parts,
    containerd: Process,
    kubelet: Option<Process>,
    proxy: Option<Process>,
}

/// What a node is told about its cluster.
pub(crate) struct Membership<'a> {
    /// kubelet's way to the API server.
    pub(crate) kubelet: &'a Path,
    /// kube-proxy's.
    pub(crate) proxy: &'a Path,
    /// The authority's certificate.
    pub(crate) authority: &'a Path,
}

/// A node's name.
pub fn name(place: usize) -> String {
    format!("n{}", place + 1)
}

/// The first two numbers of every pod's address, and the node's.
pub fn pod_network(place: usize) -> String {
    format!("10.244.{}.0/24", place + 1)
}

impl Machine {
    /// Arranges the node and starts containerd.
    pub(crate) fn new(place: usize, namespace: &Namespace, parts: &Parts) -> Self {
        let files = [
            ("/etc/containerd/config.toml", containerd_config(&parts.plugins)),
            ("/etc/cni/net.d/10-pods.conflist", pod_network_config(place).to_string()),
        ];
        namespace.run(move || {
            arrange_mounts().expect("the node's mounts");
            fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forwarding");
            for (file, text) in files {
                write(Path::new(file), &text);
            }
            fs::create_dir_all(STATIC_PODS).expect("a folder");
        });
        let containerd = Program::new(which("containerd"))
            .arg("--config=/etc/containerd/config.toml")
            .env("PATH", PATH)
            .start(&format!("{} containerd", name(place)), namespace);
        Self { place, parts: parts.clone(), containerd, kubelet: None, proxy: None }
    }

    /// Waits for containerd and gives it images.
    pub(crate) fn import(&mut self, namespace: &Namespace, archives: &[PathBuf]) {
        let what = format!("containerd on {} listens", name(self.place));
        wait_until(&what, START, || namespace.run(|| ctr(&["version"]).status.success()));
        for archive in archives {
            let file = archive.display().to_string();
            let output = namespace.run(move || ctr(&["images", "import", &file]));
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{}: {why}", archive.display());
        }
    }

    /// Starts kubelet and kube-proxy.
    pub(crate) fn join(&mut self, namespace: &Namespace, membership: &Membership<'_>) {
        let files = [
            ("/var/lib/kubelet/kubeconfig", membership.kubelet.to_owned()),
            ("/var/lib/kube-proxy/kubeconfig", membership.proxy.to_owned()),
            ("/etc/kubernetes/pki/ca.crt", membership.authority.to_owned()),
        ];
        let (kubelet, proxy) = (kubelet_config(self.place), proxy_config(self.place));
        namespace.run(move || {
            for (to, from) in files {
                write(Path::new(to), &fs::read_to_string(from).expect("a file of the cluster"));
            }
            write(Path::new("/var/lib/kubelet/config.yaml"), &kubelet.to_string());
            write(Path::new("/var/lib/kube-proxy/config.yaml"), &proxy.to_string());
        });
        self.start_kubelet(namespace);
        let program = self.part("kube-proxy").arg("--config=/var/lib/kube-proxy/config.yaml");
        self.proxy = Some(program.start(&format!("{} kube-proxy", name(self.place)), namespace));
    }

    /// Starts kubelet, in place of one that runs.
    pub(crate) fn start_kubelet(&mut self, namespace: &Namespace) {
        self.kubelet = None;
        let address = format!("--node-ip=10.77.0.{}", 11 + self.place);
        let program = self
            .part("kubelet")
            .arg("--config=/var/lib/kubelet/config.yaml")
            .arg("--kubeconfig=/var/lib/kubelet/kubeconfig")
            .arg(&format!("--hostname-override={}", name(self.place)))
            .arg(&address);
        let process = program.start(&format!("{} kubelet", name(self.place)), namespace);
        self.kubelet = Some(process);
    }

    /// The last words of its programs.
    pub fn last_words(&self) -> String {
        let all = [Some(&self.containerd), self.kubelet.as_ref(), self.proxy.as_ref()];
        all.into_iter().flatten().map(last_words).collect()
    }

    fn part(&self, part: &str) -> Program {
        Program::new(&self.parts.kubernetes).arg(part).env("PATH", PATH).env("HOME", "/root")
    }
}

/// The end of a program's log.
pub(crate) fn last_words(process: &Process) -> String {
    let log = process.annotated_log(process.started);
    let lines: Vec<&str> = log.lines().collect();
    let tail = &lines[lines.len().saturating_sub(25).max(1.min(lines.len()))..];
    format!("{}\n{}\n", lines.first().unwrap_or(&""), tail.join("\n"))
}

/// What a command would be run from.
pub(crate) fn which(command: &str) -> PathBuf {
    let folders = std::env::split_paths(PATH).map(|folder| folder.join(command));
    folders.into_iter().find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(command))
}

/// Runs `ctr` on Kubernetes' containers, on the node of the calling thread.
pub(crate) fn ctr(arguments: &[&str]) -> Output {
    let mut command = Command::new("ctr");
    command.args(["--address", SOCKET, "--namespace", "k8s.io"]).args(arguments);
    command.stdin(Stdio::null()).output().expect("ctr runs")
}

/// Fresh folders where Kubernetes writes, in the mount namespace of the calling thread. `/etc` and
/// `/var` stay readable below what is written over them.
fn arrange_mounts() -> std::io::Result<()> {
    confine::tmpfs("/run")?;
    for folder in ["/etc", "/var"] {
        let [upper, work] = ["upper", "work"].map(|part| format!("/run/overlay{folder}/{part}"));
        fs::create_dir_all(&upper)?;
        fs::create_dir_all(&work)?;
        let data = format!("lowerdir={folder},upperdir={upper},workdir={work}");
        let data = std::ffi::CString::new(data)?;
        mount("viplet-cluster", folder, "overlay", MountFlags::empty(), data.as_c_str())?;
    }
    // An overlay cannot lie on another one: containers need a plain file system.
    for folder in ["/var/lib/containerd", "/var/lib/kubelet"] {
        fs::create_dir_all(folder)?;
        confine::tmpfs(folder)?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    fs::write(file, text).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
}

fn containerd_config(plugins: &Path) -> String {
    format!(
        "version = 2\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\n\
         sandbox_image = \"{PAUSE}\"\n\
         restrict_oom_score_adj = true\n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\n\
         bin_dir = \"{}\"\n\
         conf_dir = \"/etc/cni/net.d\"\n",
        plugins.display()
    )
}

fn pod_network_config(place: usize) -> Value {
    json!({
        "cniVersion": "0.4.0", "name": "pods",
        "plugins": [{
            "type": "bridge", "bridge": "pods", "isGateway": true, "hairpinMode": true,
            "ipam": {
                "type": "host-local", "ranges": [[{"subnet": pod_network(place)}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

fn kubelet_config(place: usize) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false}, "webhook": {"enabled": false},
            "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        "staticPodPath": STATIC_PODS,
        "failCgroupV1": false, "cgroupDriver": "cgroupfs", "cgroupsPerQOS": false,
        "cgroupRoot": format!("/{}/{}", confine::cgroup(), name(place)),
        "enforceNodeAllocatable": [],
        "evictionHard": {
            "memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
            "imagefs.available": "0%", "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": false,
        "resolvConf": "",
    })
}

fn proxy_config(place: usize) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": "/var/lib/kube-proxy/kubeconfig"},
        "hostnameOverride": name(place),
        "clusterCIDR": "10.244.0.0/16",
        "conntrack": {"maxPerCore": 0, "min": 0},
    })
}
