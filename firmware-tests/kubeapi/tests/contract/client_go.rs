//! client-go's own leader election works against the real kube-apiserver: the rival of our election
//! in the lab is sound, and our idea of its behaviour is right.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use viplet_kubeapi::real::{Program, RealOptions, RealServer, find_candidate};
use viplet_kubeapi::timed;

use crate::WhereMissing;

const PATIENCE: Duration = Duration::from_secs(20);
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/contested";

/// One test; without a real API server or a candidate it is skipped, or fails where it is required.
pub(crate) fn trial(where_missing: WhereMissing, arguments: &Arguments) -> Trial {
    let name = "a released lease passes to the other client-go candidate";
    match Program::find().err().or(find_candidate().err()) {
        None => Trial::test(name, move || {
            timed(name, a_released_lease_passes_to_the_other_candidate);
            Ok(())
        }),
        Some(why) if where_missing == WhereMissing::Fail => {
            let why = format!("VIPLET_REQUIRE_REAL=1, but {why}");
            Trial::test(name, move || Err(Failed::from(why)))
        }
        Some(why) => {
            if !arguments.list {
                println!("SKIPPED: {name}: {why}");
            }
            Trial::test(name, || Ok(())).with_ignored_flag(true)
        }
    }
}

/// A running candidate; killed when it is dropped.
struct Candidate {
    child: Child,
    events: Receiver<Value>,
}

impl Candidate {
    fn start(kubeconfig: &Path, identity: &str) -> Self {
        let mut child = Command::new(find_candidate().unwrap())
            .arg("-kubeconfig")
            .arg(kubeconfig)
            .args(["-name", "contested", "-identity", identity])
            .args(["-lease-duration", "3s", "-renew-deadline", "2s", "-retry-period", "200ms"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, events }
    }

    /// Waits for an event of this name.
    fn tells(&self, name: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let event =
                self.events.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let event = event.unwrap_or_else(|_| panic!("no {name}"));
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Tells it to stop, and waits for its exit code.
    fn stop(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn a_released_lease_passes_to_the_other_candidate() {
    let options = RealOptions::at("127.0.0.1:0".parse().unwrap());
    let server = RealServer::start(&options).unwrap();
    let kubeconfig = server.kubeconfig("candidates", &["system:masters"], None).unwrap();
    let holder = || server.admin().get(LEASE).unwrap().body["spec"]["holderIdentity"].clone();

    let mut first = Candidate::start(&kubeconfig, "first");
    first.tells("started-leading");
    let mut second = Candidate::start(&kubeconfig, "second");
    assert_eq!(second.tells("new-leader")["leader"], "first");
    assert_eq!(holder(), "first");

    assert_eq!(first.stop(), Some(0));
    assert_eq!(first.tells("stopped-leading")["identity"], "first");
    second.tells("started-leading");
    assert_eq!(holder(), "second");
    // client-go gives up the release if a renewal is under way: whose the Lease is then is open.
    assert_eq!(second.stop(), Some(0));
}
