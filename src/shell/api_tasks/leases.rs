//! Requests about Leases: which connection carries one, and which Leases are watched by name.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use smol::channel::{Receiver, RecvError, Sender, TrySendError, bounded};

use super::{Asker, LazyApi, QUEUE, TaskContext};
use crate::core::{Input, LeaseName, LeaseRequest, LeaseVerb, WriteOutcome};
use crate::kube::{Coverage, LeaseClient, LeaseMemory, LeaseNews, Pace, watch_lease};

/// After an outage the watch of a lease is back within this time: a release is to be seen at once.
pub(super) const WATCH_AGAIN: Duration = Duration::from_secs(2);
/// A connection for leases that rests is used after so long; kube-apiserver closes it after 90 s.
const KEEP_WARM: Duration = Duration::from_secs(45);
/// Requests about one lease that wait for its own connection; the core has one under way.
const OWN_QUEUE: usize = 8;
/// Connections of the pool. The core has up to eight requests under way; more than four do not
/// make an API server faster.
const CONNECTIONS: usize = 4;

/// Takes requests about Leases.
pub(super) struct LeaseQueue {
    context: TaskContext,
    memory: LeaseMemory,
    /// What the wide watch covers; `None`: there is none.
    coverage: Option<Coverage>,
    own: BTreeMap<LeaseName, Sender<LeaseRequest>>,
    /// For all others; most nodes have none.
    pool: OnceCell<Sender<LeaseRequest>>,
    watched: RefCell<BTreeSet<LeaseName>>,
}

impl LeaseQueue {
    pub(super) fn new(
        context: &TaskContext,
        memory: LeaseMemory,
        coverage: Option<Coverage>,
    ) -> Self {
        Self {
            context: context.clone(),
            memory,
            coverage,
            own: BTreeMap::new(),
            pool: OnceCell::new(),
            watched: RefCell::default(),
        }
    }

    /// Requests about this lease never wait behind those about others.
    pub(super) fn give_own_connection(&mut self, lease: &LeaseName) {
        if !self.own.contains_key(lease) {
            let (sender, requests) = bounded(OWN_QUEUE);
            self.start_worker(requests);
            self.own.insert(lease.clone(), sender);
        }
    }

    /// Watches this lease by its name, if that is not done yet.
    pub(super) fn watch(&self, lease: &LeaseName) {
        if self.watched.borrow_mut().insert(lease.clone()) {
            self.context.start(|context| watch(context, self.memory.clone(), lease.clone()));
        }
    }

    pub(super) fn take(&self, request: LeaseRequest) {
        if self.coverage.as_ref().is_some_and(|coverage| !coverage.covers(&request.lease)) {
            self.watch(&request.lease);
        }
        let queue = self.own.get(&request.lease).unwrap_or_else(|| self.pool());
        if let Err(TrySendError::Full(request) | TrySendError::Closed(request)) =
            queue.try_send(request)
        {
            let why = "not sent: too many requests about leases are under way".to_owned();
            self.context.tell(not_sent(request, why));
        }
    }

    fn pool(&self) -> &Sender<LeaseRequest> {
        self.pool.get_or_init(|| {
            let (sender, requests) = bounded(QUEUE);
            for _ in 0..CONNECTIONS {
                self.start_worker(requests.clone());
            }
            sender
        })
    }

    fn start_worker(&self, requests: Receiver<LeaseRequest>) {
        self.context.start(|context| carry(context, self.memory.clone(), requests));
    }
}

async fn carry(context: TaskContext, memory: LeaseMemory, requests: Receiver<LeaseRequest>) {
    let mut client: Option<LeaseClient> = None;
    let mut last = None;
    while let Ok(request) = next(&requests, client.as_mut().zip(last.as_ref())).await {
        last = Some(request.lease.clone());
        let answer = match open(&context.lazy_api, &mut client, &memory) {
            Ok(client) => client.perform(&request).await,
            Err(why) => not_sent(request, why),
        };
        context
            .shared
            .api_said(Asker::Leases, trouble(&answer).map_or(Ok(()), |why| Err(why.to_owned())));
        if context.inbox.send(answer).await.is_err() {
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
    lazy_api: &LazyApi,
    client: &'a mut Option<LeaseClient>,
    memory: &LeaseMemory,
) -> Result<&'a mut LeaseClient, String> {
    if client.is_none() {
        *client = Some(LeaseClient::new(&lazy_api.api()?, memory.clone()));
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

/// Whether a watch fails at the moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Failing {
    No,
    Yes,
}

async fn watch(context: TaskContext, memory: LeaseMemory, lease: LeaseName) {
    let api = context.api().await;
    let asker = Asker::Watch(format!("lease {lease}"));
    let failing = Cell::new(Failing::No);
    let sink = async |news| match news {
        LeaseNews::Input(input) => {
            if failing.get() == Failing::No {
                context.shared.api_said(asker.clone(), Ok(()));
            }
            let _ = context.inbox.send(input).await;
        }
        LeaseNews::Trouble(why) => {
            log::warn!("lease {lease} is not watched: {why}; it is tried again");
            failing.set(Failing::Yes);
            context.shared.api_said(asker.clone(), Err(why));
        }
        LeaseNews::Recovered => {
            log::info!("lease {lease} is watched again");
            failing.set(Failing::No);
            context.shared.api_said(asker.clone(), Ok(()));
        }
    };
    let pace = Pace { longest_wait: WATCH_AGAIN, ..Pace::default() };
    watch_lease(api, lease.clone(), memory, pace, sink).await;
}
