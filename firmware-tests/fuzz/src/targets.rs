//! What is fuzzed, and what must hold for any bytes.

use std::collections::BTreeMap;

use viplet_backend_api::Given;
use viplet_bgp::settings::{File, Reading, declare};

use crate::{bfd, settings};

/// One thing to fuzz.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Sound messages, from which cases are made.
    pub corpus: Vec<Vec<u8>>,
    /// Panics where something does not hold that must.
    pub run: fn(&[u8]),
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Target> {
    let messages = hex(include_str!("../corpus/bgp-messages.hex"));
    let sessions = hex(include_str!("../corpus/bgp-session.hex"));
    let packets = hex(include_str!("../corpus/bfd-packet.hex"));
    let bfd_sessions = hex(include_str!("../corpus/bfd-session.hex"));
    let bgp_settings = lines(include_str!("../corpus/bgp-settings.txt"));
    let arp = hex(include_str!("../corpus/arp-ndp.hex"));
    let netlink = hex(include_str!("../corpus/netlink.hex"));
    let objects = lines(include_str!("../corpus/objects.json"));
    let watches = watches(&objects);
    let kubeconfigs = paragraphs(include_str!("../corpus/kubeconfig.txt"));
    let all_settings = paragraphs(include_str!("../corpus/settings.txt"));
    vec![
        Target { name: "bgp-messages", corpus: messages, run: viplet_bgp::fuzz::framing },
        Target { name: "bgp-session", corpus: sessions, run: viplet_bgp::fuzz::session },
        Target { name: "bfd-packet", corpus: packets, run: bfd::packet },
        Target { name: "bfd-session", corpus: bfd_sessions, run: bfd::session },
        Target { name: "bgp-settings", corpus: bgp_settings, run: bgp },
        Target { name: "arp-ndp", corpus: arp, run: viplet_arp::fuzz::frame },
        Target { name: "netlink", corpus: netlink, run: viplet_netlink::fuzz::messages },
        Target { name: "objects", corpus: objects, run: viplet::kube::fuzz::object },
        Target { name: "watch", corpus: watches, run: viplet::kube::fuzz::watch },
        Target { name: "kubeconfig", corpus: kubeconfigs, run: viplet::kube::fuzz::kubeconfig },
        Target { name: "settings", corpus: all_settings, run: settings::load_from },
    ]
}

/// Each line is a case.
fn lines(text: &str) -> Vec<Vec<u8>> {
    text.lines().map(|line| line.as_bytes().to_vec()).collect()
}

/// What stands between two lines of `===` is a case.
fn paragraphs(text: &str) -> Vec<Vec<u8>> {
    text.split("===\n").map(|part| part.as_bytes().to_vec()).collect()
}

/// Bodies of watches: two events of different objects, cut into pieces of 64 bytes.
fn watches(objects: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let line = |kind: &str, object: &[u8]| {
        let object = String::from_utf8_lossy(object);
        format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
    };
    let pair = |(one, other): (&Vec<u8>, &Vec<u8>)| {
        format!("@{}{}", line("ADDED", one), line("DELETED", other)).into_bytes()
    };
    objects.iter().zip(objects.iter().skip(1)).map(pair).collect()
}

/// Lines of hexadecimal digits; what follows a `#` is a comment.
fn hex(text: &str) -> Vec<Vec<u8>> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let bytes = |line: &str| -> Vec<u8> {
        let digits: Vec<u32> = line.chars().filter_map(|c| c.to_digit(16)).collect();
        let pairs = digits.as_chunks::<2>().0.iter();
        pairs.filter_map(|[high, low]| u8::try_from(high << 4 | low).ok()).collect()
    };
    lines.map(bytes).filter(|line| !line.is_empty()).collect()
}

/// Settings, a tab between two; `@` before a name makes it an annotation of the node.
fn bgp(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut given = BTreeMap::new();
    let mut annotations = BTreeMap::new();
    for item in text.split('\t') {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        if let Some(annotation) = name.strip_prefix('@') {
            annotations.insert(annotation.to_owned(), value.to_owned());
        } else if let Some(name) = NAMES.iter().find(|known| **known == name) {
            given.insert(*name, value.to_owned());
        }
    }
    let given = Given(given);
    let files = |_: &str| Ok(File::Text("secret".to_owned()));
    let reading = declare(&given).and_then(|one| one.resolve(Some(&annotations), &files));
    match reading {
        Ok(Reading::Ready(settings)) => {
            assert!(!settings.peers.is_empty(), "settings without a peer");
            assert!(settings.local_as != 0, "AS number 0");
            let names: std::collections::BTreeSet<_> =
                settings.peers.iter().map(viplet_bgp::settings::Peer::name).collect();
            assert_eq!(names.len(), settings.peers.len(), "a peer twice");
        }
        Ok(Reading::Waiting(missing)) => assert!(!missing.is_empty(), "waits for nothing"),
        Err(wrong) => {
            assert!(wrong.iter().all(|one| one.why.contains("accepted: ")), "{wrong:?}");
        }
    }
}

const NAMES: &[&str] = &[
    "bgp_as",
    "bgp_routerid",
    "bgp_routerinterface",
    "bgp_peers",
    "bgp_peeraddress",
    "bgp_peeras",
    "bgp_peerpass",
    "bgp_multihop",
    "bgp_sourceip",
    "bgp_sourceif",
    "bgp_hold_time",
    "bgp_keepalive_interval",
    "mpbgp_nexthop",
    "mpbgp_ipv4",
    "mpbgp_ipv6",
    "annotation",
    "bgp_communities",
    "bgp_large_communities",
    "bgp_local_preference",
    "bgp_med",
    "bgp_as_path_prepend",
    "bgp_graceful_restart_seconds",
    "bgp_graceful_shutdown",
    "bgp_listen_port",
    "bgp_ttl_security",
    "bgp_password_file",
];
