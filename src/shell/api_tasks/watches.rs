//! The watches of Services, endpoints, nodes and all Leases: four connections, however many objects.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use super::leases::{Failing, WATCH_AGAIN};
use super::{Asker, TaskContext};
use crate::core::Input;
use crate::core::cluster::record::{Change, NodeRecord, ServiceRecord, SliceName, SliceRecord};
use crate::core::settings::{EndpointSource, Services};
use crate::kube::{
    Coverage, EndpointSlice, Endpoints, Event, Lease, LeaseMemory, Pace, Scope, Watch, Watched,
    node_scope, service_scope, without_foreign_labels,
};

/// After an outage the watches are back within this time.
const AGAIN: Duration = Duration::from_secs(5);
/// What is nice to have is not asked for more often, where it is forbidden.
const SLOWLY: Duration = Duration::from_secs(60);
/// Reasons that were said and are not said again.
const REASONS_KNOWN: usize = 64;

/// What is watched, how, and what it means when it fails.
struct Subject {
    /// In the log.
    name: &'static str,
    scope: Scope,
    pace: Pace,
    need: Need,
    /// What the core is told of how far the watch has come, if anything.
    reached: fn(String) -> Option<Input>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Without it nothing goes on: the API server counts as failing.
    Needed,
    /// All goes on without it.
    Optional,
}

/// Starts the watches.
pub(super) fn start(
    context: &TaskContext,
    services: &Services,
    node: &str,
    (coverage, memory): (&Coverage, &LeaseMemory),
) {
    let namespace = services.namespace.as_deref();
    let subject = |name, scope| {
        let (need, reached): (_, fn(String) -> _) = (Need::Needed, |_| None);
        Subject { name, scope, pace: pace(AGAIN), need, reached }
    };
    let change = |change: Change<ServiceRecord, _>| Input::Services(change);
    let mut of_services = subject("Services", service_scope(namespace));
    of_services.reached = |version| Some(Input::ServicesHeard(version.into()));
    spawn(context, of_services, change);
    match services.endpoints {
        EndpointSource::Slices => {
            let scope = EndpointSlice::scope(namespace);
            spawn(context, subject("EndpointSlices", scope), slices::<EndpointSlice>);
        }
        EndpointSource::Endpoints => {
            let scope = Endpoints::scope(namespace);
            spawn(context, subject("Endpoints", scope), slices::<Endpoints>);
        }
    }
    let own = node.to_owned();
    let need = Need::Optional;
    let nodes = Subject { need, pace: pace(SLOWLY), ..subject("Nodes", node_scope()) };
    spawn(context, nodes, move |change: Change<NodeRecord, _>| {
        Input::Nodes(mapped(change, |record| without_foreign_labels(record, &own)))
    });
    let mut leases = subject("Leases", coverage.scope());
    leases.pace = pace(WATCH_AGAIN);
    let (coverage, memory) = (coverage.clone(), memory.clone());
    spawn(context, leases, move |change: Change<Lease, _>| coverage.learn(change, &memory));
}

fn pace(longest_wait: Duration) -> Pace {
    Pace { longest_wait, ..Pace::default() }
}

fn slices<T: Into<SliceRecord>>(change: Change<T, SliceName>) -> Input {
    Input::Endpoints(mapped(change, T::into))
}

fn mapped<T, U, K>(change: Change<T, K>, each: impl Fn(T) -> U) -> Change<U, K> {
    match change {
        Change::Replaced(all) => Change::Replaced(all.into_iter().map(each).collect()),
        Change::ReplacedExcept(all, unreadable) => {
            Change::ReplacedExcept(all.into_iter().map(each).collect(), unreadable)
        }
        Change::Applied(one) => Change::Applied(each(one)),
        Change::Unreadable(one) => Change::Unreadable(one),
        Change::Deleted(key) => Change::Deleted(key),
    }
}

fn spawn<T: Watched + 'static>(
    context: &TaskContext,
    subject: Subject,
    input: impl Fn(Change<T, T::Key>) -> Input + 'static,
) {
    context.start(|context| follow(context, subject, input));
}

async fn follow<T: Watched>(
    context: TaskContext,
    subject: Subject,
    input: impl Fn(Change<T, T::Key>) -> Input,
) {
    let api = context.api().await;
    let Subject { name, scope, pace, need, reached } = subject;
    let mut known = BTreeSet::new();
    let failing = Cell::new(Failing::No);
    let say = |outcome: Result<(), String>| {
        failing.set(if outcome.is_ok() { Failing::No } else { Failing::Yes });
        if outcome.is_ok() || need == Need::Needed {
            context.shared.api_said(Asker::Watch(name.to_owned()), outcome);
        }
    };
    let sink = async |event: Event<T, T::Key>| {
        let change = match event {
            Event::Replaced(all) => {
                listed(&failing, &say);
                Change::Replaced(all)
            }
            Event::ReplacedExcept(all, unreadable) => {
                listed(&failing, &say);
                unreadable.iter().for_each(|one| complain(name, &one.reason, &mut known));
                Change::ReplacedExcept(all, unreadable)
            }
            Event::Applied(one) => Change::Applied(one),
            Event::Unreadable(one) => {
                complain(name, &one.reason, &mut known);
                Change::Unreadable(one)
            }
            Event::Deleted(key) => Change::Deleted(key),
            Event::Reached(version) => {
                if let Some(input) = reached(version) {
                    let _ = context.inbox.send(input).await;
                }
                return;
            }
            Event::Rejected(reason) => return complain(name, &reason, &mut known),
            Event::Trouble(why) => {
                log::warn!("{name} are not watched: {why}; it is tried again");
                return say(Err(why));
            }
            Event::Recovered => {
                log::info!("{name} are watched again");
                return say(Ok(()));
            }
        };
        let _ = context.inbox.send(input(change)).await;
    };
    Watch::new(&api, scope, pace).run(sink).await;
}

/// A list proves that the server answers; not that the stream after it works, where that failed.
fn listed(failing: &Cell<Failing>, say: &impl Fn(Result<(), String>)) {
    if failing.get() == Failing::No {
        say(Ok(()));
    }
}

/// Once for each reason: an object that makes no sense may change every second.
fn complain(name: &str, reason: &str, known: &mut BTreeSet<String>) {
    if known.len() >= REASONS_KNOWN {
        known.clear();
    }
    if known.insert(reason.to_owned()) {
        log::warn!(
            "one of the {name} cannot be read: {reason}; what was known of it before stays, and it \
             is read again when it changes"
        );
    }
}
