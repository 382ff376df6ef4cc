//! List, then watch from that version, for ever: bookmarks, resume, 410, back-off.

pub(super) mod frame;
mod list;
mod stream;

use std::time::{Duration, Instant};

use smol::Timer;

use super::connection::Connection;
use super::error::{ApiError, Kind};
use super::transport::Api;
use crate::backoff::Backoff;
use crate::core::cluster::record::Unreadable;
use stream::End;

/// The longest `Retry-After` that is respected.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// A version that brings nothing so many times in a row is given up for a new list.
const MOST_FRUITLESS: u32 = 3;

/// An object that can be watched: only the fields that we read.
pub trait Watched: Sized {
    /// What names it: all that is known of one that was deleted.
    type Key;

    /// Reads it. `None`: it is none of those that count, and nothing is said of it.
    ///
    /// # Errors
    /// The field that makes no sense.
    fn read(json: &str) -> Result<Option<Self>, String>;

    /// Reads only its name, so that an object that makes no sense can still go.
    ///
    /// # Errors
    /// The field that makes no sense.
    fn key(json: &str) -> Result<Option<Self::Key>, String>;
}

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The collection's path: `/apis/GROUP/VERSION[/namespaces/NAMESPACE]/RESOURCES`.
    pub path: String,
    /// `fieldSelector`.
    pub fields: Option<String>,
    /// `labelSelector`.
    pub labels: Option<String>,
    /// Objects asked for per page of a list.
    pub page: u32,
}

/// The watch's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A list's page, or the head of a watch, must be there within this time.
    pub answer: Duration,
    /// The server is asked to end the stream after this time, shortened by up to a fifth.
    pub stream: Duration,
    /// A stream is given up when the server has not ended it so long after that.
    pub slack: Duration,
    /// A stream that brings nothing for so long, not even a bookmark (kube-apiserver sends one
    /// a minute), is opened anew: it may be dead at the other end.
    pub silence: Duration,
    /// The first wait after a failure.
    pub first_wait: Duration,
    /// The longest wait; a stream that lived so long was a healthy one.
    pub longest_wait: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(10),
            stream: Duration::from_secs(290),
            slack: Duration::from_secs(30),
            silence: Duration::from_secs(130),
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(10),
        }
    }
}

/// What a watch tells of objects `T` with keys `K`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<T, K> {
    /// All objects there are: what is not among them is gone.
    Replaced(Vec<T>),
    /// All objects there are, of which some could not be read: what is among neither is gone.
    ReplacedExcept(Vec<T>, Vec<Unreadable<K>>),
    /// One was created or changed.
    Applied(T),
    /// One was created or changed, and could not be read.
    Unreadable(Unreadable<K>),
    /// One was deleted.
    Deleted(K),
    /// All that there is up to this version has been told: after a list, an event, a bookmark.
    Reached(String),
    /// An object that could not be read was left out, and why; not even its name is known.
    Rejected(String),
    /// It does not work, and why; told again only when the reason changes.
    Trouble(String),
    /// It works again.
    Recovered,
}

/// A list-then-watch over one connection of its own.
#[derive(Debug)]
pub struct Watch {
    connection: Connection,
    scope: Scope,
    pace: Pace,
    backoff: Backoff,
    trouble: Option<String>,
    /// Times in a row that a watch brought nothing.
    fruitless: u32,
    /// The last stream was opened and then brought nothing: opening one proves nothing.
    in_vain: bool,
}

impl Watch {
    /// A watch of `scope`; nothing happens before [`Watch::run`].
    #[must_use]
    pub fn new(api: &Api, scope: Scope, pace: Pace) -> Self {
        let backoff = Backoff::new(pace.first_wait, pace.longest_wait);
        Self {
            connection: api.connection(),
            scope,
            pace,
            backoff,
            trouble: None,
            fruitless: 0,
            in_vain: false,
        }
    }

    /// Runs for ever. `sink` is awaited before anything more is read.
    pub async fn run<T: Watched>(mut self, mut sink: impl AsyncFnMut(Event<T, T::Key>)) {
        loop {
            match self.list(&mut sink).await {
                Ok(version) => self.follow(version, &mut sink).await,
                Err(error) => self.wait_after(&error, &mut sink).await,
            }
        }
    }

    /// Streams from `version` until a new list is needed.
    async fn follow<T: Watched>(
        &mut self,
        mut version: String,
        sink: &mut impl AsyncFnMut(Event<T, T::Key>),
    ) {
        loop {
            let (started, before) = (Instant::now(), version.clone());
            let end = self.stream(&mut version, sink).await;
            let long = started.elapsed() >= self.pace.longest_wait;
            if long || version != before {
                self.backoff.reset();
                self.fruitless = 0;
                self.in_vain = false;
            } else {
                self.fruitless = self.fruitless.saturating_add(1);
            }
            match end {
                End::Resume if long => {}
                End::Resume => sleep(self.backoff.wait()).await,
                End::Failed(error) => self.wait_after(&error, sink).await,
                End::Relist(why) => {
                    log::debug!("{why}; listing again");
                    sleep(self.backoff.wait()).await;
                    return;
                }
            }
            if self.fruitless > 0 && self.fruitless.is_multiple_of(MOST_FRUITLESS) {
                return;
            }
        }
    }

    async fn wait_after<T, K>(
        &mut self,
        error: &ApiError,
        sink: &mut impl AsyncFnMut(Event<T, K>),
    ) {
        let text = error.to_string();
        if self.trouble.as_ref() != Some(&text) {
            self.trouble = Some(text.clone());
            sink(Event::Trouble(text)).await;
        }
        let asked = match error.kind {
            Kind::TooMany(Some(asked), _) => asked.min(LONGEST_ASKED),
            _ => Duration::ZERO,
        };
        sleep(self.backoff.wait().max(asked)).await;
    }

    async fn recovered<T, K>(&mut self, sink: &mut impl AsyncFnMut(Event<T, K>)) {
        if self.trouble.take().is_some() {
            sink(Event::Recovered).await;
        }
    }

    fn local(&self, error: &dyn std::fmt::Display) -> ApiError {
        stream_error(&self.connection, &self.scope, Kind::Local(error.to_string()))
    }
}

fn stream_error(connection: &Connection, scope: &Scope, kind: Kind) -> ApiError {
    kind.of(&connection.api().server(), &format!("watch of {}", scope.path))
}

async fn sleep(span: Duration) {
    Timer::after(span).await;
}
