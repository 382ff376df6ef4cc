//! What the log says when the first peer was told of addresses that are held here, or when none is
//! told of them any more. A session carries all addresses, so that they are gathered for a moment
//! and named in one line.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::{Owner, Reach};

use super::observed::{Observed, peers, unheard};
use super::report::{Level, Report};
use super::time::Moment;

/// So long changes are gathered.
const GATHERED_FOR: Duration = Duration::from_millis(250);
/// Addresses that a line names; the others are counted.
const NAMED: usize = 4;

/// Whether any peer was told of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    Nobody,
    Somebody,
}

impl Audience {
    const fn of(reach: &Reach) -> Self {
        if reach.told == 0 { Self::Nobody } else { Self::Somebody }
    }
}

/// Changes that the log has not said yet.
#[derive(Clone, Debug, Default)]
pub struct PeerChanges {
    /// How it was when the gathering began.
    before: BTreeMap<IpAddr, Audience>,
    due: Option<Moment>,
}

impl PeerChanges {
    /// More or fewer peers were told of an address than is known so far.
    pub fn note(&mut self, reach: &Reach, known: &Observed, now: Moment) {
        let Some(before) = known.reach(reach.address).map(Audience::of) else { return };
        if before != Audience::of(reach) && is_here(reach.address, known) {
            self.before.entry(reach.address).or_insert(before);
            self.due.get_or_insert(now + GATHERED_FOR);
        }
    }

    /// When [`PeerChanges::reports`] has something to say.
    #[must_use]
    pub const fn deadline(&self) -> Option<Moment> {
        self.due
    }

    /// What there is to say now. What has changed and changed back is not said.
    pub fn reports(&mut self, observed: &Observed, now: Moment) -> Vec<Report> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.due = None;
        let (mut heard, mut unheard_of) = (Vec::new(), Vec::new());
        for (address, before) in std::mem::take(&mut self.before) {
            let Some(reach) = observed.reach(address).filter(|_| is_here(address, observed)) else {
                continue;
            };
            match Audience::of(reach) {
                after if after == before => {}
                Audience::Somebody => heard.push(reach),
                Audience::Nobody => unheard_of.push(reach),
            }
        }
        let told = heard.first().map(|first| Report {
            level: Level::Info,
            text: format!("{}: announced {} now", named(&heard), peers(first)),
        });
        let untold = unheard_of.first().map(|first| Report {
            level: Level::Warn,
            text: format!(
                "{}: held, announced to no peer any more: {}",
                named(&unheard_of),
                unheard(first)
            ),
        });
        told.into_iter().chain(untold).collect()
    }
}

fn is_here(address: IpAddr, observed: &Observed) -> bool {
    observed.everywhere(address).any(|seen| seen.owner == Owner::Viplet)
}

fn named(reaches: &[&Reach]) -> String {
    let first: Vec<_> = reaches.iter().take(NAMED).map(|one| one.address.to_string()).collect();
    match reaches.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more addresses", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;
