//! The rooms that serve Services, and the order in which one turn goes through them.

use std::net::IpAddr;
use std::rc::Rc;

use viplet_backend_api::{Address, Command, Notice, Owner, Refusal};

use super::addresses::{Addresses, Candidates, View};
use super::cluster::{Changed, Cluster, Listed};
use super::context::{Around, Site};
use super::control_plane::{Group, Stopping};
use super::earlier_run::Leftovers;
use super::input::{Effect, Input};
use super::observed::Observed;
use super::report::Report;
use super::rights::{FirstList, News, Rights};
use super::services::{Pass, Services};
use super::settings::Services as Settings;
use super::time::Moment;
use super::work_queue::Due;

/// Everything about Services of type LoadBalancer.
#[derive(Clone, Debug)]
pub(super) struct Rooms {
    pub(super) site: Rc<Site>,
    pub(super) cluster: Cluster,
    pub(super) rights: Rights,
    pub(super) addresses: Addresses,
    pub(super) services: Services,
}

/// What the rooms depend on beside themselves.
#[derive(Clone, Copy)]
pub(super) struct Outside<'a> {
    /// The kernel.
    pub(super) observed: &'a Observed,
    /// The control plane's addresses and Lease.
    pub(super) control_plane: Option<&'a Group>,
    /// Whether the process is about to end.
    pub(super) stopping: Stopping,
    /// What an earlier run may have left here.
    pub(super) leftovers: Leftovers,
    /// The time.
    pub(super) now: Moment,
}

impl<'a> Outside<'a> {
    fn around(self, cluster: &'a Cluster) -> Around<'a> {
        let Self { observed, control_plane, stopping, leftovers, now } = self;
        Around { cluster, observed, control_plane, stopping, leftovers, now }
    }
}

impl Rooms {
    /// Nothing is known yet.
    #[must_use]
    pub(super) fn new(settings: Settings, node: &str, seed: u64, now: Moment) -> Self {
        let site = Rc::new(Site { settings, node: node.to_owned(), seed, started: now });
        Self {
            cluster: Cluster::default(),
            rights: Rights::new(Rc::clone(&site)),
            addresses: Addresses::new(Rc::clone(&site)),
            services: Services::new(Rc::clone(&site)),
            site,
        }
    }

    /// One turn: what is due is looked at, Services are judged, addresses planned, elections
    /// driven, addresses reconciled with the kernel, requests about leases sent, and only then
    /// anything is written or said (design law 7).
    pub(super) fn turn(&mut self, outside: &Outside<'_>, effects: &mut Vec<Effect>) {
        let Self { cluster, rights, addresses, services, .. } = self;
        let around = &outside.around(cluster);
        wake(services, rights, addresses, around.now);
        addresses.look_at_control_plane(around);
        services.look_names_up(around.now, effects);
        addresses.choose_link(around);
        services.judge_some(cluster, addresses, around.now);
        plan(services, rights, addresses, around);
        elect(rights, addresses, around, effects);
        // A role that changed may change what stands in an address' way.
        plan(services, rights, addresses, around);
        addresses.mark_leases(rights, around, effects);
        addresses.pulse_some(rights, around, effects);
        elect(rights, addresses, around, effects);
        send(rights, addresses, around, effects);
        write(services, rights, addresses, around, effects);
    }

    /// The next moment at which [`Rooms::turn`] has something to do.
    #[must_use]
    pub(super) fn deadline(&self, outside: &Outside<'_>) -> Due {
        if self.is_busy() || self.services.has_writes() {
            return Some((outside.now, "what this turn was too short for"));
        }
        let around = outside.around(&self.cluster);
        let others = [
            self.addresses.deadline(),
            self.rights.deadline(),
            self.services.deadline(),
            self.services.next_labels(&self.view(&around)),
            self.services.next_event().filter(|_| !self.rights.is_crowded()),
            Some((self.services.next_sweep(), "everything is looked at again")),
        ];
        others.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    fn is_busy(&self) -> bool {
        !self.services.are_judged() || self.addresses.is_busy() || self.rights.is_busy()
    }

    /// Everything, to read.
    pub(super) fn view<'a>(&'a self, around: &'a Around<'a>) -> View<'a> {
        View { addresses: &self.addresses, rights: &self.rights, around }
    }

    /// The same with what is outside.
    pub(super) fn around<'a>(&'a self, outside: &Outside<'a>) -> Around<'a> {
        outside.around(&self.cluster)
    }

    /// Something of Services happened.
    pub(super) fn take(&mut self, input: Input, now: Moment) {
        match input {
            Input::Services(change) => {
                let changes = self.cluster.take_services(change);
                self.follow(changes, now);
            }
            Input::Endpoints(change) => {
                let changes = self.cluster.take_endpoints(change);
                self.follow(changes, now);
            }
            Input::Nodes(change) => {
                let changes = self.cluster.take_nodes(change, &self.site.node);
                self.follow(changes, now);
            }
            Input::Leases(change) => {
                if self.rights.take_leases(change, now) == FirstList::Yes {
                    self.addresses.look_at_all();
                    self.release_what_is_left(now);
                }
                self.addresses.look_at_handovers();
            }
            Input::ServiceWritten { service, attempt, outcome } => {
                self.services.written(&service, attempt, &outcome, now);
            }
            Input::ServicesHeard(version) => {
                if let Some(version) = self.cluster.take_version(version) {
                    self.addresses.take_version(version);
                }
            }
            Input::ServicesLabelled(outcome) => self.services.labelled(outcome, now),
            _ => {}
        }
    }

    fn follow(&mut self, changes: Vec<Changed>, now: Moment) {
        let first_list = changes.contains(&Changed::ServicesListed);
        self.services.follow(changes, &self.cluster, &mut self.addresses, now);
        if first_list {
            self.release_what_is_left(now);
        }
    }

    fn release_what_is_left(&mut self, now: Moment) {
        if self.cluster.services_listed() == Listed::Yes && self.rights.has_seen_all() {
            self.rights.release_what_is_left(&self.cluster, now);
        }
    }

    /// What a notice of the backend asks to look at again.
    pub(super) fn note(&mut self, notice: &Notice) {
        match notice {
            Notice::Address(Address { address, owner, .. }) if *owner != Owner::Node => {
                self.addresses.look_at(*address);
            }
            Notice::AddressGone { address, .. } => {
                self.addresses.look_at(*address);
                self.addresses.look_at_own(*address);
            }
            Notice::Rival(_) => {}
            Notice::Reach(reach) => self.addresses.look_at_reach(reach.address),
            _ => self.addresses.look_at_all(),
        }
    }

    /// The backend refused a command: what to say of it, if it is news.
    pub(super) fn refused(
        &mut self,
        command: &Command,
        refusal: &Refusal,
        now: Moment,
    ) -> Option<Report> {
        self.addresses.refused(command, refusal, now)
    }

    /// Another station announced an address: whether this node holds and defends it.
    pub(super) fn contested(&mut self, ip: IpAddr, now: Moment) -> bool {
        self.addresses.contested(ip, &mut self.rights, now)
    }

    /// Whether it is known which addresses Services ask for: an address with our tag may be one
    /// of them until then.
    #[must_use]
    pub(super) fn is_listed(&self) -> bool {
        let listed = self.cluster.services_listed() == Listed::Yes;
        listed && self.services.are_judged() && self.services.are_resolved()
    }

    /// Whether what this node has to do about its addresses is known and done.
    #[must_use]
    pub(super) fn is_settled(&self, now: Moment) -> bool {
        let late = !self.site.is_young(now);
        let nodes = self.cluster.nodes_listed() == Listed::Yes || !self.site.is_early(now);
        let endpoints = self.cluster.endpoints_listed() == Listed::Yes;
        let listed = self.is_listed() && endpoints && nodes;
        !self.is_busy() && (late || (listed && self.rights.are_decided()))
    }

    /// Whether nothing of Services is left on this node, no lease in our name, no label.
    #[must_use]
    pub(super) fn is_gone(&self, outside: &Outside<'_>) -> bool {
        let gone = self.addresses.are_gone(&outside.around(&self.cluster));
        gone && self.rights.are_given_back() && self.services.is_unlabelled()
    }

    /// How many leases are in our name, and how many addresses are held by them: what a stop has
    /// to give back.
    #[must_use]
    pub(super) fn burden(&self) -> (u32, u32) {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (count(self.rights.held()), count(self.addresses.claimed()))
    }
}

/// What is due by now is looked at in this turn.
fn wake(services: &mut Services, rights: &mut Rights, addresses: &mut Addresses, now: Moment) {
    if services.wake(now) == Pass::Ends {
        addresses.look_at_forsaken();
        rights.look_at_all();
    }
    rights.wake(now);
    addresses.wake(now);
}

/// Addresses are planned once it is known which Services ask for them.
fn plan(services: &Services, rights: &mut Rights, addresses: &mut Addresses, around: &Around<'_>) {
    if services.are_judged() {
        addresses.plan_some(rights, around);
    }
}

/// Elections are driven; requests are sent later.
fn elect(
    rights: &mut Rights,
    addresses: &mut Addresses,
    around: &Around<'_>,
    effects: &mut Vec<Effect>,
) {
    if let Stopping::By(limit) = around.stopping {
        let begun = rights.leave_some(around.cluster, around.now, limit);
        addresses.leave(&begun, rights);
    }
    let news: Vec<News> = rights.drive(&Candidates { addresses, around }, around, effects);
    addresses.take_news(&news, rights);
}

/// Requests about leases are sent.
fn send(
    rights: &mut Rights,
    addresses: &mut Addresses,
    around: &Around<'_>,
    effects: &mut Vec<Effect>,
) {
    let news = rights.send_requests(&Candidates { addresses, around }, around, effects);
    addresses.take_news(&news, rights);
}

/// What there is to write and to say: after addresses, and beside what they wait for.
fn write(
    services: &mut Services,
    rights: &Rights,
    addresses: &mut Addresses,
    around: &Around<'_>,
    effects: &mut Vec<Effect>,
) {
    services.look_at(addresses.take_touched());
    let busy = !services.are_judged() || addresses.is_busy();
    let view = View { addresses, rights, around };
    if !busy {
        services.write_some(&view, effects);
    }
    if !rights.is_crowded() {
        services.record_events(around.now, effects);
    }
    services.write_labels(&view, effects);
}
