//! What all connections share: the store, the faults, the counts, and who waits for a change.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard};

use event_listener::{Event, EventListener};
use viplet_sim::api::Store;

use super::faults::{Asked, Rule, Verdict, judge};

/// How running watches are ended by an order from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an ERROR event, 410: the client must list again.
    Expired,
    /// By closing their connections.
    Cut,
}

/// The store and what belongs to it.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) rules: Vec<Rule>,
    /// Requests answered, by verb, resource and HTTP status.
    requests: BTreeMap<(&'static str, &'static str, u16), u64>,
    /// How many times watches were ended, and how the last time.
    pub(super) endings: (u64, Ending),
}

/// [`Inner`] behind a lock, with notice of changes.
#[derive(Debug)]
pub(super) struct Model {
    inner: Mutex<Inner>,
    changed: Event,
}

impl Model {
    pub(super) fn new(log_bound: usize) -> Self {
        let inner = Inner {
            store: Store::new(log_bound, &now()),
            rules: Vec::new(),
            requests: BTreeMap::new(),
            endings: (0, Ending::Cut),
        };
        Self { inner: Mutex::new(inner), changed: Event::new() }
    }

    /// Looks at the state.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Changes the state, then wakes who waits.
    pub(super) fn change<T>(&self, how: impl FnOnce(&mut Inner) -> T) -> T {
        let result = how(&mut self.lock());
        self.changed.notify(usize::MAX);
        result
    }

    /// Resolves at the first change after this call.
    pub(super) fn changed(&self) -> EventListener {
        self.changed.listen()
    }

    pub(super) fn end_watches(&self, how: Ending) {
        self.change(|inner| inner.endings = (inner.endings.0 + 1, how));
    }

    pub(super) fn judge(&self, asked: Asked) -> Verdict {
        judge(&mut self.lock().rules, asked)
    }

    pub(super) fn count(&self, asked: Asked, code: u16) {
        let key = (asked.verb, asked.resource.plural(), code);
        *self.lock().requests.entry(key).or_default() += 1;
    }

    /// The counts as `apiserver_request_total`, the name that kube-apiserver gives them.
    pub(super) fn metrics(&self) -> String {
        let mut text = String::from("# TYPE apiserver_request_total counter\n");
        for ((verb, resource, code), count) in &self.lock().requests {
            let verb = spelled(verb);
            let labels = format!("code=\"{code}\",resource=\"{resource}\",verb=\"{verb}\"");
            let _ = writeln!(text, "apiserver_request_total{{{labels}}} {count}");
        }
        text
    }
}

/// A verb as kube-apiserver's metrics spell it.
fn spelled(verb: &str) -> &'static str {
    match verb {
        "list" => "LIST",
        "watch" => "WATCH",
        "create" => "POST",
        "update" => "PUT",
        "patch" => "PATCH",
        "delete" => "DELETE",
        _ => "GET",
    }
}

/// The time as `metadata` writes it: RFC 3339, seconds.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
