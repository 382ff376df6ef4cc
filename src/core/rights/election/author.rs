//! Whose a record in this node's name is: this machine's, or that of another machine (or process)
//! which goes by the same name. Only our own is renewed, released and taken up again after a
//! restart; another's is waited for like any other holder's.
//!
//! The hardware address in the record decides ([`Machine`]). Where it cannot, because another
//! program wrote the record, a change that no write of ours can have made is another's.

use std::rc::Rc;

use super::{Call, Election, Purpose};
use crate::core::report::Level;
use crate::core::rights::lease::LeaseRecord;
use crate::core::rights::machine::Machine;

/// Who wrote a record in this node's name, by the way it came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// It was there when the Lease was seen first: an earlier run of ours.
    EarlierRun,
    /// This process.
    Us,
    /// It was seen while a write of ours was under way, whose answer will tell.
    UnderWay,
    /// It changed, and no write of ours can have done it.
    Another,
}

/// Whether a claim was sent that may be stored at any time, though its answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LostClaim {
    /// No.
    No,
    /// It is, unless the record is seen to change: then it was stored, or never will be.
    Possible,
}

/// The record that was known when another one is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// None: the Lease had not been read.
    Unread,
    /// A later one: the store was restored from a backup.
    Later,
    /// An earlier one, or none was there.
    Earlier,
}

impl Election {
    /// Tells it which machine this is; whether that changes who holds the lease.
    pub fn know_machine(&mut self, machine: &Rc<Machine>) -> bool {
        if Rc::ptr_eq(&self.machine, machine) {
            return false;
        }
        self.machine = Rc::clone(machine);
        let before = self.namesake.clone();
        self.look_for_namesake();
        before != self.namesake
    }

    /// What another machine with this node's name is called, where the record is its.
    #[must_use]
    pub fn namesake(&self) -> Option<&str> {
        self.namesake.as_deref()
    }

    /// Whether the lease is in this node's name, and this machine's.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.holder() == Some(self.me())
    }

    /// The same of the last record that there was.
    pub(super) fn was_ours(&self) -> bool {
        let last = self.known.last().map(|(record, _)| record);
        last.is_some_and(|record| record.holder == self.me() && !self.is_anothers(record))
    }

    /// The record was seen to change, by a report.
    pub(super) fn note_change(&mut self, before: Before) {
        let claims = self.call.is_some_and(|call| call.purpose == Purpose::Claim);
        let lost = std::mem::replace(&mut self.lost_claim, LostClaim::No);
        self.author = match (before, self.is_signed_by_us()) {
            (Before::Unread | Before::Later, _) => Author::EarlierRun,
            (Before::Earlier, true) if lost == LostClaim::Possible => Author::Us,
            (Before::Earlier, true) if claims => Author::UnderWay,
            (Before::Earlier, _) => Author::Another,
        };
    }

    /// Our write was stored as this version.
    pub(super) fn note_stored(&mut self, version: &str) {
        let known = self.known.object().map(|(known, ..)| known);
        self.author = if known == Some(version) { Author::Us } else { Author::Another };
        self.lost_claim = LostClaim::No;
    }

    /// Our write was refused: what was seen meanwhile is not it.
    pub(super) fn note_refused(&mut self) {
        if self.author == Author::UnderWay {
            self.author = Author::Another;
        }
    }

    /// Whether our write was stored will not be told.
    pub(super) fn note_lost(&mut self, call: Call) {
        if self.author == Author::UnderWay {
            self.author = Author::Us;
        } else if call.purpose == Purpose::Claim {
            self.lost_claim = LostClaim::Possible;
        }
    }

    /// Whether the record looks as this machine writes it.
    fn is_signed_by_us(&self) -> bool {
        let record = self.known.object().map(|(_, record, _)| record);
        match record.and_then(LeaseRecord::machine) {
            Some(machine) => self.machine.has(machine),
            None => self.machine.name().is_none(),
        }
    }

    fn is_anothers(&self, record: &LeaseRecord) -> bool {
        match self.author {
            // Whatever has become of the link whose address it was signed with.
            Author::Us => false,
            Author::Another => true,
            Author::EarlierRun | Author::UnderWay => self.is_signed_elsewhere(record),
        }
    }

    fn is_signed_elsewhere(&self, record: &LeaseRecord) -> bool {
        record.machine().is_some_and(|machine| !self.machine.has(machine))
    }

    /// Says who holds the lease in our name, if that has changed.
    pub(super) fn look_for_namesake(&mut self) {
        let record = self.known.object().map(|(_, record, _)| record);
        let anothers = record.filter(|one| one.holder == self.me() && self.is_anothers(one));
        let called = anothers.map(|one| match one.machine() {
            Some(machine) if !self.machine.has(machine) => {
                format!("{} on another machine ({machine})", one.holder)
            }
            _ => format!("{} in another process or on another machine", one.holder),
        });
        if called == self.namesake {
            return;
        }
        self.namesake = called;
        if let Some(called) = &self.namesake {
            let text = format!("{called} holds it, and this node stays away: {CURE}");
            self.report(Level::Warn, text);
        } else if self.was_read() {
            let text = "no other machine holds it in this node's name any more";
            self.report(Level::Info, text.to_owned());
        }
    }
}

/// What to do about two machines with one name.
pub const CURE: &str = "two machines go by one name: give each its own host name or vip_nodename";
