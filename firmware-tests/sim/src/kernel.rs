//! A node's kernel as `viplet_backend_api::Backend` shows it: links, addresses with a lifetime
//! that end by themselves, commands, notices. It survives the process. Time is the node's clock.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use viplet::core::Moment;
use viplet_backend_api::{
    Address, Class, Command, DefaultRoute, DuplicateDetection, HardwareAddress, Link, LinkKind,
    LinkName, LinkState, Notice, Observation, Owner, Presence, Refusal, Usability, Vip,
};

/// Duplicate detection takes about so long (one probe and its wait, RFC 4862 §5.1).
const DETECTION: Duration = Duration::from_secs(1);

/// Whether the kernel does what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It does.
    Granted,
    /// It refuses installs and withdrawals with this class.
    Refused(Class),
}

/// Whether notices reach the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Monitor {
    Heard,
    /// The socket overran: nothing more is told before a snapshot.
    Overrun,
}

/// Who looks after addresses that are on no link: the process, not the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// It runs.
    Runs,
    /// It is stopped: nothing ends by itself.
    Stopped,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// An address is there that was not.
    Added,
    /// An address that was there got a new lifetime.
    Refreshed,
    /// An address is gone.
    Removed,
    /// There was nothing to remove.
    Nothing,
    /// A frame is to go out from the link.
    Announced,
}

#[derive(Clone, Debug)]
struct Held {
    prefix_len: u8,
    owner: Owner,
    /// When it ends, and by when the kernel really drops it.
    ends: Option<(Moment, Moment)>,
    usability: Usability,
    detected: Option<Moment>,
    presence: Presence,
}

/// A kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    links: BTreeMap<LinkName, Link>,
    addresses: BTreeMap<(IpAddr, LinkName), Held>,
    /// What another instance of viplet on this node holds.
    beside: Option<IpAddr>,
    notices: VecDeque<Notice>,
    monitor: Monitor,
    /// Whether it does what it is told.
    pub permission: Permission,
    /// Whether addresses that are only made known end when their time is up.
    pub process_state: ProcessState,
}

/// The link that carries the addresses on every node.
#[must_use]
pub fn eth0() -> LinkName {
    LinkName::new("eth0").expect("a valid name")
}

impl Kernel {
    /// A kernel with `lo`, and `eth0` with the default route and an address of the node's own.
    #[must_use]
    pub fn new(hardware: HardwareAddress, own: IpAddr) -> Self {
        let link = |name: &str, kind, hardware, default_route| Link {
            name: LinkName::new(name).expect("a valid name"),
            altnames: Vec::new(),
            kind,
            state: LinkState::Up,
            hardware,
            default_route,
        };
        let lo = link("lo", LinkKind::Loopback, HardwareAddress::default(), DefaultRoute::None);
        let eth0 = link("eth0", LinkKind::Ethernet, hardware, DefaultRoute::V4);
        let mut kernel = Self {
            links: [lo, eth0].into_iter().map(|link| (link.name.clone(), link)).collect(),
            addresses: BTreeMap::new(),
            beside: None,
            notices: VecDeque::new(),
            monitor: Monitor::Heard,
            permission: Permission::Granted,
            process_state: ProcessState::Runs,
        };
        kernel.plant(own, 24, Owner::Node, None);
        kernel
    }

    /// Puts an address on `eth0` that viplet did not put there in this run.
    pub fn plant(&mut self, address: IpAddr, prefix_len: u8, owner: Owner, ends: Option<Moment>) {
        let ends = ends.map(|end| (end, end));
        let (usability, presence) = (Usability::Usable, Presence::OnLink);
        let held = Held { prefix_len, owner, ends, usability, detected: None, presence };
        self.addresses.insert((address, eth0()), held);
    }

    /// Puts an address on `eth0` that another instance of viplet on this node holds, by the same
    /// tag: it is always refreshed in time.
    pub fn plant_beside(&mut self, address: IpAddr) {
        let ever = Moment::from_boot(Duration::from_secs(u32::MAX.into()));
        self.plant(address, 32, Owner::Viplet, Some(ever));
        self.beside = Some(address);
    }

    /// Whether what another instance holds is there, if there is one.
    #[must_use]
    pub fn keeps_what_is_beside(&self) -> bool {
        self.beside.is_none_or(|address| self.addresses.contains_key(&(address, eth0())))
    }

    /// Takes an address of ours away, as a person would with `ip addr del`.
    pub fn delete(&mut self, address: IpAddr) -> Done {
        let on_link = |held: &Held| held.presence == Presence::OnLink;
        let there = self.addresses.iter().find(|((ip, _), held)| *ip == address && on_link(held));
        let Some((key, _)) = there.map(|(key, held)| (key.clone(), held.clone())) else {
            return Done::Nothing;
        };
        self.addresses.remove(&key);
        self.tell(Notice::AddressGone { link: key.1, address });
        Done::Removed
    }

    /// The process is gone, and with it what it only made known.
    pub fn forget_made_known(&mut self) {
        self.addresses.retain(|_, held| held.presence == Presence::OnLink);
    }

    /// Carries out a command. `lateness` is how long after its end the kernel
    /// drops the address.
    ///
    /// # Errors
    /// As the real one refuses: no such link, link down (announcements), or its permission.
    pub fn apply(
        &mut self,
        command: &Command,
        now: Moment,
        lateness: Duration,
    ) -> Result<Done, Refusal> {
        let (address, name) = (command.address(), command.link());
        let refuse = |class, why: &str| {
            Err(Refusal { class, reason: format!("{address} on {name}: {why}") })
        };
        let Some(link) = self.links.get(name) else {
            return match command {
                Command::Withdraw { .. } => Ok(Done::Nothing),
                _ => refuse(Class::Lost, "no such link (ENODEV)"),
            };
        };
        match (command, self.permission) {
            (Command::Announce { .. }, _) if link.state != LinkState::Up => {
                refuse(Class::Lost, "network is down (ENETDOWN)")
            }
            (Command::Announce { .. }, _) => Ok(Done::Announced),
            (_, Permission::Refused(class)) => refuse(class, "refused by the simulated kernel"),
            (Command::Install { vip, lifetime }, Permission::Granted) => {
                let span = Duration::from_secs(u64::from(lifetime.as_secs()));
                Ok(self.install(&vip.clone(), now, span, lateness))
            }
            (Command::Withdraw { address, link }, Permission::Granted) => {
                let key = (*address, link.clone());
                let ours = self.addresses.get(&key).is_some_and(|held| held.owner != Owner::Node);
                if !ours {
                    return Ok(Done::Nothing);
                }
                self.addresses.remove(&key);
                self.tell(Notice::AddressGone { link: key.1, address: key.0 });
                Ok(Done::Removed)
            }
        }
    }

    fn install(&mut self, vip: &Vip, now: Moment, span: Duration, lateness: Duration) -> Done {
        let key = (vip.address, vip.link.clone());
        let ends = Some((now + span, now + span + lateness));
        let before = self.addresses.get(&key);
        let done = if before.is_some() { Done::Refreshed } else { Done::Added };
        let detects = vip.address.is_ipv6()
            && vip.presence == Presence::OnLink
            && vip.link.as_str() != "lo"
            && vip.duplicate_detection == DuplicateDetection::Kernel;
        let (usability, detected) = match before {
            Some(held) => (held.usability, held.detected),
            None if detects => (Usability::Tentative, Some(now + DETECTION)),
            None => (Usability::Usable, None),
        };
        let prefix_len = vip.prefix_len;
        // As the backend does: a lifetime that was wound up is no news.
        let known = before.is_some_and(|held| {
            (held.prefix_len, held.owner) == (prefix_len, Owner::Viplet) && held.ends.is_some()
        });
        let (owner, presence) = (Owner::Viplet, vip.presence);
        let held = Held { prefix_len, owner, ends, usability, detected, presence };
        let notice = Notice::Address(shown(&key, &held, now));
        self.addresses.insert(key, held);
        if !known {
            self.tell(notice);
        }
        done
    }

    /// Drops what has ended, ends duplicate detection. Whether an address went.
    pub fn tick(&mut self, now: Moment) -> Done {
        let process_state = self.process_state;
        let over = |held: &Held| {
            held.is_kept_by(process_state) && held.ends.is_some_and(|(_, dropped)| dropped <= now)
        };
        let gone: Vec<_> =
            self.addresses.iter().filter(|(_, held)| over(held)).map(|(k, _)| k.clone()).collect();
        for key in &gone {
            self.addresses.remove(key);
            self.tell(Notice::AddressGone { link: key.1.clone(), address: key.0 });
        }
        let mut usable = Vec::new();
        for (key, held) in &mut self.addresses {
            if held.detected.is_some_and(|at| at <= now) {
                held.detected = None;
                held.usability = Usability::Usable;
                usable.push(Notice::Address(shown(key, held, now)));
            }
        }
        usable.into_iter().for_each(|notice| self.tell(notice));
        if gone.is_empty() { Done::Nothing } else { Done::Removed }
    }

    /// When [`Kernel::tick`] has something to do next.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        let ends = |held: &Held| {
            held.ends.filter(|_| held.is_kept_by(self.process_state)).map(|(_, dropped)| dropped)
        };
        let moments = |held: &Held| [ends(held), held.detected];
        self.addresses.values().flat_map(moments).flatten().min()
    }

    /// The whole state.
    #[must_use]
    pub fn observe(&self, now: Moment) -> Observation {
        Observation {
            links: self.links.values().cloned().collect(),
            addresses: self.addresses.iter().map(|(key, held)| shown(key, held, now)).collect(),
        }
    }

    /// Changes `eth0`'s state. Going down takes its IPv6 addresses with it, as Linux does.
    pub fn set_link(&mut self, state: LinkState) {
        let Some(link) = self.links.get_mut(&eth0()) else { return };
        link.state = state;
        let notice = Notice::Link(link.clone());
        self.tell(notice);
        if state == LinkState::AdminDown {
            let flushed: Vec<_> =
                self.addresses.keys().map(|(a, _)| *a).filter(IpAddr::is_ipv6).collect();
            for address in flushed {
                self.delete(address);
            }
        }
    }

    /// Whether `eth0` can carry frames.
    #[must_use]
    pub fn link_is_up(&self) -> bool {
        self.links.get(&eth0()).is_some_and(|link| link.state == LinkState::Up)
    }

    /// The monitor's socket overruns: what was not read yet is lost.
    pub fn overrun(&mut self) {
        self.notices.clear();
        self.monitor = Monitor::Overrun;
    }

    /// Whether notices are being lost.
    #[must_use]
    pub fn is_overrun(&self) -> bool {
        self.monitor == Monitor::Overrun
    }

    /// The backend dumps again after an overrun (or for a new process).
    pub fn resync(&mut self, now: Moment) -> Notice {
        self.notices.clear();
        self.monitor = Monitor::Heard;
        Notice::Snapshot(self.observe(now))
    }

    /// What was noticed since the last call, in order.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.drain(..).collect()
    }

    fn tell(&mut self, notice: Notice) {
        if self.monitor == Monitor::Heard {
            self.notices.push_back(notice);
        }
    }

    /// Every address with its owner.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, Owner)> {
        self.addresses.iter().map(|((address, _), held)| (*address, held.owner))
    }

    /// The same, without what is only made known.
    pub fn on_links(&self) -> impl Iterator<Item = (IpAddr, Owner)> {
        let on_link = self.addresses.iter().filter(|(_, held)| held.presence == Presence::OnLink);
        on_link.map(|((address, _), held)| (*address, held.owner))
    }

    /// Whether the address is here, of whichever owner but the node.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.held(address).is_some_and(|held| held.owner != Owner::Node)
    }

    /// Whether the node would answer for the address on the wire.
    #[must_use]
    pub fn answers(&self, address: IpAddr) -> bool {
        let usable = |held: &Held| held.usability == Usability::Usable;
        self.link_is_up() && self.held(address).is_some_and(usable)
    }

    fn held(&self, address: IpAddr) -> Option<&Held> {
        self.addresses.iter().find(|((ip, _), _)| *ip == address).map(|(_, held)| held)
    }
}

impl Held {
    /// Whether somebody takes it away when its time is up.
    fn is_kept_by(&self, process_state: ProcessState) -> bool {
        self.presence == Presence::OnLink || process_state == ProcessState::Runs
    }
}

fn shown(key: &(IpAddr, LinkName), held: &Held, now: Moment) -> Address {
    Address {
        link: key.1.clone(),
        address: key.0,
        prefix_len: held.prefix_len,
        owner: held.owner,
        // The kernel tells what is left in whole seconds.
        valid_for: held.ends.map(|(end, _)| Duration::from_secs(end.since(now).as_secs())),
        usability: held.usability,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use viplet_backend_api::{Lifetime, Scope};

    fn at(millis: u64) -> Moment {
        Moment::from_boot(Duration::from_millis(millis))
    }

    fn vip(address: &str) -> Vip {
        Vip {
            address: address.parse().unwrap(),
            prefix_len: 32,
            link: eth0(),
            presence: viplet_backend_api::Presence::OnLink,
            scope: Scope::Universe,
            duplicate_detection: DuplicateDetection::Kernel,
        }
    }

    fn install(address: &str, seconds: u32) -> Command {
        Command::Install { vip: vip(address), lifetime: Lifetime::from_secs(seconds).unwrap() }
    }

    fn kernel() -> Kernel {
        Kernel::new(HardwareAddress(vec![2, 0, 0, 0, 0, 1]), "192.0.2.11".parse().unwrap())
    }

    #[test]
    fn an_address_that_nobody_refreshes_goes_by_itself_and_a_refresh_keeps_it() {
        let (mut kernel, late) = (kernel(), Duration::from_millis(250));
        let address = "192.0.2.10".parse().unwrap();
        assert_eq!(kernel.apply(&install("192.0.2.10", 3), at(0), late).unwrap(), Done::Added);
        assert_eq!(
            kernel.apply(&install("192.0.2.10", 3), at(2000), late).unwrap(),
            Done::Refreshed
        );
        assert_eq!(kernel.tick(at(5249)), Done::Nothing);
        assert!(kernel.has(address));
        assert_eq!(kernel.next(), Some(at(5250)));
        kernel.take_notices();
        assert_eq!(kernel.tick(at(5250)), Done::Removed);
        assert!(!kernel.has(address));
        assert_eq!(kernel.take_notices(), [Notice::AddressGone { link: eth0(), address }]);
    }

    #[test]
    fn the_nodes_own_address_is_not_withdrawn() {
        let mut kernel = kernel();
        let own = vip("192.0.2.11").withdrawal();
        assert_eq!(kernel.apply(&own, at(0), Duration::ZERO).unwrap(), Done::Nothing);
        assert_eq!(kernel.addresses().count(), 1);
    }

    #[test]
    fn an_ipv6_address_answers_after_duplicate_detection() {
        let mut kernel = kernel();
        kernel.apply(&install("2001:db8::10", 9), at(0), Duration::ZERO).unwrap();
        assert!(!kernel.answers("2001:db8::10".parse().unwrap()));
        kernel.tick(at(1000));
        assert!(kernel.answers("2001:db8::10".parse().unwrap()));
    }

    #[test]
    fn after_an_overrun_nothing_is_told_until_a_snapshot() {
        let mut kernel = kernel();
        kernel.overrun();
        kernel.apply(&install("192.0.2.10", 3), at(0), Duration::ZERO).unwrap();
        assert_eq!(kernel.take_notices(), []);
        let Notice::Snapshot(all) = kernel.resync(at(0)) else { panic!("no snapshot") };
        assert_eq!((all.links.len(), all.addresses.len()), (2, 2));
        kernel.set_link(LinkState::NoCarrier);
        assert_eq!(kernel.take_notices().len(), 1);
        let announce = Command::Announce { vip: vip("192.0.2.10") };
        assert_eq!(kernel.apply(&announce, at(0), Duration::ZERO).unwrap_err().class, Class::Lost);
    }
}
