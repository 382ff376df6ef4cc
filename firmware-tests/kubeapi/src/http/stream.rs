//! A watch as a body: one line of JSON per event, bookmarks in between, until it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_lite::{FutureExt as _, Stream, stream};
use http_body::Frame;
use serde_json::{Value, json};
use smol::Timer;
use viplet_sim::api::{ApiError, Watch};

use super::model::{Ending, Model};

/// How often a quiet watch gets a bookmark, as kube-apiserver does.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long before its end a watch gets its last bookmark, as kube-apiserver does.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

/// The connection is to be closed without a proper end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut as a fault rule asked")
    }
}

impl std::error::Error for Cut {}

/// The frames of a body.
pub(super) type Frames = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Cut>> + Send>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Over,
}

struct Following {
    model: Arc<Model>,
    watch: Watch,
    /// Endings ordered before this watch began do not concern it.
    endings: u64,
    end: Instant,
    /// `None`: there will be no more.
    bookmark: Option<Instant>,
    phase: Phase,
}

/// The body of `watch`, which ends after `timeout`.
pub(super) fn follow(model: Arc<Model>, watch: Watch, timeout: Duration) -> Frames {
    let (start, endings) = (Instant::now(), model.lock().endings.0);
    let end = start + timeout;
    let bookmark = next_bookmark(start, end);
    let following = Following { model, watch, endings, end, bookmark, phase: Phase::Running };
    Box::pin(stream::unfold(following, Following::next))
}

fn next_bookmark(now: Instant, end: Instant) -> Option<Instant> {
    let last = end.checked_sub(LAST_BOOKMARK)?;
    (last > now).then(|| last.min(now + BOOKMARK_EVERY))
}

impl Following {
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Cut>, Self)> {
        while self.phase == Phase::Running {
            let changed = self.model.changed();
            match self.due() {
                Ok(events) if events.is_empty() => {}
                Ok(events) => return Some((Ok(lines(&events)), self)),
                Err(cut) => {
                    self.phase = Phase::Over;
                    return Some((Err(cut), self));
                }
            }
            if Instant::now() >= self.end {
                return None;
            }
            let alarm = Timer::at(self.bookmark.unwrap_or(self.end));
            let rung = async {
                alarm.await;
            };
            changed.or(rung).await;
        }
        None
    }

    /// What is to be sent now.
    fn due(&mut self) -> Result<Vec<Value>, Cut> {
        let (inner, now) = (self.model.lock(), Instant::now());
        if inner.endings.0 > self.endings {
            if inner.endings.1 == Ending::Cut {
                return Err(Cut);
            }
            self.phase = Phase::Over;
            return Ok(vec![failure(&super::faults::refusal(410))]);
        }
        match inner.store.events(&mut self.watch) {
            Err(error) => {
                self.phase = Phase::Over;
                Ok(vec![failure(&error)])
            }
            Ok(events) if events.is_empty() && self.bookmark.is_some_and(|at| now >= at) => {
                self.bookmark = next_bookmark(now, self.end);
                Ok(inner.store.bookmark(&self.watch).into_iter().collect())
            }
            Ok(events) => Ok(events),
        }
    }
}

fn failure(error: &ApiError) -> Value {
    json!({"type": "ERROR", "object": error.to_status()})
}

fn lines(events: &[Value]) -> Frame<Bytes> {
    let text: String = events.iter().map(|event| format!("{event}\n")).collect();
    Frame::data(Bytes::from(text))
}

/// A body with nothing but an ERROR event.
pub(super) fn only(error: &ApiError) -> Frames {
    Box::pin(stream::once(Ok(lines(&[failure(error)]))))
}
