//! What the backend observed on this node: links and addresses, as last reported.

use std::collections::BTreeMap;
use std::net::IpAddr;

use viplet_backend_api::{
    Address, DefaultRoute, Link, LinkName, LinkState, Notice, Observation, Owner, Rival,
};

use super::settings::LinkChoice;
use super::time::Moment;

/// A link and since when it has not been up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLink {
    /// As reported.
    pub link: Link,
    /// When it was first seen not to be up, unless it is.
    pub down_since: Option<Moment>,
}

/// An address that is on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAddress {
    /// As reported.
    pub address: Address,
}

/// How much the table can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Sight {
    /// Nothing was reported yet.
    #[default]
    Never,
    /// Reports arrive.
    Clear,
    /// The monitor failed, for this reason.
    Blind(String),
}

/// Links and addresses.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Observed {
    links: BTreeMap<LinkName, SeenLink>,
    /// Each on its links, in order of name: nearly always one.
    addresses: BTreeMap<IpAddr, Vec<SeenAddress>>,
    /// The node's own addresses and their prefix lengths, by link: the networks that it is in.
    networks: BTreeMap<(LinkName, IpAddr), u8>,
    sight: Sight,
}

impl Observed {
    /// Takes a notice in. A [`Rival`] changes nothing here and is handed back.
    pub fn take(&mut self, notice: Notice, now: Moment) -> Option<Rival> {
        match notice {
            Notice::Snapshot(snapshot) => self.swap(snapshot, now),
            Notice::Blind(refusal) => self.sight = Sight::Blind(refusal.reason),
            Notice::Link(link) => self.put_link(link, now),
            Notice::LinkGone(name) => {
                self.links.remove(&name);
                self.networks.retain(|(link, _), _| *link != name);
                self.addresses.retain(|_, seen| {
                    seen.retain(|seen| seen.address.link != name);
                    !seen.is_empty()
                });
            }
            Notice::Address(address) => self.put_address(address),
            Notice::AddressGone { link, address } => self.remove_address(address, &link),
            Notice::Rival(rival) => return Some(rival),
        }
        None
    }

    fn swap(&mut self, snapshot: Observation, now: Moment) {
        let before = std::mem::take(&mut self.links);
        for link in snapshot.links {
            let down_since = before.get(&link.name).and_then(|seen| seen.down_since);
            self.links.insert(link.name.clone(), seen_link(link, down_since, now));
        }
        self.addresses.clear();
        self.networks.clear();
        for address in snapshot.addresses {
            self.put_address(address);
        }
        self.sight = Sight::Clear;
    }

    fn put_link(&mut self, link: Link, now: Moment) {
        let down_since = self.links.get(&link.name).and_then(|seen| seen.down_since);
        self.links.insert(link.name.clone(), seen_link(link, down_since, now));
    }

    fn put_address(&mut self, address: Address) {
        let network = (address.link.clone(), address.address);
        match address.owner {
            Owner::Node => self.networks.insert(network, address.prefix_len),
            Owner::Viplet | Owner::Predecessor => self.networks.remove(&network),
        };
        let seen = self.addresses.entry(address.address).or_default();
        match seen.binary_search_by(|known| known.address.link.cmp(&address.link)) {
            Ok(place) => {
                if let Some(known) = seen.get_mut(place) {
                    known.address = address;
                }
            }
            Err(place) => {
                seen.reserve_exact(1); // Nearly always the only one.
                seen.insert(place, SeenAddress { address });
            }
        }
    }

    fn remove_address(&mut self, address: IpAddr, link: &LinkName) {
        self.networks.remove(&(link.clone(), address));
        let Some(seen) = self.addresses.get_mut(&address) else { return };
        seen.retain(|seen| seen.address.link != *link);
        if seen.is_empty() {
            self.addresses.remove(&address);
        }
    }

    /// How much this table can be trusted.
    #[must_use]
    pub const fn sight(&self) -> &Sight {
        &self.sight
    }

    /// A link by name.
    #[must_use]
    pub fn link(&self, name: &LinkName) -> Option<&SeenLink> {
        self.links.get(name)
    }

    /// All links in order of name.
    pub fn links(&self) -> impl Iterator<Item = &SeenLink> {
        self.links.values()
    }

    /// All addresses in order.
    pub fn addresses(&self) -> impl Iterator<Item = &SeenAddress> {
        self.addresses.values().flatten()
    }

    /// One address on one link.
    #[must_use]
    pub fn on(&self, address: IpAddr, link: &LinkName) -> Option<&SeenAddress> {
        self.everywhere(address).find(|seen| seen.address.link == *link)
    }

    /// One address on whichever links carry it, in order of name.
    #[must_use]
    pub fn at(&self, address: IpAddr) -> &[SeenAddress] {
        self.addresses.get(&address).map_or(&[], |seen| seen)
    }

    /// The same, one by one.
    pub fn everywhere(&self, address: IpAddr) -> impl Iterator<Item = &SeenAddress> {
        self.at(address).iter()
    }

    /// The link with the narrowest network that the address is in, and that network's prefix
    /// length. A host route is no network.
    #[must_use]
    pub fn network_of(&self, address: IpAddr) -> Option<(&LinkName, u8)> {
        let is_in = |own: IpAddr, length: u8| {
            own.is_ipv4() == address.is_ipv4() && length < bits(own) && {
                let shift = u32::from(bits(own) - length);
                as_number(own).checked_shr(shift) == as_number(address).checked_shr(shift)
            }
        };
        let found = self
            .networks
            .iter()
            .filter(|((link, own), length)| link.as_str() != "lo" && is_in(*own, **length));
        found.max_by_key(|(_, length)| **length).map(|((link, _), length)| (link, *length))
    }

    /// The link that is meant, if it can be told now.
    #[must_use]
    pub fn choose(&self, choice: &LinkChoice) -> Option<LinkName> {
        match choice {
            LinkChoice::Named(name) => Some(name.clone()),
            LinkChoice::DefaultRoute => [DefaultRoute::V4, DefaultRoute::V6]
                .iter()
                .find_map(|route| self.links().find(|seen| seen.link.default_route == *route))
                .map(|seen| seen.link.name.clone()),
        }
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn as_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn seen_link(link: Link, down_since: Option<Moment>, now: Moment) -> SeenLink {
    let down_since = match link.state {
        LinkState::Up => None,
        LinkState::NoCarrier | LinkState::AdminDown => down_since.or(Some(now)),
    };
    SeenLink { link, down_since }
}

/// A link's state in words, for a person.
#[must_use]
pub const fn state_text(state: LinkState) -> &'static str {
    match state {
        LinkState::Up => "up",
        LinkState::NoCarrier => "up without carrier",
        LinkState::AdminDown => "down",
    }
}
