//! What the demo's table shows and nobody else records: each node's own `/status`, and which
//! hardware address the client's kernel believes the address to be at.

use std::fs;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::cluster::METRICS;
use crate::http;
use crate::namespace::Namespace;
use crate::topology::Lab;

const ASKED_EVERY: Duration = Duration::from_millis(100);
const READ_EVERY: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_millis(250);

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// `following`, `holding`, …; none when it does not answer.
    pub(super) role: Option<String>,
    /// Milliseconds that its hold still lasts.
    pub(super) held_for: Option<u64>,
    /// Why.
    pub(super) reason: String,
}

/// Threads that look, each in its namespace, until dropped.
#[derive(Debug)]
pub(super) struct Observers {
    said: Vec<Arc<Mutex<Said>>>,
    believed: Arc<Mutex<Option<String>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Observers {
    /// Starts one on each node and one at the client.
    pub(super) fn start(lab: &Lab, address: IpAddr) -> Self {
        let (stop, mut threads) = (Arc::new(AtomicBool::new(false)), Vec::new());
        let mut said = Vec::new();
        for node in &lab.nodes {
            let (slot, thread) = repeat(&node.namespace, &stop, (ASKED_EVERY, ask));
            said.push(slot);
            threads.push(thread);
        }
        let (believed, thread) =
            repeat(&lab.client, &stop, (READ_EVERY, move || neighbour(address)));
        threads.push(thread);
        Self { said, believed, stop, threads }
    }

    /// What a node said last.
    pub(super) fn said(&self, node: usize) -> Said {
        self.said[node].lock().unwrap().clone()
    }

    /// The hardware address that the client would send to.
    pub(super) fn believed(&self) -> Option<String> {
        self.believed.lock().unwrap().clone()
    }
}

impl Drop for Observers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

type Watched<T> = (Arc<Mutex<T>>, JoinHandle<()>);

fn repeat<T: Default + Send + 'static>(
    namespace: &Namespace,
    stop: &Arc<AtomicBool>,
    (period, look): (Duration, impl Fn() -> T + Send + 'static),
) -> Watched<T> {
    let slot: Arc<Mutex<T>> = Arc::default();
    let (shared, stop) = (Arc::clone(&slot), Arc::clone(stop));
    let work = move || {
        while !stop.load(Ordering::Relaxed) {
            let seen = look();
            *shared.lock().unwrap() = seen;
            thread::sleep(period);
        }
    };
    (slot, namespace.run(move || thread::spawn(work)))
}

fn ask() -> Said {
    let answer = http::get_from_here(METRICS, "/status", PATIENCE);
    let status = answer.and_then(|answer| serde_json::from_str::<Value>(&answer.body).ok());
    status.map_or_else(Said::default, |status| said(&status))
}

fn said(status: &Value) -> Said {
    let lease = &status["leases"][0];
    // An address may have a reason of its own; else it is the lease's.
    let reason = status["addresses"][0]["reason"].as_str().or(lease["reason"].as_str());
    let left = lease["held_for"].as_f64().map(|left| Duration::from_secs_f64(left.max(0.0)));
    Said {
        role: lease["role"].as_str().map(str::to_owned),
        held_for: left.and_then(|left| u64::try_from(left.as_millis()).ok()),
        reason: reason.unwrap_or_default().to_owned(),
    }
}

/// The kernel's table has a line "10.77.0.100  0x1  0x2  02:11:22:33:44:55  *  eth0" for each neighbour.
fn neighbour(address: IpAddr) -> Option<String> {
    let table = fs::read_to_string("/proc/thread-self/net/arp").ok()?;
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let of_address = |fields: &Vec<&str>| fields.first() == Some(&address.to_string().as_str());
    let hardware = lines.into_iter().find(of_address)?.get(3).map(|text| (*text).to_owned())?;
    (hardware != "00:00:00:00:00:00").then_some(hardware)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_page_becomes_role_time_left_and_reason() {
        let page = serde_json::json!({
            "leases": [{"role": "holding", "held_for": 2.25, "reason": "this node holds the lease"}],
            "addresses": [{"reason": "being put on the link"}],
        });
        let expected = Said {
            role: Some("holding".to_owned()),
            held_for: Some(2_250),
            reason: "being put on the link".to_owned(),
        };
        assert_eq!(said(&page), expected);
        assert_eq!(said(&Value::Null), Said::default());
    }
}
