//! What the loop does not wait for: the API server and the resolver. Each errand is a task on the
//! same thread; what comes of it goes to the loop's inbox.
//!
//! Connections, each opened at its first use: one for the requests about each of the control
//! plane's and the global Lease, so that nothing is ever ahead of them; [`leases`] has a pool for
//! the others and [`services`] one for what is written to Services; each watch has one
//! ([`watches`]); labels and Events share one ([`notes`]), and marks on Leases have one ([`marks`]).

mod annotations;
mod health;
mod leases;
mod marks;
mod notes;
mod services;
mod watches;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use smol::LocalExecutor;
use smol::channel::{RecvError, Sender};

use super::resolver;
use super::shared::Shared;
use crate::config::HealthCheck;
use crate::core::input::{Mark, ServiceEvent, ServiceUpdate};
use crate::core::{Input, LeaseName, LeaseRequest};
use crate::kube::access::Places;
use crate::kube::{AccessSettings, Api, Connection, Coverage, LeaseMemory};
use leases::LeaseDesk;
use marks::MarkDesk;
use notes::Notes;
use services::ServiceDesk;

/// Credentials that cannot be found are looked for again after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A connection that was not needed for so long is closed: each costs some 40 KB here, and much
/// more at the API server.
const QUIET: Duration = Duration::from_secs(10);
/// Requests that wait for a pool; the core sees to it that they are fewer.
const QUEUE: usize = 64;

/// Where the credentials are, found as late as they appear: a static pod starts before kubeadm
/// has written them.
pub struct Door {
    settings: AccessSettings,
    executor: Rc<LocalExecutor<'static>>,
    api: RefCell<Option<Api>>,
}

impl Door {
    /// A door that was not tried yet.
    #[must_use]
    pub fn new(settings: AccessSettings, executor: &Rc<LocalExecutor<'static>>) -> Rc<Self> {
        Rc::new(Self { settings, executor: Rc::clone(executor), api: RefCell::new(None) })
    }

    /// The API server, if there are usable credentials.
    ///
    /// # Errors
    /// What is missing or broken, for a person.
    pub fn api(&self) -> Result<Api, String> {
        if let Some(api) = &*self.api.borrow() {
            return Ok(api.clone());
        }
        let places = Places::of_this_system();
        let api = Api::new(self.settings.clone(), places, &self.executor)
            .map_err(|error| error.to_string())?;
        log::info!("API server {} by {}", api.server(), api.origin());
        *self.api.borrow_mut() = Some(api.clone());
        Ok(api)
    }

    /// SIGHUP: reads the credentials again.
    pub fn reload(&self) {
        let known = self.api.borrow().clone();
        match known.map(|api| api.reload()) {
            None => {}
            Some(Ok(reloaded)) => log::info!("credentials read again: {reloaded:?}"),
            Some(Err(error)) => log::warn!("credentials stay as they were: {error}"),
        }
    }
}

/// What every errand needs.
#[derive(Clone)]
struct Parts {
    executor: Rc<LocalExecutor<'static>>,
    door: Rc<Door>,
    shared: Rc<Shared>,
    inbox: Sender<Input>,
}

impl Parts {
    /// Tells the loop, however full its inbox is.
    fn tell(&self, input: Input) {
        let inbox = self.inbox.clone();
        self.executor.spawn(async move { drop(inbox.send(input).await) }).detach();
    }

    /// Starts a task. Its state, some KB, is made in this function's frame and moved from there;
    /// the frames of all starts inlined into one caller would keep 80 KB of the stack in memory.
    #[inline(never)]
    fn start<F: Future<Output = ()> + 'static>(&self, task: impl FnOnce(Self) -> F) {
        self.executor.spawn(task(self.clone())).detach();
    }

    /// The API server, as soon as there are credentials.
    async fn api(&self) -> Api {
        loop {
            match self.door.api() {
                Ok(api) => return api,
                Err(why) => self.shared.api_said(Err(why)),
            }
            smol::Timer::after(LOOK_AGAIN).await;
        }
    }
}

/// What comes next from `queue`; a connection that nobody needs meanwhile is closed.
async fn next_of<T>(
    queue: impl AsyncFn() -> Result<T, RecvError>,
    connection: &mut Option<Connection>,
) -> Result<T, RecvError> {
    if connection.is_some() {
        let soon = async { Some(queue().await) };
        let quiet = async {
            smol::Timer::after(QUIET).await;
            None
        };
        if let Some(next) = smol::future::or(soon, quiet).await {
            return next;
        }
        *connection = None;
    }
    queue().await
}

/// The ways to send somebody off.
pub struct Errands {
    parts: Parts,
    leases: LeaseDesk,
    marks: MarkDesk,
    services: ServiceDesk,
    notes: Notes,
}

impl Errands {
    /// Starts the tasks. They send to `inbox` and tell `shared` how the API server is. `leases`
    /// (the control plane's) are watched by their names from now on; where the settings say
    /// Services, so are Services, endpoints, nodes and all Leases.
    #[must_use]
    pub fn start(
        executor: &Rc<LocalExecutor<'static>>,
        door: &Rc<Door>,
        shared: &Rc<Shared>,
        inbox: &Sender<Input>,
        leases: &[LeaseName],
    ) -> Self {
        let parts = Parts {
            executor: Rc::clone(executor),
            door: Rc::clone(door),
            shared: Rc::clone(shared),
            inbox: inbox.clone(),
        };
        let memory = LeaseMemory::default();
        let core = shared.core.borrow();
        let settings = core.settings();
        let coverage = settings.services.as_ref().map(|services| {
            let coverage = Coverage { namespace: services.namespace.clone() };
            watches::start(&parts, services, &settings.node, (&coverage, &memory));
            coverage
        });
        let global = settings.services.as_ref().map(|services| &services.lease);
        let marks = MarkDesk::new(&parts, memory.clone());
        let mut desk = LeaseDesk::new(&parts, memory, coverage);
        for lease in leases.iter().chain(global) {
            desk.give_own_connection(lease);
        }
        for lease in leases {
            desk.watch(lease);
        }
        Self {
            leases: desk,
            marks,
            services: ServiceDesk::new(&parts),
            notes: Notes::start(&parts, settings.node.clone()),
            parts: parts.clone(),
        }
    }

    /// Carries a request about a lease to the API server. It is always answered.
    pub fn lease(&self, request: LeaseRequest) {
        self.leases.take(request);
    }

    /// Writes a mark on a lease.
    pub fn mark(&self, lease: LeaseName, mark: Mark) {
        self.marks.take(lease, mark);
    }

    /// Looks a name up.
    pub fn resolve(&self, name: String) {
        self.parts.start(async |parts| {
            let outcome = resolver::resolve(&name).await;
            let _ = parts.inbox.send(Input::Resolved { name, outcome }).await;
        });
    }

    /// Sets or removes a label of this node's. It is always answered.
    pub fn label(&self, key: String, value: Option<String>) {
        self.notes.label(key, value);
    }

    /// Writes to a Service. It is always answered.
    pub fn service(&self, update: ServiceUpdate) {
        self.services.take(update);
    }

    /// Records an Event.
    pub fn event(&self, event: ServiceEvent) {
        self.notes.event(event);
    }

    /// Checks the API server on this node from now on.
    pub fn check_health(&self, check: HealthCheck) {
        self.parts.start(|parts| health::follow(parts, check));
    }

    /// Sends this node's annotations that begin with `prefix` to `news` from now on.
    pub fn follow_annotations(&self, prefix: String, news: Sender<BTreeMap<String, String>>) {
        let node = self.parts.shared.core.borrow().settings().node.clone();
        self.parts.start(|parts| annotations::follow(parts, (node, prefix), news));
    }

    /// Sets or removes labels of Services on this node's Node object. It is always answered.
    pub fn service_labels(&self, labels: BTreeMap<String, Option<String>>) {
        self.notes.service_labels(labels);
    }
}
