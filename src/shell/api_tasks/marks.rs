//! Marks on Leases that decide about an address no more: few, one after another. One that fails is
//! asked for again.

use std::cell::OnceCell;

use smol::channel::{Receiver, Sender, bounded};

use super::{Asker, QUEUE, TaskContext, next_of};
use crate::core::LeaseName;
use crate::core::cluster::record::Change;
use crate::core::input::Mark;
use crate::kube::{Connection, Coverage, LeaseMemory, mark_lease};

/// Takes marks to be written.
pub(super) struct MarkQueue {
    context: TaskContext,
    memory: LeaseMemory,
    /// Few nodes ever write one.
    queue: OnceCell<Sender<(LeaseName, Mark)>>,
}

impl MarkQueue {
    pub(super) fn new(context: &TaskContext, memory: LeaseMemory) -> Self {
        Self { context: context.clone(), memory, queue: OnceCell::new() }
    }

    pub(super) fn take(&self, lease: LeaseName, mark: Mark) {
        let queue = self.queue.get_or_init(|| {
            let (sender, marks) = bounded(QUEUE);
            self.context.start(|context| carry(context, self.memory.clone(), marks));
            sender
        });
        // Where it is full, the core asks again.
        let _ = queue.try_send((lease, mark));
    }
}

async fn carry(context: TaskContext, memory: LeaseMemory, marks: Receiver<(LeaseName, Mark)>) {
    let mut connection: Option<Connection> = None;
    while let Ok((lease, mark)) = next_of(async || marks.recv().await, &mut connection).await {
        let api = context.api().await;
        let connection = connection.get_or_insert_with(|| api.connection());
        match mark_lease(connection, &lease, &mark).await {
            Ok(lease) => {
                context.shared.api_said(Asker::Marks, Ok(()));
                let change = Coverage { namespace: None }.learn(Change::Applied(lease), &memory);
                if context.inbox.send(change).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                log::warn!(
                    "{} has come under another lease and {lease} could not be marked: {error}; it \
                     is tried again",
                    mark.address
                );
                context.shared.api_said(Asker::Marks, Err(error.to_string()));
            }
        }
    }
}
