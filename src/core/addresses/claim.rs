//! One address: what is wanted of it against what is observed, and the commands in between.

mod due;
mod whose;
pub mod withdrawal;

use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::{
    Class, Command, DuplicateDetection, Lifetime, Owner, Refusal, Usability, Vip,
};

pub use due::{ANNOUNCEMENT, Due};
use whose::{is_marked, ours};

use crate::core::addresses::announce::{Rhythm, Schedule};
use crate::core::control_plane::fitness::Penalty;
use crate::core::jitter::backoff;
use crate::core::observed::{Observed, SeenAddress};
use crate::core::rights::election::term;
use crate::core::time::Moment;

/// What should become of an address on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Present and announced, and gone by then at the latest.
    Hold {
        /// The end of the hold.
        until: Moment,
    },
    /// Present but not announced, for so long from now (`vip_preserve_on_leadership_loss`).
    Keep(Duration),
    /// Left as it is until the lease has been read: a crashed predecessor may have held it.
    LeaveBe,
    /// Not here.
    Nothing,
}

/// A refused command: tried again at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// What the backend said.
    pub refusal: Refusal,
    /// How often in a row.
    pub times: u32,
    again: Moment,
}

/// Whether the last install came in time to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastInstall {
    InTime,
    TooLate,
}

/// An address under our care.
#[derive(Clone, Debug)]
pub struct Claim {
    vip: Vip,
    /// When the kernel drops what we installed last.
    installed_until: Option<Moment>,
    installed_at: Moment,
    withdrawn_at: Option<Moment>,
    /// When copies on other links were last asked to go.
    strays_at: Option<Moment>,
    announcing: Option<Schedule>,
    setback: Option<Box<Setback>>,
    penalty: Option<Box<Penalty>>,
    /// Why the last announcement did not go out.
    muted: Option<Box<Refusal>>,
    /// Observed since the last install.
    seen: bool,
    last_install: LastInstall,
    /// What the kernel said of it when it was looked at last.
    looked: Option<Usability>,
    /// It answered when it was looked at last.
    answered: bool,
    /// That it is held was said.
    told: bool,
    announced: u32,
}

/// Installing again what somebody else keeps removing is not done more often than this.
const REINSTALL: Duration = Duration::from_millis(100);
/// A command whose effect is not observed by then is given again.
const UNSEEN: Duration = Duration::from_secs(1);

impl Claim {
    /// An address that nothing was done about yet.
    #[must_use]
    pub fn new(vip: Vip) -> Self {
        Self {
            vip,
            installed_until: None,
            installed_at: Moment::default(),
            withdrawn_at: None,
            strays_at: None,
            announcing: None,
            setback: None,
            penalty: None,
            muted: None,
            seen: false,
            last_install: LastInstall::InTime,
            looked: None,
            answered: false,
            told: false,
            announced: 0,
        }
    }

    /// The address and how it is put on its link.
    #[must_use]
    pub const fn vip(&self) -> &Vip {
        &self.vip
    }

    /// Announcements so far.
    #[must_use]
    pub const fn announced(&self) -> u32 {
        self.announced
    }

    /// Whether it was installed by this node and should be there still.
    #[must_use]
    pub const fn is_installed(&self) -> bool {
        self.installed_until.is_some()
    }

    /// Whether it is announced by this node.
    #[must_use]
    pub const fn is_announcing(&self) -> bool {
        self.announcing.is_some()
    }

    /// What the backend refused last, if it has not worked since.
    #[must_use]
    pub fn setback(&self) -> Option<&Setback> {
        self.setback.as_deref()
    }

    /// Why the last announcement did not go out, if it did not.
    #[must_use]
    pub fn muted(&self) -> Option<&Refusal> {
        self.muted.as_deref()
    }

    /// The backend refused a command about this address.
    pub fn refused(&mut self, command: &Command, refusal: Refusal, now: Moment) {
        if *command.link() != self.vip.link {
            return; // A copy on another link: asked for again at its own time.
        }
        if matches!(command, Command::Announce { .. }) {
            self.weigh(command, &refusal, 1, now);
            self.muted = Some(Box::new(refusal));
            return;
        }
        let times = self.setback.as_ref().map_or(0, |before| before.times) + 1;
        let most = match refusal.class {
            Class::Transient => Duration::from_secs(2),
            Class::Lost => Duration::from_secs(5),
            Class::Misconfigured | Class::Forbidden => Duration::from_secs(10),
        };
        let again = now + backoff(Duration::from_millis(200), most, times);
        self.weigh(command, &refusal, times, now);
        self.setback = Some(Box::new(Setback { refusal, times, again }));
        self.withdrawn_at = None;
        if matches!(command, Command::Install { .. }) {
            self.installed_until = None;
            self.announcing = None;
        }
    }

    /// A command about this address was too late to be carried out: it is due at once.
    pub fn late(&mut self, command: &Command, now: Moment) {
        if command.link() != &self.vip.link {
            return; // A copy on another link: asked for again at its own time.
        }
        match command {
            Command::Install { .. } => self.last_install = LastInstall::TooLate,
            Command::Announce { .. } => {
                self.announced = self.announced.saturating_sub(1);
                self.announcing.iter_mut().for_each(|schedule| schedule.postpone(now));
            }
            Command::Withdraw { .. } => {}
        }
    }

    /// What keeps this node from holding the address now, if anything does.
    #[must_use]
    pub fn ineligible(&self, observed: &Observed, now: Moment) -> Option<String> {
        self.blocked(observed).or_else(|| self.kept_out(now).map(str::to_owned))
    }

    fn weigh(&mut self, command: &Command, refusal: &Refusal, times: u32, now: Moment) {
        let mut penalty = self.penalty.take().unwrap_or_default();
        penalty.consider(command, refusal, times, now);
        self.penalty = Some(penalty).filter(|penalty| **penalty != Penalty::default());
    }

    /// Why refusals keep this node from holding the address now, if they do.
    #[must_use]
    pub fn kept_out(&self, now: Moment) -> Option<&str> {
        self.penalty.as_ref()?.reason(now)
    }

    /// Until when they do.
    #[must_use]
    pub fn kept_out_until(&self, now: Moment) -> Option<Moment> {
        self.penalty.as_ref()?.ends(now)
    }

    /// Whether the address has come to be held since this was asked last: observed on its link,
    /// answering, and announced.
    pub fn came_to_be_held(&mut self, observed: &Observed) -> bool {
        let held = self.is_announcing() && self.muted.is_none() && self.is_usable(observed);
        let news = held && !self.told;
        self.told = held || (self.told && self.is_announcing());
        news
    }

    /// Another station announced the address.
    pub fn contested(&mut self, now: Moment) {
        if let Some(schedule) = &mut self.announcing {
            schedule.again(now);
        }
    }

    /// What is to be done for an address that is held until `until`, and what is due next, where
    /// all is as it was: it is there, ours, answers, on its link alone, and nothing has gone wrong.
    /// `None`: it has to be reconciled.
    ///
    /// The same as [`Claim::reconcile`] would do, in a tenth of the time: a holder of a thousand
    /// addresses does little else.
    pub fn tend(
        &mut self,
        until: Moment,
        observed: &Observed,
        now: Moment,
        rhythm: Rhythm,
    ) -> Option<(Vec<Command>, Option<Due>)> {
        let [here] = observed.at(self.vip.address) else { return None };
        if !self.is_calm(here) || self.installed_until? <= now {
            return None;
        }
        let mut commands = Vec::new();
        self.hold(until, Some(here), now, &mut commands);
        let schedule = self.announcing.as_mut()?;
        if schedule.due(now, rhythm) {
            self.announced = self.announced.saturating_add(1);
            commands.push(Command::Announce { vip: self.vip.clone() });
        }
        let announce = (schedule.next(), ANNOUNCEMENT);
        let install = self.install_due(until, Some(here), now);
        Some((commands, install.into_iter().chain([announce]).min_by_key(|(at, _)| *at)))
    }

    fn is_calm(&self, here: &SeenAddress) -> bool {
        let there = ours(here) && here.link == self.vip.link && !self.stays_for_ever(here);
        let answers = here.usability == Usability::Usable && self.answered;
        let troubled = self.setback.is_some() || self.penalty.is_some() || self.muted.is_some();
        let under_way = self.strays_at.is_some() || self.withdrawn_at.is_some();
        let looked = self.looked == Some(Usability::Usable);
        there && answers && looked && self.seen && self.told && !troubled && !under_way
    }

    /// The commands that bring the node closer to what is wanted.
    pub fn reconcile(
        &mut self,
        want: Want,
        observed: &Observed,
        now: Moment,
        rhythm: Rhythm,
    ) -> Vec<Command> {
        let mut commands = Vec::new();
        let want = if self.blocked(observed).is_some() { Want::Nothing } else { want };
        self.settle(observed, now);
        self.take_off_other_links(want, observed, now, &mut commands);
        let here = observed.on(self.vip.address, &self.vip.link);
        match want {
            Want::Hold { until } => {
                self.hold(until, here, now, &mut commands);
                self.announce(here, now, rhythm, &mut commands);
            }
            Want::Keep(lifetime) => {
                self.announcing = None;
                self.keep(lifetime, here, now, &mut commands);
            }
            Want::LeaveBe => {}
            Want::Nothing => self.drop_it(here, now, &mut commands),
        }
        commands
    }

    fn hold(
        &mut self,
        until: Moment,
        here: Option<&SeenAddress>,
        now: Moment,
        out: &mut Vec<Command>,
    ) {
        if self.waits(now) {
            return;
        }
        self.heed_duplicate(here, out);
        let due = self.install_due(until, here, now).is_some_and(|(at, _)| at <= now);
        let Some(lifetime) = term::lifetime(now, until).filter(|_| due) else { return };
        if self.installed_until.is_some_and(|end| end <= now) {
            self.announcing = None; // The kernel has dropped it, even if that was not seen yet.
        }
        self.withdrawn_at = None;
        out.push(self.install(lifetime, here, now));
    }

    fn announce(
        &mut self,
        here: Option<&SeenAddress>,
        now: Moment,
        rhythm: Rhythm,
        out: &mut Vec<Command>,
    ) {
        let usable = here.is_some_and(|s| ours(s) && s.usability == Usability::Usable);
        let given = |sort: fn(&Command) -> bool| out.iter().any(sort);
        let withdrawn = given(|c| matches!(c, Command::Withdraw { .. }));
        let gone = here.is_none() || withdrawn || self.announcing.is_none();
        let adding = gone && given(|c| matches!(c, Command::Install { .. }));
        if !usable && !adding {
            if self.installed_until.is_none() {
                self.announcing = None;
            }
            self.answered = false;
            return;
        }
        if adding {
            self.announcing = None; // Added in this turn: announced in this turn (law 7).
        }
        // It is new here, or it came back; an IPv6 address does not answer before duplicate
        // detection is through.
        let fresh = !self.answered;
        self.answered = usable && !adding;
        let schedule = self.announcing.get_or_insert_with(|| Schedule::new(now));
        if fresh {
            schedule.again(now);
        }
        if schedule.due(now, rhythm) {
            self.announced = self.announced.saturating_add(1);
            self.muted = None;
            out.push(Command::Announce { vip: self.vip.clone() });
        }
    }

    fn keep(
        &mut self,
        lifetime: Duration,
        here: Option<&SeenAddress>,
        now: Moment,
        out: &mut Vec<Command>,
    ) {
        let due = self.keep_due(lifetime, here).is_some_and(|(at, _)| at <= now);
        let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        let lifetime = Lifetime::from_secs(seconds);
        let (true, Some(lifetime)) = (due && !self.waits(now), lifetime) else { return };
        out.push(self.install(lifetime, here, now));
    }

    fn install(&mut self, lifetime: Lifetime, here: Option<&SeenAddress>, now: Moment) -> Command {
        self.installed_until = Some(now + Duration::from_secs(u64::from(lifetime.as_secs())));
        self.installed_at = now;
        self.last_install = LastInstall::InTime;
        self.seen = here.is_some_and(ours); // A refresh is not observed.
        Command::Install { vip: self.vip.clone(), lifetime }
    }

    fn drop_it(&mut self, here: Option<&SeenAddress>, now: Moment, out: &mut Vec<Command>) {
        let installed = self.installed_until.take().is_some();
        self.announcing = None;
        self.answered = false;
        self.last_install = LastInstall::InTime;
        let there = match here {
            Some(seen) if seen.owner == Owner::Unmarked => installed || self.is_put_on_link(),
            Some(seen) => ours(seen),
            None => installed,
        };
        let asked = self.withdrawn_at.is_some_and(|at| now < at + UNSEEN);
        if !there {
            self.withdrawn_at = None;
            self.setback = None;
            return;
        }
        if asked || self.waits(now) {
            return;
        }
        self.withdrawn_at = Some(now);
        out.push(self.vip.withdrawal());
    }

    /// The same address left on another link, by an earlier run with other settings.
    fn take_off_other_links(
        &mut self,
        want: Want,
        observed: &Observed,
        now: Moment,
        out: &mut Vec<Command>,
    ) {
        if want == Want::LeaveBe || self.strays_at.is_some_and(|at| now < at + UNSEEN) {
            return;
        }
        self.strays_at = None;
        let stray = observed.everywhere(self.vip.address).filter(|s| s.link != self.vip.link);
        for seen in stray.filter(|seen| is_marked(seen)) {
            self.strays_at = Some(now);
            out.push(stale_withdrawal(seen));
        }
    }

    /// Another station answered the kernel's probe, but the election says that the address is
    /// ours: it is put back without probing (kube-vip does the same, ARP-6). The kernel marks a
    /// permanent address that failed and removes one with a lifetime.
    fn heed_duplicate(&mut self, here: Option<&SeenAddress>, out: &mut Vec<Command>) {
        let usability = here.map(|seen| seen.usability);
        let probed = std::mem::replace(&mut self.looked, usability) == Some(Usability::Tentative);
        let failed = usability == Some(Usability::Duplicate);
        if failed {
            out.push(self.vip.withdrawal());
        }
        if failed || (probed && here.is_none()) {
            self.vip.duplicate_detection = DuplicateDetection::Skip;
            self.installed_until = None;
        }
    }

    fn waits(&self, now: Moment) -> bool {
        self.setback.as_ref().is_some_and(|back| now < back.again)
    }

    /// An install worked: what was refused before is forgotten.
    fn settle(&mut self, observed: &Observed, now: Moment) {
        let here = observed.on(self.vip.address, &self.vip.link);
        if here.is_some_and(|seen| ours(seen) && self.installed_until.is_some()) {
            self.setback = None;
            self.seen = true;
            if self.muted.is_none() {
                self.penalty = self.penalty.take().filter(|penalty| !penalty.is_over(now));
            }
        }
    }
}

/// The command that takes away an address that nobody claims.
#[must_use]
pub fn stale_withdrawal(seen: &SeenAddress) -> Command {
    Command::Withdraw { address: seen.address, link: seen.link.clone() }
}

/// The address as a label's value: IPv6 has characters that a label may not have (LBL-2).
#[must_use]
pub fn label_value(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.octets().iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
