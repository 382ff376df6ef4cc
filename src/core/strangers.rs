//! Addresses with our tag that this node is not asked for.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::Owner;

use super::Core;
use super::addresses::claim::stale_withdrawal;
use super::control_plane::Group;
use super::earlier_run::Leftovers;
use super::input::Effect;
use super::observed::Lifespan;
use super::report::{Level, Report};
use super::time::Moment;

/// A withdrawal of something stale is not repeated sooner.
pub(super) const STALE_AGAIN: Duration = Duration::from_secs(1);

impl Core {
    /// Addresses with our tag that nobody claims here: an earlier run had other settings, or its
    /// Services are gone; or another instance on this node holds them, which has the same tag. One
    /// with a lifetime is the kernel's: while somebody refreshes it, it is not ours to take, and
    /// otherwise it runs out, before its Lease does. One without is held by nobody that runs. While
    /// a name is unresolved one of them may be its address.
    pub(super) fn withdraw_strangers(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let group = self.control_plane.as_ref();
        let unresolved = |g: &Group| g.names.iter().any(|name| name.addresses().is_empty());
        let unlisted = self.services.as_ref().is_some_and(|services| !services.is_listed());
        if group.is_some_and(|g| unresolved(g) || g.link.is_none()) || unlisted {
            return;
        }
        self.stale.retain(|(address, link), at| {
            now.since(*at) < STALE_AGAIN || self.observed.on(*address, link).is_some()
        });
        let mut left = BTreeSet::new();
        for key in std::mem::take(&mut self.strangers) {
            let (address, link) = &key;
            let seen = self.observed.on(*address, link);
            let Some(seen) = seen.filter(|seen| seen.owner == Owner::Viplet) else {
                continue;
            };
            if seen.lifespan == Lifespan::Finite {
                continue; // It comes back here when that changes.
            }
            if self.is_claimed(*address) {
                continue;
            }
            let asked = self.stale.get(&key).is_some_and(|at| now.since(*at) < STALE_AGAIN);
            if !asked {
                self.stale.insert(key.clone(), now);
                let text =
                    format!("{address} on {link}: removed: left by an earlier run, not wanted");
                effects.push(Effect::Addresses(stale_withdrawal(seen)));
                effects.push(Effect::Report(Report { level: Level::Info, text }));
            }
            left.insert(key);
        }
        self.strangers = left;
    }

    /// Whether an address is one of those that this node is asked for, or was.
    fn is_claimed(&self, address: IpAddr) -> bool {
        let plane = self.control_plane.as_ref();
        plane.is_some_and(|group| group.claims.contains_key(&address) || group.wants(address))
            || self.services.as_ref().is_some_and(|services| services.claims(address))
    }

    pub(super) fn look_at_earlier_run(&mut self, now: Moment) {
        if self.earlier_run.leftovers() == Leftovers::None {
            return;
        }
        let mut earlier_run = std::mem::take(&mut self.earlier_run);
        let left = earlier_run.look(&self.observed, |address| self.is_claimed(address), now);
        self.earlier_run = earlier_run;
        if let (Leftovers::None, Some(services)) = (left, &mut self.services) {
            services.look_at_idle_leases();
        }
    }
}
