//! Which claims heard on the segment are a rival's. Pure. How often to announce, and what to do
//! about a rival, is the core's business.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses held here, each with the index of its link.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Held(BTreeSet<(u32, IpAddr)>);

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
        let before = std::mem::replace(self, Self(now.collect()));
        let mut changed = Vec::new();
        if before.v4() != self.v4() {
            changed.push(Changed::V4);
        }
        if before.v6() != self.v6() {
            changed.push(Changed::V6);
        }
        changed
    }

    /// The IPv4 addresses, each once.
    pub(crate) fn v4(&self) -> Vec<Ipv4Addr> {
        let v4 = self.0.iter().filter_map(|(_, address)| match address {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(_) => None,
        });
        v4.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The IPv6 addresses, each once.
    pub(crate) fn v6(&self) -> Vec<Ipv6Addr> {
        let v6 = self.0.iter().filter_map(|(_, address)| match address {
            IpAddr::V6(v6) => Some(*v6),
            IpAddr::V4(_) => None,
        });
        v6.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether a claim of `address`, heard on the link `index`, is a rival's: the address is held
    /// on that very link and the claimant is none of this node's links (which may share a
    /// segment and answer for each other).
    pub(crate) fn is_rival(&self, index: u32, address: IpAddr, origin: Origin) -> bool {
        origin == Origin::Segment && self.0.contains(&(index, address))
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
}
