//! Which claims heard on the segment are a rival's, and in which form an IPv4 address is
//! announced. Pure. How often to announce, and what to do
//! about a rival, is the core's business.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::Form;

/// The addresses held here, each with the index of its link, in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Held(Vec<(IpAddr, u32)>);

/// The parts of [`Held`] whose change asks for a new filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// The IPv4 addresses.
    V4,
    /// The IPv6 addresses.
    V6,
}

/// Where a frame came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Another station.
    Segment,
    /// One of this node's links.
    OwnStation,
}

impl Held {
    /// Takes over what is held now; says for which families it is another set of addresses.
    pub(crate) fn update(&mut self, now: impl Iterator<Item = (u32, IpAddr)>) -> Vec<Changed> {
        let mut now: Vec<_> = now.map(|(index, address)| (address, index)).collect();
        now.sort_unstable();
        now.dedup();
        now.shrink_to_fit();
        let before = std::mem::replace(self, Self(now));
        let mut changed = Vec::new();
        if !before.v4().eq(self.v4()) {
            changed.push(Changed::V4);
        }
        if !before.v6().eq(self.v6()) {
            changed.push(Changed::V6);
        }
        changed
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The IPv4 addresses, each once, in order.
    pub(crate) fn v4(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.addresses().filter_map(|address| match address {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        })
    }

    /// The IPv6 addresses, each once, in order.
    pub(crate) fn v6(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.addresses().filter_map(|address| match address {
            IpAddr::V6(v6) => Some(v6),
            IpAddr::V4(_) => None,
        })
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let same = |a: &(IpAddr, u32), b: &(IpAddr, u32)| a.0 == b.0;
        self.0.chunk_by(same).filter_map(|entries| entries.first()).map(|(address, _)| *address)
    }

    /// Whether `address` is held on the link `index`.
    pub(crate) fn has(&self, index: u32, address: IpAddr) -> bool {
        self.0.binary_search(&(address, index)).is_ok()
    }

    /// Whether a claim of `address`, heard on the link `index`, is a rival's: the address is held
    /// on that very link and the claimant is none of this node's links (which may share a
    /// segment and answer for each other).
    pub(crate) fn is_rival(&self, index: u32, address: IpAddr, origin: Origin) -> bool {
        origin == Origin::Segment && self.has(index, address)
    }
}

/// How often each IPv4 address was announced since it came here. Some stations heed only one of
/// the two forms of a gratuitous ARP: while an address is new, each announcement has both; later
/// they alternate, each address by itself.
#[derive(Debug, Default)]
pub(crate) struct Announced(BTreeMap<Ipv4Addr, u8>);

impl Announced {
    /// Announcements in both forms: the core's first burst.
    const BOTH: u8 = 4;

    /// The forms of the next announcement.
    pub(crate) fn forms(&self, address: Ipv4Addr) -> &'static [Form] {
        match self.0.get(&address).copied().unwrap_or(0) {
            times if times < Self::BOTH => &[Form::Request, Form::Reply],
            times if times % 2 == 0 => &[Form::Request],
            _ => &[Form::Reply],
        }
    }

    /// It went out.
    pub(crate) fn count(&mut self, address: Ipv4Addr) {
        let times = self.0.entry(address).or_default();
        *times = if *times > Self::BOTH { Self::BOTH } else { *times + 1 };
    }

    /// It is new, contested or gone: both forms again.
    pub(crate) fn forget(&mut self, address: IpAddr) {
        if let IpAddr::V4(address) = address {
            self.0.remove(&address);
        }
    }

    /// Forgets those that are not held.
    pub(crate) fn keep(&mut self, held: &Held) {
        let held: Vec<_> = held.v4().collect();
        self.0.retain(|address, _| held.binary_search(address).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(entries: &[(u32, &str)]) -> Held {
        let mut held = Held::default();
        held.update(entries.iter().map(|(index, text)| (*index, text.parse().unwrap())));
        held
    }

    #[test]
    fn another_station_claiming_a_held_address_on_its_link_is_a_rival() {
        let held = held(&[(3, "10.0.0.5"), (3, "fd00::5")]);
        for address in ["10.0.0.5", "fd00::5"] {
            assert!(held.is_rival(3, address.parse().unwrap(), Origin::Segment));
        }
    }

    #[test]
    fn own_stations_other_links_and_other_addresses_are_no_rivals() {
        let held = held(&[(3, "10.0.0.5")]);
        let vip = "10.0.0.5".parse().unwrap();
        assert!(!held.is_rival(3, vip, Origin::OwnStation));
        assert!(!held.is_rival(4, vip, Origin::Segment));
        assert!(!held.is_rival(3, "10.0.0.6".parse().unwrap(), Origin::Segment));
    }

    #[test]
    fn only_a_changed_set_of_addresses_asks_for_a_new_filter() {
        let mut held = held(&[(3, "10.0.0.5"), (3, "fd00::5")]);
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let same = [(3, parse("fd00::5")), (3, parse("10.0.0.5"))];
        assert_eq!(held.update(same.into_iter()), []);
        // The same address on another link needs no other filter.
        assert_eq!(held.update([(3, parse("fd00::5")), (4, parse("10.0.0.5"))].into_iter()), []);
        assert_eq!(held.update([(4, parse("10.0.0.5"))].into_iter()), [Changed::V6]);
        assert_eq!(held.update(std::iter::empty()), [Changed::V4]);
    }

    #[test]
    fn a_new_address_is_announced_in_both_forms_and_later_in_each_by_turns() {
        let (mut announced, address) = (Announced::default(), Ipv4Addr::new(10, 0, 0, 5));
        let mut next = || {
            let forms = announced.forms(address);
            announced.count(address);
            forms
        };
        let both: &[Form] = &[Form::Request, Form::Reply];
        assert!((0..4).all(|_| next() == both));
        for _ in 0..200 {
            assert_eq!((next(), next()), (&[Form::Request][..], &[Form::Reply][..]));
        }
    }

    #[test]
    fn each_of_many_addresses_alternates_by_itself() {
        let mut announced = Announced::default();
        let addresses = [1, 2].map(|last| Ipv4Addr::new(10, 0, 0, last));
        let mut said = [Vec::new(), Vec::new()];
        for _ in 0..10 {
            for (address, said) in addresses.iter().zip(&mut said) {
                said.push(announced.forms(*address));
                announced.count(*address);
            }
        }
        assert_eq!(said[0], said[1]);
        assert!(said[0].contains(&&[Form::Request][..]) && said[0].contains(&&[Form::Reply][..]));
    }

    #[test]
    fn what_is_no_longer_held_is_forgotten() {
        let mut announced = Announced::default();
        let [stays, goes, contested] = [1, 2, 3].map(|last| Ipv4Addr::new(10, 0, 0, last));
        for address in [stays, goes, contested] {
            (0..5).for_each(|_| announced.count(address));
        }
        announced.keep(&held(&[(3, "10.0.0.1"), (3, "10.0.0.3")]));
        announced.forget(contested.into());
        assert_eq!(announced.0.len(), 1);
        assert_eq!(announced.forms(goes).len(), 2);
        assert_eq!(announced.forms(contested).len(), 2);
        assert_eq!(announced.forms(stays).len(), 1);
    }
}
