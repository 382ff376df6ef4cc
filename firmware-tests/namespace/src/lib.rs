//! A network namespace per test: the test starts its own binary again under `unshare`, where
//! nothing but `lo` exists, and runs its body there. Works as root and in a user namespace.
//! Shared by the tests of `backends/*` that need the real kernel.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const INSIDE: &str = "VIPLET_TEST_NAMESPACE";
/// Patience for conditions that the kernel fulfils by itself.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `body` in a fresh network namespace; `test` is the test function's path in its binary.
pub fn in_namespace(test: &str, body: impl FnOnce()) {
    in_namespace_after(test, &[], body);
}

/// As [`in_namespace`], with more commands in front of the binary (`setpriv ...`).
pub fn in_namespace_after(test: &str, front: &[&str], body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let Some(unshare) = unshare() else {
        let why = "needs root or user namespaces, and the commands unshare and ip";
        // Not println!, which the test harness would keep to itself.
        let _ = std::io::stdout().write_all(format!("SKIPPED: {test}: {why}\n").as_bytes());
        return;
    };
    let (program, arguments) = unshare.split_first().unwrap();
    let outcome = Command::new(program)
        .args(arguments)
        .args(front)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&outcome.stdout);
    let err = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "in the namespace:\n{out}\n{err}");
    assert!(out.contains("1 passed"), "{test} is no test of this binary:\n{out}");
}

fn unshare() -> Option<Vec<&'static str>> {
    let ways = [vec!["unshare", "-n"], vec!["unshare", "-rn"]];
    ways.into_iter().find(|way| {
        let (program, arguments) = way.split_first().unwrap();
        let tried = Command::new(program).args(arguments).args(["ip", "link"]).output();
        tried.is_ok_and(|output| output.status.success())
    })
}

/// Runs `ip` with the words of `line`, which must succeed; returns what it prints.
pub fn ip(line: &str) -> String {
    let output = Command::new("ip").args(line.split_whitespace()).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {line}: {err}");
    String::from_utf8(output.stdout).unwrap()
}

/// Sets a sysctl of this namespace.
pub fn sysctl(name: &str, value: &str) {
    let path = Path::new("/proc/sys").join(name.replace('.', "/"));
    std::fs::write(path, value).unwrap();
}

/// `left` and `right`: two Ethernet links joined by a cable, up, without IPv6 duplicate
/// detection.
pub fn cable() {
    ip("link set lo up");
    ip(
        "link add left address 02:00:00:00:00:01 type veth peer name right address 02:00:00:00:00:02",
    );
    for link in ["left", "right"] {
        sysctl(&format!("net.ipv6.conf.{link}.accept_dad"), "0");
        ip(&format!("link set {link} up"));
    }
    eventually("left is up", || ip("link show left").contains("state UP"));
}

/// Waits until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A waker that remembers that it was called.
#[derive(Debug, Default)]
pub struct Woken(pub AtomicBool);

impl std::task::Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A second station: a process of its own in a network namespace of its own.
#[derive(Debug)]
pub struct Station(std::process::Child);

impl Station {
    /// Moves `link` to it, and brings the link up there.
    pub fn with(link: &str) -> Self {
        let child = Command::new("unshare").args(["-n", "sleep", "600"]).spawn().unwrap();
        let station = Self(child);
        let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net"));
        let process = station.0.id().to_string();
        eventually("the station has its namespace", || {
            namespace(&process).unwrap() != namespace("self").unwrap()
        });
        ip(&format!("link set {link} netns {process}"));
        station.ip(&format!("link set {link} up"));
        station
    }

    /// Runs `ip` there.
    pub fn ip(&self, line: &str) -> String {
        self.run("ip", &line.split_whitespace().collect::<Vec<_>>())
    }

    /// Sets a sysctl under `net` there.
    pub fn sysctl(&self, name: &str, value: &str) {
        let path = format!("/proc/sys/net/{}", name.replace('.', "/"));
        self.run("sh", &["-c", &format!("echo {value} > {path}")]);
    }

    /// A program there, not yet started.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.0.id().to_string(), "-n"]).arg(program);
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {err}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
