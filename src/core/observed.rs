//! What the backend observed on this node: links and addresses, as last reported.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use viplet_backend_api::{
    Address, DefaultRoute, InterfaceName, Link, LinkName, LinkState, Notice, Observation, Owner,
    Reach, Rival, Usability,
};

use super::rights::machine::Machine;
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

/// An address that is on a link. How long it stays there is the kernel's business, but not whether
/// it would stay for ever.
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
    /// Whether the kernel will drop it.
    pub lifespan: Lifespan,
}

/// Whether the kernel drops an address by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifespan {
    /// Unless somebody refreshes it.
    Finite,
    /// Never.
    Endless,
}

impl From<Address> for SeenAddress {
    fn from(address: Address) -> Self {
        let Address { link, address, prefix_len, owner, valid_for, usability } = address;
        let lifespan = valid_for.map_or(Lifespan::Endless, |_| Lifespan::Finite);
        Self { link, address, prefix_len, owner, usability, lifespan }
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
        of => format!("none of {of} peers was told of it: viplet status says how each stands"),
    }
}

/// What the log says of an address that came to be held: who was told of it, where there are peers.
#[must_use]
pub fn held(reach: Option<&Reach>) -> String {
    match reach {
        None => "held and announced".to_owned(),
        Some(reach) if reach.told == 0 => {
            format!("held, announced to no peer yet ({})", unheard(reach))
        }
        Some(reach) => format!("held and announced {}", peers(reach)),
    }
}

/// Links and addresses.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Observed {
    links: BTreeMap<LinkName, SeenLink>,
    /// In the order of address and link, without gaps: there may be thousands.
    addresses: Vec<SeenAddress>,
    /// The node's own addresses and their prefix lengths, by link: the networks that it is in.
    networks: BTreeMap<(LinkName, IpAddr), u8>,
    /// Peers that were told of an address, where the network is one of peers. It stays when the
    /// address goes from a link: that may have been a copy, and one that comes anew brings its own.
    reach: BTreeMap<IpAddr, Reach>,
    sight: Sight,
    machine: Rc<Machine>,
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
                self.recognise();
                self.networks.retain(|(link, _), _| *link != name);
                self.addresses.retain(|seen| seen.link != name);
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
        self.recognise();
        self.addresses.clear();
        self.networks.clear();
        for address in snapshot.addresses {
            self.put_address(address);
        }
        self.sight = Sight::Clear;
    }

    fn put_link(&mut self, link: Link, now: Moment) {
        let before = self.links.get(&link.name);
        let down_since = before.and_then(|seen| seen.down_since);
        let key = |link: &Link| (link.hardware.clone(), link.kind, link.default_route);
        let same = before.is_some_and(|seen| key(&seen.link) == key(&link));
        self.links.insert(link.name.clone(), seen_link(link, down_since, now));
        if !same {
            self.recognise();
        }
    }

    fn recognise(&mut self) {
        let machine = Machine::of(self.links.values().map(|seen| &seen.link));
        if *self.machine != machine {
            self.machine = Rc::new(machine);
        }
    }

    fn put_address(&mut self, address: Address) {
        let network = (address.link.clone(), address.address);
        match address.owner {
            Owner::Node => self.networks.insert(network, address.prefix_len),
            Owner::Viplet | Owner::Predecessor | Owner::Unmarked => self.networks.remove(&network),
        };
        let seen = SeenAddress::from(address);
        match self.place(seen.address, &seen.link) {
            Ok(place) => {
                if let Some(known) = self.addresses.get_mut(place) {
                    *known = seen;
                }
            }
            Err(place) => {
                if self.addresses.len() == self.addresses.capacity() {
                    // Twice as much would mostly stay empty.
                    self.addresses.reserve_exact(self.addresses.len() / 8 + 8);
                }
                self.addresses.insert(place, seen);
            }
        }
    }

    fn place(&self, address: IpAddr, link: &LinkName) -> Result<usize, usize> {
        self.addresses.binary_search_by(|seen| (seen.address, &seen.link).cmp(&(address, link)))
    }

    fn remove_address(&mut self, address: IpAddr, link: &LinkName) {
        self.networks.remove(&(link.clone(), address));
        if let Ok(place) = self.place(address, link) {
            self.addresses.remove(place);
        }
    }

    /// How much this table can be trusted.
    #[must_use]
    pub const fn sight(&self) -> &Sight {
        &self.sight
    }

    /// Which machine this is.
    #[must_use]
    pub const fn machine(&self) -> &Rc<Machine> {
        &self.machine
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
        self.addresses.iter()
    }

    /// One address on one link.
    #[must_use]
    pub fn on(&self, address: IpAddr, link: &LinkName) -> Option<&SeenAddress> {
        self.everywhere(address).find(|seen| seen.link == *link)
    }

    /// One address on whichever links carry it, in order of name.
    #[must_use]
    pub fn at(&self, address: IpAddr) -> &[SeenAddress] {
        let from = self.addresses.partition_point(|seen| seen.address < address);
        let rest = self.addresses.get(from..).unwrap_or_default();
        let length = rest.iter().take_while(|seen| seen.address == address).count();
        rest.get(..length).unwrap_or_default()
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

    /// The entry that makes an address this node's own, so that it may not be put on the link
    /// `wanted`, if there is one. What stands by itself on `lo` or on a link that carries nothing
    /// answers nobody on a segment.
    #[must_use]
    pub fn own_of_node(&self, address: IpAddr, wanted: &LinkName) -> Option<&SeenAddress> {
        let answers = |seen: &SeenAddress| {
            let link = self.link(&seen.link);
            link.is_none_or(|seen| seen.link.kind.is_on_a_segment())
                || seen.prefix_len < bits(seen.address)
        };
        self.everywhere(address).find(|seen| match seen.owner {
            Owner::Viplet | Owner::Predecessor => false,
            Owner::Unmarked if seen.link == *wanted => false,
            Owner::Node if seen.link == *wanted => true,
            Owner::Unmarked | Owner::Node => answers(seen),
        })
    }

    /// The link that a name means: the one that is called so, else the one that has it as an
    /// alternative name, else one that is not there yet.
    #[must_use]
    pub fn named(&self, name: &InterfaceName) -> Option<LinkName> {
        let short = name.as_link();
        if short.as_ref().is_some_and(|name| self.link(name).is_some()) {
            return short;
        }
        let mut links = self.links().map(|seen| &seen.link);
        let other = links.find(|link| link.altnames.iter().any(|other| other == name.as_str()));
        other.map(|link| link.name.clone()).or(short)
    }

    /// The link that is meant, if it can be told now.
    #[must_use]
    pub fn choose(&self, choice: &LinkChoice) -> Option<LinkName> {
        match choice {
            LinkChoice::Named(name) => self.named(name),
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
