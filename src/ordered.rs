//! Ordered maps and sets, filled one by one. The standard library's `collect` and `From` sort what
//! they are given first, which is 7 KB of code for each of our types, and much of the program.

use std::collections::{BTreeMap, BTreeSet};

/// A map of these entries; of two with one key the later one counts.
pub(crate) fn map<K: Ord, V>(entries: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(entries);
    map
}

/// A set of these.
pub(crate) fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(items);
    set
}
