//! GoBGP of one router, asked through its own command over gRPC in the router's namespace.

use std::net::IpAddr;
use std::path::{Path as FilePath, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use viplet_lab::{Namespace, Process, Program, wait_until};

use crate::folder::Folder;
use crate::router::{Neighbour, Path, Router};
use crate::wires::Host;

/// gobgpd in a host's namespace. It installs no routes.
#[derive(Debug)]
pub struct GoBgp<'a> {
    _folder: Folder,
    command: PathBuf,
    namespace: &'a Namespace,
    process: Process,
    started: Instant,
}

impl<'a> GoBgp<'a> {
    /// Starts it with this configuration (TOML) and waits until it answers. `programs` is the folder
    /// of gobgpd and gobgp.
    pub fn start(programs: &FilePath, host: &'a Host, configuration: &str) -> Self {
        let folder = Folder::new(host.name);
        let path = folder.write("gobgpd.toml", configuration);
        let process = Program::new(programs.join("gobgpd"))
            .env("HOME", &folder.path().display().to_string())
            .env("GOMEMLIMIT", "64MiB")
            .arg("--config-file")
            .arg(&path)
            .arg("--api-hosts")
            .arg("127.0.0.1:50051")
            .arg("--pprof-disable")
            .start(&format!("gobgpd of {}", host.name), &host.namespace);
        let router = Self {
            _folder: folder,
            command: programs.join("gobgp"),
            namespace: &host.namespace,
            process,
            started: Instant::now(),
        };
        wait_until("GoBGP answers", Duration::from_secs(30), || {
            router.ask("global").contains("router-id") || router.ask("global").contains("asn")
        });
        router
    }

    /// `gobgp -j ARGUMENTS`: what it printed.
    pub fn ask(&self, arguments: &str) -> String {
        let mut command = Command::new(&self.command);
        command.args(["-u", "127.0.0.1", "-p", "50051", "-j"]).args(arguments.split_whitespace());
        let output = self.namespace.run(move || command.output());
        output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default()
    }

    fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.ask(arguments)).unwrap_or(Value::Null)
    }

    /// Its process: to freeze it, or to read its log.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// SESSION_STATE of GoBGP's API.
const STATES: [&str; 7] =
    ["unspecified", "idle", "connect", "active", "opensent", "openconfirm", "established"];

impl Router for GoBgp<'_> {
    fn neighbour(&self, peer: IpAddr) -> Option<Neighbour> {
        let answer = self.json("neighbor");
        let address = peer.to_string();
        let found = answer
            .as_array()?
            .iter()
            .find(|one| {
                one["conf"]["neighbor_address"] == address.as_str()
                    || one["state"]["neighbor_address"] == address.as_str()
            })?
            .clone();
        let state = &found["state"]["session_state"];
        let number = state.as_u64().and_then(|state| usize::try_from(state).ok());
        let families = found["afi_safis"].as_array().cloned().unwrap_or_default();
        Some(Neighbour {
            state: STATES.get(number.unwrap_or_default()).copied().unwrap_or_default().to_owned(),
            prefixes: families
                .iter()
                .filter_map(|family| family["state"]["received"].as_u64())
                .sum(),
            updates: found["state"]["messages"]["received"]["update"].as_u64().unwrap_or_default(),
            last_error: found["state"]["disconnect_message"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        })
    }

    fn paths(&self, prefix: &str) -> Vec<Path> {
        let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
        let answer = self.json(&format!("global rib {prefix} -a {family}"));
        let paths = answer.get(prefix).and_then(Value::as_array).cloned().unwrap_or_default();
        paths.iter().map(path).collect()
    }

    fn report(&self) -> String {
        format!(
            "{}\n{}\n{}",
            self.ask("neighbor"),
            self.ask("global rib"),
            self.process.annotated_log(self.started)
        )
    }
}

/// Path attributes by their type codes (RFC 4271, 1997, 8092, 4760).
fn path(value: &Value) -> Path {
    let mut path = Path {
        from: value["peer-address"].as_str().and_then(|from| from.parse().ok()),
        stale: value["stale"] == true,
        ..Path::default()
    };
    for attribute in value["attrs"].as_array().into_iter().flatten() {
        let value = &attribute["value"];
        match attribute["type"].as_u64() {
            Some(2) => path.as_path = as_path(attribute),
            Some(3 | 14) => path.next_hops.extend(next_hop(attribute)),
            Some(4) => path.med = attribute["metric"].as_u64(),
            Some(5) => path.local_preference = value.as_u64(),
            Some(8) => path.communities = numbers(&attribute["communities"]),
            Some(32) => path.large_communities = large(value),
            _ => {}
        }
    }
    path
}

fn next_hop(attribute: &Value) -> Option<IpAddr> {
    attribute["nexthop"].as_str()?.parse().ok()
}

fn as_path(attribute: &Value) -> String {
    let segments = attribute["as_paths"].as_array().into_iter().flatten();
    let all = segments.filter_map(|segment| segment["asns"].as_array()).flatten();
    all.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn numbers(list: &Value) -> Vec<String> {
    let all = list.as_array().into_iter().flatten().filter_map(Value::as_u64);
    all.map(|one| format!("{}:{}", one >> 16, one & 0xffff)).collect()
}

fn large(list: &Value) -> Vec<String> {
    let all = list.as_array().into_iter().flatten();
    all.map(|one| format!("{}:{}:{}", one["ASN"], one["LocalData1"], one["LocalData2"])).collect()
}
