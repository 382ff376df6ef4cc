//! What the loop does not wait for: the API server and the resolver. Each is a task on the
//! same thread; what comes of it goes to the loop's inbox.
//!
//! Connections, each opened at its first use: one for the requests about each of the control
//! plane's and the global Lease, so that nothing is ever ahead of them; [`leases`] has a pool for
//! the others and [`services`] one for what is written to Services; each watch has one
//! ([`watches`]); labels and Events share one ([`events`]), and marks on Leases have one ([`marks`]).

mod annotations;
mod events;
mod health;
mod leases;
mod marks;
mod services;
mod watches;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use smol::LocalExecutor;
use smol::channel::{RecvError, Sender};

use super::api_seen::Asker;
use super::resolver;
use super::shared::Shared;
use crate::config::HealthCheck;
use crate::core::{Input, KubernetesRequest, LeaseName};
use crate::kube::access::Places;
use crate::kube::{AccessSettings, Api, Connection, Coverage, LeaseMemory};
use events::LabelsAndEvents;
use leases::LeaseQueue;
use marks::MarkQueue;
use services::ServiceQueue;

/// Credentials that cannot be found are looked for again after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A connection that was not needed for so long is closed: each costs some 40 KB here, and much
/// more at the API server.
const QUIET: Duration = Duration::from_secs(10);
/// Requests that wait for a pool; the core sees to it that they are fewer.
const QUEUE: usize = 64;

/// Where the credentials are, found as late as they appear: a static pod starts before kubeadm
/// has written them.
pub struct LazyApi {
    settings: AccessSettings,
    executor: Rc<LocalExecutor<'static>>,
    api: RefCell<Option<Api>>,
}

impl LazyApi {
    /// Nothing is looked for yet.
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
        if api.is_circular() {
            log::warn!(
                "that is the control plane's own virtual address, which nobody holds before an API \
                 server was reached by another way: the API server of this node is asked instead \
                 where there is one; name another server in {} or in kubernetes_addr",
                api.origin()
            );
        }
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

/// What every task needs.
#[derive(Clone)]
struct TaskContext {
    executor: Rc<LocalExecutor<'static>>,
    lazy_api: Rc<LazyApi>,
    shared: Rc<Shared>,
    inbox: Sender<Input>,
}

impl TaskContext {
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
            match self.lazy_api.api() {
                Ok(api) => return api,
                Err(why) => self.shared.api_said(Asker::Credentials, Err(why)),
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
pub struct ApiTasks {
    context: TaskContext,
    leases: LeaseQueue,
    marks: MarkQueue,
    services: ServiceQueue,
    labels_and_events: LabelsAndEvents,
}

impl ApiTasks {
    /// Starts the tasks. They send to `inbox` and tell `shared` how the API server is. `leases`
    /// (the control plane's) are watched by their names from now on; where the settings say
    /// Services, so are Services, endpoints, nodes and all Leases.
    #[must_use]
    pub fn start(
        executor: &Rc<LocalExecutor<'static>>,
        lazy_api: &Rc<LazyApi>,
        shared: &Rc<Shared>,
        inbox: &Sender<Input>,
        leases: &[LeaseName],
    ) -> Self {
        let context = TaskContext {
            executor: Rc::clone(executor),
            lazy_api: Rc::clone(lazy_api),
            shared: Rc::clone(shared),
            inbox: inbox.clone(),
        };
        let memory = LeaseMemory::default();
        let core = shared.core.borrow();
        let settings = core.settings();
        let coverage = settings.services.as_ref().map(|services| {
            let coverage = Coverage { namespace: services.namespace.clone() };
            watches::start(&context, services, &settings.node, (&coverage, &memory));
            coverage
        });
        let global = settings.services.as_ref().map(|services| &services.lease);
        let marks = MarkQueue::new(&context, memory.clone());
        let mut queue = LeaseQueue::new(&context, memory, coverage);
        for lease in leases.iter().chain(global) {
            queue.give_own_connection(lease);
        }
        for lease in leases {
            queue.watch(lease);
        }
        Self {
            leases: queue,
            marks,
            services: ServiceQueue::new(&context),
            labels_and_events: LabelsAndEvents::start(&context, settings.node.clone()),
            context: context.clone(),
        }
    }

    /// Sends a request to the API server.
    pub fn request(&self, request: KubernetesRequest) {
        match request {
            KubernetesRequest::Lease(request) => self.leases.take(request),
            KubernetesRequest::Mark { lease, mark } => self.marks.take(lease, mark),
            KubernetesRequest::Label { key, value } => self.labels_and_events.label(key, value),
            KubernetesRequest::Service(update) => self.services.take(update),
            KubernetesRequest::Event(event) => self.labels_and_events.event(event),
            KubernetesRequest::ServiceLabels(labels) => {
                self.labels_and_events.service_labels(labels)
            }
        }
    }

    /// Looks a name up.
    pub fn resolve(&self, name: String) {
        self.context.start(async |context| {
            let outcome = resolver::resolve(&name).await;
            let _ = context.inbox.send(Input::Resolved { name, outcome }).await;
        });
    }

    /// Checks the API server on this node from now on.
    pub fn check_health(&self, check: HealthCheck) {
        self.context.start(|context| health::follow(context, check));
    }

    /// Sends this node's annotations that begin with `prefix` to `news` from now on.
    pub fn follow_annotations(&self, prefix: String, news: Sender<BTreeMap<String, String>>) {
        let node = self.context.shared.core.borrow().settings().node.clone();
        self.context.start(|context| annotations::follow(context, (node, prefix), news));
    }
}
