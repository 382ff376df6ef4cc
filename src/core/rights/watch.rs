//! What the watch over many Leases tells.

use std::rc::Rc;

use super::Rights;
use super::lease::LeaseName;
use crate::core::cluster::Cluster;
use crate::core::cluster::record::{Change, ServiceName, Unreadable};
use crate::core::input::{LeaseSeen, LeaseView, Origin};
use crate::core::time::Moment;
use crate::core::version::is_older;
use crate::ordered;

/// Whether all Leases were listed for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstList {
    No,
    Yes,
}

impl Rights {
    /// Leases were listed, changed or deleted: whether all were seen now for the first time.
    pub(crate) fn take_leases(
        &mut self,
        change: Change<LeaseSeen, LeaseName>,
        now: Moment,
    ) -> FirstList {
        match change {
            Change::Replaced(all) => return self.take_all(all, Vec::new(), now),
            Change::ReplacedExcept(all, unreadable) => {
                return self.take_all(all, unreadable, now);
            }
            Change::Unreadable(one) => {
                self.cannot_read(&one, now);
                self.unreadable.add(one);
            }
            Change::Applied(seen) => {
                self.unreadable.remove(&seen.lease);
                let known = self.seen.get(&seen.lease);
                if known.is_none_or(|known| !is_older(&seen.version, &known.version)) {
                    self.take(seen, now);
                }
            }
            Change::Deleted(lease) => {
                self.unreadable.remove(&lease);
                self.seen.strike(&lease);
                self.is_absent(&lease, now);
            }
        }
        FirstList::No
    }

    fn cannot_read(&mut self, one: &Unreadable<LeaseName>, now: Moment) {
        let reason = one.reason.clone();
        self.with_election(&one.key, |election| election.unreadable(reason, now));
    }

    fn take_all(
        &mut self,
        all: Vec<LeaseSeen>,
        unreadable: Vec<Unreadable<LeaseName>>,
        now: Moment,
    ) -> FirstList {
        unreadable.iter().for_each(|one| self.cannot_read(one, now));
        self.unreadable.replace(unreadable);
        let there = all.iter().map(|seen| &seen.lease).chain(self.unreadable.keys());
        let names = ordered::set(there.cloned());
        all.into_iter().for_each(|seen| self.take(seen, now));
        let followed = self.candidacies.keys();
        let gone = followed.filter(|lease| self.is_covered(lease) && !names.contains(&***lease));
        let gone: Vec<Rc<LeaseName>> = gone.cloned().collect();
        gone.iter().for_each(|lease| self.is_absent(lease, now));
        self.seen.keep_only(&names);
        if !self.seen.complete() {
            return FirstList::No;
        }
        self.pending.extend(self.candidacies.keys().cloned());
        FirstList::Yes
    }

    fn take(&mut self, seen: LeaseSeen, now: Moment) {
        self.seen.note_mark(&seen);
        if self.candidacies.contains_key(&seen.lease) {
            let view = LeaseView::Present { version: seen.version, record: seen.record };
            self.with_election(&seen.lease, |election| election.observe(Origin::Watch, view, now));
        } else {
            self.seen.note(seen, now);
        }
    }

    fn is_absent(&mut self, lease: &LeaseName, now: Moment) {
        self.with_election(lease, |election| {
            election.observe(Origin::Watch, LeaseView::Absent, now);
        });
    }

    /// Whether the watch over many leases sees this one.
    pub(super) fn is_covered(&self, lease: &LeaseName) -> bool {
        let watched = self.site.settings.namespace.as_ref();
        watched.is_none_or(|namespace| lease.namespace == *namespace)
    }

    /// After the start: leases in our name for Services that are gone are given back.
    pub(crate) fn release_what_is_left(&mut self, cluster: &Cluster, now: Moment) {
        let is_left = |lease: &LeaseName| {
            lease.name.strip_prefix("kubevip-").is_some_and(|service| {
                cluster.service(&ServiceName::new(&lease.namespace, service)).is_none()
            })
        };
        let ours = self.seen.iter().filter(|(_, seen)| seen.record.holder == self.site.node);
        let left = ours.filter(|(lease, _)| is_left(lease)).map(|(lease, _)| lease.clone());
        for lease in left.collect::<Vec<_>>() {
            self.follow(&lease, now);
        }
    }
}
