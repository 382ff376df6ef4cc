//! A very small HTTP/1.1 server for `/metrics`, `/status`, `/why` and the probes, on the shell's own
//! thread: GET and HEAD, one request per connection.
//!
//! Whoever connects can neither hurt nor starve it: a request head has at most 4 KiB and 2 s, an
//! answer 5 s, nothing grows with what a client sends, there are 16 connections at once, of which
//! the slow ones give way to new ones, and a few places are kept for the node's own clients: the
//! kubelet's probes and `viplet status`.

mod listen;
mod pages;
mod request;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ::http::StatusCode;
use async_io::{Async, Timer};
use smol::future::{or, yield_now};
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};
use smol::{LocalExecutor, Task};

pub use listen::Listen;
use pages::Response;
use request::{LONGEST_HEAD, Method};

use super::process::Process;
use super::source::Source;
use crate::backoff::Backoff;

/// Connections at once, per listener, from other machines.
const REMOTE_PLACES: usize = 12;
/// And from this one.
const LOCAL_PLACES: usize = 4;
/// What a client may take.
const LIMITS: Limits = Limits {
    head: Duration::from_secs(2),
    answer: Duration::from_secs(5),
    patience: Duration::from_millis(200),
};
/// How long, and how much, is read and thrown away after a refusal: closing with unread bytes
/// makes the kernel reset the connection, and the client may lose the answer.
const LINGER_TIME: Duration = Duration::from_millis(500);
const LINGER_READS: usize = 64;
/// Between two tries to listen.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Serves for ever. Where the place is taken, says so and tries again, for ever. Dropping the
/// future closes everything.
pub async fn serve(listen: Listen, source: Rc<dyn Source>) -> Infallible {
    let started = Process::started();
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let reason = match listen.bind().await {
            Ok(listener) => {
                log::info!("serving /metrics, /status, /why, /healthz and /readyz at {listen}");
                backoff.reset();
                accept_all(&listener, &source, started, LIMITS).await
            }
            Err(reason) => reason,
        };
        let pause = backoff.wait();
        log::warn!(
            "cannot serve metrics and health at {listen}: {reason}; trying again in {:.1} s",
            pause.as_secs_f64()
        );
        Timer::after(pause).await;
    }
}

#[derive(Clone, Copy)]
struct Limits {
    /// From the connection to the end of the request's head.
    head: Duration,
    /// From there to the end of the answer.
    answer: Duration,
    /// A connection that is older than this gives way when all places are taken.
    patience: Duration,
}

/// The connections of one kind of client, oldest first.
struct Places {
    most: usize,
    taken: VecDeque<(Instant, Task<()>)>,
}

impl Places {
    fn new(most: usize) -> Self {
        Self { most, taken: VecDeque::with_capacity(most) }
    }

    /// Whether there is a place, if need be that of a connection which had its chance.
    fn make_room(&mut self, patience: Duration) -> bool {
        self.taken.retain(|(_, task)| !task.is_finished());
        let full = self.taken.len() >= self.most;
        if full && self.taken.front().is_some_and(|(since, _)| since.elapsed() >= patience) {
            self.taken.pop_front();
            return true;
        }
        !full
    }
}

/// Accepts until the listener itself fails, and returns why.
async fn accept_all(
    listener: &Async<TcpListener>,
    source: &Rc<dyn Source>,
    started: Option<f64>,
    limits: Limits,
) -> io::Error {
    let executor = LocalExecutor::new();
    let accepting = async {
        let (mut remote, mut local) = (Places::new(REMOTE_PLACES), Places::new(LOCAL_PLACES));
        loop {
            // However many are waiting, everything else has its turn in between.
            yield_now().await;
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) if concerns_the_peer(&error) => continue,
                Err(error) => return error,
            };
            let here = stream.get_ref().local_addr().is_ok_and(|here| here.ip() == peer.ip());
            let places = if here { &mut local } else { &mut remote };
            if places.make_room(limits.patience) {
                let task = executor.spawn(converse(stream, Rc::clone(source), started, limits));
                places.taken.push_back((Instant::now(), task));
            } else {
                refuse(&stream);
            }
        }
    };
    executor.run(accepting).await
}

/// Errors of accept(2) that say something about one connection only.
fn concerns_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, Interrupted, PermissionDenied, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted | PermissionDenied | TimedOut
    )
}

/// What fits into the socket's buffer at once is what the client gets.
fn refuse(stream: &Async<TcpStream>) {
    let bytes = Response::bare(StatusCode::SERVICE_UNAVAILABLE).encode(Method::Get);
    let mut socket = stream.get_ref();
    // The connection is closed in either case.
    let _ = socket.write(&bytes);
}

/// One connection from its first byte to its end.
async fn converse(
    mut stream: Async<TcpStream>,
    source: Rc<dyn Source>,
    started: Option<f64>,
    limits: Limits,
) {
    let mut buffer = vec![0; LONGEST_HEAD];
    let mut filled = 0;
    let outcome = within(limits.head, read_head(&mut stream, &mut buffer, &mut filled)).await;
    let head = buffer.get(..filled).unwrap_or_default();
    let asked = match outcome {
        Some(Ok(end)) => request::parse(head.get(..end).unwrap_or_default()),
        Some(Err(refusal)) => match refusal {
            HeadEnd::TooLong => Err(request::too_long(head)),
            HeadEnd::Closed => return,
        },
        None if filled == 0 => return,
        None => Err(StatusCode::REQUEST_TIMEOUT),
    };
    let (method, response) = match asked {
        Ok(request) => (request.method, pages::answer(request, &*source, started)),
        Err(status) => (Method::Get, Response::bare(status)),
    };
    let bytes = response.encode(method);
    let written = within(limits.answer, stream.write_all(&bytes)).await;
    if asked.is_err() && matches!(written, Some(Ok(()))) {
        within(LINGER_TIME, drain(&mut stream, &mut buffer)).await;
    }
}

enum HeadEnd {
    TooLong,
    Closed,
}

/// Reads until the head's empty line; returns where it ends.
async fn read_head(
    stream: &mut Async<TcpStream>,
    buffer: &mut [u8],
    filled: &mut usize,
) -> Result<usize, HeadEnd> {
    loop {
        let room = buffer.get_mut(*filled..).filter(|room| !room.is_empty());
        let read = stream.read(room.ok_or(HeadEnd::TooLong)?).await;
        let seen = *filled;
        *filled += read.ok().filter(|read| *read > 0).ok_or(HeadEnd::Closed)?;
        let so_far = buffer.get(..*filled).unwrap_or_default();
        if let Some(end) = request::end_of_head(so_far, seen) {
            return Ok(end);
        }
    }
}

async fn drain(stream: &mut Async<TcpStream>, buffer: &mut [u8]) {
    if stream.get_ref().shutdown(Shutdown::Write).is_ok() {
        for _ in 0..LINGER_READS {
            if !matches!(stream.read(buffer).await, Ok(1..)) {
                return;
            }
        }
    }
}

/// The future's outcome, or `None` when it takes longer.
async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::after(time).await;
        None
    };
    or(async { Some(future.await) }, late).await
}

#[cfg(test)]
mod tests;
