//! The announced addresses, what each peer has been told of them, and the UPDATEs that make up the
//! difference. What a peer has yet to hear is always worked out from the table, never queued: a peer
//! that does not read costs nothing but its own delay. Pure.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::net::IpAddr;

use viplet_backend_api::LinkName;

use crate::wire::Family;
use crate::wire::update::{self, NextHop, Path};

/// No message takes more routes.
const MOST: usize = 1024;

/// The announced addresses: host routes, whatever their prefix length on a link (BGP-7).
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Each with the link that it was announced as being on.
    addresses: BTreeMap<IpAddr, LinkName>,
    revision: u64,
}

impl Table {
    /// Whether it was not there before.
    pub(crate) fn insert(&mut self, address: IpAddr, link: &LinkName) -> bool {
        let new = self.addresses.insert(address, link.clone()).is_none();
        self.revision += u64::from(new);
        new
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, address: IpAddr) -> bool {
        let was = self.addresses.remove(&address).is_some();
        self.revision += u64::from(was);
        was
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.addresses.contains_key(&address)
    }

    /// Whether it is announced, and as being on this link.
    pub(crate) fn is_announced_on(&self, address: IpAddr, link: &LinkName) -> bool {
        self.addresses.get(&address) == Some(link)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.keys().copied()
    }
}

/// How the routes of one family are announced to one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    pub(crate) family: Family,
    pub(crate) next_hop: NextHop,
}

/// Whether the end of the initial table has been marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndOfRib {
    Due,
    Sent,
}

/// What one peer has been told in its present session (Adj-RIB-Out, RFC 4271 §3.2).
#[derive(Debug)]
pub(crate) struct AdjRibOut {
    path: Path,
    channels: Vec<(Channel, EndOfRib)>,
    /// Each with the round in which it was told.
    routes: BTreeMap<IpAddr, u32>,
    /// A new round tells of everything again.
    rounds: BTreeMap<Family, u32>,
    /// Of the table when there was nothing left to tell.
    done: Option<u64>,
}

/// Whether everything that there is to be announced for now is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completeness {
    Partial,
    Whole,
}

/// Messages to one peer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Routes announced or withdrawn: somebody may count again.
    pub(crate) routes: usize,
}

impl AdjRibOut {
    pub(crate) fn new(path: Path, channels: Vec<Channel>) -> Self {
        Self {
            path,
            channels: channels.into_iter().map(|channel| (channel, EndOfRib::Due)).collect(),
            routes: BTreeMap::new(),
            rounds: BTreeMap::new(),
            done: None,
        }
    }

    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.routes.contains_key(&address)
    }

    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }

    /// Tells of all routes of a family again (RFC 2918 §4).
    pub(crate) fn refresh(&mut self, family: Family) {
        let round = self.rounds.entry(family).or_default();
        *round = round.wrapping_add(1);
        self.done = None;
    }

    /// Tells of all routes again, with these attributes.
    pub(crate) fn change_path(&mut self, path: Path) {
        if self.path != path {
            self.path = path;
            Family::BOTH.into_iter().for_each(|family| self.refresh(family));
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the next UPDATE to `to`; `None` when the peer knows all.
    pub(crate) fn next(
        &mut self,
        table: &Table,
        completeness: Completeness,
        to: &mut Vec<u8>,
    ) -> Option<Written> {
        if self.done != Some(table.revision) {
            for at in 0..self.channels.len() {
                let Some((channel, _)) = self.channels.get(at).cloned() else { continue };
                let said = self
                    .withdraw(&channel, table, to)
                    .or_else(|| self.announce(&channel, table, to));
                if said.is_some() {
                    return said;
                }
            }
            self.done = Some(table.revision);
        }
        if completeness == Completeness::Partial {
            return None;
        }
        let (channel, end) = self.channels.iter_mut().find(|(_, end)| *end == EndOfRib::Due)?;
        *end = EndOfRib::Sent;
        update::end_of_rib(channel.family, to);
        Some(Written { routes: 0 })
    }

    fn withdraw(&mut self, channel: &Channel, table: &Table, to: &mut Vec<u8>) -> Option<Written> {
        let gone: Vec<IpAddr> = self
            .routes
            .keys()
            .filter(|address| Family::of(**address) == channel.family && !table.contains(**address))
            .copied()
            .take(MOST)
            .collect();
        if gone.is_empty() {
            return None;
        }
        let count = update::withdraw(channel.family, channel.next_hop.form(), &gone, to);
        for address in gone.iter().take(count) {
            self.routes.remove(address);
        }
        Some(Written { routes: count })
    }

    fn announce(&mut self, channel: &Channel, table: &Table, to: &mut Vec<u8>) -> Option<Written> {
        let round = self.rounds.get(&channel.family).copied().unwrap_or(0);
        let new: Vec<IpAddr> = table
            .iter()
            .filter(|address| Family::of(*address) == channel.family)
            .filter(|address| self.routes.get(address) != Some(&round))
            .take(MOST)
            .collect();
        if new.is_empty() {
            return None;
        }
        let count = self.path.announce(channel.family, channel.next_hop, &new, to);
        let told = new.iter().take(count).map(|address| (*address, round));
        self.routes.extend(told);
        // Attributes that leave no room are excluded by their bounds; a loop would be worse.
        (count > 0).then_some(Written { routes: count })
    }
}

#[cfg(test)]
mod tests;
