//! The DNS names that Services ask for, each looked up once for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::core::cluster::record::ServiceName;
use crate::core::input::Effect;
use crate::core::names::Name;
use crate::core::settings::DnsMode;
use crate::core::time::Moment;
use crate::core::work_queue::{Due, Timers, next_due};

/// How long an address is held that a name no longer stands for (VIP-4).
const FAREWELL: Duration = Duration::from_secs(60);

/// A name, and which of its addresses count.
pub(super) type Key = (Rc<str>, DnsMode);

/// All names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    lookups: BTreeMap<Key, Lookup>,
    /// Names to be looked up, or that have been.
    pending: BTreeSet<Key>,
    timers: Timers<Key>,
}

#[derive(Clone, Debug)]
struct Lookup {
    name: Name,
    users: BTreeSet<ServiceName>,
    /// What it stood for before, and until when that is held.
    former: Vec<(IpAddr, Moment)>,
    due: Due,
}

impl Names {
    /// A Service asks for the names `now`, and not for those `before` any more.
    pub(super) fn set_users(
        &mut self,
        service: &ServiceName,
        before: &[Key],
        names: &[Key],
        now: Moment,
    ) {
        for key in before.iter().filter(|key| !names.contains(key)) {
            self.remove_user(service, key);
        }
        for key in names {
            let lookup = self.lookups.entry(key.clone()).or_insert_with(|| Lookup {
                name: Name::new(key.0.to_string(), key.1),
                users: BTreeSet::new(),
                former: Vec::new(),
                due: None,
            });
            lookup.users.insert(service.clone());
            if lookup.due.is_none() && lookup.name.deadline() <= now {
                self.timers.rearm(key, &mut lookup.due, Some((now, "a DNS look-up")));
            }
        }
    }

    fn remove_user(&mut self, service: &ServiceName, key: &Key) {
        let Some(lookup) = self.lookups.get_mut(key) else { return };
        lookup.users.remove(service);
        if lookup.users.is_empty()
            && let Some(mut lookup) = self.lookups.remove(key)
        {
            self.timers.rearm(key, &mut lookup.due, None);
        }
    }

    /// A name was looked up: the Services that ask for it; `None`: no Service does.
    pub(super) fn resolved(
        &mut self,
        name: &str,
        outcome: &Result<Vec<IpAddr>, String>,
        now: Moment,
    ) -> Option<BTreeSet<ServiceName>> {
        let mut users = None;
        for (key, lookup) in self.lookups.iter_mut().filter(|(key, _)| *key.0 == *name) {
            self.pending.insert(key.clone());
            let before = lookup.name.addresses().to_vec();
            lookup.name.resolved(outcome.clone(), now);
            lookup.retire(&before, now);
            users.get_or_insert_with(BTreeSet::new).extend(lookup.users.iter().cloned());
        }
        users
    }

    /// Asks for every name that is due: the Services for which an address has had its time.
    pub(super) fn look_up(
        &mut self,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) -> BTreeSet<ServiceName> {
        let (mut asked, mut users) = (BTreeSet::new(), BTreeSet::new());
        for key in std::mem::take(&mut self.pending) {
            let Some(lookup) = self.lookups.get_mut(&key) else { continue };
            if lookup.former.iter().any(|(_, until)| *until <= now) {
                lookup.former.retain(|(_, until)| *until > now);
                users.extend(lookup.users.iter().cloned());
            }
            if lookup.name.due(now) && asked.insert(Rc::clone(&key.0)) {
                effects.push(Effect::Resolve { name: key.0.to_string() });
            }
            let farewell = lookup.former.iter().map(|(_, until)| *until).min();
            let next = farewell.map_or(lookup.name.deadline(), |at| at.min(lookup.name.deadline()));
            self.timers.rearm(&key, &mut lookup.due, Some((next, "a DNS look-up")));
        }
        users
    }

    /// What a name stands for now, and what it stood for until lately.
    pub(super) fn addresses(&self, key: &Key) -> (&[IpAddr], impl Iterator<Item = IpAddr>) {
        let lookup = self.lookups.get(key);
        let former = lookup.into_iter().flat_map(|lookup| &lookup.former);
        let now = lookup.map_or(&[][..], |lookup| lookup.name.addresses());
        (now, former.map(|(address, _)| *address))
    }

    /// Those of these names that stand for nothing, each with its reason; empty where there are
    /// none.
    pub(super) fn unresolved(&self, names: &[Key]) -> String {
        let lookups = names.iter().filter_map(|key| self.lookups.get(key));
        let without = lookups.filter(|lookup| lookup.name.addresses().is_empty());
        let why = without.map(|lookup| match lookup.name.trouble() {
            Some(why) => format!("{} is not resolved: {why}", lookup.name.name()),
            None => format!("{} is being resolved", lookup.name.name()),
        });
        why.collect::<Vec<_>>().join("; ")
    }

    /// Whether all of them stand for addresses.
    pub(super) fn are_resolved(&self) -> bool {
        self.lookups.values().all(|lookup| !lookup.name.addresses().is_empty())
    }

    /// Names whose time has come are looked up with the others.
    pub(super) fn wake(&mut self, now: Moment) {
        while let Some(key) = self.timers.pop(now) {
            if let Some(lookup) = self.lookups.get_mut(&key) {
                lookup.due = None;
            }
            self.pending.insert(key);
        }
    }

    /// When a name is due next.
    pub(super) fn deadline(&self) -> Due {
        next_due(&self.timers, |key| self.lookups.get(key)?.due)
    }
}

impl Lookup {
    fn retire(&mut self, before: &[IpAddr], now: Moment) {
        let current = self.name.addresses();
        self.former.retain(|(address, until)| *until > now && !current.contains(address));
        for address in before.iter().filter(|address| !current.contains(address)) {
            if !self.former.iter().any(|(known, _)| known == address) {
                self.former.push((*address, now + FAREWELL));
            }
        }
    }
}
