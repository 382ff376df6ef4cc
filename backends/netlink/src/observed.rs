//! The table of links, addresses and default routes as the kernel reported them. Pure: messages
//! go in, notices come out, and only when something changed that matters.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod changes;
mod defaults;
mod own;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

pub(crate) use defaults::{Defaults, is_default};
use netlink_packet_route::address::AddressFlags;
use viplet_backend_api::{
    Address, HardwareAddress, Link, LinkKind, LinkName, LinkState, Notice, Observation, Owner, Tag,
    Usability,
};

use crate::addresses::{AddressKey, Addresses, key};
use crate::census::{Census, Endangered};
use crate::wire::{AddressRecord, LinkRecord, Message};
use own::{OwnAddresses, is_host_length, is_known_to_others};

const IFF_UP: u32 = 1;
const IFF_LOWER_UP: u32 = 0x1_0000;
/// kube-vip gives the addresses of DNS names this lifetime, in seconds, and no tag.
const PREDECESSOR_DNS_LIFETIME: u32 = 60;

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

/// Everything observed.
#[derive(Debug)]
pub(crate) struct Table {
    tag: u8,
    support: TagSupport,
    links: BTreeMap<u32, LinkRecord>,
    addresses: Addresses,
    census: Census,
    own: OwnAddresses,
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
            own: OwnAddresses::default(),
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
        self.own.clear();
        for address in addresses {
            self.learn_support(&address);
            self.insert(address);
        }
        self.defaults = defaults;
        self.own.judge(defaults);
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

    fn insert(&mut self, address: AddressRecord) {
        self.census.count(&address);
        let own = self.owner_by_itself(&address) == Owner::Node && is_known_to_others(&address);
        match own && !self.is_on_dummy(&address) {
            true => self.own.put(&address),
            false => self.own.remove(&key(&address)),
        }
        if let Some(old) = self.addresses.insert(address) {
            self.census.discount(&old);
        }
    }

    fn remove(&mut self, key: &AddressKey) -> Option<AddressRecord> {
        let gone = self.addresses.remove(key)?;
        self.census.discount(&gone);
        self.own.remove(key);
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
            altnames: record.altnames.clone(),
            kind: record.kind,
            state: state(record),
            hardware: record.hardware.clone(),
            default_route: self.defaults.of(record.index),
        }
    }

    /// As the core sees it. What a service proxy binds to a link that carries nothing is on every
    /// node, and none of the node's own.
    fn address(&self, record: &AddressRecord) -> Option<Address> {
        let link = self.links.get(&record.index)?.name.clone();
        let owner = self.owner(record);
        if owner == Owner::Node && is_host_length(record) && self.is_on_dummy(record) {
            return None;
        }
        Some(Address {
            link,
            address: record.address,
            prefix_len: record.prefix_len,
            owner,
            valid_for: record.valid.map(|seconds| Duration::from_secs(u64::from(seconds))),
            usability: usability(record.flags),
        })
    }

    fn is_on_dummy(&self, record: &AddressRecord) -> bool {
        self.links.get(&record.index).is_some_and(|link| link.kind == LinkKind::Dummy)
    }

    /// Design law 4: whose an address is.
    pub(crate) fn owner(&self, record: &AddressRecord) -> Owner {
        match self.owner_by_itself(record) {
            Owner::Node if self.own.is_unmarked(&key(record)) => Owner::Unmarked,
            owner => owner,
        }
    }

    /// The same without a look at the node's other addresses.
    fn owner_by_itself(&self, record: &AddressRecord) -> Owner {
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

    /// One entry.
    pub(crate) fn entry(&self, key: &AddressKey) -> Option<&AddressRecord> {
        self.addresses.get(key)
    }

    fn on(&self, index: u32) -> impl Iterator<Item = &AddressRecord> {
        self.addresses.iter().filter(move |record| record.index == index)
    }

    /// Whether the removal of an entry may take others, or routes, along.
    pub(crate) fn endangers(&self, record: &AddressRecord) -> Endangered {
        self.census.endangered_by(record)
    }

    /// The link on which `address` is the node's own, if it may therefore not be put on the link
    /// `wanted`.
    pub(crate) fn node_own(&self, address: IpAddr, wanted: u32) -> Option<&LinkName> {
        let entries = self.addresses.of(address).iter();
        let own = entries.into_iter().find(|record| self.is_in_the_way(record, wanted))?;
        self.name(own.index)
    }

    fn is_in_the_way(&self, record: &AddressRecord, wanted: u32) -> bool {
        let here = record.index == wanted;
        let kind = self.links.get(&record.index).map(|link| link.kind);
        match self.owner(record) {
            Owner::Viplet | Owner::Predecessor => false,
            Owner::Unmarked if here => false,
            Owner::Node if here && kind == Some(LinkKind::Dummy) && is_host_length(record) => {
                !self.own.is_outranked(&key(record), record.created, self.defaults)
            }
            Owner::Node if here => true,
            // What a service proxy binds to a link that carries nothing is on every node, and a
            // copy on `lo` is for packets that are sent here already (direct routing).
            Owner::Node | Owner::Unmarked => {
                kind.is_none_or(LinkKind::is_on_a_segment) || !is_host_length(record)
            }
        }
    }

    /// Whether the link had an IPv4 address of the node while we watched, and has none now: they
    /// may have been flushed, to come back.
    pub(crate) fn is_bereft(&self, index: u32) -> bool {
        self.own.is_bereft(index)
    }

    /// Whether an IPv4 address of the node came to a link that has some of ours, since this was
    /// asked last.
    pub(crate) fn take_returned(&mut self, index: u32) -> bool {
        let ours = |record: &AddressRecord| {
            record.address.is_ipv4() && self.owner(record) == Owner::Viplet
        };
        let any = self.on(index).any(ours);
        self.own.take_returned(index) && any
    }

    /// How many notices say more than a snapshot would.
    pub(crate) fn size(&self) -> usize {
        self.links.len() + self.addresses.len()
    }

    /// A link's index by its name.
    pub(crate) fn index(&self, name: &LinkName) -> Option<u32> {
        self.named(name).map(|link| link.index)
    }

    /// A link by its name, or by an alternative one: the kernel sees to it that none is given twice.
    fn named(&self, name: &LinkName) -> Option<&LinkRecord> {
        let mut links = self.links.values();
        let by_altname = || {
            let has = |link: &&LinkRecord| link.altnames.iter().any(|other| other == name.as_str());
            self.links.values().find(has)
        };
        links.find(|link| link.name == *name).or_else(by_altname)
    }

    /// What a sender needs to know of it.
    pub(crate) fn facts(&self, name: &LinkName) -> Option<LinkFacts> {
        self.named(name).map(|link| LinkFacts {
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
            Owner::Unmarked | Owner::Node => false,
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
