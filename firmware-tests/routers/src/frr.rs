//! FRR: zebra, bgpd and bfdd of one router, asked through their vty sockets.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use viplet_lab::{Namespace, Process, Program, wait_until};

use crate::folder::Folder;
use crate::router::{Neighbour, Path, Router};
use crate::vty;
use crate::wires::Host;

/// FRR's three daemons in a host's namespace.
#[derive(Debug)]
pub struct Frr {
    folder: Folder,
    programs: PathBuf,
    zebra: Process,
    bgpd: Process,
    bfdd: Process,
    started: Instant,
}

/// A peer of bfdd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BfdPeer {
    /// Its address.
    pub peer: String,
    /// `up`, `down`, `init` or `shutdown`.
    pub status: String,
    /// What this side says (RFC 5880 §4.1), in FRR's words.
    pub diagnostic: String,
    /// What the other side says.
    pub remote_diagnostic: String,
    /// The other side's intervals and multiplier: receive and transmit in milliseconds.
    pub remote: [u64; 3],
}

impl Frr {
    /// Starts zebra, bgpd with this configuration (`router bgp 65001` and so on) and bfdd, and waits
    /// until they answer. `programs` is the folder of the daemons.
    pub fn start(programs: &std::path::Path, host: &Host, bgpd: &str) -> Self {
        Self::start_in(programs, &host.namespace, bgpd)
    }

    /// The same in a namespace that is no [`Host`].
    pub fn start_in(programs: &std::path::Path, namespace: &Namespace, bgpd: &str) -> Self {
        let folder = Folder::new(namespace.name());
        folder.write("zebra.conf", "");
        folder.write("bfdd.conf", "");
        let text = format!("{}\n", bgpd.trim_end());
        folder.write("bgpd.conf", &text);
        let daemon = |name: &str| start(programs, &folder, namespace, name);
        let zebra = daemon("zebra");
        answers(&folder, "zebra", &zebra);
        let bfdd = daemon("bfdd");
        let bgpd = daemon("bgpd");
        answers(&folder, "bfdd", &bfdd);
        answers(&folder, "bgpd", &bgpd);
        let programs = programs.to_owned();
        Self { folder, programs, zebra, bgpd, bfdd, started: Instant::now() }
    }

    /// Ends bgpd as a crash does and starts it again with the same configuration.
    pub fn restart_bgpd(&mut self, host: &Host) {
        self.bgpd.kill();
        self.bgpd = start(&self.programs, &self.folder, &host.namespace, "bgpd");
        answers(&self.folder, "bgpd", &self.bgpd);
    }

    /// bgpd's process: to freeze it, or to read its log.
    pub fn bgpd(&self) -> &Process {
        &self.bgpd
    }

    /// Asks bgpd a command (`show bgp summary json`); its text.
    pub fn ask(&self, command: &str) -> String {
        vty::ask(&self.socket("bgpd"), command).unwrap_or_default()
    }

    /// Configures bgpd: `router bgp 65001`, `neighbor …`.
    pub fn configure(&self, commands: &[&str]) {
        let all: Vec<&str> = ["configure terminal"].iter().chain(commands).copied().collect();
        let said = vty::ask_all(&self.socket("bgpd"), &all).expect("bgpd answers");
        assert!(!said.contains('%'), "bgpd on {commands:?}: {said}");
    }

    /// The sessions of bfdd.
    pub fn bfd_peers(&self) -> Vec<BfdPeer> {
        let answer = vty::ask_json(&self.socket("bfdd"), "show bfd peers json");
        let all = answer.as_array().cloned().unwrap_or_default();
        all.iter().map(bfd_peer).collect()
    }

    /// What zebra has put into the kernel for a prefix: how many next hops it uses.
    pub fn installed(&self, prefix: &str) -> usize {
        let family = if prefix.contains(':') { "ipv6" } else { "ip" };
        let answer =
            vty::ask_json(&self.socket("zebra"), &format!("show {family} route {prefix} json"));
        let routes = answer.get(prefix).and_then(Value::as_array).cloned().unwrap_or_default();
        let installed = routes.iter().filter(|route| route["installed"] == true);
        let hops = installed.filter_map(|route| route["nexthops"].as_array().cloned()).flatten();
        hops.filter(|hop| hop["fib"] == true).count()
    }

    fn socket(&self, daemon: &str) -> PathBuf {
        self.folder.path().join(format!("{daemon}.vty"))
    }

    fn neighbour_named(&self, name: &str) -> Option<Value> {
        let answer =
            vty::ask_json(&self.socket("bgpd"), &format!("show bgp neighbors {name} json"));
        answer.get(name).cloned()
    }

    /// The session over this interface (unnumbered).
    pub fn unnumbered(&self, link: &str) -> Option<Neighbour> {
        self.neighbour_named(link).as_ref().map(neighbour)
    }
}

impl Router for Frr {
    fn neighbour(&self, peer: IpAddr) -> Option<Neighbour> {
        self.neighbour_named(&peer.to_string()).as_ref().map(neighbour)
    }

    fn paths(&self, prefix: &str) -> Vec<Path> {
        let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
        let command = format!("show bgp {family} unicast {prefix} json");
        let answer = vty::ask_json(&self.socket("bgpd"), &command);
        let paths = answer.get("paths").and_then(Value::as_array).cloned().unwrap_or_default();
        paths.iter().map(path).collect()
    }

    fn report(&self) -> String {
        let commands = [
            "show bgp summary",
            "show bgp neighbors",
            "show bgp ipv4 unicast",
            "show bgp ipv6 unicast",
        ];
        let mut text: String = commands
            .iter()
            .map(|command| format!("---- {command} ----\n{}\n", self.ask(command)))
            .collect();
        let bfd = vty::ask(&self.socket("bfdd"), "show bfd peers").unwrap_or_default();
        text.push_str(&bfd);
        for process in [&self.zebra, &self.bgpd, &self.bfdd] {
            text.push_str(&process.annotated_log(self.started));
        }
        text
    }
}

fn start(
    programs: &std::path::Path,
    folder: &Folder,
    namespace: &Namespace,
    name: &str,
) -> Process {
    let program = Program::new(programs.join(name))
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .arg("--user")
        .arg("root")
        .arg("--group")
        .arg("root")
        .arg("--log")
        .arg("stdout")
        .arg("--log-level")
        .arg("informational")
        .arg("--config_file")
        .arg(&folder.file(&format!("{name}.conf")))
        .arg("--pid_file")
        .arg(&folder.file(&format!("{name}.pid")))
        .arg("--vty_socket")
        .arg(&folder.path().display().to_string())
        .arg("--vty_port")
        .arg("0");
    let program = match name {
        "bfdd" => program.arg("--bfdctl").arg(&folder.file("bfdd.sock")).arg("--socket"),
        _ => program.arg("--socket"),
    };
    program
        .arg(&folder.file("zserv.api"))
        .start(&format!("{name} of {}", namespace.name()), namespace)
}

fn answers(folder: &Folder, daemon: &str, process: &Process) {
    let socket = folder.path().join(format!("{daemon}.vty"));
    let up = std::panic::catch_unwind(|| {
        wait_until(&format!("{daemon} answers"), Duration::from_secs(20), || {
            vty::ask(&socket, "show version").is_ok()
        });
    });
    assert!(up.is_ok(), "{daemon} does not answer:\n{}", process.log());
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn neighbour(value: &Value) -> Neighbour {
    let families = value["addressFamilyInfo"].as_object();
    let prefixes = families
        .into_iter()
        .flat_map(|families| families.values())
        .filter_map(|family| family["acceptedPrefixCounter"].as_u64())
        .sum();
    let words = [
        "lastResetDueTo",
        "lastNotificationReason",
        "lastErrorCodeSubcode",
        "lastShutdownDescription",
    ];
    let said: Vec<String> =
        words.iter().map(|word| text(&value[*word])).filter(|word| !word.is_empty()).collect();
    Neighbour {
        state: text(&value["bgpState"]).to_lowercase(),
        prefixes,
        updates: value["messageStats"]["updatesRecv"].as_u64().unwrap_or_default(),
        last_error: said.join("; "),
    }
}

fn path(value: &Value) -> Path {
    let addresses = |list: &Value| -> Vec<IpAddr> {
        let hops = list.as_array().cloned().unwrap_or_default();
        hops.iter().filter_map(|hop| hop["ip"].as_str()?.parse().ok()).collect()
    };
    let words =
        |list: &Value| -> Vec<String> { list.as_array().into_iter().flatten().map(text).collect() };
    Path {
        from: value["peer"]["peerId"].as_str().and_then(|peer| peer.parse().ok()),
        next_hops: addresses(&value["nexthops"]),
        as_path: text(&value["aspath"]["string"]),
        communities: words(&value["community"]["list"]),
        large_communities: words(&value["largeCommunity"]["list"]),
        local_preference: value["locPrf"].as_u64(),
        med: value["metric"].as_u64().or_else(|| value["med"].as_u64()),
        stale: value["stale"] == true,
    }
}

fn bfd_peer(value: &Value) -> BfdPeer {
    let number = |field: &str| value[field].as_u64().unwrap_or_default();
    BfdPeer {
        peer: text(&value["peer"]),
        status: text(&value["status"]),
        diagnostic: text(&value["diagnostic"]),
        remote_diagnostic: text(&value["remote-diagnostic"]),
        remote: [
            number("remote-receive-interval"),
            number("remote-transmit-interval"),
            number("remote-detect-multiplier"),
        ],
    }
}
