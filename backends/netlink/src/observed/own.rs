//! The node's addresses: which is a main one, and which was put there by hand and may be taken
//! over where it is wanted (`Owner::Unmarked`). Pure.
//!
//! An address of host length that stays for ever may be a virtual address (put there by
//! kube-vip up to 0.8, by cloud-init for the first node, by `ip address`) as well as the node's
//! only one (some clouds give a node a /32). It is a main one unless another address of the node
//! outranks it: one with a network's length, or one that was there before; on the same link, or on
//! the link of the default route.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlink_packet_route::address::AddressFlags;
use viplet_backend_api::DefaultRoute;

use super::Defaults;
use crate::addresses::{AddressKey, key};
use crate::wire::AddressRecord;

/// The node's addresses that other stations can reach, without what is ours.
#[derive(Debug, Default)]
pub(super) struct OwnAddresses {
    known: BTreeMap<AddressKey, Own>,
    unmarked: BTreeSet<AddressKey>,
    /// As they were when `unmarked` was found last; `None`: something has changed since.
    judged: Option<Defaults>,
    /// Links whose last IPv4 address of the node went away while we watched.
    bereft: BTreeSet<u32>,
    /// Links on which an IPv4 address of the node came since they were asked for.
    returned: BTreeSet<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Own {
    created: u32,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Of host length, without a tag, for ever: it may have been put there by hand.
    PlainHost,
    /// Of host length, with a tag or a lifetime.
    Host,
    /// Of a network's length.
    Network,
}

impl OwnAddresses {
    /// An address of the node was put on a link, or changed.
    pub(super) fn put(&mut self, record: &AddressRecord) {
        let own = Own { created: record.created, form: form(record) };
        let before = self.known.insert(key(record), own);
        if before != Some(own) {
            self.judged = None;
        }
        if before.is_none() && record.address.is_ipv4() {
            self.bereft.remove(&record.index);
            self.returned.insert(record.index);
        }
    }

    /// It is gone, or not the node's any more.
    pub(super) fn remove(&mut self, key: &AddressKey) {
        if self.known.remove(key).is_none() {
            return;
        }
        self.judged = None;
        let (index, address, _) = key;
        if address.is_ipv4() && !self.has_v4(*index) {
            self.bereft.insert(*index);
        }
    }

    /// Everything is read afresh.
    pub(super) fn clear(&mut self) {
        let keys: Vec<_> = self.known.keys().copied().collect();
        keys.iter().for_each(|key| self.remove(key));
    }

    /// The link is gone.
    pub(super) fn forget_link(&mut self, index: u32) {
        self.bereft.remove(&index);
        self.returned.remove(&index);
    }

    /// Finds the unmarked ones; those of which that has changed.
    pub(super) fn judge(&mut self, defaults: Defaults) -> Vec<AddressKey> {
        if self.judged == Some(defaults) {
            return Vec::new();
        }
        self.judged = Some(defaults);
        let plain = self.known.iter().filter(|(_, own)| own.form == Form::PlainHost);
        let found: BTreeSet<AddressKey> = plain
            .filter(|(key, own)| self.is_outranked(key, own.created, defaults))
            .map(|(key, _)| *key)
            .collect();
        let changed = self.unmarked.symmetric_difference(&found).copied().collect();
        self.unmarked = found;
        changed
    }

    /// Whether it was found to be unmarked.
    pub(super) fn is_unmarked(&self, key: &AddressKey) -> bool {
        self.unmarked.contains(key)
    }

    /// Whether a main address of the node is known beside this one, which was put there at
    /// `created`.
    pub(super) fn is_outranked(&self, key: &AddressKey, created: u32, defaults: Defaults) -> bool {
        let (index, address, _) = *key;
        self.known.iter().any(|((other_index, other, _), own)| {
            let near = *other_index == index || defaults.of(*other_index) != DefaultRoute::None;
            let older = own.form == Form::Network || own.created < created;
            *other != address && other.is_ipv4() == address.is_ipv4() && near && older
        })
    }

    /// Whether the link had an IPv4 address of the node while we watched, and has none now.
    pub(super) fn is_bereft(&self, index: u32) -> bool {
        self.bereft.contains(&index)
    }

    /// Whether an IPv4 address of the node came to the link since this was asked last.
    pub(super) fn take_returned(&mut self, index: u32) -> bool {
        self.returned.remove(&index)
    }

    fn has_v4(&self, index: u32) -> bool {
        self.known.keys().any(|(other, address, _)| *other == index && address.is_ipv4())
    }
}

/// Whether the prefix has the length of a single host.
pub(super) fn is_host_length(record: &AddressRecord) -> bool {
    record.prefix_len == if record.address.is_ipv4() { 32 } else { 128 }
}

/// Whether other stations may know the node by an address like this one.
pub(super) fn is_known_to_others(record: &AddressRecord) -> bool {
    let near = match record.address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    };
    !near && !record.flags.contains(AddressFlags::Deprecated)
}

fn form(record: &AddressRecord) -> Form {
    match (is_host_length(record), record.tag, record.valid) {
        (false, ..) => Form::Network,
        (true, None, None) => Form::PlainHost,
        (true, ..) => Form::Host,
    }
}
