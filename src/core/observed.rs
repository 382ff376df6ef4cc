//! What the backend observed on this node: links and addresses, as last reported.

use std::collections::BTreeMap;
use std::net::IpAddr;

use viplet_backend_api::{
    Address, DefaultRoute, Link, LinkName, LinkState, Notice, Observation, Owner, Reach, Rival,
    Usability,
};

use super::settings::LinkChoice;
use super::time::Moment;
use crate::ordered;

/// A link and since when it has not been up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLink {
    /// As reported.
    pub link: Link,
    /// When it was first seen not to be up, unless it is.
    pub down_since: Option<Moment>,
}

/// An address that is on a link. How long it stays there is the kernel's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAddress {
    /// The link.
    pub link: LinkName,
    /// The address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix_len: u8,
    /// Whose it is.
    pub owner: Owner,
    /// Whether it answers.
    pub usability: Usability,
}

impl From<Address> for SeenAddress {
    fn from(address: Address) -> Self {
        let Address { link, address, prefix_len, owner, valid_for: _, usability } = address;
        Self { link, address, prefix_len, owner, usability }
    }
}

/// One address on its links, in order of name: nearly always one, which is kept in place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Spots {
    One(SeenAddress),
    Several(Vec<SeenAddress>),
}

impl Spots {
    fn all(&self) -> &[SeenAddress] {
        match self {
            Self::One(seen) => std::slice::from_ref(seen),
            Self::Several(seen) => seen,
        }
    }

    /// With `seen` on its link, in place of what was there.
    fn with(self, seen: SeenAddress) -> Self {
        let mut all: Vec<SeenAddress> = match self {
            Self::One(known) if known.link == seen.link => return Self::One(seen),
            Self::One(known) => vec![known],
            Self::Several(all) => all,
        };
        match all.binary_search_by(|known| known.link.cmp(&seen.link)) {
            Ok(place) => all.splice(place..=place, [seen]).for_each(drop),
            Err(place) => all.insert(place, seen),
        }
        Self::Several(all)
    }

    /// Without what is on a link, if anything is left.
    fn without(self, link: &LinkName) -> Option<Self> {
        match self {
            Self::One(seen) => (seen.link != *link).then_some(Self::One(seen)),
            Self::Several(mut all) => {
                all.retain(|seen| seen.link != *link);
                (!all.is_empty()).then_some(Self::Several(all))
            }
        }
    }
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

/// «to 2 of 3 peers».
#[must_use]
pub fn peers(reach: &Reach) -> String {
    format!("to {} of {} peers", reach.told, reach.of)
}

/// No peer was told of it.
#[must_use]
pub fn unheard(reach: &Reach) -> String {
    match reach.of {
        0 => "there is no peer to announce it to".to_owned(),
        of => format!("none of the {of} peers has a session: viplet status says why"),
    }
}

/// Links and addresses.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Observed {
    links: BTreeMap<LinkName, SeenLink>,
    addresses: BTreeMap<IpAddr, Spots>,
    /// The node's own addresses and their prefix lengths, by link: the networks that it is in.
    networks: BTreeMap<(LinkName, IpAddr), u8>,
    /// Peers that were told of an address, where the network is one of peers.
    reach: BTreeMap<IpAddr, Reach>,
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
                let all = std::mem::take(&mut self.addresses).into_iter();
                let left = all.filter_map(|(ip, spots)| Some((ip, spots.without(&name)?)));
                self.addresses = ordered::map(left);
            }
            Notice::Address(address) => self.put_address(address),
            Notice::AddressGone { link, address } => self.remove_address(address, &link),
            Notice::Rival(rival) => return Some(rival),
            Notice::Reach(reach) => {
                self.reach.insert(reach.address, reach);
            }
        }
        None
    }

    /// How many peers were told of an address; `None` where the network is a segment.
    #[must_use]
    pub fn reach(&self, address: IpAddr) -> Option<&Reach> {
        self.reach.get(&address)
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
        let ip = address.address;
        let seen = SeenAddress::from(address);
        let spots = match self.addresses.remove(&ip) {
            Some(spots) => spots.with(seen),
            None => Spots::One(seen),
        };
        self.addresses.insert(ip, spots);
    }

    fn remove_address(&mut self, address: IpAddr, link: &LinkName) {
        self.networks.remove(&(link.clone(), address));
        self.reach.remove(&address);
        let left = self.addresses.remove(&address).and_then(|spots| spots.without(link));
        self.addresses.extend(left.map(|spots| (address, spots)));
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
        self.addresses.values().flat_map(Spots::all)
    }

    /// One address on one link.
    #[must_use]
    pub fn on(&self, address: IpAddr, link: &LinkName) -> Option<&SeenAddress> {
        self.everywhere(address).find(|seen| seen.link == *link)
    }

    /// One address on whichever links carry it, in order of name.
    #[must_use]
    pub fn at(&self, address: IpAddr) -> &[SeenAddress] {
        self.addresses.get(&address).map_or(&[], Spots::all)
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
