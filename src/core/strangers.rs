//! Addresses with our tag that nobody claims here: an earlier run had other settings, or its
//! Services are gone; or another instance on this node holds them, which has the same tag. One with
//! a lifetime is the kernel's: while somebody refreshes it, it is not ours to take, and otherwise it
//! runs out, before its Lease does. One without is held by nobody that runs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::{Address, LinkName, Notice, Owner};

use super::addresses::claim::stale_withdrawal;
use super::input::Effect;
use super::observed::{Lifespan, Observed};
use super::report::{Level, Report};
use super::time::Moment;
use super::work_queue::Due;

/// A withdrawal of something stale is not repeated sooner.
const AGAIN: Duration = Duration::from_secs(1);

/// Where an address was seen.
type Place = (IpAddr, LinkName);

/// What may have to go.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers {
    suspects: BTreeSet<Place>,
    /// When each was asked to go last.
    asked: BTreeMap<Place, Moment>,
}

impl Strangers {
    /// Notes addresses with our tag.
    pub(super) fn note(&mut self, notice: &Notice) {
        let seen = match notice {
            Notice::Snapshot(all) => all.addresses.as_slice(),
            Notice::Address(address) => std::slice::from_ref(address),
            _ => return,
        };
        let ours = seen.iter().filter(|address| address.owner == Owner::Viplet);
        let place = |address: &Address| (address.address, address.link.clone());
        self.suspects.extend(ours.map(place));
    }

    /// Withdraws those that nobody claims, and says so.
    pub(super) fn withdraw(
        &mut self,
        observed: &Observed,
        is_claimed: impl Fn(IpAddr) -> bool,
        now: Moment,
    ) -> Vec<Effect> {
        self.asked.retain(|(address, link), at| {
            now.since(*at) < AGAIN || observed.on(*address, link).is_some()
        });
        let (mut effects, mut left) = (Vec::new(), BTreeSet::new());
        for place in std::mem::take(&mut self.suspects) {
            let (address, link) = &place;
            let seen = observed.on(*address, link).filter(|seen| seen.owner == Owner::Viplet);
            let endless = seen.filter(|seen| seen.lifespan == Lifespan::Endless);
            // One with a lifetime comes back here when that changes.
            let Some(seen) = endless.filter(|_| !is_claimed(*address)) else { continue };
            if self.asked.get(&place).is_none_or(|at| now.since(*at) >= AGAIN) {
                let text =
                    format!("{address} on {link}: removed: left by an earlier run, not wanted");
                effects.push(Effect::Addresses(stale_withdrawal(seen)));
                effects.push(Effect::Report(Report { level: Level::Info, text }));
                self.asked.insert(place.clone(), now);
            }
            left.insert(place);
        }
        self.suspects = left;
        effects
    }

    /// When something that was asked to go is asked again.
    pub(super) fn deadline(&self, now: Moment) -> Due {
        let again = self.asked.values().map(|at| *at + AGAIN).filter(|at| *at > now).min();
        again.map(|at| (at, "something stale is still here"))
    }
}
