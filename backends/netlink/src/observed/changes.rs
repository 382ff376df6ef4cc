//! What one message of the monitor changes in the table, and what there is to say of it. Pure.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use viplet_backend_api::{Address, DefaultRoute, Notice, Owner};

use super::own::is_host_length;
use super::{Defaults, Follow, Table};
use crate::addresses::{AddressKey, key};
use crate::wire::{AddressRecord, LinkRecord};

impl Table {
    /// Takes in the default routes as just read.
    pub(crate) fn apply_defaults(&mut self, defaults: Defaults, notices: &mut Vec<Notice>) {
        let before = std::mem::replace(&mut self.defaults, defaults);
        for link in self.links.values() {
            if before.of(link.index) != defaults.of(link.index) {
                notices.push(Notice::Link(self.link(link)));
            }
        }
        self.judge(None, notices);
    }

    pub(super) fn apply_link(&mut self, link: LinkRecord, notices: &mut Vec<Notice>) -> Follow {
        let index = link.index;
        let after = self.link(&link);
        let before = self.links.insert(index, link).map(|old| self.link(&old));
        if before.as_ref() == Some(&after) {
            return Follow::Nothing;
        }
        let renamed = before.as_ref().filter(|old| old.name != after.name);
        let state_changed = before.as_ref().is_some_and(|old| old.state != after.state);
        let gone = renamed.map(|old| old.name.clone());
        notices.extend(gone.clone().map(Notice::LinkGone));
        notices.push(Notice::Link(after));
        if gone.is_some() {
            let moved = self.on(index).filter_map(|a| self.address(a));
            notices.extend(moved.map(Notice::Address));
        }
        if state_changed { self.flushed(index) } else { Follow::Nothing }
    }

    pub(super) fn apply_link_gone(&mut self, index: u32, notices: &mut Vec<Notice>) -> Follow {
        let gone: Vec<_> = self.on(index).map(key).collect();
        for key in gone {
            self.remove(&key);
        }
        self.own.forget_link(index);
        notices.extend(self.links.remove(&index).map(|link| Notice::LinkGone(link.name)));
        self.judge(None, notices);
        self.flushed(index)
    }

    pub(super) fn apply_address(&mut self, address: AddressRecord, notices: &mut Vec<Notice>) {
        self.learn_support(&address);
        let key = key(&address);
        let known = self.addresses.get(&key);
        let held_before = known.is_some_and(|old| self.may_be_held(old));
        let before = known.and_then(|old| self.address(old));
        self.insert(address);
        self.judge(Some(&key), notices);
        let Some(record) = self.addresses.get(&key) else { return };
        let (held, after) = (self.may_be_held(record), self.address(record));
        if held != held_before {
            self.held_changed();
        }
        let Some(after) = after else { return };
        if !before.is_some_and(|old| is_same(&old, &after)) {
            notices.push(Notice::Address(after));
        }
    }

    pub(super) fn apply_address_gone(
        &mut self,
        address: &AddressRecord,
        notices: &mut Vec<Notice>,
    ) -> Follow {
        let Some(gone) = self.remove(&key(address)) else { return Follow::Nothing };
        let Some(link) = self.links.get(&gone.index) else { return Follow::Nothing };
        let name = link.name.clone();
        // The same address may be there a second time with another prefix length.
        match self.entries(gone.index, gone.address).next().and_then(|a| self.address(a)) {
            Some(remaining) => notices.push(Notice::Address(remaining)),
            None => notices.push(Notice::AddressGone { link: name, address: gone.address }),
        }
        self.judge(None, notices);
        // A host address of ours has no routes of its own but the local one, and is no source. To
        // read all routes after each of a thousand would take longer than to withdraw them.
        match self.owner(&gone) {
            Owner::Viplet if is_host_length(&gone) && !self.was_last(&gone) => Follow::Nothing,
            _ => self.flushed(gone.index),
        }
    }

    /// Whether no IPv4 address is left on the link after this one: the kernel then flushes the
    /// link's routes.
    fn was_last(&self, gone: &AddressRecord) -> bool {
        gone.address.is_ipv4() && self.census.is_empty(gone.index)
    }

    /// Something happened that makes the kernel flush routes through a link without a message.
    fn flushed(&self, index: u32) -> Follow {
        match self.defaults.of(index) {
            DefaultRoute::None => Follow::Nothing,
            DefaultRoute::V4 | DefaultRoute::V6 => Follow::ReadRoutes,
        }
    }

    /// Finds anew which addresses are the node's main ones, and says whose owner that changes but
    /// the one of `told`, of which something is said anyway.
    fn judge(&mut self, told: Option<&AddressKey>, notices: &mut Vec<Notice>) {
        let changed = self.own.judge(self.defaults);
        let others = changed.iter().filter(|key| Some(*key) != told);
        let records = others.filter_map(|key| self.addresses.get(key));
        notices.extend(records.filter_map(|record| self.address(record)).map(Notice::Address));
    }
}

/// How long an address stays is no news, only whether it may go by itself at all.
fn is_same(old: &Address, new: &Address) -> bool {
    let lasting = |address: &Address| address.valid_for.is_none();
    let alike = lasting(old) == lasting(new) || new.owner == Owner::Node;
    alike && Address { valid_for: new.valid_for, ..old.clone() } == *new
}
