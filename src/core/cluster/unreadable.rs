//! Objects that are there and could not be read. Whoever keeps what was known of them before asks
//! here which ones a new list must not drop; `why` says the reason.

use std::collections::BTreeMap;

use crate::core::cluster::record::{ServiceName, SliceName, Unreadable};

/// Those of each kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnreadableObjects {
    pub(crate) services: Reasons<ServiceName>,
    pub(crate) slices: Reasons<SliceName>,
    pub(crate) nodes: Reasons<Box<str>>,
}

/// Why each could not be read.
#[derive(Clone, Debug)]
pub(crate) struct Reasons<K>(BTreeMap<K, Box<str>>);

impl<K: Ord + Clone> Reasons<K> {
    /// A list holds these and no others.
    pub(crate) fn replace(&mut self, listed: Vec<Unreadable<K>>) {
        self.0.clear();
        listed.into_iter().for_each(|one| self.add(one));
    }

    /// One more.
    pub(crate) fn add(&mut self, one: Unreadable<K>) {
        self.0.insert(one.key, one.reason.into());
    }

    /// It was read, or is gone.
    pub(crate) fn remove(&mut self, key: &K) {
        self.0.remove(key);
    }

    /// Why it could not be read, if that is so.
    pub(crate) fn get(&self, key: &K) -> Option<&str> {
        self.0.get(key).map(|reason| &**reason)
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &str)> {
        self.0.iter().map(|(key, reason)| (key, &**reason))
    }

    /// Their keys, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }
}

impl<K> Default for Reasons<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}
