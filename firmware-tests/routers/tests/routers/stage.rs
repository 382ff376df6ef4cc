//! The machines of most tests: an FRR and a node with the speaker on one segment.
//!
//! ```text
//!   frr  10.1.0.1  fd01::1  AS 65001        node  10.1.0.11  fd01::11  AS 65000
//!     ╘═══════════════════════ segment lan ═══════════════════════╛
//! ```

use std::net::IpAddr;
use std::time::Duration;

use viplet_lab::wait_until;
use viplet_routers::programs::Programs;
use viplet_routers::{Frr, Host, Path, Router, Wires};

/// How long a condition is awaited: long enough for a machine with much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The route that the speaker announces where nothing else is said.
pub(crate) const ROUTE: &str = "192.0.2.10/32";

/// Two machines on one segment.
pub(crate) struct Pair {
    /// The segment.
    pub(crate) wires: Wires,
    /// Where the router runs.
    pub(crate) router: Host,
    /// Where the speaker runs.
    pub(crate) node: Host,
}

impl Pair {
    /// Makes them.
    pub(crate) fn new() -> Self {
        let wires = Wires::new(&["lan"]);
        let (router, node) = (Host::router("frr"), Host::new("node"));
        wires.plug("lan", (&router, "eth0"), &["10.1.0.1/24", "fd01::1/64"]);
        wires.plug("lan", (&node, "eth0"), &["10.1.0.11/24", "fd01::11/64"]);
        Self { wires, router, node }
    }

    /// FRR on the router with the node as its IPv4 peer, and these lines for it.
    pub(crate) fn frr(&self, programs: &Programs, more: &str) -> Frr {
        start_frr(programs, &self.router, &configuration(&["10.1.0.11"], more))
    }
}

/// FRR with this configuration.
pub(crate) fn start_frr(programs: &Programs, host: &Host, bgpd: &str) -> Frr {
    Frr::start(programs.frr.as_ref().expect("checked by the trial"), host, bgpd)
}

/// AS 65001 with these peers in AS 65000, each with both families; `more` are lines in `router bgp`.
pub(crate) fn configuration(peers: &[&str], more: &str) -> String {
    let each =
        |line: &dyn Fn(&str) -> String| -> String { peers.iter().map(|peer| line(peer)).collect() };
    let known = each(&|peer| format!(" neighbor {peer} remote-as 65000\n"));
    let active = each(&|peer| format!("  neighbor {peer} activate\n"));
    format!(
        "router bgp 65001\n bgp router-id 10.1.0.1\n bgp log-neighbor-changes\n no bgp ebgp-requires-policy\n \
         no bgp default ipv4-unicast\n{known}{more}\n address-family ipv4 unicast\n  \
         maximum-paths 8\n{active} exit-address-family\n address-family ipv6 unicast\n  \
         maximum-paths 8\n{active} exit-address-family\n"
    )
}

/// Waits until the router has exactly this many paths to the prefix; the first of them.
#[track_caller]
pub(crate) fn await_paths(router: &dyn Router, prefix: &str, count: usize) -> Option<Path> {
    wait_until(&format!("{count} paths to {prefix}"), PATIENCE, || {
        router.paths(prefix).len() == count
    });
    router.paths(prefix).into_iter().next()
}

/// Waits until the router has the prefix from one peer, and not as a stale one.
#[track_caller]
pub(crate) fn await_route(router: &dyn Router, prefix: &str) -> Path {
    wait_until(&format!("a path to {prefix}"), PATIENCE, || {
        router.paths(prefix).first().is_some_and(|path| !path.stale)
    });
    router.paths(prefix).remove(0)
}

/// Waits until the session with this peer is up, or is not.
#[track_caller]
pub(crate) fn await_session(router: &dyn Router, peer: &str) {
    let address: IpAddr = peer.parse().expect("an address");
    wait_until(&format!("a session with {peer}"), PATIENCE, || {
        router.neighbour(address).is_some_and(|neighbour| neighbour.is_up())
    });
}
