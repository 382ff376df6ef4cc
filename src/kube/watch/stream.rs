//! The stream of a watch: from one version on, until it ends.

use std::time::Duration;

use ::kube::core::Request;
use ::kube::core::params::WatchParams;
use smol::Timer;

use super::super::connection::Stream;
use super::super::error::{ApiError, Kind};
use super::super::framing::Lines;
use super::frame::decode;
use super::{Event, Watch, Watched, stream_error};

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

impl Watch {
    /// One stream from `version`, which advances with each event.
    pub(super) async fn stream<T: Watched>(
        &mut self,
        version: &mut String,
        sink: &mut impl AsyncFnMut(Event<T, T::Key>),
    ) -> End {
        let length = self.backoff.shortened(self.pace.stream, 5);
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
}
