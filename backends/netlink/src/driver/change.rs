//! Addresses put on and taken off links, in the caller's turn.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::address::AddressFlags;
use viplet_backend_api::{Class, DuplicateDetection, Lifetime, LinkName, Owner, Refusal, Vip};

use super::{Kernel, refuse};
use crate::addresses::{AddressKey, key};
use crate::census::Endangered;
use crate::encode;
use crate::error::{Capability, errno, io_refusal};
use crate::request::{Change, Echo};
use crate::restore::{self, Kept};
use crate::wire::{AddressRecord, rtm};

/// What an install did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The address was not ours on this link before.
    Added,
    /// It was: only its lifetime was wound up.
    Refreshed,
}

/// An install that nothing speaks against.
struct Install {
    key: AddressKey,
    payload: Vec<u8>,
    lifetime: Lifetime,
    placed: Placed,
    /// Entries of the same address with another prefix length, or stuck.
    others: Vec<AddressRecord>,
    order: Order,
}

/// Whether an address may keep its place among the link's IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Stays,
    /// It stands before the node's own.
    Moves,
}

/// Installs in one message to the kernel, whose answers must fit into the socket's buffer.
const AT_ONCE: usize = 64;

impl Kernel {
    /// Makes `vip` present for at most `lifetime`; present already: refreshes it in place.
    ///
    /// # Errors
    /// When the address is the node's own, the link is gone, or the kernel refuses.
    pub fn install(&mut self, vip: &Vip, lifetime: Lifetime) -> Result<Placed, Refusal> {
        self.catch_up()?;
        self.find_misplaced(&vip.link);
        let install = self.prepare(vip, lifetime)?;
        self.carry_out(vip, &install)
    }

    /// As [`Kernel::install`] for each, in few system calls.
    pub fn install_all(&mut self, all: &[(&Vip, Lifetime)]) -> Vec<Result<Placed, Refusal>> {
        let mut outcomes = Vec::with_capacity(all.len());
        for some in all.chunks(AT_ONCE) {
            match self.catch_up() {
                Ok(()) => self.install_some(some, &mut outcomes),
                Err(refusal) => outcomes.extend(some.iter().map(|_| Err(refusal.clone()))),
            }
        }
        outcomes
    }

    fn install_some(
        &mut self,
        some: &[(&Vip, Lifetime)],
        outcomes: &mut Vec<Result<Placed, Refusal>>,
    ) {
        for run in some.chunk_by(|(a, _), (b, _)| a.link == b.link) {
            run.first().into_iter().for_each(|(vip, _)| self.find_misplaced(&vip.link));
        }
        let prepared: Vec<_> =
            some.iter().map(|(vip, lifetime)| self.prepare(vip, *lifetime)).collect();
        let simple =
            |install: &&Install| install.others.is_empty() && install.order == Order::Stays;
        let together: Vec<_> = prepared.iter().flatten().filter(simple).map(change).collect();
        let mut done = self.requests.change_all(&together).into_iter();
        drop(together);
        for ((vip, _), install) in some.iter().zip(prepared) {
            outcomes.push(match install {
                Err(refusal) => Err(refusal),
                Ok(install) if simple(&&install) => {
                    let done = done.next().unwrap_or(Ok(()));
                    let done = done.map_err(|failure| refuse(&format!("put {vip}"), &failure));
                    done.map(|()| self.placed(&install))
                }
                Ok(install) => self.carry_out(vip, &install),
            });
        }
    }

    fn prepare(&mut self, vip: &Vip, lifetime: Lifetime) -> Result<Install, Refusal> {
        let index = self.table.index(&vip.link).ok_or_else(|| lost(vip))?;
        if let Some(link) = self.table.node_own(vip.address, index) {
            return Err(node_own(vip, link));
        }
        let vip = &self.as_it_may_be_put(vip, index);
        let key = (index, vip.address, vip.prefix_len);
        let settled = self.table.is_settled(&key);
        let others = self
            .table
            .entries(index, vip.address)
            .filter(|entry| must_go_first(entry, vip) || entry.prefix_len != vip.prefix_len)
            .cloned()
            .collect();
        let order = if self.misplaced.remove(&key) { Order::Moves } else { Order::Stays };
        Ok(Install {
            key,
            payload: encode::encode_install(vip, index, lifetime, self.tag),
            lifetime,
            placed: match (settled, order) {
                (true, Order::Stays) => Placed::Refreshed,
                _ => Placed::Added,
            },
            others,
            order,
        })
    }

    /// While the node's own IPv4 addresses are flushed from a link, ours has the length of a host:
    /// the kernel would make the node's own a secondary one of a network's, which goes with it.
    fn as_it_may_be_put(&self, vip: &Vip, index: u32) -> Vip {
        match vip.address {
            IpAddr::V4(_) if self.table.is_bereft(index) => Vip { prefix_len: 32, ..vip.clone() },
            _ => vip.clone(),
        }
    }

    /// After the node's own IPv4 address came to a link: finds those of ours that stand before it.
    /// The kernel takes the first one as a source where nothing else decides, and makes later ones
    /// of the same network its secondaries.
    fn find_misplaced(&mut self, link: &LinkName) {
        let Some(index) = self.table.index(link) else { return };
        if !self.table.take_returned(index) {
            return;
        }
        let in_order = restore::read_addresses(&mut self.requests, index).unwrap_or_default();
        let owners = in_order.iter().map(|(record, _)| (self.table.owner(record), key(record)));
        let before: Vec<_> = owners.take_while(|(owner, _)| *owner != Owner::Node).collect();
        if before.len() < in_order.len() {
            let ours = before.into_iter().filter(|(owner, _)| *owner == Owner::Viplet);
            self.misplaced.extend(ours.map(|(_, key)| key));
        }
    }

    fn carry_out(&mut self, vip: &Vip, install: &Install) -> Result<Placed, Refusal> {
        let (before, after): (Vec<_>, Vec<_>) =
            install.others.iter().partition(|entry| must_go_first(entry, vip));
        for entry in before {
            self.remove(entry)?;
        }
        // The kernel appends to the list, and has no other way to change the order.
        if install.order == Order::Moves
            && let Some(entry) = self.table.entry(&install.key).cloned()
        {
            self.remove(&entry)?;
        }
        let outcome = self.requests.change(&change(install));
        outcome.map_err(|failure| refuse(&format!("put {vip}"), &failure))?;
        for entry in after {
            self.remove(entry)?;
        }
        Ok(self.placed(install))
    }

    /// The monitor says nothing of a refresh, so the table is told here.
    fn placed(&mut self, install: &Install) -> Placed {
        if install.placed == Placed::Refreshed {
            self.table.refreshed(&install.key, install.lifetime.as_secs());
        }
        install.placed
    }

    /// Takes the address off the link; absent already, or only there as the node's own: nothing
    /// to do.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn withdraw(&mut self, address: IpAddr, link: &LinkName) -> Result<(), Refusal> {
        self.withdraw_if(address, link, |owner| owner != Owner::Node)
    }

    /// As [`Kernel::withdraw`], but what was put there by hand stays.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn withdraw_marked(&mut self, address: IpAddr, link: &LinkName) -> Result<(), Refusal> {
        self.withdraw_if(address, link, |owner| !matches!(owner, Owner::Node | Owner::Unmarked))
    }

    fn withdraw_if(
        &mut self,
        address: IpAddr,
        link: &LinkName,
        goes: impl Fn(Owner) -> bool,
    ) -> Result<(), Refusal> {
        self.catch_up()?;
        let Some(index) = self.table.index(link) else { return Ok(()) };
        // The kernel tells of an IPv6 address without duplicate detection only a moment after it
        // was added (`addrconf_dad_work`); a dump has it at once.
        if address.is_ipv6() && self.table.entries(index, address).next().is_none() {
            self.look_again()?;
        }
        let ours: Vec<AddressRecord> = self
            .table
            .entries(index, address)
            .filter(|entry| goes(self.table.owner(entry)))
            .cloned()
            .collect();
        // One that cannot be removed does not keep the others.
        let outcomes: Vec<_> = ours.iter().map(|entry| self.remove(entry)).collect();
        outcomes.into_iter().collect()
    }

    /// Removes one address, and puts back what the kernel took along with it.
    fn remove(&mut self, entry: &AddressRecord) -> Result<(), Refusal> {
        let kept = self.endangers(entry).then(|| Kept::read(&mut self.requests, entry.index));
        let payload = encode::encode_remove(entry.address, entry.prefix_len, entry.index);
        let removal = Change { kind: rtm::DELADDR, flags: 0, payload: &payload, echo: Echo::Heard };
        let outcome = match self.requests.change(&removal) {
            Err(failure) if failure.is(errno::EADDRNOTAVAIL) || failure.is(errno::ENODEV) => Ok(()),
            other => other,
        };
        if let Some(kept) = kept {
            kept.restore(&mut self.requests, entry);
        }
        outcome.map_err(|failure| refuse(&format!("remove {}", entry.address), &failure))
    }

    fn endangers(&self, entry: &AddressRecord) -> bool {
        match self.table.endangers(entry) {
            Endangered::Nothing => false,
            Endangered::Routes => true,
            Endangered::Secondaries => {
                let link = self.table.name(entry.index);
                !link.is_some_and(restore::promotes_secondaries)
            }
        }
    }
}

fn change(install: &Install) -> Change<'_> {
    Change {
        kind: rtm::NEWADDR,
        flags: NLM_F_CREATE | NLM_F_REPLACE,
        payload: &install.payload,
        echo: match install.placed {
            Placed::Added => Echo::Heard,
            Placed::Refreshed => Echo::Unheard,
        },
    }
}

/// An IPv6 address cannot change its prefix length in place, and one that failed duplicate
/// detection stays refused; neither answers or can be kept while it is replaced.
fn must_go_first(entry: &AddressRecord, vip: &Vip) -> bool {
    let stuck = entry.flags.contains(AddressFlags::Dadfailed)
        && vip.duplicate_detection == DuplicateDetection::Skip;
    vip.address.is_ipv6() && (entry.prefix_len != vip.prefix_len || stuck)
}

fn node_own(vip: &Vip, link: &LinkName) -> Refusal {
    Refusal {
        class: Class::Misconfigured,
        reason: format!(
            "{} is this node's own address on {link}; choose an address that no node has",
            vip.address
        ),
    }
}

fn lost(vip: &Vip) -> Refusal {
    let error = io::Error::from_raw_os_error(errno::ENODEV);
    io_refusal(&format!("put {vip}"), &error, Capability::NetAdmin, "")
}
