//! Settings from a node's annotations, as Equinix Metal writes them, in both generations:
//! `<prefix>/peer-ip` and `<prefix>/bgp-peers-<n>-peer-ip`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::read::{MULTIHOP_TTL, new_peer};
use super::reader::Findings;
use super::{Distance, Password, Peer, RemoteAs, RouterId, peer};

const SETTING: &str = "annotation";
/// `<n>` beyond this is not looked at.
const MOST: u16 = 1024;

/// What the annotations say.
pub(super) enum Found {
    /// These that must be there are not, by the first of their names.
    Missing(Vec<String>),
    /// All; what cannot be taken was refused.
    All(Node),
}

/// What the annotations replace of the settings.
pub(super) struct Node {
    pub(super) local_as: u32,
    /// Of the address `src-ip`, which is our source too.
    pub(super) router_id: RouterId,
    pub(super) source: Option<IpAddr>,
    pub(super) peers: Vec<Peer>,
}

/// The annotations under one prefix.
struct Annotations<'a> {
    prefix: &'a str,
    all: &'a BTreeMap<String, String>,
    /// Each `<n>` that has a peer, in order; at first that without a number.
    generations: Vec<Option<u16>>,
}

pub(super) fn read(found: &mut Findings, prefix: &str, all: &BTreeMap<String, String>) -> Found {
    let annotations = Annotations::new(prefix, all);
    let missing = annotations.missing();
    if !missing.is_empty() {
        return Found::Missing(missing);
    }
    let number = "1 to 4294967295";
    let local_as = annotations.value(found, (None, "node-asn"), number);
    if local_as == Some(0) {
        refuse(found, &annotations.name(None, "node-asn"), number);
    }
    let source = annotations.value(found, (None, "src-ip"), "an IP address");
    let router_id = match source {
        Some(IpAddr::V4(v4)) => RouterId::Fixed(v4),
        _ => RouterId::Automatic,
    };
    let peers = annotations.peers(found);
    Found::All(Node { local_as: local_as.unwrap_or(0), router_id, source, peers })
}

fn refuse(found: &mut Findings, name: &str, accepted: &str) {
    found.refuse(SETTING, format!("the node's {name} cannot be taken; accepted: {accepted}"));
}

impl<'a> Annotations<'a> {
    fn new(prefix: &'a str, all: &'a BTreeMap<String, String>) -> Self {
        let start = format!("{prefix}/bgp-peers-");
        let numbers: BTreeSet<u16> = all
            .keys()
            .filter_map(|key| key.strip_prefix(&start)?.strip_suffix("-peer-ip")?.parse().ok())
            .filter(|number| *number <= MOST)
            .collect();
        let generations = std::iter::once(None).chain(numbers.into_iter().map(Some)).collect();
        Self { prefix, all, generations }
    }

    fn name(&self, generation: Option<u16>, what: &str) -> String {
        match generation {
            None => format!("{}/{what}", self.prefix),
            Some(number) => format!("{}/bgp-peers-{number}-{what}", self.prefix),
        }
    }

    /// The text of an annotation that is not empty, with its name.
    fn exactly(&self, generation: Option<u16>, what: &str) -> Option<(String, &'a str)> {
        let name = self.name(generation, what);
        let text = self.all.get(&name)?.trim();
        (!text.is_empty()).then_some((name, text))
    }

    /// That of `generation`, else the one for all, else that of the first peer.
    fn text(&self, generation: Option<u16>, what: &str) -> Option<(String, &'a str)> {
        let common = || self.exactly(None, what).or_else(|| self.exactly(Some(0), what));
        self.exactly(generation, what).or_else(common)
    }

    fn missing(&self) -> Vec<String> {
        // The node's own are those for all, or of the first peer; the others may be of any peer.
        let own = ["node-asn", "src-ip"].map(|what| (what, self.text(None, what)));
        let peers = ["peer-asn", "peer-ip"].map(|what| {
            (what, self.generations.iter().find_map(|number| self.text(*number, what)))
        });
        let missing = own.iter().chain(&peers).filter(|(_, found)| found.is_none());
        missing.map(|(what, _)| self.name(None, what)).collect()
    }

    fn value<T: FromStr>(
        &self,
        found: &mut Findings,
        which: (Option<u16>, &str),
        accepted: &str,
    ) -> Option<T> {
        let (name, text) = self.text(which.0, which.1)?;
        let value = text.parse().ok();
        if value.is_none() {
            refuse(found, &name, accepted);
        }
        value
    }

    /// All peers of all numbers, in order, each once.
    fn peers(&self, found: &mut Findings) -> Vec<Peer> {
        let mut peers: Vec<Peer> = Vec::new();
        for generation in &self.generations {
            let Some((name, addresses)) = self.exactly(*generation, "peer-ip") else { continue };
            let remote_as = self.remote_as(found, *generation);
            let password = self.password(found, *generation);
            let distance = self.distance(found, *generation);
            for text in addresses.split(',').map(str::trim).filter(|text| !text.is_empty()) {
                let Some(address) = text.parse().ok().and_then(|a| peer::address(a).ok()) else {
                    refuse(found, &name, "IP addresses of peers, comma separated");
                    continue;
                };
                let mut peer = new_peer(address, remote_as);
                peer.password.clone_from(&password);
                peer.distance = distance;
                if peers.iter().all(|other| other.address != peer.address) {
                    peers.push(peer);
                }
            }
        }
        peers
    }

    fn remote_as(&self, found: &mut Findings, generation: Option<u16>) -> RemoteAs {
        let accepted = "1 to 4294967295";
        let number = self.value(found, (generation, "peer-asn"), accepted);
        if number.is_none_or(|number| number == 0) {
            refuse(found, &self.name(generation, "peer-asn"), accepted);
        }
        RemoteAs::Number(number.unwrap_or(0))
    }

    fn password(&self, found: &mut Findings, generation: Option<u16>) -> Option<Password> {
        let (name, text) = self.text(generation, "bgp-pass")?;
        let password = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match password.filter(|password| !password.is_empty()) {
            Some(password) => Some(Password(password)),
            None => {
                refuse(found, &name, "a password in base64");
                None
            }
        }
    }

    fn distance(&self, found: &mut Findings, generation: Option<u16>) -> Distance {
        match self.text(generation, "peer-multi-hop") {
            None | Some((_, "false")) => Distance::Direct,
            Some((_, "true")) => Distance::Multihop(MULTIHOP_TTL),
            Some((name, _)) => {
                refuse(found, &name, "true or false");
                Distance::Direct
            }
        }
    }
}
