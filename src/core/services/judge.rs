//! From Services to requests, and from requests to addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

use super::names::Key;
use super::request::{self, Ask, Verdict};
use super::{Entry, Services, Standing};
use crate::core::addresses::Addresses;
use crate::core::cluster::Cluster;
use crate::core::cluster::record::ServiceName;
use crate::core::input::Effect;
use crate::core::settings::Target;
use crate::core::time::Moment;

impl Services {
    /// Asks for every name that is due.
    pub(crate) fn look_names_up(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.unjudged.extend(self.names.look_up(now, effects));
    }

    /// A name was looked up; whether any Service asks for it.
    pub(crate) fn resolved(
        &mut self,
        name: &str,
        outcome: &Result<Vec<IpAddr>, String>,
        now: Moment,
    ) -> bool {
        let users = self.names.resolved(name, outcome, now);
        let known = users.is_some();
        self.unjudged.extend(users.into_iter().flatten());
        known
    }

    /// Judges the next few Services.
    pub(crate) fn judge_some(&mut self, cluster: &Cluster, addresses: &mut Addresses, now: Moment) {
        for _ in 0..self.site.settings.per_turn {
            let Some(name) = self.unjudged.pop_first() else { return };
            self.judge(&name, cluster, addresses, now);
        }
    }

    fn judge(
        &mut self,
        name: &ServiceName,
        cluster: &Cluster,
        addresses: &mut Addresses,
        now: Moment,
    ) {
        let Some(entry) = self.entries.get(name) else { return };
        let verdict =
            request::judge(&entry.record, &self.site.settings, cluster.nodes(), &entry.addresses);
        let (standing, ask) = match verdict {
            Verdict::Ignored(why) => (Standing::Ignored(why.into()), None),
            Verdict::Refused(refused) => (Standing::Refused(Box::new(refused)), None),
            Verdict::Waiting(why) => (Standing::Waiting(why.into()), None),
            Verdict::Asks(ask) => (Standing::Asking, Some(ask)),
        };
        let names = ask.as_ref().map(names_of).unwrap_or_default();
        self.names.set_users(name, &entry.names, &names, now);
        let (wanted, retiring) =
            ask.as_ref().map(|ask| self.addresses_of(entry, ask, cluster)).unwrap_or_default();
        let standing = match (&standing, wanted.is_empty()) {
            (Standing::Asking, true) => Standing::Waiting(self.names.unresolved(&names).into()),
            _ => standing,
        };
        if let Standing::Refused(refused) = &standing
            && entry.standing != standing
        {
            *self.counters.refused.entry(refused.word.to_owned()).or_default() += 1;
        }
        let asked: Vec<IpAddr> = wanted.iter().chain(&retiring).copied().collect();
        addresses.ask(&entry.record, &entry.asked(), &asked);
        addresses.plan_anew(asked);
        let Some(entry) = self.entries.get_mut(name) else { return };
        entry.standing = standing;
        entry.names = names;
        entry.addresses = wanted.into();
        entry.retiring = retiring.into();
        self.writes.pending.insert(name.clone());
    }

    /// The addresses that a request stands for now, and those that its names stood for until
    /// lately.
    fn addresses_of(
        &self,
        entry: &Entry,
        ask: &Ask,
        cluster: &Cluster,
    ) -> (Vec<IpAddr>, Vec<IpAddr>) {
        let (mut addresses, mut retiring) = (Vec::new(), Vec::new());
        for target in &ask.targets {
            match target {
                Target::Address(address) => addresses.push(*address),
                Target::Name(name) => {
                    let key = (Rc::from(name.as_str()), ask.dns_mode);
                    let (now, former) = self.names.addresses(&key);
                    addresses.extend(now);
                    retiring.extend(former);
                }
            }
        }
        addresses.retain(|address| {
            request::node_of(&entry.record, cluster.nodes(), &entry.addresses, *address).is_none()
        });
        let mut seen = BTreeSet::new();
        addresses.retain(|address| seen.insert(*address));
        retiring.retain(|address| seen.insert(*address));
        (addresses, retiring)
    }
}

fn names_of(ask: &Ask) -> Box<[Key]> {
    let names = ask.targets.iter().filter_map(|target| match target {
        Target::Address(_) => None,
        Target::Name(name) => Some((Rc::from(name.as_str()), ask.dns_mode)),
    });
    names.collect()
}
