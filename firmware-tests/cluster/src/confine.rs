//! A cage for all that a cluster starts. Containers outlive who made them, so the program runs itself
//! again in a PID namespace, with mounts of its own: what is in there ends with it, whatever happens.
//! Only cgroups are outside; the process that waits removes them.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread;

use async_signal::{Signal, Signals};
use futures_lite::{StreamExt as _, future::block_on};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{WaitOptions, getpid, getuid, wait};

/// Which of the three processes this is.
const STAGE: &str = "VIPLET_CLUSTER_STAGE";
/// The cgroup below which all containers are, as a path without the leading `/`.
const CGROUP: &str = "VIPLET_CLUSTER_CGROUP";
/// What those are called, before the outer process' id.
const GROUPS: &str = "viplet-cluster-";
/// Temporary files of the inner process: a tmpfs.
const SCRATCH: &str = "/mnt";

/// Runs `body` inside. Call it first in `main`, before any thread exists.
pub fn run(body: impl FnOnce() -> ExitCode) -> ExitCode {
    match std::env::var(STAGE).as_deref() {
        Ok("init") => init(),
        Ok(_) => body(),
        Err(_) => outside(),
    }
}

/// The cgroup that this cluster's containers go below.
pub fn cgroup() -> String {
    std::env::var(CGROUP).expect("confine::run has set it")
}

/// Whether this machine lets us: root only, since kubelets want cgroups.
///
/// # Errors
/// What is missing, for a person.
pub fn allowed() -> Result<(), String> {
    if !getuid().is_root() {
        return Err("kubelet and containerd need root".to_owned());
    }
    let mut trial = Command::new("unshare");
    trial.args(["--mount", "--net", "--pid", "--fork", "true"]).stderr(Stdio::null());
    match trial.status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(
            "namespaces are refused here, to root too: in a container, run it with --privileged"
                .to_owned(),
        ),
    }
}

/// Starts the inner process, waits for it, and removes what is left of cgroups.
fn outside() -> ExitCode {
    remove_what_others_left();
    let group = format!("{GROUPS}{}", getpid().as_raw_nonzero());
    let signals = Signals::new([Signal::Int, Signal::Term, Signal::Hup]).expect("signals");
    let own = std::env::current_exe().expect("our own path");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"]);
    command.arg(own).args(std::env::args_os().skip(1));
    command.env(STAGE, "init").env(CGROUP, &group).stdin(Stdio::piped());
    let mut child = command.spawn().expect("unshare runs");
    let cage = child.stdin.take();
    // The inner process ends when nobody holds the other end of its standard input.
    thread::spawn(move || {
        let mut signals = signals;
        block_on(signals.next());
        drop(cage);
    });
    let status = child.wait();
    remove_cgroups(&group);
    status.map_or(ExitCode::FAILURE, code)
}

fn code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The first process of the PID namespace: starts the real one and reaps what others leave behind.
#[expect(clippy::zombie_processes, reason = "it waits for every child, this one among them")]
fn init() -> ExitCode {
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(130);
    });
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .expect("private mounts");
    tmpfs(SCRATCH).expect("a tmpfs for temporary files");
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut command = Command::new(std::env::current_exe().expect("our own path"));
    command.args(arguments).env(STAGE, "inside").env("TMPDIR", SCRATCH).stdin(Stdio::null());
    let child = command.spawn().expect("the inner process starts");
    let id = i32::try_from(child.id()).ok();
    loop {
        let Ok(Some((ended, status))) = wait(WaitOptions::empty()) else {
            return ExitCode::FAILURE;
        };
        if Some(ended.as_raw_nonzero().get()) == id {
            return status
                .exit_status()
                .and_then(|code| u8::try_from(code).ok())
                .map_or(ExitCode::FAILURE, ExitCode::from);
        }
    }
}

/// Puts a fresh tmpfs over a folder, for this mount namespace only.
///
/// # Errors
/// The kernel refuses.
pub fn tmpfs(folder: impl AsRef<Path>) -> std::io::Result<()> {
    let data = c"mode=755";
    Ok(mount("viplet-cluster", folder.as_ref(), "tmpfs", MountFlags::empty(), data)?)
}

/// Where a controller's or the unified hierarchy is mounted.
fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    below.filter(|path| path.is_dir()).chain([root.to_owned()]).collect()
}

fn remove_cgroups(group: &str) {
    for hierarchy in hierarchies() {
        remove_tree(&hierarchy.join(group));
    }
}

/// An outer process that was killed could remove nothing.
fn remove_what_others_left() {
    let entries = hierarchies().into_iter().filter_map(|path| fs::read_dir(path).ok()).flatten();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(GROUPS));
        if id.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            remove_tree(&entry.path());
        }
    }
}

/// Cgroups are removed from their leaves on; files in them cannot and need not be.
fn remove_tree(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}
