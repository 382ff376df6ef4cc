//! The programs that a cluster is made of, or the reason why there is none here.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Commands that are looked for in `PATH`, each with the Debian package that has it.
const COMMANDS: [(&str, &str); 6] = [
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("conntrack", "conntrack"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
];
/// Where distributions put CNI's plugins.
const PLUGINS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// All programs.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Controller manager, scheduler, kubelet, kube-proxy and kubectl in one.
    pub kubernetes: PathBuf,
    /// The web server of the pods, which is their pause program too.
    pub web: PathBuf,
    /// The folder of CNI's plugins.
    pub plugins: PathBuf,
    /// viplet's image: an archive for `ctr images import`.
    pub image: PathBuf,
    /// kube-vip, where `KUBE_VIP` names it.
    pub kube_vip: Option<PathBuf>,
}

impl Parts {
    /// Looks for all of them. Never builds one.
    ///
    /// # Errors
    /// What is missing and how to get it.
    pub fn find() -> Result<Self, String> {
        for (command, package) in COMMANDS {
            if !in_path(command) {
                return Err(format!("the command {command} is missing (Debian: {package})"));
            }
        }
        let plugins = PLUGINS.iter().map(Path::new).find(|folder| folder.join("bridge").exists());
        let plugins =
            plugins.ok_or("CNI's plugins are missing (Debian: containernetworking-plugins)")?;
        ask("")?;
        Ok(Self {
            kubernetes: ask("--kubernetes")?,
            web: ask("--web")?,
            plugins: plugins.to_owned(),
            image: image()?,
            kube_vip: kube_vip(),
        })
    }
}

/// The archive that `VIPLET_IMAGE` names, or the one that `scripts/test` makes.
fn image() -> Result<PathBuf, String> {
    let made = || root().join("target/image/cluster.tar");
    let image = std::env::var_os("VIPLET_IMAGE").map_or_else(made, PathBuf::from);
    let how = "scripts/image --arch host --name registry.example/viplet:0.1.0 --output target/image/cluster.tar";
    match image.is_file() {
        true => Ok(image),
        false => Err(format!("there is no image of viplet: {how} makes one")),
    }
}

/// The kube-vip binary that the environment names.
pub fn kube_vip() -> Option<PathBuf> {
    std::env::var_os("KUBE_VIP").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn in_path(command: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(command).exists())
    })
}

/// What `scripts/kube-apiserver` has built.
fn ask(option: &str) -> Result<PathBuf, String> {
    let script = root().join("scripts/kube-apiserver");
    let options = ["--find", option];
    let output = Command::new(&script).args(options.iter().filter(|one| !one.is_empty())).output();
    let output = output.map_err(|error| format!("{} cannot be run: {error}", script.display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(PathBuf::from(text(&output.stdout))),
        false => Err(text(&output.stderr)),
    }
}

/// The project's root folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    here.canonicalize().expect("the project's root")
}
