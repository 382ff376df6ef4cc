//! The table of links, addresses and default routes as the kernel reported them. Pure: messages
//! go in, notices come out, and only when something changed that matters.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use netlink_packet_route::address::AddressFlags;
use viplet_backend_api::{
    Address, DefaultRoute, HardwareAddress, Link, LinkKind, LinkName, LinkState, Notice,
    Observation, Owner, Tag, Usability,
};

use crate::addresses::{AddressKey, Addresses, key};
use crate::census::{Census, Endangered};
use crate::wire::{
    AF_INET, AF_INET6, AddressRecord, LinkRecord, Message, RouteRecord, TABLE_MAIN, UNICAST,
};

const IFF_UP: u32 = 1;
const IFF_LOWER_UP: u32 = 0x1_0000;
/// kube-vip gives the addresses of DNS names this lifetime, in seconds, and no tag.
const PREDECESSOR_DNS_LIFETIME: u32 = 60;
/// kube-proxy in IPVS mode binds every Service's address to this link, on every node.
const KUBE_PROXY_LINK: &str = "kube-ipvs0";

/// What a sender of frames needs to know of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkFacts {
    /// The kernel's index.
    pub index: u32,
    /// Its link layer.
    pub kind: LinkKind,
    /// Whether it can carry traffic.
    pub state: LinkState,
    /// Its hardware address.
    pub hardware: HardwareAddress,
    /// Its broadcast hardware address (`IFLA_BROADCAST`).
    pub broadcast: HardwareAddress,
}

/// Whether the kernel reports `IFA_PROTO` (Linux ≥ 5.18, or a backport).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagSupport {
    Reported,
    Absent,
}

/// What must be done before the table is true again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    Nothing,
    /// The kernel flushes IPv4 routes without a message: read the default routes again.
    ReadRoutes,
}

/// The links that the default routes of the main table leave through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Defaults {
    v4: Option<u32>,
    v6: Option<u32>,
}

impl Defaults {
    /// The lowest metric wins, then the order of the dump; multipath: the first next hop.
    pub(crate) fn choose(routes: &[RouteRecord]) -> Self {
        let best = |family| {
            routes
                .iter()
                .filter(|route| route.family == family && is_default(route))
                .min_by_key(|route| route.metric)
                .and_then(|route| route.links.first().copied())
        };
        Self { v4: best(AF_INET), v6: best(AF_INET6) }
    }

    fn of(self, index: u32) -> DefaultRoute {
        if self.v4 == Some(index) {
            DefaultRoute::V4
        } else if self.v6 == Some(index) {
            DefaultRoute::V6
        } else {
            DefaultRoute::None
        }
    }
}

/// Whether a route is a default route of the main table through some link.
pub(crate) fn is_default(route: &RouteRecord) -> bool {
    route.prefix_len == 0
        && route.table == TABLE_MAIN
        && route.kind == UNICAST
        && !route.links.is_empty()
}

/// Everything observed.
#[derive(Debug)]
pub(crate) struct Table {
    tag: u8,
    support: TagSupport,
    links: BTreeMap<u32, LinkRecord>,
    addresses: Addresses,
    census: Census,
    defaults: Defaults,
    held_revision: u64,
}

impl Table {
    /// An empty table; addresses whose `IFA_PROTO` is `tag` are ours.
    pub(crate) fn new(tag: Tag, support: TagSupport) -> Self {
        Self {
            tag: tag.value(),
            support,
            links: BTreeMap::new(),
            addresses: Addresses::default(),
            census: Census::default(),
            defaults: Defaults::default(),
            held_revision: 0,
        }
    }

    /// Swaps the contents for those of a dump.
    pub(crate) fn replace(
        &mut self,
        links: Vec<LinkRecord>,
        addresses: Vec<AddressRecord>,
        defaults: Defaults,
    ) {
        self.links.clear();
        self.links.extend(links.into_iter().map(|link| (link.index, link)));
        self.addresses.clear();
        self.census = Census::default();
        for address in addresses {
            self.learn_support(&address);
            self.insert(address);
        }
        self.defaults = defaults;
        self.held_changed();
    }

    /// Everything, in the contract's terms.
    pub(crate) fn observation(&self) -> Observation {
        Observation {
            links: self.links.values().map(|link| self.link(link)).collect(),
            addresses: self.addresses.iter().filter_map(|a| self.address(a)).collect(),
        }
    }

    /// Takes in one message of the monitor and adds what it means to `notices`.
    pub(crate) fn apply(&mut self, message: Message, notices: &mut Vec<Notice>) -> Follow {
        match message {
            Message::Link(link) => self.apply_link(link, notices),
            Message::LinkGone(index) => self.apply_link_gone(index, notices),
            Message::Address(address) => {
                self.apply_address(address, notices);
                Follow::Nothing
            }
            Message::AddressGone(address) => self.apply_address_gone(&address, notices),
            Message::Route(route) | Message::RouteGone(route) if is_default(&route) => {
                Follow::ReadRoutes
            }
            _ => Follow::Nothing,
        }
    }

    /// Takes in the default routes as just read.
    pub(crate) fn apply_defaults(&mut self, defaults: Defaults, notices: &mut Vec<Notice>) {
        let before = std::mem::replace(&mut self.defaults, defaults);
        for link in self.links.values() {
            if before.of(link.index) != defaults.of(link.index) {
                notices.push(Notice::Link(self.link(link)));
            }
        }
    }

    fn apply_link(&mut self, link: LinkRecord, notices: &mut Vec<Notice>) -> Follow {
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

    fn apply_link_gone(&mut self, index: u32, notices: &mut Vec<Notice>) -> Follow {
        let gone: Vec<_> = self.on(index).map(key).collect();
        for key in gone {
            self.remove(&key);
        }
        notices.extend(self.links.remove(&index).map(|link| Notice::LinkGone(link.name)));
        self.flushed(index)
    }

    fn apply_address(&mut self, address: AddressRecord, notices: &mut Vec<Notice>) {
        self.learn_support(&address);
        let Some(after) = self.address(&address) else {
            self.insert(address);
            return;
        };
        let may_be_held = self.may_be_held(&address);
        let before = self.insert(address);
        if before.as_ref().is_some_and(|old| self.may_be_held(old)) != may_be_held {
            self.held_changed();
        }
        let before = before.and_then(|old| self.address(&old));
        if !before.is_some_and(|old| is_same(&old, &after)) {
            notices.push(Notice::Address(after));
        }
    }

    fn insert(&mut self, address: AddressRecord) -> Option<AddressRecord> {
        self.census.count(&address);
        let before = self.addresses.insert(address);
        if let Some(old) = &before {
            self.census.discount(old);
        }
        before
    }

    fn remove(&mut self, key: &AddressKey) -> Option<AddressRecord> {
        let gone = self.addresses.remove(key)?;
        self.census.discount(&gone);
        if self.may_be_held(&gone) {
            self.held_changed();
        }
        Some(gone)
    }

    /// The lifetime of an address was wound up by us: the monitor does not tell of it.
    pub(crate) fn refreshed(&mut self, key: &AddressKey, seconds: u32) {
        if let Some(record) = self.addresses.get_mut(key) {
            record.valid = Some(seconds);
        }
    }

    fn apply_address_gone(&mut self, address: &AddressRecord, notices: &mut Vec<Notice>) -> Follow {
        let Some(gone) = self.remove(&key(address)) else { return Follow::Nothing };
        let Some(link) = self.links.get(&gone.index) else { return Follow::Nothing };
        let name = link.name.clone();
        // The same address may be there a second time with another prefix length.
        match self.entries(gone.index, gone.address).next().and_then(|a| self.address(a)) {
            Some(remaining) => notices.push(Notice::Address(remaining)),
            None => notices.push(Notice::AddressGone { link: name, address: gone.address }),
        }
        // A host address of ours has no routes of its own but the local one, and is no source. To
        // read all routes after each of a thousand would take longer than to withdraw them.
        let host = gone.prefix_len == if gone.address.is_ipv4() { 32 } else { 128 };
        match self.owner(&gone) {
            Owner::Viplet if host && !self.was_last(&gone) => Follow::Nothing,
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

    fn held_changed(&mut self) {
        self.held_revision = self.held_revision.wrapping_add(1);
    }

    /// Counts the changes of what [`Table::held`] gives.
    pub(crate) fn held_revision(&self) -> u64 {
        self.held_revision
    }

    fn learn_support(&mut self, address: &AddressRecord) {
        if address.tag.is_some() && self.support == TagSupport::Absent {
            self.support = TagSupport::Reported;
            self.held_changed();
        }
    }

    fn link(&self, record: &LinkRecord) -> Link {
        Link {
            name: record.name.clone(),
            kind: record.kind,
            state: state(record),
            hardware: record.hardware.clone(),
            default_route: self.defaults.of(record.index),
        }
    }

    /// As the core sees it. What kube-proxy puts on its own link is on every node and nobody's.
    fn address(&self, record: &AddressRecord) -> Option<Address> {
        let link = self.links.get(&record.index)?.name.clone();
        if link.as_str() == KUBE_PROXY_LINK {
            return None;
        }
        Some(Address {
            link,
            address: record.address,
            prefix_len: record.prefix_len,
            owner: self.owner(record),
            valid_for: record.valid.map(|seconds| Duration::from_secs(u64::from(seconds))),
            usability: usability(record.flags),
        })
    }

    /// Design law 4: whose an address is.
    pub(crate) fn owner(&self, record: &AddressRecord) -> Owner {
        let deprecated = record.flags.contains(AddressFlags::Deprecated);
        match (record.tag, self.support, record.valid) {
            (Some(tag), _, _) if tag == self.tag => Owner::Viplet,
            (Some(_), _, _) => Owner::Node,
            (None, _, _) if !deprecated => Owner::Node,
            // Without tags ours cannot be told from the node's: ours only where it is wanted.
            (None, TagSupport::Absent, Some(_)) => Owner::Predecessor,
            (None, _, None) => Owner::Predecessor,
            (None, TagSupport::Reported, Some(seconds)) if seconds <= PREDECESSOR_DNS_LIFETIME => {
                Owner::Predecessor
            }
            (None, TagSupport::Reported, Some(_)) => Owner::Node,
        }
    }

    /// The entries of one address on one link: several with different prefix lengths.
    pub(crate) fn entries(
        &self,
        index: u32,
        address: IpAddr,
    ) -> impl Iterator<Item = &AddressRecord> {
        self.addresses.of(address).iter().filter(move |record| record.index == index)
    }

    fn on(&self, index: u32) -> impl Iterator<Item = &AddressRecord> {
        self.addresses.iter().filter(move |record| record.index == index)
    }

    /// Whether the removal of an entry may take others, or routes, along.
    pub(crate) fn endangers(&self, record: &AddressRecord) -> Endangered {
        self.census.endangered_by(record)
    }

    /// The link that has `address` as the node's own, if any has.
    pub(crate) fn node_own(&self, address: IpAddr) -> Option<&LinkName> {
        let own = self.addresses.of(address).iter().filter(|a| self.owner(a) == Owner::Node);
        let links = own.filter_map(|record| self.name(record.index));
        links.into_iter().find(|name| name.as_str() != KUBE_PROXY_LINK)
    }

    /// How many notices say more than a snapshot would.
    pub(crate) fn size(&self) -> usize {
        self.links.len() + self.addresses.len()
    }

    /// A link's index by its name.
    pub(crate) fn index(&self, name: &LinkName) -> Option<u32> {
        self.links.values().find(|link| link.name == *name).map(|link| link.index)
    }

    /// A link by its name.
    pub(crate) fn facts(&self, name: &LinkName) -> Option<LinkFacts> {
        self.links.values().find(|link| link.name == *name).map(|link| LinkFacts {
            index: link.index,
            kind: link.kind,
            state: state(link),
            hardware: link.hardware.clone(),
            broadcast: link.broadcast.clone(),
        })
    }

    /// A link's name by its index.
    pub(crate) fn name(&self, index: u32) -> Option<&LinkName> {
        self.links.get(&index).map(|link| &link.name)
    }

    /// Whether one of the node's links has this hardware address.
    pub(crate) fn is_own_hardware(&self, hardware: &HardwareAddress) -> bool {
        self.links.values().any(|link| link.hardware == *hardware)
    }

    /// An IPv6 link-local address of a link that can be used as a source.
    pub(crate) fn link_local(&self, index: u32) -> Option<Ipv6Addr> {
        const FIRST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
        const LAST: Ipv6Addr = Ipv6Addr::from_bits(FIRST.to_bits() | (u128::MAX >> 10));
        let local = self.addresses.between(IpAddr::V6(FIRST), IpAddr::V6(LAST)).iter();
        local
            .filter(|record| record.index == index && usability(record.flags) == Usability::Usable)
            .find_map(|record| match record.address {
                IpAddr::V6(v6) => Some(v6),
                IpAddr::V4(_) => None,
            })
    }

    /// Our own addresses, with the index of their link; without tags, those that may be ours.
    pub(crate) fn held(&self) -> impl Iterator<Item = (u32, IpAddr)> {
        self.addresses
            .iter()
            .filter(|record| self.may_be_held(record))
            .map(|record| (record.index, record.address))
    }

    fn may_be_held(&self, record: &AddressRecord) -> bool {
        match self.owner(record) {
            Owner::Viplet => true,
            Owner::Predecessor => self.support == TagSupport::Absent && record.valid.is_some(),
            Owner::Node => false,
        }
    }

    /// Whether an install of ours with this key would change nothing but the lifetime.
    pub(crate) fn is_settled(&self, key: &AddressKey) -> bool {
        self.addresses.get(key).is_some_and(|record| {
            self.owner(record) == Owner::Viplet
                && record.valid.is_some()
                && usability(record.flags) == Usability::Usable
        })
    }
}

/// How long an address stays is no news, only whether it may go by itself at all.
fn is_same(old: &Address, new: &Address) -> bool {
    let lasting = |address: &Address| address.valid_for.is_none();
    let alike = lasting(old) == lasting(new) || new.owner == Owner::Node;
    alike && Address { valid_for: new.valid_for, ..old.clone() } == *new
}

fn state(link: &LinkRecord) -> LinkState {
    const IF_OPER_UNKNOWN: u8 = 0;
    const IF_OPER_UP: u8 = 6;
    if link.flags & IFF_UP == 0 {
        return LinkState::AdminDown;
    }
    match link.oper {
        IF_OPER_UP => LinkState::Up,
        // Drivers that never set it (lo, tun, many virtual ones) still tell their carrier.
        IF_OPER_UNKNOWN if link.flags & IFF_LOWER_UP != 0 => LinkState::Up,
        _ => LinkState::NoCarrier,
    }
}

fn usability(flags: AddressFlags) -> Usability {
    if flags.contains(AddressFlags::Dadfailed) {
        Usability::Duplicate
    } else if flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic) {
        Usability::Tentative
    } else {
        Usability::Usable
    }
}

#[cfg(test)]
mod tests;
