//! The speaker under test: the example of viplet's BGP backend, in a host's namespace.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use viplet_lab::{Process, Program};
use viplet_routers::Host;

/// What it is told.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    settings: Vec<(String, String)>,
    addresses: Vec<String>,
}

impl Setup {
    /// AS 65000 with these peers (`bgp_peers`), announcing 192.0.2.10; hold time 90 s.
    pub(crate) fn new(peers: &str) -> Self {
        let empty = Self { settings: Vec::new(), addresses: vec!["192.0.2.10".to_owned()] };
        empty
            .with("bgp_as", "65000")
            .with("bgp_peers", peers)
            .with("bgp_hold_time", "90")
            .with("bgp_keepalive_interval", "30")
    }

    /// With a setting of this name; a later value replaces an earlier one.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Announcing these addresses instead.
    pub(crate) fn announcing(mut self, addresses: &[&str]) -> Self {
        self.addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        self
    }

    /// Starts it.
    pub(crate) fn start(&self, host: &Host) -> Speaker {
        let mut program = Program::new(binary());
        for argument in self.arguments() {
            program = program.arg(&argument);
        }
        let process = program.start(&format!("speaker of {}", host.name), &host.namespace);
        Speaker { process, started: Instant::now() }
    }
}

impl Setup {
    /// As the example takes them.
    fn arguments(&self) -> Vec<String> {
        let settings = self.settings.iter().map(|(name, value)| format!("set:{name}={value}"));
        settings.chain(["lo".to_owned()]).chain(self.addresses.iter().cloned()).collect()
    }
}

/// A running speaker; killed when dropped.
#[derive(Debug)]
pub(crate) struct Speaker {
    process: Process,
    started: Instant,
}

impl Speaker {
    /// A planned stop: SIGTERM, and waits for the end.
    pub(crate) fn stop(&mut self) {
        self.process.signal(Signal::TERM);
        let (status, _) = self.process.wait(Duration::from_secs(20));
        assert!(status.success(), "{status}:\n{}", self.process.log());
    }

    /// A crash.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Whether a line of what it printed has all `parts`, whatever their case.
    pub(crate) fn said(&self, parts: &[&str]) -> bool {
        let log = self.process.log().to_lowercase();
        log.lines().any(|line| parts.iter().all(|part| line.contains(&part.to_lowercase())))
    }

    /// What it printed.
    pub(crate) fn report(&self) -> String {
        self.process.annotated_log(self.started)
    }
}

/// The example `speaker` that cargo has built beside us.
fn binary() -> PathBuf {
    if let Some(given) = std::env::var_os("VIPLET_SPEAKER") {
        return PathBuf::from(given);
    }
    let here = std::env::current_exe().expect("our own path");
    let folder = here.ancestors().nth(2).expect("the folder of builds");
    folder.join("examples/speaker")
}
