//! The cluster's nodes: whose address is whose, and which are cordoned.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::core::cluster::record::{Change, NodeRecord, Scheduling};
use crate::core::cluster::unreadable::Reasons;
use crate::ordered;

/// All nodes that were reported.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nodes {
    nodes: BTreeMap<Box<str>, NodeRecord>,
    owners: BTreeMap<IpAddr, (Box<str>, Reported)>,
    listed: Listed,
}

impl Nodes {
    /// Takes a change in; whether any node's addresses changed.
    pub(crate) fn take(
        &mut self,
        change: Change<NodeRecord, Box<str>>,
        unreadable: &mut Reasons<Box<str>>,
    ) -> OwnAddresses {
        match change {
            Change::Replaced(all) => {
                unreadable.replace(Vec::new());
                self.nodes = ordered::map(all.into_iter().map(|node| (node.name.clone(), node)));
            }
            Change::ReplacedExcept(all, listed) => {
                unreadable.replace(listed);
                self.nodes.retain(|name, _| unreadable.get(name).is_some());
                self.nodes.extend(all.into_iter().map(|node| (node.name.clone(), node)));
            }
            Change::Unreadable(one) => unreadable.add(one),
            Change::Applied(node) => {
                unreadable.remove(&node.name);
                self.nodes.insert(node.name.clone(), node);
            }
            Change::Deleted(name) => {
                unreadable.remove(&name);
                self.nodes.remove(&name);
            }
        }
        let news = match std::mem::replace(&mut self.listed, Listed::Yes) {
            Listed::No => Reported::AtFirst,
            Listed::Yes => Reported::Later,
        };
        let pairs = self.nodes.values().flat_map(|node| {
            node.addresses.iter().map(|address| {
                let known = self.owners.get(address).map(|(_, reported)| *reported);
                (*address, (node.name.clone(), known.unwrap_or(news)))
            })
        });
        let owners = ordered::map(pairs);
        if owners == self.owners {
            return OwnAddresses::Same;
        }
        self.owners = owners;
        OwnAddresses::Changed
    }

    /// The node whose own address this is, and since when that is known.
    ///
    /// A kubelet without `--node-ip` may report an address that viplet holds on that node as the
    /// node's: such a report says nothing against a Service that had the address before.
    #[must_use]
    pub(crate) fn owner(&self, address: IpAddr) -> Option<(&str, Reported)> {
        self.owners.get(&address).map(|(name, reported)| (&**name, *reported))
    }

    /// A node by name.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<&NodeRecord> {
        self.nodes.get(name)
    }

    /// Every node's name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(|name| &**name)
    }

    /// Whether a node is cordoned.
    #[must_use]
    pub(crate) fn scheduling(&self, name: &str) -> Scheduling {
        self.nodes.get(name).map_or(Scheduling::Open, |node| node.scheduling)
    }
}

/// When a node's address was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    /// By the first list of nodes.
    AtFirst,
    /// Since then.
    Later,
}

/// Whether the first list of nodes was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Listed {
    #[default]
    No,
    Yes,
}

/// Whether the nodes' addresses changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnAddresses {
    Same,
    Changed,
}
