//! Writes to Services, a few at a time.

use std::cell::OnceCell;
use std::time::SystemTime;

use smol::channel::{Receiver, Sender, TrySendError, bounded};

use super::{Asker, QUEUE, TaskContext, next_of};
use crate::core::Input;
use crate::core::input::{ServiceOutcome, ServiceUpdate};
use crate::kube::{Connection, update_service};

/// Connections for them. The core has up to eight writes under way; a thousand statuses are written
/// by two in a few seconds, and the API server has other things to do.
const CONNECTIONS: usize = 2;

/// Takes what is to be written to Services.
pub(super) struct ServiceQueue {
    context: TaskContext,
    /// Only a node that holds something writes.
    pool: OnceCell<Sender<ServiceUpdate>>,
}

impl ServiceQueue {
    pub(super) fn new(context: &TaskContext) -> Self {
        Self { context: context.clone(), pool: OnceCell::new() }
    }

    pub(super) fn take(&self, update: ServiceUpdate) {
        if let Err(TrySendError::Full(update) | TrySendError::Closed(update)) =
            self.pool().try_send(update)
        {
            let why = "not sent: too many writes to Services are under way".to_owned();
            self.context.tell(answer(update, ServiceOutcome::Failed(why)));
        }
    }

    fn pool(&self) -> &Sender<ServiceUpdate> {
        self.pool.get_or_init(|| {
            let (sender, updates) = bounded(QUEUE);
            for _ in 0..CONNECTIONS {
                self.context.start(|context| carry(context, updates.clone()));
            }
            sender
        })
    }
}

async fn carry(context: TaskContext, updates: Receiver<ServiceUpdate>) {
    let mut connection: Option<Connection> = None;
    while let Ok(update) = next_of(async || updates.recv().await, &mut connection).await {
        let outcome = match context.lazy_api.api() {
            Ok(api) => {
                let connection = connection.get_or_insert_with(|| api.connection());
                update_service(connection, &update, SystemTime::now()).await
            }
            Err(why) => ServiceOutcome::Failed(why),
        };
        match &outcome {
            ServiceOutcome::Done => context.shared.api_said(Asker::Services, Ok(())),
            ServiceOutcome::Failed(why) => {
                context.shared.api_said(Asker::Services, Err(why.clone()))
            }
            ServiceOutcome::Gone | ServiceOutcome::Conflict | ServiceOutcome::Refused(_) => {}
        }
        if context.inbox.send(answer(update, outcome)).await.is_err() {
            return;
        }
    }
}

fn answer(update: ServiceUpdate, outcome: ServiceOutcome) -> Input {
    Input::ServiceWritten { service: update.service, attempt: update.attempt, outcome }
}
