//! All addresses of the node, in order: what each link has of one address stands together. Pure.
//!
//! One list without gaps: there may be thousands, and for each refresh it is asked whose one is.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::cmp::Ordering;
use std::net::IpAddr;

use crate::wire::AddressRecord;

/// An entry's link, address and prefix length: what the kernel tells entries apart by.
pub(crate) type AddressKey = (u32, IpAddr, u8);

/// Records in the order of address, link, prefix length.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Vec<AddressRecord>);

impl Addresses {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes a record in; the one that was there with its key.
    pub(crate) fn insert(&mut self, record: AddressRecord) -> Option<AddressRecord> {
        match self.find(&key(&record)) {
            Ok(place) => self.0.get_mut(place).map(|known| std::mem::replace(known, record)),
            Err(place) => {
                if self.0.len() == self.0.capacity() {
                    self.0.reserve_exact(self.0.len() / 8 + 8); // Twice as much would mostly stay empty.
                }
                self.0.insert(place, record);
                None
            }
        }
    }

    /// Takes a record out.
    pub(crate) fn remove(&mut self, key: &AddressKey) -> Option<AddressRecord> {
        let place = self.find(key).ok()?;
        Some(self.0.remove(place))
    }

    /// The record with a key.
    pub(crate) fn get(&self, key: &AddressKey) -> Option<&AddressRecord> {
        self.0.get(self.find(key).ok()?)
    }

    /// The same, to be changed; not its key.
    pub(crate) fn get_mut(&mut self, key: &AddressKey) -> Option<&mut AddressRecord> {
        let place = self.find(key).ok()?;
        self.0.get_mut(place)
    }

    /// Every link's entries of one address.
    pub(crate) fn of(&self, address: IpAddr) -> &[AddressRecord] {
        self.between(address, address)
    }

    /// The entries of all addresses from `first` to `last`.
    pub(crate) fn between(&self, first: IpAddr, last: IpAddr) -> &[AddressRecord] {
        let from = self.0.partition_point(|record| record.address < first);
        let rest = self.0.get(from..).unwrap_or_default();
        let length = rest.iter().take_while(|record| record.address <= last).count();
        rest.get(..length).unwrap_or_default()
    }

    /// All records.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AddressRecord> {
        self.0.iter()
    }

    fn find(&self, key: &AddressKey) -> Result<usize, usize> {
        self.0.binary_search_by(|record| order(&self::key(record), key))
    }
}

/// A record's key.
pub(crate) fn key(record: &AddressRecord) -> AddressKey {
    (record.index, record.address, record.prefix_len)
}

fn order(a: &AddressKey, b: &AddressKey) -> Ordering {
    (a.1, a.0, a.2).cmp(&(b.1, b.0, b.2))
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::address::AddressFlags;
    use proptest::prelude::*;

    use super::*;

    fn record((index, last, prefix_len): (u32, u8, u8), valid: u32) -> AddressRecord {
        let address = match last % 2 {
            0 => IpAddr::from([192, 0, 2, last]),
            _ => IpAddr::from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]),
        };
        let valid = Some(valid);
        let flags = AddressFlags::empty();
        AddressRecord { index, address, prefix_len, flags, valid, tag: None, created: 0 }
    }

    proptest! {
        #[test]
        fn what_was_put_in_last_is_found_by_its_key_and_among_all_of_its_address(
            changes in prop::collection::vec(((1..4_u32, 0..9_u8, 24..27_u8), any::<bool>()), 0..60),
        ) {
            let mut addresses = Addresses::default();
            let mut model = std::collections::BTreeMap::new();
            for (number, (parts, put)) in changes.into_iter().enumerate() {
                let one = record(parts, u32::try_from(number).unwrap());
                if put {
                    prop_assert_eq!(addresses.insert(one.clone()), model.insert(key(&one), one));
                } else {
                    prop_assert_eq!(addresses.remove(&key(&one)), model.remove(&key(&one)));
                }
            }
            prop_assert_eq!(addresses.len(), model.len());
            prop_assert_eq!(addresses.iter().count(), model.len());
            for (key, one) in &model {
                prop_assert_eq!(addresses.get(key), Some(one));
                let same = model.values().filter(|other| other.address == one.address).count();
                prop_assert_eq!(addresses.of(one.address).len(), same);
                prop_assert!(addresses.of(one.address).contains(one));
            }
        }
    }
}
