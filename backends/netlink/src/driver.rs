//! [`Kernel`]: dumps, changes in the caller's turn, and a monitor that never leaves a gap.

mod change;

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_io::Timer;
pub use change::Placed;
use viplet_backend_api::{HardwareAddress, LinkName, Notice, Observation, Refusal, Tag};

use crate::addresses::AddressKey;
use crate::encode::Dump;
use crate::error::{Capability, io_refusal};
use crate::monitor::{Heard, Monitor};
use crate::observed::{Defaults, Follow, LinkFacts, Table, TagSupport};
use crate::request::{Failure, Requests};
use crate::wire::{self, AddressRecord, Frame, LinkRecord, Message, Reject, RouteRecord};

/// Asked for; the kernel gives what `net.core.rmem_max` allows.
const MONITOR_BUFFER: i32 = 1 << 20;
/// Notices kept for a caller that does not ask, or as many as there are links and addresses if
/// that is more; beyond, one snapshot takes their place.
const PENDING: usize = 1024;
/// Room for notices that is kept when there are none.
const PENDING_AT_REST: usize = 32;
/// How long to wait before a failed dump is tried again.
const BLIND_RETRY: Duration = Duration::from_secs(1);

/// The kernel's links and addresses.
#[derive(Debug)]
pub struct Kernel {
    tag: Tag,
    requests: Requests,
    monitor: Monitor,
    table: Table,
    /// Addresses of ours that stand before the node's own on their link: moved when refreshed.
    misplaced: BTreeSet<AddressKey>,
    pending: VecDeque<Notice>,
    waker: Option<Waker>,
    sight: Sight,
    rejected: u64,
}

/// Whether the table can be trusted.
#[derive(Debug)]
enum Sight {
    Clear,
    /// Messages were lost: dump again now.
    Overrun,
    /// The dump failed: dump again when the timer says so.
    Blind(Timer),
}

impl Kernel {
    /// Opens the sockets; addresses that carry `tag` as `IFA_PROTO` are ours.
    ///
    /// # Errors
    /// When the kernel refuses a socket.
    pub fn open(tag: Tag) -> Result<Self, Refusal> {
        Self::open_with_buffer(tag, MONITOR_BUFFER)
    }

    /// As [`Kernel::open`], with a receive buffer of `bytes` for the monitor.
    ///
    /// # Errors
    /// When the kernel refuses a socket.
    pub fn open_with_buffer(tag: Tag, bytes: i32) -> Result<Self, Refusal> {
        let refuse = |error| io_refusal("open a netlink socket", &error, Capability::NetAdmin, "");
        let requests = Requests::open().map_err(refuse)?;
        Ok(Self {
            tag,
            monitor: Monitor::open(bytes, requests.port()).map_err(refuse)?,
            requests,
            table: Table::new(tag, tag_support()),
            misplaced: BTreeSet::new(),
            pending: VecDeque::new(),
            waker: None,
            sight: Sight::Overrun,
            rejected: 0,
        })
    }

    /// Dumps links, addresses and default routes.
    ///
    /// # Errors
    /// When the kernel refuses a dump.
    pub fn observe(&mut self) -> Result<Observation, Refusal> {
        // Messages from before the dump could only turn the table back.
        self.monitor.discard();
        self.pending.clear();
        self.sight = Sight::Overrun;
        self.dump()?;
        self.sight = Sight::Clear;
        Ok(self.table.observation())
    }

    /// Waits for the next change. Every message lost is made up for by a [`Notice::Snapshot`].
    pub fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<Notice> {
        loop {
            if let Some(notice) = self.pending.pop_front() {
                return Poll::Ready(notice);
            }
            if let Sight::Blind(timer) = &mut self.sight {
                if std::pin::Pin::new(timer).poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.sight = Sight::Overrun;
            }
            self.drain();
            self.recover();
            if self.pending.is_empty() {
                match self.monitor.poll(cx) {
                    Poll::Ready(()) => {}
                    Poll::Pending => {
                        self.pending.shrink_to(PENDING_AT_REST);
                        self.wake_later(cx.waker());
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// What a sender of frames needs to know of a link, as of now.
    #[must_use]
    pub fn link(&mut self, name: &LinkName) -> Option<LinkFacts> {
        let _ = self.catch_up();
        self.link_as_known(name)
    }

    /// As [`Kernel::link`], as of the last command.
    #[must_use]
    pub fn link_as_known(&self, name: &LinkName) -> Option<LinkFacts> {
        self.table.facts(name)
    }

    /// A link's name by its index.
    #[must_use]
    pub fn link_name(&self, index: u32) -> Option<&LinkName> {
        self.table.name(index)
    }

    /// A usable IPv6 link-local address of the link.
    #[must_use]
    pub fn link_local(&self, index: u32) -> Option<Ipv6Addr> {
        self.table.link_local(index)
    }

    /// Whether one of this node's links has the hardware address.
    #[must_use]
    pub fn is_own_hardware(&self, hardware: &HardwareAddress) -> bool {
        self.table.is_own_hardware(hardware)
    }

    /// Counts the changes of what [`Kernel::held`] gives, so that it is read only when needed.
    #[must_use]
    pub fn held_revision(&self) -> u64 {
        self.table.held_revision()
    }

    /// The addresses of ours that are on links now, each with its link's index.
    pub fn held(&self) -> impl Iterator<Item = (u32, IpAddr)> {
        self.table.held()
    }

    /// How many messages could not be read.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Brings the table up to this moment: the kernel queued every change before it returned.
    fn catch_up(&mut self) -> Result<(), Refusal> {
        self.drain();
        if !matches!(self.sight, Sight::Clear) {
            self.look_again()?;
        }
        self.tell();
        Ok(())
    }

    /// Dumps, and queues what it shows as a snapshot.
    fn look_again(&mut self) -> Result<(), Refusal> {
        self.dump()?;
        self.sight = Sight::Clear;
        self.pending.clear();
        self.pending.push_back(Notice::Snapshot(self.table.observation()));
        self.tell();
        Ok(())
    }

    /// Wakes the one who waits for notices that were read outside its turn.
    fn tell(&mut self) {
        if !self.pending.is_empty()
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    fn wake_later(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// After an overrun: dumps and queues the snapshot, or says that it is blind.
    fn recover(&mut self) {
        if !matches!(self.sight, Sight::Overrun) {
            return;
        }
        self.monitor.discard();
        self.pending.clear();
        if let Err(refusal) = self.look_again() {
            self.sight = Sight::Blind(Timer::after(BLIND_RETRY));
            self.pending.push_back(Notice::Blind(refusal));
        }
    }

    /// Reads all that the monitor has.
    fn drain(&mut self) {
        let (mut notices, mut follow) = (Vec::new(), Follow::Nothing);
        loop {
            match self.monitor.read() {
                Heard::Nothing => break,
                Heard::Noise => {}
                Heard::Lost => self.sight = Sight::Overrun,
                Heard::Messages(frames) => {
                    for frame in frames {
                        match frame.and_then(|frame| wire::decode(&frame)) {
                            Ok(message) => {
                                if self.table.apply(message, &mut notices) == Follow::ReadRoutes {
                                    follow = Follow::ReadRoutes;
                                }
                            }
                            Err(reject) => count(&mut self.rejected, &reject),
                        }
                    }
                }
            }
        }
        if follow == Follow::ReadRoutes && matches!(self.sight, Sight::Clear) {
            match self.read_defaults() {
                Ok(defaults) => self.table.apply_defaults(defaults, &mut notices),
                Err(_) => self.sight = Sight::Overrun,
            }
        }
        self.pending.extend(notices);
        if self.pending.len() > PENDING.max(self.table.size()) {
            self.pending.clear();
            self.pending.push_back(Notice::Snapshot(self.table.observation()));
        }
    }

    fn dump(&mut self) -> Result<(), Refusal> {
        let links = self.dump_of(Dump::Links, |links: &mut Vec<LinkRecord>, message| {
            if let Message::Link(link) = message {
                links.push(link);
            }
        })?;
        let addresses =
            self.dump_of(Dump::Addresses, |all: &mut Vec<AddressRecord>, message| {
                if let Message::Address(address) = message {
                    all.push(address);
                }
            })?;
        let defaults = self.read_defaults()?;
        self.table.replace(links, addresses, defaults);
        Ok(())
    }

    fn read_defaults(&mut self) -> Result<Defaults, Refusal> {
        let keep = |routes: &mut Vec<RouteRecord>, message| match message {
            Message::Route(route) if crate::observed::is_default(&route) => routes.push(route),
            _ => {}
        };
        let mut routes = self.dump_of(Dump::RoutesV4, keep)?;
        routes.extend(self.dump_of(Dump::RoutesV6, keep)?);
        Ok(Defaults::choose(&routes))
    }

    fn dump_of<T: Default>(
        &mut self,
        dump: Dump,
        mut each: impl FnMut(&mut T, Message),
    ) -> Result<T, Refusal> {
        let rejected = &mut self.rejected;
        let decoded = |found: &mut T, frame: Frame<'_>| match wire::decode(&frame) {
            Ok(message) => each(found, message),
            Err(reject) => count(rejected, &reject),
        };
        let outcome = self.requests.dump(dump, decoded);
        outcome.map_err(|failure| refuse(&format!("read {dump}"), &failure))
    }
}

fn count(rejected: &mut u64, reject: &Reject) {
    *rejected = rejected.saturating_add(1);
    log::debug!("netlink: rejected a message: {}", reject.0);
}

fn refuse(action: &str, failure: &Failure) -> Refusal {
    io_refusal(action, &failure.error, Capability::NetAdmin, &failure.words)
}

/// `IFA_PROTO` came with Linux 5.18; a backport shows itself by the first tag in a dump.
fn tag_support() -> TagSupport {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if is_before_5_18(&release) { TagSupport::Absent } else { TagSupport::Reported }
}

fn is_before_5_18(release: &str) -> bool {
    let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (5, 18),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_before_5_18_are_told_by_their_release() {
        for (release, before) in [
            ("5.10.0-28-amd64\n", true),
            ("4.19.0", true),
            ("5.18.0-rc1", false),
            ("6.18.44", false),
            ("", false),
            ("odd", false),
        ] {
            assert_eq!(is_before_5_18(release), before, "{release:?}");
        }
    }
}
