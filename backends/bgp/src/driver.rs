//! [`Bgp`]: the backend. Addresses go to the kernel or are only made known; peers are told in the
//! caller's turn; sockets and deadlines are looked after whenever the caller waits for a notice.

mod backend;
mod bfd;
mod declared;
mod dial;
mod discovery;
mod listener;
mod neighbour;
mod node_addresses;
mod offer;
mod stream;

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use async_io::Timer;
use viplet_backend_api::{Notice, Reach, Refusal, Tag};
use viplet_bfd::Bfd;
use viplet_netlink::{Holdings, Kernel};

use crate::machine::{Event, Moment};
use crate::settings::{GracefulRestart, Peer, Settings};
use crate::table::{Completeness, Table};
use crate::wire::notification::{Notification, cease};
use crate::wire::open::Phase;
use listener::Listener;
use neighbour::{Around, Leaving, Neighbour};
use node_addresses::NodeAddresses;

/// A BGP speaker that announces this node's virtual addresses.
#[derive(Debug)]
pub struct Bgp {
    kernel: Kernel,
    settings: Settings,
    source: Option<declared::Source>,
    node: NodeAddresses,
    holdings: Holdings,
    table: Table,
    completeness: Completeness,
    neighbours: Vec<Neighbour>,
    listener: Listener,
    bfd: Bfd,
    /// The addresses of peers when BFD was told of them.
    watched: Option<Vec<Option<IpAddr>>>,
    leaving: Leaving,
    counted: Counted,
    notices: VecDeque<Notice>,
    started: Instant,
    timer: Option<(Moment, Timer)>,
    waker: Option<Waker>,
}

/// How many peers were told of each address, of how many; and whether it may have changed.
#[derive(Debug, Default)]
struct Counted {
    known: BTreeMap<IpAddr, (u32, u32)>,
    /// What the caller has heard of it.
    heard: BTreeMap<IpAddr, (u32, u32)>,
    stale: bool,
}

impl Counted {
    /// A notice of this kind as it is to be given now, when others may have come after it: what
    /// is said of an address before it is said to be here is not older than that. `None`: the
    /// caller has heard it.
    fn latest(&mut self, reach: Reach) -> Option<Reach> {
        let address = reach.address;
        let (told, of) = self.known.get(&address).copied().unwrap_or((reach.told, reach.of));
        let news = self.heard.insert(address, (told, of)) != Some((told, of));
        news.then_some(Reach { address, told, of })
    }
}

impl Bgp {
    /// Opens the kernel's sockets; peers are spoken to once [`Backend::poll_notice`] is called.
    /// `tag` marks the addresses of this instance.
    ///
    /// # Errors
    /// When the kernel refuses a netlink socket.
    ///
    /// [`Backend::poll_notice`]: viplet_backend_api::Backend::poll_notice
    pub fn open(tag: Tag, settings: Settings) -> Result<Self, Refusal> {
        let mut bgp = Self {
            kernel: Kernel::open(tag)?,
            source: None,
            node: NodeAddresses::default(),
            holdings: Holdings::default(),
            table: Table::default(),
            completeness: Completeness::Partial,
            neighbours: Vec::new(),
            listener: Listener::default(),
            bfd: Bfd::new(random()),
            watched: None,
            leaving: Leaving::No,
            counted: Counted::default(),
            notices: VecDeque::new(),
            started: Instant::now(),
            timer: None,
            waker: None,
            settings,
        };
        bgp.neighbours = bgp.settings.peers.iter().map(|peer| bgp.neighbour(peer)).collect();
        Ok(bgp)
    }

    fn neighbour(&self, peer: &Peer) -> Neighbour {
        Neighbour::new(peer.clone(), self.settings.local_as, random(), self.now())
    }

    /// Takes other settings: peers that are as they were keep their sessions, new ones begin, and
    /// those that are gone are told so (Cease, Peer De-configured).
    pub fn reconfigure(&mut self, settings: Settings) {
        let ours = |s: &Settings| (s.local_as, s.router_id.clone(), s.graceful_restart);
        let ended = match ours(&settings) == ours(&self.settings) {
            true => Notification::cease(cease::PEER_DECONFIGURED),
            false => Notification::cease(cease::OTHER_CONFIGURATION_CHANGE),
        };
        let all = ended.subcode == cease::OTHER_CONFIGURATION_CHANGE;
        let mut before = std::mem::take(&mut self.neighbours);
        for neighbour in &mut before {
            let stays = settings.peers.iter().find(|peer| **peer == neighbour.peer);
            if stays.is_none() || all {
                let again =
                    settings.peers.iter().any(|peer| peer.address == neighbour.peer.address);
                let subcode = if again { cease::OTHER_CONFIGURATION_CHANGE } else { ended.subcode };
                neighbour.stop(Notification::cease(subcode), &self.around());
            }
        }
        before.retain(|neighbour| settings.peers.contains(&neighbour.peer) && !all);
        self.settings = settings;
        self.neighbours = self
            .settings
            .peers
            .iter()
            .map(|peer| match before.iter().position(|old| old.peer == *peer) {
                Some(at) => before.swap_remove(at),
                None => self.neighbour(peer),
            })
            .collect();
        self.listener.close();
        self.watched = None;
        self.readvertise();
        self.advertise();
        self.wake();
    }

    fn now(&self) -> Moment {
        self.started.elapsed()
    }

    fn around(&self) -> Around<'_> {
        Around {
            settings: &self.settings,
            kernel: &self.kernel,
            node: &self.node,
            phase: self.phase(),
            leaving: self.leaving,
            now: self.now(),
        }
    }

    /// Within the restart time after the start, what peers kept of an earlier run is to stay.
    fn phase(&self) -> Phase {
        match self.settings.graceful_restart {
            GracefulRestart::Within(seconds)
                if self.now() < Duration::from_secs(u64::from(seconds)) =>
            {
                Phase::Restarting
            }
            _ => Phase::Settled,
        }
    }

    /// Does `each` with every peer.
    fn with_neighbours(&mut self, mut each: impl FnMut(&mut Neighbour, &Around<'_>, &Table)) {
        let mut neighbours = std::mem::take(&mut self.neighbours);
        let around = self.around();
        for neighbour in &mut neighbours {
            each(neighbour, &around, &self.table);
        }
        self.neighbours = neighbours;
    }

    /// Tells every peer what it does not know yet, as much as each takes now.
    fn advertise(&mut self) {
        let completeness = self.completeness;
        let mut changed = false;
        self.with_neighbours(|neighbour, around, table| {
            let before = neighbour.is_up();
            changed |= neighbour.advertise(table, completeness, around) > 0;
            changed |= neighbour.is_up() != before;
        });
        self.counted.stale |= changed;
    }

    fn readvertise(&mut self) {
        self.counted.stale = true;
        self.with_neighbours(|neighbour, around, _| neighbour.readvertise(around));
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Looks after sockets and deadlines once; whether there may be more to do at once.
    fn look_after(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut happened = self.poll_paths(cx);
        if self.take_connections(cx).is_ready() {
            happened = Poll::Ready(());
        }
        let mut changed = false;
        self.with_neighbours(|neighbour, around, _| {
            let before = neighbour.is_up();
            // What has arrived counts before a hold time that ran out while nobody looked.
            if neighbour.poll(around, cx).is_ready() {
                happened = Poll::Ready(());
            }
            if neighbour.deadline().is_some_and(|at| at <= around.now) {
                neighbour.handle(Event::Tick, around);
            }
            changed |= neighbour.is_up() != before;
        });
        self.counted.stale |= changed;
        self.expire();
        self.advertise();
        happened
    }

    fn take_connections(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.now();
        let Poll::Ready((socket, from)) = self.listener.poll(&self.settings, now, cx) else {
            return Poll::Pending;
        };
        let at = self.neighbours.iter().position(|peer| peer.is_at(from, &self.kernel));
        match at {
            Some(at) => {
                let mut neighbours = std::mem::take(&mut self.neighbours);
                if let Some(neighbour) = neighbours.get_mut(at) {
                    neighbour.accept(socket, from, &self.around());
                }
                self.neighbours = neighbours;
            }
            None => log::debug!("a connection from {from}, which is no peer: closed"),
        }
        Poll::Ready(())
    }

    /// Addresses whose dead-man ran out are withdrawn.
    fn expire(&mut self) {
        let now = self.now();
        for vip in self.holdings.expired(now) {
            log::warn!("{} was not refreshed in time: withdrawn", vip.address);
            self.table.remove(vip.address);
            self.notices.push_back(Notice::AddressGone { link: vip.link, address: vip.address });
        }
    }

    /// Waits until the next deadline; ready when it has passed already.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadlines = self.neighbours.iter().filter_map(Neighbour::deadline);
        let others =
            self.holdings.deadline().into_iter().chain(self.listener.deadline(&self.settings));
        let Some(next) = deadlines.chain(others).min() else { return Poll::Pending };
        if self.timer.as_ref().is_none_or(|(at, _)| *at != next) {
            self.timer = Some((next, Timer::at(self.started + next)));
        }
        let Some((_, timer)) = &mut self.timer else { return Poll::Pending };
        let ready = std::future::Future::poll(Pin::new(timer), cx).map(|_| ());
        if ready.is_ready() {
            self.timer = None;
        }
        ready
    }

    /// Before anything else is said of an address that is new: no peer has been told of it yet.
    fn nobody_told(&mut self, address: IpAddr) {
        let of = u32::try_from(self.neighbours.len()).unwrap_or(u32::MAX);
        self.counted.known.insert(address, (0, of));
        self.counted.heard.remove(&address);
        self.counted.stale = true;
        self.notices.push_back(Notice::Reach(Reach { address, told: 0, of }));
    }

    /// Addresses of which more or fewer peers have been told than was reported.
    fn count(&mut self) {
        if !std::mem::take(&mut self.counted.stale) {
            return;
        }
        let of = u32::try_from(self.neighbours.len()).unwrap_or(u32::MAX);
        let (table, holdings) = (&self.table, &self.holdings);
        let here = |address: &IpAddr| table.contains(*address) || holdings.has_anywhere(*address);
        self.counted.known.retain(|address, _| here(address));
        self.counted.heard.retain(|address, _| here(address));
        for address in self.table.iter() {
            let told = self.neighbours.iter().filter(|peer| peer.knows(address)).count();
            let told = u32::try_from(told).unwrap_or(u32::MAX);
            if self.counted.known.insert(address, (told, of)) != Some((told, of)) {
                self.notices.push_back(Notice::Reach(Reach { address, told, of }));
            }
        }
    }
}

/// Different in every process.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl Drop for Bgp {
    /// Peers are told that this is meant (RFC 9003), and forget the routes at once.
    fn drop(&mut self) {
        self.bfd.admin_down();
        self.with_neighbours(|neighbour, around, table| {
            let said = Notification::shutdown(cease::ADMINISTRATIVE_SHUTDOWN, "viplet stops");
            neighbour.advertise(table, Completeness::Partial, around);
            neighbour.stop(said, around);
        });
    }
}
