//! List, then watch from that version, for ever: bookmarks, resume, 410, back-off.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use ::kube::core::params::{ListParams, WatchParams};
use ::kube::core::{Request, Status};
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use smol::Timer;

use super::backoff::Backoff;
use super::connection::{Connection, Stream};
use super::error::{ApiError, Kind};
use super::framing::Lines;
use super::json::{Text, name_of};
use super::transport::Api;

/// More pages than this are no list.
const MOST_PAGES: usize = 500;
/// All pages of a list together; only one of them is in memory at a time.
const LARGEST_LIST: usize = 256 << 20;
/// The longest `Retry-After` that is respected.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// The longest event.
const LONGEST_EVENT: usize = 1 << 20;
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
    /// One was created or changed.
    Applied(T),
    /// One was deleted.
    Deleted(K),
    /// All that there is up to this version has been told: after a list, an event, a bookmark.
    Reached(String),
    /// An object that makes no sense was left out, and why.
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

/// How a stream ended.
enum End {
    /// The server ended it in due form: go on from the last version.
    Resume,
    /// The version is too old: list again.
    Relist(ApiError),
    /// Something is wrong: go on from the last version after a wait.
    Failed(ApiError),
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

    /// One stream from `version`, which advances with each event.
    async fn stream<T: Watched>(
        &mut self,
        version: &mut String,
        sink: &mut impl AsyncFnMut(Event<T, T::Key>),
    ) -> End {
        let length = self.pace.stream.mul_f64(1.0 - self.backoff.fraction() / 5.0);
        let mut limit = Timer::after(length + self.pace.slack);
        let mut stream = match self.open(version, length).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind, Kind::Gone(_)) => return End::Relist(error),
            Err(error) => return End::Failed(error),
        };
        if !std::mem::replace(&mut self.in_vain, true) {
            self.recovered(sink).await;
        }
        let mut lines = Lines::new(LONGEST_EVENT);
        let mut quiet = Timer::after(self.pace.silence);
        loop {
            let overdue = async {
                (&mut limit).await;
                Err(stream_error(&self.connection, &self.scope, Kind::Timeout(length)))
            };
            let silent = async {
                (&mut quiet).await;
                Ok(None)
            };
            let news = smol::future::or(stream.next(), smol::future::or(overdue, silent));
            match news.await {
                Ok(Some(chunk)) => {
                    lines.push(&chunk);
                    quiet.set_after(self.pace.silence);
                }
                Ok(None) if lines.has_rest() => {
                    let kind = Kind::Malformed("the stream ended within an event".to_owned());
                    return End::Failed(stream_error(&self.connection, &self.scope, kind));
                }
                Ok(None) => return End::Resume,
                Err(error) => return End::Failed(error),
            }
            if let Err(kind) = self.take(&mut lines, version, sink).await {
                let error = stream_error(&self.connection, &self.scope, kind);
                return match error.kind {
                    Kind::Gone(_) => End::Relist(error),
                    _ => End::Failed(error),
                };
            }
        }
    }

    async fn open(&mut self, version: &str, length: Duration) -> Result<Stream, ApiError> {
        let params = WatchParams {
            label_selector: self.scope.labels.clone(),
            field_selector: self.scope.fields.clone(),
            timeout: Some(u32::try_from(length.as_secs()).unwrap_or(u32::MAX).clamp(1, 294)),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = Request::new(self.scope.path.clone())
            .watch(&params, version)
            .map_err(|error| self.local(&error))?;
        self.connection.stream(request, self.pace.answer).await
    }

    /// All whole lines that have come.
    async fn take<T: Watched>(
        &mut self,
        lines: &mut Lines,
        version: &mut String,
        sink: &mut impl AsyncFnMut(Event<T, T::Key>),
    ) -> Result<(), Kind> {
        loop {
            let line = match lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(()),
                Err(_) => return Err(Kind::TooLarge(LONGEST_EVENT)),
            };
            let frame = decode(line)?;
            self.recovered(sink).await;
            if let Some(seen) = frame.version() {
                version.replace_range(.., &seen);
            }
            if let Some(event) = frame.event()? {
                sink(event).await;
            }
            if frame.version().is_some() {
                sink(Event::Reached(version.clone())).await;
            }
        }
    }

    /// Every page of the list; restarted once when its version expires under way.
    async fn list<T: Watched>(
        &mut self,
        sink: &mut impl AsyncFnMut(Event<T, T::Key>),
    ) -> Result<String, ApiError> {
        let listed = match self.pages::<T>().await {
            Err(error) if matches!(error.kind, Kind::Gone(_)) => self.pages::<T>().await?,
            listed => listed?,
        };
        for reason in listed.rejected {
            sink(Event::Rejected(reason)).await;
        }
        sink(Event::Replaced(listed.objects)).await;
        sink(Event::Reached(listed.version.clone())).await;
        Ok(listed.version)
    }

    async fn pages<T: Watched>(&mut self) -> Result<Listed<T>, ApiError> {
        let mut listed =
            Listed { objects: Vec::new(), rejected: Vec::new(), version: String::new() };
        let mut params = ListParams {
            label_selector: self.scope.labels.clone(),
            field_selector: self.scope.fields.clone(),
            limit: Some(self.scope.page),
            ..ListParams::default()
        };
        let mut bytes = 0;
        for _ in 0..MOST_PAGES {
            let request = Request::new(self.scope.path.clone())
                .list(&params)
                .map_err(|error| self.local(&error))?;
            let answer = self.connection.call(request, self.pace.answer).await?;
            bytes += answer.body.len();
            if bytes > LARGEST_LIST {
                return Err(stream_error(
                    &self.connection,
                    &self.scope,
                    Kind::TooLarge(LARGEST_LIST),
                ));
            }
            let page: Page<'_> = serde_json::from_slice(&answer.body).map_err(|error| {
                stream_error(&self.connection, &self.scope, Kind::Malformed(error.to_string()))
            })?;
            for item in page.items.unwrap_or_default() {
                match T::read(item.get()) {
                    Ok(object) => listed.objects.extend(object),
                    Err(reason) => listed.rejected.push(rejected(item, &reason)),
                }
            }
            listed.version = page.metadata.resource_version;
            match page.metadata.r#continue.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(listed),
            }
        }
        let kind = Kind::Malformed(format!("a list of more than {MOST_PAGES} pages"));
        Err(stream_error(&self.connection, &self.scope, kind))
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

/// One line of a watch.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

fn decode(line: &[u8]) -> Result<Frame<'_>, Kind> {
    serde_json::from_slice(line).map_err(|error| Kind::Malformed(format!("an event: {error}")))
}

impl Frame<'_> {
    /// The object's version, where a watch can go on from.
    fn version(&self) -> Option<Cow<'_, str>> {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(borrow)]
            metadata: Metadata<'a>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata<'a> {
            #[serde(borrow)]
            resource_version: Text<'a>,
        }
        if self.kind == "ERROR" {
            return None;
        }
        let head: Head<'_> = serde_json::from_str(self.object.get()).ok()?;
        let Text(version) = head.metadata.resource_version;
        (!version.is_empty()).then_some(version)
    }

    /// What it says, if anything.
    fn event<T: Watched>(&self) -> Result<Option<Event<T, T::Key>>, Kind> {
        let json = self.object.get();
        let event = match self.kind.as_ref() {
            "ADDED" | "MODIFIED" => T::read(json).map(|object| object.map(Event::Applied)),
            "DELETED" => T::key(json).map(|key| key.map(Event::Deleted)),
            "BOOKMARK" => Ok(None),
            "ERROR" => return Err(of_event(json)),
            other => return Err(Kind::Malformed(format!("an event of type {other:?}"))),
        };
        Ok(event.unwrap_or_else(|reason| Some(Event::Rejected(rejected(self.object, &reason)))))
    }
}

fn rejected(object: &RawValue, reason: &str) -> String {
    format!("{}: {reason}", name_of(object.get()))
}

/// An ERROR event carries what would have been the answer's status.
fn of_event(json: &str) -> Kind {
    let status: Status = match serde_json::from_str(json) {
        Ok(status) => status,
        Err(error) => return Kind::Malformed(format!("an event: {error}")),
    };
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let expired = status.reason == "Expired" || status.reason == "Gone";
    let code = if expired { StatusCode::GONE } else { code };
    Kind::of_status(code, None, status.message.as_bytes())
}

struct Listed<T> {
    objects: Vec<T>,
    rejected: Vec<String>,
    version: String,
}

/// One object of many that makes no sense must not cost the others: they are read one by one.
#[derive(Deserialize)]
struct Page<'a> {
    metadata: PageMeta,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta {
    resource_version: String,
    r#continue: Option<String>,
}
