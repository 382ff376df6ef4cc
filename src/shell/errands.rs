//! What the loop does not wait for: the API server and the resolver. Each errand is a task on the
//! same thread; what comes of it goes to the loop's inbox.
//!
//! Three connections: renewals have one of their own, so that nothing is ever ahead of them; the
//! watch has one; everything else shares the third.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use smol::LocalExecutor;
use smol::channel::{Receiver, RecvError, Sender, bounded};

use super::resolver;
use super::shared::Shared;
use crate::core::input::{ServiceEvent, ServiceUpdate};
use crate::core::{Input, LeaseName, LeaseRequest, LeaseVerb, WriteOutcome};
use crate::kube::access::Places;
use crate::kube::{
    AccessSettings, Api, Connection, LeaseClient, LeaseMemory, LeaseNews, Pace, set_label,
    watch_leases,
};

/// Credentials that cannot be found are looked for again after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// After an outage the watch of a lease is back within this time: a release is to be seen at once.
const WATCH_AGAIN: Duration = Duration::from_secs(2);

/// A connection for leases that rests is used after so long; kube-apiserver closes it after 90 s.
const KEEP_WARM: Duration = Duration::from_secs(45);

/// A label to set or to remove.
type LabelOrder = (String, Option<String>);

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

/// The ways to send somebody off.
pub struct Errands {
    executor: Rc<LocalExecutor<'static>>,
    inbox: Sender<Input>,
    leases: Sender<LeaseRequest>,
    labels: Sender<LabelOrder>,
}

impl Errands {
    /// Starts the tasks. They send to `inbox` and tell `shared` how the API server is.
    #[must_use]
    pub fn start(
        executor: &Rc<LocalExecutor<'static>>,
        door: &Rc<Door>,
        shared: &Rc<Shared>,
        inbox: &Sender<Input>,
        leases: &[LeaseName],
    ) -> Self {
        let memory = LeaseMemory::default();
        let (lease_sender, requests) = bounded(8);
        let (label_sender, labels) = bounded(8);
        let parts = || (Rc::clone(door), Rc::clone(shared), inbox.clone());
        executor.spawn(renew(parts(), memory.clone(), requests)).detach();
        executor.spawn(label(parts(), labels)).detach();
        for lease in leases {
            executor.spawn(watch(parts(), memory.clone(), lease.clone())).detach();
        }
        Self {
            executor: Rc::clone(executor),
            inbox: inbox.clone(),
            leases: lease_sender,
            labels: label_sender,
        }
    }

    /// Carries a request about a lease to the API server.
    pub fn lease(&self, request: LeaseRequest) {
        if self.leases.try_send(request).is_err() {
            log::error!("a request about a lease was not sent: too many are under way");
        }
    }

    /// Looks a name up.
    pub fn resolve(&self, name: String) {
        let inbox = self.inbox.clone();
        let task = async move {
            let outcome = resolver::resolve(&name).await;
            let _ = inbox.send(Input::Resolved { name, outcome }).await;
        };
        self.executor.spawn(task).detach();
    }

    /// Sets or removes a label of this node's.
    pub fn label(&self, key: String, value: Option<String>) {
        if self.labels.try_send((key, value)).is_err() {
            log::error!("the node's label was not written: too many requests are under way");
        }
    }

    /// Writes to a Service.
    pub fn service(&self, update: ServiceUpdate) {
        log::error!("not written: {update:?}");
    }

    /// Records an Event.
    pub fn event(&self, event: ServiceEvent) {
        log::error!("not recorded: {event:?}");
    }

    /// Sets or removes labels of Services on this node's Node object.
    pub fn service_labels(&self, labels: BTreeMap<String, Option<String>>) {
        log::error!("not written: {labels:?}");
    }
}

type Parts = (Rc<Door>, Rc<Shared>, Sender<Input>);

async fn renew(
    (door, shared, inbox): Parts,
    memory: LeaseMemory,
    requests: Receiver<LeaseRequest>,
) {
    let mut client: Option<LeaseClient> = None;
    let mut last = None;
    while let Ok(request) = next(&requests, client.as_mut().zip(last.as_ref())).await {
        last = Some(request.lease.clone());
        let answer = match open(&door, &mut client, &memory) {
            Ok(client) => client.perform(&request).await,
            Err(why) => not_sent(request, why),
        };
        shared.api_said(trouble(&answer).map_or(Ok(()), |why| Err(why.to_owned())));
        if inbox.send(answer).await.is_err() {
            return;
        }
    }
}

/// The next request; until it comes the connection is kept open.
async fn next(
    requests: &Receiver<LeaseRequest>,
    resting: Option<(&mut LeaseClient, &LeaseName)>,
) -> Result<LeaseRequest, RecvError> {
    let Some((client, lease)) = resting else { return requests.recv().await };
    let rest = async {
        client.keep_warm(lease, KEEP_WARM).await;
        std::future::pending().await
    };
    smol::future::or(requests.recv(), rest).await
}

fn open<'a>(
    door: &Door,
    client: &'a mut Option<LeaseClient>,
    memory: &LeaseMemory,
) -> Result<&'a mut LeaseClient, String> {
    if client.is_none() {
        *client = Some(LeaseClient::new(&door.api()?, memory.clone()));
    }
    client.as_mut().ok_or_else(String::new)
}

fn not_sent(request: LeaseRequest, reason: String) -> Input {
    let lease = request.lease;
    match request.verb {
        LeaseVerb::Read => Input::LeaseUnreadable { lease, reason },
        LeaseVerb::Create { attempt, .. } | LeaseVerb::Replace { attempt, .. } => {
            Input::LeaseWritten { lease, attempt, outcome: WriteOutcome::Rejected(reason) }
        }
    }
}

/// What was wrong with the API server, if anything was.
fn trouble(answer: &Input) -> Option<&str> {
    match answer {
        Input::LeaseUnreadable { reason, .. } => Some(reason),
        Input::LeaseWritten {
            outcome: WriteOutcome::Rejected(why) | WriteOutcome::Unknown(why),
            ..
        } => Some(why),
        _ => None,
    }
}

async fn watch((door, shared, inbox): Parts, memory: LeaseMemory, lease: LeaseName) {
    let api = loop {
        match door.api() {
            Ok(api) => break api,
            Err(why) => shared.api_said(Err(why)),
        }
        smol::Timer::after(LOOK_AGAIN).await;
    };
    let sink = async |news| match news {
        LeaseNews::Input(input) => {
            let _ = inbox.send(input).await;
        }
        LeaseNews::Trouble(why) => {
            log::warn!("lease {lease} is not watched: {why}; it is tried again");
            shared.api_said(Err(why));
        }
        LeaseNews::Recovered => {
            log::info!("lease {lease} is watched again");
            shared.api_said(Ok(()));
        }
    };
    let pace = Pace { longest_wait: WATCH_AGAIN, ..Pace::default() };
    watch_leases(api, lease.clone(), memory, pace, sink).await;
}

async fn label((door, shared, inbox): Parts, orders: Receiver<LabelOrder>) {
    let mut connection: Option<Connection> = None;
    while let Ok((key, value)) = orders.recv().await {
        let node = shared.core.borrow().settings().node.clone();
        let outcome = match door.api() {
            Ok(api) => {
                let connection = connection.get_or_insert_with(|| api.connection());
                let written = set_label(connection, &node, &key, value.as_deref()).await;
                written.map_err(|error| error.to_string())
            }
            Err(why) => Err(why),
        };
        if let Err(why) = &outcome {
            log::warn!("label {key} of node {node} was not written: {why}; it is tried again");
        }
        if inbox.send(Input::Labelled(outcome)).await.is_err() {
            return;
        }
    }
}
