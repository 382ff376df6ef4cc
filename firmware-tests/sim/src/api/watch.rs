//! Watches: the changes of a collection since a version, in order.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::resource::Collection;
use super::store::{After, Change, Store};
use super::{ApiError, Selectors};

/// Whether a watch is told of progress without changes (`allowWatchBookmarks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bookmarks {
    /// Only changes.
    Off,
    /// Bookmarks too, when [`Store::bookmark`] is asked for one.
    On,
}

/// A watch's place in the log.
#[derive(Clone, Debug)]
pub struct Watch {
    of: Collection,
    selectors: Selectors,
    bookmarks: Bookmarks,
    /// Synthetic ADDED events for what existed at the start.
    initial: VecDeque<Value>,
    /// Changes up to and including this version were delivered.
    seen: u64,
}

impl Store {
    /// Begins a watch after version `since`; empty or `"0"`: what exists first comes as ADDED.
    ///
    /// # Errors
    /// 400 for a version that is no number, 410 for one that is forgotten.
    pub fn watch(
        &self,
        of: Collection,
        selectors: Selectors,
        since: &str,
        bookmarks: Bookmarks,
    ) -> Result<Watch, ApiError> {
        let mut watch =
            Watch { of, selectors, bookmarks, initial: VecDeque::new(), seen: self.version };
        if since.is_empty() || since == "0" {
            let meant = self.objects.iter().filter(|(key, object)| {
                watch.of.contains(key) && watch.selectors.matches(key, object)
            });
            watch.initial = meant.map(|(_, object)| event("ADDED", object)).collect();
            return Ok(watch);
        }
        let invalid = |_| ApiError::bad_request(format!("invalid resource version: {since:?}"));
        watch.seen = since.parse().map_err(invalid)?;
        if watch.seen < self.forgotten {
            return Err(ApiError::expired(watch.seen, self.forgotten));
        }
        Ok(watch)
    }

    /// The watch's next events, in order; empty when there is nothing new. After a 410 in the
    /// middle (the log lost what this watch has not seen): the error; the watch is over.
    ///
    /// # Errors
    /// 410, which a server sends as an ERROR event with the `Status` as its object.
    pub fn events(&self, watch: &mut Watch) -> Result<Vec<Value>, ApiError> {
        let mut events: Vec<Value> = watch.initial.drain(..).collect();
        if watch.seen < self.forgotten {
            return Err(ApiError::expired(watch.seen, self.forgotten));
        }
        let start = self.log.partition_point(|change| change.version <= watch.seen);
        events.extend(self.log.range(start..).filter_map(|change| watch.event_of(change)));
        watch.seen = watch.seen.max(self.version);
        Ok(events)
    }

    /// A BOOKMARK event at the watch's place, when it wants bookmarks.
    #[must_use]
    pub fn bookmark(&self, watch: &Watch) -> Option<Value> {
        let resource = watch.of.resource;
        (watch.bookmarks == Bookmarks::On).then(|| {
            event("BOOKMARK", &json!({
                "kind": resource.kind(), "apiVersion": resource.api_version(),
                "metadata": {"resourceVersion": watch.seen.to_string(), "creationTimestamp": null},
            }))
        })
    }
}

impl Watch {
    /// How a change looks through the watch's selectors.
    fn event_of(&self, change: &Change) -> Option<Value> {
        if !self.of.contains(&change.key) {
            return None;
        }
        let meant = |object: &Value| self.selectors.matches(&change.key, object);
        let before = change.before.as_ref().is_some_and(meant);
        match &change.after {
            After::Deleted(last) => before.then(|| event("DELETED", last)),
            After::Stored(object) => match (before, meant(object)) {
                (false, true) => Some(event("ADDED", object)),
                (true, true) => Some(event("MODIFIED", object)),
                // It left the selection: the old state, with the new version.
                (true, false) => change.before.clone().map(|mut old| {
                    old["metadata"]["resourceVersion"] = json!(change.version.to_string());
                    event("DELETED", &old)
                }),
                (false, false) => None,
            },
        }
    }
}

fn event(kind: &str, object: &Value) -> Value {
    json!({"type": kind, "object": object})
}
