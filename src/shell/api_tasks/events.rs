//! Labels of this node's Node object, and Events about Services: one connection, labels first.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use smol::channel::{Receiver, RecvError, Sender, TrySendError, bounded};

use super::{QUEUE, TaskContext, next_of};
use crate::core::input::ServiceEvent;
use crate::core::{Input, Moment};
use crate::kube::{Connection, Kind, record_event, set_labels};
use crate::ordered;
use crate::shell::clock;

/// Labels that wait to be written; the core has one request of each kind under way.
const LABEL_QUEUE: usize = 8;
/// Where Events are forbidden they are not tried again before this time has passed.
const FORBIDDEN_FOR: Duration = Duration::from_secs(10 * 60);

/// Takes labels and Events.
pub(super) struct LabelsAndEvents {
    context: TaskContext,
    labels: Sender<LabelRequest>,
    events: Sender<ServiceEvent>,
    /// An Event was lost, which is said once for each time that there are too many.
    lost: Cell<Lost>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    None,
    Some,
}

/// Labels to set or to remove.
struct LabelRequest {
    labels: BTreeMap<String, Option<String>>,
    /// What the core is told of the outcome.
    answer: fn(Result<(), String>) -> Input,
}

enum Next {
    LabelRequest(LabelRequest),
    Event(ServiceEvent),
}

impl LabelsAndEvents {
    pub(super) fn start(context: &TaskContext, node: String) -> Self {
        let (label_sender, labels) = bounded(LABEL_QUEUE);
        let (event_sender, events) = bounded(QUEUE);
        let writer =
            |context| Writer { context, node, connection: None, events: LastFailure::Nothing };
        context.start(|context| writer(context).run(labels, events));
        let lost = Cell::new(Lost::None);
        Self { context: context.clone(), labels: label_sender, events: event_sender, lost }
    }

    pub(super) fn label(&self, key: String, value: Option<String>) {
        self.request(LabelRequest {
            labels: ordered::map([(key, value)]),
            answer: Input::Labelled,
        });
    }

    pub(super) fn service_labels(&self, labels: BTreeMap<String, Option<String>>) {
        self.request(LabelRequest { labels, answer: Input::ServicesLabelled });
    }

    fn request(&self, request: LabelRequest) {
        if let Err(TrySendError::Full(request) | TrySendError::Closed(request)) =
            self.labels.try_send(request)
        {
            let why = "not sent: too many labels are being written".to_owned();
            self.context.tell((request.answer)(Err(why)));
        }
    }

    pub(super) fn event(&self, event: ServiceEvent) {
        let lost = match self.events.try_send(event) {
            Ok(()) => Lost::None,
            Err(TrySendError::Full(event) | TrySendError::Closed(event)) => {
                if self.lost.get() == Lost::None {
                    let ServiceEvent { service, reason, message, .. } = event;
                    log::warn!(
                        "too many Events at once: some are not recorded, first that about Service {service}: {reason}: {message}"
                    );
                }
                Lost::Some
            }
        };
        self.lost.set(lost);
    }
}

/// What was said in the log about Events that were not recorded.
enum LastFailure {
    Nothing,
    /// They fail like this.
    Failing(Kind),
    /// They are forbidden, and tried again from then on.
    Forbidden(Moment),
}

struct Writer {
    context: TaskContext,
    node: String,
    connection: Option<Connection>,
    events: LastFailure,
}

impl Writer {
    async fn run(mut self, labels: Receiver<LabelRequest>, events: Receiver<ServiceEvent>) {
        let next = async || next(&labels, &events).await;
        while let Ok(next) = next_of(&next, &mut self.connection).await {
            match next {
                Next::Event(event) => self.record(event).await,
                Next::LabelRequest(request) => {
                    let outcome = self.label(&request.labels).await;
                    if self.context.inbox.send((request.answer)(outcome)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn connection(&mut self) -> Result<&mut Connection, String> {
        let api = self.context.lazy_api.api()?;
        Ok(self.connection.get_or_insert_with(|| api.connection()))
    }

    async fn label(&mut self, labels: &BTreeMap<String, Option<String>>) -> Result<(), String> {
        let node = self.node.clone();
        let outcome = match self.connection() {
            Ok(connection) => {
                set_labels(connection, &node, labels).await.map_err(|e| e.to_string())
            }
            Err(why) => Err(why),
        };
        if let Err(why) = &outcome {
            let keys: Vec<_> = labels.keys().map(String::as_str).collect();
            let keys = keys.join(", ");
            log::warn!("label {keys} of node {node} was not written: {why}; it is tried again");
        }
        outcome
    }

    async fn record(&mut self, event: ServiceEvent) {
        if matches!(self.events, LastFailure::Forbidden(until) if clock::now() < until) {
            return;
        }
        let node = self.node.clone();
        let Ok(connection) = self.connection() else { return };
        match record_event(connection, &event, &node, SystemTime::now()).await {
            Ok(()) => self.events = LastFailure::Nothing,
            Err(error) => self.complain(&event, error.kind),
        }
    }

    fn complain(&mut self, event: &ServiceEvent, kind: Kind) {
        match kind {
            // 403 is also said of a namespace that is going away, whatever the permissions.
            Kind::Forbidden(why) if !why.contains("because it is being terminated") => {
                log::warn!(
                    "Events are not recorded: {why}; give viplet's ClusterRole the verb create on events (core group); all else goes on without them"
                );
                self.events = LastFailure::Forbidden(clock::now() + FORBIDDEN_FOR);
            }
            kind => {
                if !matches!(&self.events, LastFailure::Failing(known) if *known == kind) {
                    let service = &event.service;
                    log::warn!("an Event about Service {service} was not recorded: {kind}");
                }
                self.events = LastFailure::Failing(kind);
            }
        }
    }
}

/// Labels first.
async fn next(
    labels: &Receiver<LabelRequest>,
    events: &Receiver<ServiceEvent>,
) -> Result<Next, RecvError> {
    let request = async { labels.recv().await.map(Next::LabelRequest) };
    let event = async { events.recv().await.map(Next::Event) };
    smol::future::or(request, event).await
}
