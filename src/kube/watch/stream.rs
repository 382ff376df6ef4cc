//! The stream of a watch: from one version on, until it ends.

use std::time::Duration;

use ::kube::core::Request;
use ::kube::core::params::WatchParams;
use hyper::body::Bytes;
use smol::Timer;
use smol::future::or;

use super::super::connection::Stream;
use super::super::error::{ApiError, Kind};
use super::super::framing::Lines;
use super::frame::decode;
use super::{Event, Pace, Watch, Watched, stream_error};

/// The longest event. An object has at most 1.5 MiB in etcd, and a little more as JSON.
const LONGEST_EVENT: usize = 4 << 20;

/// How a stream ended.
pub(super) enum End {
    /// The server ended it in due form: go on from the last version.
    Resume,
    /// The version is too old: list again.
    Relist(ApiError),
    /// Something is wrong: go on from the last version after a wait.
    Failed(ApiError),
}

/// What a stream brings next.
enum News {
    Bytes(Bytes),
    /// The server ended it, or nothing has come for so long that it may be dead.
    Ended,
    /// The server has not ended it in its time.
    Overdue,
    /// It is healthy: it lives on, though nothing has come.
    Settled,
}

/// The times of one stream.
struct Timers {
    limit: Timer,
    quiet: Timer,
    settled: Timer,
}

impl Timers {
    fn new(pace: Pace, length: Duration) -> Self {
        let (limit, quiet) = (Timer::after(length + pace.slack), Timer::after(pace.silence));
        Self { limit, quiet, settled: Timer::never() }
    }

    async fn race(&mut self, stream: &mut Stream) -> Result<News, ApiError> {
        let bytes = async { Ok(stream.next().await?.map_or(News::Ended, News::Bytes)) };
        let after = async |timer: &mut Timer, news| {
            timer.await;
            Ok(news)
        };
        let late = or(after(&mut self.limit, News::Overdue), after(&mut self.quiet, News::Ended));
        or(bytes, or(late, after(&mut self.settled, News::Settled))).await
    }
}

impl Watch {
    /// One stream from `version`, which advances with each event.
    pub(super) async fn stream<T: Watched>(
        &mut self,
        version: &mut String,
        sink: &mut impl AsyncFnMut(Event<T, T::Key>),
    ) -> End {
        let length = self.backoff.shortened(self.pace.stream, 5);
        let mut timers = Timers::new(self.pace, length);
        let mut stream = match self.open(version, length).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind, Kind::Gone(_)) => return End::Relist(error),
            Err(error) => return End::Failed(error),
        };
        if std::mem::replace(&mut self.in_vain, true) {
            timers.settled = Timer::after(self.pace.longest_wait);
        } else {
            self.recovered(sink).await;
        }
        let mut lines = Lines::new(LONGEST_EVENT);
        loop {
            match timers.race(&mut stream).await {
                Ok(News::Bytes(chunk)) => {
                    lines.push(&chunk);
                    timers.quiet.set_after(self.pace.silence);
                }
                Ok(News::Settled) => self.recovered(sink).await,
                Ok(News::Ended) if lines.has_rest() => {
                    let kind = Kind::Malformed("the stream ended within an event".to_owned());
                    return End::Failed(stream_error(&self.connection, &self.scope, kind));
                }
                Ok(News::Ended) => return End::Resume,
                Ok(News::Overdue) => {
                    let kind = Kind::Timeout(length);
                    return End::Failed(stream_error(&self.connection, &self.scope, kind));
                }
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
}
