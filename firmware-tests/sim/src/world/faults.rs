//! What goes wrong: the kinds of fault, a seed's plan of them, how each begins and ends.

use std::net::IpAddr;

use serde_json::json;
use viplet_backend_api::{Class, HardwareAddress, LinkState, Notice, Owner, Rival};

use super::routing::ProcessEnd;
use super::{Event, Schedule, Who, World, hardware, own_address};
use crate::api::{Part, Patch};
use crate::clock::{MS, Nanos, NodeClock, S};
use crate::kernel::{Kernel, Permission, eth0};
use crate::lan::Station;
use crate::leases::key;
use crate::plant::Plant;
use crate::rng::Rng;
use crate::setup::{Kind, Setup};

/// Something that goes wrong for a while, on a node or everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL; started again at the end.
    Crash,
    /// SIGKILL after so many more effects; started again at the end.
    CrashBetweenEffects(u32),
    /// SIGSTOP, SIGCONT.
    Pause,
    /// Every turn comes late.
    Starve,
    /// SIGTERM; started again at the end.
    PlannedStop,
    /// Power off; on again at the end.
    PowerOff,
    /// The node and the API server do not reach each other.
    ApiCut,
    /// The API server is down for everybody.
    ApiOutage,
    /// Answers and events take up to so many milliseconds.
    ApiSlow(u64),
    /// 500 and 429.
    ApiErrors,
    /// 409 that nobody caused.
    ApiConflicts,
    /// Requests are carried out and not answered.
    LostAnswers,
    /// The server forgets its log: 410.
    Compact,
    /// Somebody annotates the lease: its version moves on.
    LeaseTouched,
    /// The node's watch ends.
    WatchBreak,
    /// No watch tells anything.
    WatchStuck,
    /// The node (or a client) hears nobody on the LAN.
    LanSplit,
    /// Frames are lost.
    LanLoss,
    /// The link loses its carrier or is taken down.
    LinkDown(LinkState),
    /// The kernel refuses.
    Refusals(Class),
    /// Notices are lost.
    Overrun,
    /// The node's clock runs half a percent fast or slow.
    Clock(i64),
    /// Somebody deletes our addresses on the node.
    AddressDeleted,
    /// A stranger announces our addresses.
    RivalStation,
    /// Names do not resolve.
    ResolverFails,
    /// So many of the node's routers do not speak to it (routed worlds).
    PeersLost(u32),
    /// Checks of the node's API server fail (routed worlds).
    ChecksFail,
}

/// A fault, where and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What goes wrong.
    pub fault: Fault,
    /// On which node, where it is about one.
    pub node: usize,
    /// When it begins.
    pub at: Nanos,
    /// When it is over.
    pub end: Nanos,
}

impl Fault {
    /// Its name in the tallies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::CrashBetweenEffects(_) => "crash between effects",
            Self::Pause => "pause",
            Self::Starve => "starved of processor",
            Self::PlannedStop => "planned stop",
            Self::PowerOff => "power off",
            Self::ApiCut => "API cut off from one node",
            Self::ApiOutage => "API outage",
            Self::ApiSlow(_) => "API slow",
            Self::ApiErrors => "API 500 and 429",
            Self::ApiConflicts => "API 409",
            Self::LostAnswers => "API answers lost",
            Self::Compact => "API 410",
            Self::LeaseTouched => "lease annotated",
            Self::WatchBreak => "watch broken",
            Self::WatchStuck => "watch stuck",
            Self::LanSplit => "LAN split",
            Self::LanLoss => "LAN loss",
            Self::LinkDown(_) => "link down",
            Self::Refusals(_) => "kernel refuses",
            Self::Overrun => "netlink overrun",
            Self::Clock(_) => "clock rate",
            Self::AddressDeleted => "address deleted",
            Self::RivalStation => "rival station",
            Self::ResolverFails => "resolver fails",
            Self::PeersLost(_) => "routers lost",
            Self::ChecksFail => "health checks fail",
        }
    }

    fn draw(rng: &mut Rng, setup: &Setup) -> Self {
        if let Some(routed) = setup.routed
            && rng.chance(250)
        {
            let lost = rng.between(1, routed.peers.into()) as u32;
            return rng.pick(&[Self::PeersLost(lost), Self::ChecksFail]);
        }
        let most = if setup.has_foreign() { 300 } else { 6000 };
        match rng.between(0, 26) {
            0 => Self::Crash,
            1 => Self::CrashBetweenEffects(rng.between(0, 6) as u32),
            2 | 3 => Self::Pause,
            4 => Self::Starve,
            5 => Self::PlannedStop,
            6 => Self::PowerOff,
            7 | 8 => Self::ApiCut,
            9 => Self::ApiOutage,
            10 => Self::ApiSlow(rng.between(50, most)),
            11 => Self::ApiErrors,
            12 => Self::ApiConflicts,
            13 => Self::LostAnswers,
            14 => Self::Compact,
            15 => Self::LeaseTouched,
            16 => Self::WatchBreak,
            17 => Self::WatchStuck,
            18 => Self::LanSplit,
            19 => Self::LanLoss,
            20 => Self::LinkDown(rng.pick(&[LinkState::NoCarrier, LinkState::AdminDown])),
            21 => Self::Refusals(rng.pick(&[
                Class::Transient,
                Class::Misconfigured,
                Class::Lost,
                Class::Forbidden,
            ])),
            22 => Self::Overrun,
            23 => Self::Clock(rng.pick(&[-5000, 5000])),
            24 => Self::AddressDeleted,
            25 if setup.routed.is_some() => Self::ChecksFail, // No segment, no rivals.
            25 => Self::RivalStation,
            _ => Self::ResolverFails,
        }
    }

    /// Whether it is about a process of viplet's and makes no sense for a foreign one (which
    /// leaves its addresses behind when it dies: its flaw, not ours).
    fn wants_viplet(self) -> bool {
        matches!(
            self,
            Self::Crash
                | Self::CrashBetweenEffects(_)
                | Self::Pause
                | Self::Starve
                | Self::Refusals(_)
                | Self::AddressDeleted
        )
    }
}

/// A seed's faults between `from` and `heal`.
#[must_use]
pub fn draw_plan(rng: &mut Rng, setup: &Setup, from: Nanos, heal: Nanos) -> Vec<Planned> {
    let count = rng.between(2, 14);
    let viplets: Vec<usize> =
        (0..setup.nodes.len()).filter(|node| setup.nodes[*node] == Kind::Viplet).collect();
    let planned = (0..count).map(|_| {
        let fault = Fault::draw(rng, setup);
        let node = match fault.wants_viplet() {
            true => rng.pick(&viplets),
            false => rng.index(setup.nodes.len()),
        };
        let at = rng.between(from, heal - S);
        let longest = rng.pick(&[500 * MS, 5 * S, 25 * S, 60 * S]);
        Planned { fault, node, at, end: at + rng.between(MS, longest) }
    });
    planned.collect()
}

/// An address with our tag that nobody wants any more.
pub(super) const STALE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 77));

/// An address with our tag that another instance on the node holds.
pub(super) const BESIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 78));

impl World {
    /// What earlier runs, of viplet with other settings or of kube-vip, left on some nodes, and
    /// what other instances hold there.
    pub(super) fn leftovers(&mut self) {
        for node in 0..self.nodes.len() {
            let stale = self.rng.chance(200);
            let kube_vips = self.rng.chance(150);
            let beside = self.rng.chance(200);
            // By kube-vip 0.8 or by hand. What is on `lo` is wanted there alone.
            let by_hand = self.rng.chance(500) && self.setup.routed.is_none();
            if self.setup.nodes[node] == Kind::Foreign || self.setup.plant != Plant::None {
                continue;
            }
            let kernel = &mut self.nodes[node].kernel;
            if stale {
                kernel.plant(STALE, 32, Owner::Viplet, None);
            }
            if beside {
                kernel.plant_beside(BESIDE);
            }
            if kube_vips {
                let owner = if by_hand { Owner::Unmarked } else { Owner::Predecessor };
                for address in &self.setup.vips {
                    kernel.plant(*address, 32, owner, None);
                }
            }
        }
    }

    pub(super) fn begin(&mut self, fault: usize) {
        let Planned { fault, node, end, .. } = self.plan[fault].clone();
        *self.faults.entry(fault.name()).or_default() += 1;
        let name = self.nodes[node].name.clone();
        self.trace.line(self.now, format_args!("FAULT {fault:?} at {name} until {}", end / MS));
        self.disturb(node, 0);
        self.laws.routes.cause();
        self.laws.services.fault_at = self.laws.services.fault_at.max(end);
        match fault {
            Fault::Crash => self.crash(node, "is killed"),
            Fault::CrashBetweenEffects(after) => self.nodes[node].doomed = Some(after),
            Fault::Pause => self.pause(node),
            Fault::Starve => self.nodes[node].schedule = Schedule::Starved,
            Fault::PlannedStop => self.ask_to_stop(node),
            Fault::PowerOff => self.power_off(node),
            Fault::ApiCut => self.nodes[node].cuts += 1,
            Fault::ApiOutage => self.trouble.outages += 1,
            Fault::ApiSlow(most) => self.trouble.slow_ms = most,
            Fault::ApiErrors => self.trouble.errors = 500,
            Fault::ApiConflicts => self.trouble.conflicts = 500,
            Fault::LostAnswers => self.trouble.lost = 500,
            Fault::Compact => self.compact(),
            Fault::LeaseTouched => self.touch_lease(),
            Fault::WatchBreak => {
                self.break_watch(node);
                self.break_some_feeds(node);
            }
            Fault::WatchStuck => self.trouble.stuck += 1,
            Fault::LanSplit => self.lan.split(Station::Node(node), node as u32 + 1),
            Fault::LanLoss => self.lan.loss_permille = 600,
            Fault::LinkDown(state) => self.set_link(node, state),
            Fault::Refusals(class) => {
                self.nodes[node].kernel.permission = Permission::Refused(class)
            }
            Fault::Overrun => self.overrun(node, end),
            Fault::Clock(ppm) => self.set_clock_rate(node, ppm),
            Fault::AddressDeleted => self.delete_addresses(node),
            Fault::RivalStation => self.rival(node, end),
            Fault::ResolverFails => self.trouble.resolver_fails += 1,
            Fault::PeersLost(count) => self.nodes[node].peers_lost += count,
            Fault::ChecksFail => self.nodes[node].checks_fail += 1,
        }
        self.look_at(node);
    }

    pub(super) fn end(&mut self, fault: usize) {
        let Planned { fault, node, .. } = self.plan[fault].clone();
        self.laws.routes.cause();
        self.disturb(node, 0);
        match fault {
            Fault::Crash | Fault::CrashBetweenEffects(_) | Fault::PlannedStop | Fault::PowerOff => {
                self.nodes[node].doomed = None;
                self.queue.at(self.now, Event::Start { node });
            }
            Fault::Pause | Fault::Starve => self.prompt(node),
            Fault::ApiCut => {
                self.nodes[node].cuts -= 1;
                self.release(node);
            }
            Fault::ApiOutage => {
                self.trouble.outages -= 1;
                (0..self.nodes.len()).for_each(|node| self.release(node));
            }
            Fault::ApiSlow(_) => self.trouble.slow_ms = 0,
            Fault::ApiErrors => self.trouble.errors = 0,
            Fault::ApiConflicts => self.trouble.conflicts = 0,
            Fault::LostAnswers => self.trouble.lost = 0,
            Fault::WatchStuck => {
                self.trouble.stuck -= 1;
                (0..self.nodes.len()).for_each(|node| self.release(node));
            }
            Fault::LanSplit | Fault::LanLoss => self.lan.heal(),
            Fault::LinkDown(_) => self.set_link(node, LinkState::Up),
            Fault::Refusals(_) => {
                self.nodes[node].kernel.permission = Permission::Granted;
                self.disturb(node, 12 * S);
            }
            Fault::Clock(_) => self.set_clock_rate(node, 0),
            Fault::ResolverFails => self.trouble.resolver_fails -= 1,
            Fault::PeersLost(count) => self.nodes[node].peers_lost -= count,
            Fault::ChecksFail => self.nodes[node].checks_fail -= 1,
            Fault::Compact
            | Fault::LeaseTouched
            | Fault::WatchBreak
            | Fault::Overrun
            | Fault::AddressDeleted
            | Fault::RivalStation => {}
        }
        self.look_at(node);
    }

    /// All faults have ended by now; what they left is put right.
    pub(super) fn heal(&mut self) {
        self.trace.line(self.now, format_args!("all faults are over"));
        self.lan.heal();
        for node in 0..self.nodes.len() {
            self.nodes[node].doomed = None;
            if self.nodes[node].schedule != Schedule::Prompt {
                self.prompt(node);
            }
            self.queue.at(self.now + 10 * MS, Event::Start { node });
            // A stop that was asked for just now ends first.
            self.queue.at(self.now + 2 * S, Event::Start { node });
        }
    }

    fn release(&mut self, node: usize) {
        self.release_watch(node);
        self.release_feeds(node);
    }

    fn power_off(&mut self, node: usize) {
        self.crash(node, "loses power");
        self.nodes[node].process_end = ProcessEnd::PowerLost;
        let read = self.rng.between(5, 30) * S;
        let ppm = self.rng.between(0, 400) as i64 - 200;
        self.nodes[node].kernel = Kernel::new(hardware(node), own_address(node));
        self.nodes[node].kernel_tick += 1;
        self.nodes[node].clock = NodeClock::new(self.now, read, ppm);
    }

    fn compact(&mut self) {
        self.store.compact();
        self.objects.compact();
        let who = self.rng.index(self.nodes.len());
        self.break_watch(who);
        self.break_some_feeds(who);
    }

    fn touch_lease(&mut self) {
        let mut lease = self.setup.plane.lease.clone();
        let others: Vec<_> = self.objects.leases().keys().cloned().collect();
        if self.setup.services.is_some() && !others.is_empty() {
            lease = self.rng.pick(&others);
        }
        let key = key(&lease);
        let note = json!({"metadata": {"annotations": {"touched": self.now.to_string()}}});
        if self.store.patch(&key, Part::Main, &Patch::Merge(note)).is_ok() {
            self.pump_watches();
        }
    }

    fn set_link(&mut self, node: usize, state: LinkState) {
        self.nodes[node].kernel.set_link(state);
        self.kernel_changed(node);
    }

    fn overrun(&mut self, node: usize, until: Nanos) {
        self.nodes[node].kernel.overrun();
        let who = Who { node, life: self.nodes[node].lives };
        let late = (until - self.now).min(500 * MS);
        self.queue.at(self.now + late, Event::Resync { who });
    }

    fn set_clock_rate(&mut self, node: usize, ppm: i64) {
        self.nodes[node].clock.set_rate(self.now, ppm);
        self.kernel_changed(node);
        let who = Who { node, life: self.nodes[node].lives };
        self.kick(who);
    }

    fn delete_addresses(&mut self, node: usize) {
        for address in self.setup.addresses() {
            self.nodes[node].kernel.delete(address);
        }
        self.kernel_changed(node);
    }

    fn rival(&mut self, node: usize, until: Nanos) {
        let who = Who { node, life: self.nodes[node].lives };
        let stranger = HardwareAddress(vec![2, 0xff, 0, 0, 0, 1]);
        let times = 1 + (until - self.now) / S;
        for nth in 0..times.min(20) {
            for address in self.setup.addresses() {
                let rival = Rival { address, link: eth0(), hardware: stranger.clone() };
                let input = viplet::core::Input::Observed(Notice::Rival(rival));
                self.queue.at(self.now + nth * S, Event::Give { who, input });
            }
        }
        self.disturb(node, times.min(20) * S);
    }
}
