//! Which virtual addresses are here: on links, as the kernel says; or only made known by a backend
//! that does not put them on a link (BGP, a route table), each with the lifetime that withdraws it
//! when nobody refreshes it (design law 3). Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::{
    Address, Lifetime, LinkName, Notice, Observation, Owner, Presence, Usability, Vip,
};

/// Time since some moment before all others: the backend's start.
type Moment = Duration;

/// Addresses that are here.
#[derive(Debug, Default)]
pub struct Holdings {
    on_links: BTreeMap<LinkName, BTreeSet<IpAddr>>,
    made_known: BTreeMap<IpAddr, (Vip, Moment)>,
}

impl Holdings {
    /// Whether packets to it can be taken here.
    #[must_use]
    pub fn has(&self, vip: &Vip) -> bool {
        match vip.presence {
            Presence::OnLink => {
                self.on_links.get(&vip.link).is_some_and(|known| known.contains(&vip.address))
            }
            Presence::MadeKnown => self.made_known.contains_key(&vip.address),
        }
    }

    /// Whether it is here in any way.
    #[must_use]
    pub fn has_anywhere(&self, address: IpAddr) -> bool {
        self.made_known.contains_key(&address)
            || self.on_links.values().any(|known| known.contains(&address))
    }

    /// Whether it is here in any way but on this link.
    #[must_use]
    pub fn has_beside(&self, address: IpAddr, link: &LinkName) -> bool {
        self.made_known.get(&address).is_some_and(|(vip, _)| vip.link != *link)
            || self.on_links.iter().any(|(on, known)| on != link && known.contains(&address))
    }

    /// It was put on its link just now: the kernel may say so later.
    pub fn put_on_link(&mut self, vip: &Vip) {
        self.on_links.entry(vip.link.clone()).or_default().insert(vip.address);
    }

    /// It was taken off a link just now.
    pub fn take_off_link(&mut self, address: IpAddr, link: &LinkName) {
        if let Some(known) = self.on_links.get_mut(link) {
            known.remove(&address);
        }
    }

    /// Keeps an address that is only made known; what is new of it.
    pub fn make_known(&mut self, vip: &Vip, lifetime: Lifetime, now: Moment) -> Option<Notice> {
        let until = now + Duration::from_secs(u64::from(lifetime.as_secs()));
        let before = self.made_known.insert(vip.address, (vip.clone(), until));
        let same = before.is_some_and(|(old, _)| old == *vip);
        (!same).then(|| Notice::Address(address(vip, until, now)))
    }

    /// Forgets one that is only made known, as being on this link; what there is to say of it.
    pub fn forget(&mut self, address: IpAddr, link: &LinkName) -> Option<Notice> {
        self.made_known.get(&address).filter(|(vip, _)| vip.link == *link)?;
        let (vip, _) = self.made_known.remove(&address)?;
        Some(Notice::AddressGone { link: vip.link, address })
    }

    /// Forgets what was not refreshed in time.
    pub fn expired(&mut self, now: Moment) -> Vec<Vip> {
        if self.deadline().is_none_or(|at| at > now) {
            return Vec::new();
        }
        let expired = |(_, until): &&(Vip, Moment)| *until <= now;
        let gone: Vec<Vip> =
            self.made_known.values().filter(expired).map(|(vip, _)| vip.clone()).collect();
        self.made_known.retain(|_, (_, until)| *until > now);
        gone
    }

    /// When the next one expires.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.made_known.values().map(|(_, until)| *until).min()
    }

    /// Those only made known, as if they were on their links.
    pub fn made_known(&self, now: Moment) -> impl Iterator<Item = Address> {
        self.made_known.values().map(move |(vip, until)| address(vip, *until, now))
    }

    /// Takes in what the kernel says of links.
    pub fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Snapshot(observation) => self.replace(observation),
            Notice::Address(address) => self.address(address),
            Notice::AddressGone { link, address } => self.take_off_link(*address, link),
            Notice::LinkGone(gone) => drop(self.on_links.remove(gone)),
            _ => {}
        }
    }

    /// Takes in everything that the kernel has.
    pub fn replace(&mut self, observation: &Observation) {
        self.on_links.clear();
        observation.addresses.iter().for_each(|address| self.address(address));
    }

    fn address(&mut self, address: &Address) {
        if address.owner == Owner::Node || address.usability == Usability::Duplicate {
            self.take_off_link(address.address, &address.link);
        } else {
            self.on_links.entry(address.link.clone()).or_default().insert(address.address);
        }
    }
}

fn address(vip: &Vip, until: Moment, now: Moment) -> Address {
    Address {
        link: vip.link.clone(),
        address: vip.address,
        prefix_len: vip.prefix_len,
        owner: Owner::Viplet,
        valid_for: Some(until.saturating_sub(now)),
        usability: Usability::Usable,
    }
}

#[cfg(test)]
mod tests;
