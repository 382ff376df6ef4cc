//! How many IPv4 addresses each link has: what the removal of one would take along is known
//! without looking at all of them. Pure.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;

use netlink_packet_route::address::AddressFlags;

use crate::wire::AddressRecord;

/// What the removal of an address may take along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endangered {
    Nothing,
    /// It is the link's last IPv4 address: the link's routes.
    Routes,
    /// Secondary addresses, unless `promote_secondaries` is set on the link.
    Secondaries,
}

/// The IPv4 addresses of each link by prefix length.
#[derive(Debug, Default)]
pub(crate) struct Census(BTreeMap<(u32, u8), Count>);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: usize,
    secondary: usize,
}

impl Census {
    /// An entry came.
    pub(crate) fn count(&mut self, record: &AddressRecord) {
        if record.address.is_ipv4() {
            let count = self.0.entry((record.index, record.prefix_len)).or_default();
            count.all = count.all.saturating_add(1);
            count.secondary = count.secondary.saturating_add(usize::from(is_secondary(record)));
        }
    }

    /// An entry went.
    pub(crate) fn discount(&mut self, record: &AddressRecord) {
        let key = (record.index, record.prefix_len);
        if let Some(count) = self.0.get_mut(&key).filter(|_| record.address.is_ipv4()) {
            count.all = count.all.saturating_sub(1);
            count.secondary = count.secondary.saturating_sub(usize::from(is_secondary(record)));
            if count.all == 0 {
                self.0.remove(&key);
            }
        }
    }

    /// Whether a link has no IPv4 address.
    pub(crate) fn is_empty(&self, index: u32) -> bool {
        self.0.range((index, 0)..=(index, u8::MAX)).next().is_none()
    }

    /// What the removal of `record` may take along. Which subnet a secondary address belongs to
    /// is not asked: of the same prefix length is near enough.
    pub(crate) fn endangered_by(&self, record: &AddressRecord) -> Endangered {
        let of_link = self.0.range((record.index, 0)..=(record.index, u8::MAX));
        let others = of_link.fold(0_usize, |sum, (_, count)| sum.saturating_add(count.all));
        let alike = self.0.get(&(record.index, record.prefix_len)).copied().unwrap_or_default();
        if !record.address.is_ipv4() {
            Endangered::Nothing
        } else if others <= 1 {
            Endangered::Routes
        } else if alike.secondary > 0 && !is_secondary(record) {
            Endangered::Secondaries
        } else {
            Endangered::Nothing
        }
    }
}

fn is_secondary(record: &AddressRecord) -> bool {
    record.flags.contains(AddressFlags::Secondary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str, prefix_len: u8, flags: AddressFlags) -> AddressRecord {
        let address = text.parse().unwrap();
        AddressRecord { index: 1, address, prefix_len, flags, valid: None, tag: None, created: 0 }
    }

    #[test]
    fn the_last_ipv4_address_takes_the_routes_along() {
        let mut census = Census::default();
        let first = record("10.0.0.1", 24, AddressFlags::Permanent);
        let second = record("10.0.0.2", 32, AddressFlags::Permanent);
        let elsewhere = AddressRecord { index: 2, ..second.clone() };
        let v6 = record("fd00::1", 24, AddressFlags::Permanent);
        for record in [&first, &second, &elsewhere, &v6] {
            census.count(record);
        }
        assert_eq!(census.endangered_by(&first), Endangered::Nothing);
        assert_eq!(census.endangered_by(&elsewhere), Endangered::Routes);
        census.discount(&second);
        census.discount(&v6);
        assert_eq!(census.endangered_by(&first), Endangered::Routes);
        assert_eq!(census.endangered_by(&v6), Endangered::Nothing);
    }

    #[test]
    fn a_primary_address_takes_its_secondaries_along_and_a_secondary_takes_nothing() {
        let mut census = Census::default();
        let primary = record("10.0.0.1", 24, AddressFlags::Permanent);
        let secondary = record("10.0.0.2", 24, AddressFlags::Secondary);
        let other = record("10.0.0.3", 32, AddressFlags::Permanent);
        for record in [&primary, &secondary, &other] {
            census.count(record);
        }
        assert_eq!(census.endangered_by(&primary), Endangered::Secondaries);
        assert_eq!(census.endangered_by(&secondary), Endangered::Nothing);
        assert_eq!(census.endangered_by(&other), Endangered::Nothing);
        census.discount(&secondary);
        assert_eq!(census.endangered_by(&primary), Endangered::Nothing);
    }
}
