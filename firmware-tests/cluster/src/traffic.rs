//! HTTP clients that note every request: one that opens a connection for each, one that keeps its
//! connection.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use viplet_lab::Namespace;

/// The time between two requests.
pub const PERIOD: Duration = Duration::from_millis(10);
/// How long a client waits, for the connection and then for the answer: a lost SYN or segment is
/// sent again within it.
const PATIENCE: Duration = Duration::from_secs(4);

/// How a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A new connection for each request, one every 10 ms, whether or not earlier ones were answered.
    Connect,
    /// All requests over one connection, which is opened again when it breaks.
    Keep,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it began.
    pub began: Instant,
    /// When it had its answer, or none.
    pub ended: Instant,
    /// Who answered, or why nobody did.
    pub outcome: Result<String, String>,
}

/// What a client saw in a span of time.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Requests that were begun and ended.
    pub requests: usize,
    /// Those that failed: when, since the beginning of the span, and why.
    pub failed: Vec<(Duration, String)>,
    /// The longest time without a good answer.
    pub silence: Duration,
}

/// A client that asks until it is dropped.
#[derive(Debug)]
pub struct Traffic {
    attempts: Arc<Mutex<Vec<Attempt>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Starts one in `namespace`.
    pub fn start(namespace: &Namespace, server: SocketAddr, manner: Manner) -> Self {
        let attempts: Arc<Mutex<Vec<Attempt>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&attempts), Arc::clone(&stop));
        // A thread inherits the namespace of the one that starts it.
        let thread = namespace.run(move || {
            thread::spawn(move || match manner {
                Manner::Connect => connect_each_time(server, &shared, &stopped),
                Manner::Keep => keep_connection(server, &shared, &stopped),
            })
        });
        Self { attempts, stop, thread: Some(thread) }
    }

    /// Whether the latest request that ended was answered.
    pub fn answers(&self) -> bool {
        let attempts = self.attempts.lock().unwrap();
        attempts.last().is_some_and(|last| {
            last.outcome.is_ok() && last.ended.elapsed() < Duration::from_millis(200)
        })
    }

    /// What was seen since a moment.
    pub fn since(&self, since: Instant) -> Figures {
        let now = Instant::now();
        let attempts = self.attempts.lock().unwrap();
        let within = || attempts.iter().filter(|one| one.began >= since);
        let failed = within().filter_map(|one| {
            let why = one.outcome.as_ref().err()?;
            Some((one.began.saturating_duration_since(since), why.clone()))
        });
        let mut good: Vec<Instant> =
            within().filter(|one| one.outcome.is_ok()).map(|one| one.ended).collect();
        good.sort();
        let ends = good.iter().copied().chain([now]);
        let silence = [since].into_iter().chain(good.iter().copied()).zip(ends);
        let silence = silence.map(|(from, to)| to.saturating_duration_since(from)).max();
        Figures {
            requests: within().count(),
            failed: failed.collect(),
            silence: silence.unwrap_or_default(),
        }
    }

    /// Which pods answered since a moment.
    pub fn servers(&self, since: Instant) -> std::collections::BTreeSet<String> {
        let attempts = self.attempts.lock().unwrap();
        let within = attempts.iter().filter(|one| one.began >= since);
        within.filter_map(|one| one.outcome.clone().ok()).collect()
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let silence = self.silence.as_millis();
        write!(
            f,
            "{} requests, {} failed, longest silence {silence} ms",
            self.requests,
            self.failed.len()
        )
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn connect_each_time(server: SocketAddr, attempts: &Arc<Mutex<Vec<Attempt>>>, stop: &AtomicBool) {
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let shared = Arc::clone(attempts);
        thread::spawn(move || {
            let began = Instant::now();
            let outcome = open(server).and_then(|mut stream| ask(&mut stream, "close"));
            note(&shared, began, outcome);
        });
        next = (next + PERIOD).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn keep_connection(server: SocketAddr, attempts: &Mutex<Vec<Attempt>>, stop: &AtomicBool) {
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let stream = kept.take().map_or_else(|| open(server), Ok);
        let outcome = stream.and_then(|mut stream| {
            let name = ask(&mut stream, "keep-alive")?;
            kept = Some(stream);
            Ok(name)
        });
        note(attempts, began, outcome);
        thread::sleep(PERIOD.saturating_sub(began.elapsed()));
    }
}

fn note(attempts: &Mutex<Vec<Attempt>>, began: Instant, outcome: io::Result<String>) {
    let outcome = outcome.map_err(|why| why.to_string());
    attempts.lock().unwrap().push(Attempt { began, ended: Instant::now(), outcome });
}

fn open(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE)
        .map_err(|why| io::Error::new(why.kind(), format!("no connection: {why}")))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One request and its answer's body; the head says how long that is.
fn ask(stream: &mut TcpStream, connection: &str) -> io::Result<String> {
    let request = format!("GET / HTTP/1.1\r\nHost: cluster\r\nConnection: {connection}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let (mut raw, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        if let Some(body) = whole_answer(&String::from_utf8_lossy(&raw))? {
            return Ok(body);
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::Error::other("the connection ended before the answer")),
            length => raw.extend_from_slice(&buffer[..length]),
        }
    }
}

fn whole_answer(text: &str) -> io::Result<Option<String>> {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
    if head.split(' ').nth(1) != Some("200") {
        return Err(io::Error::other(head.lines().next().unwrap_or_default().to_owned()));
    }
    let lengths = head.lines().filter_map(|line| line.strip_prefix("Content-Length: "));
    let length: usize = lengths.flat_map(str::parse).next().unwrap_or(usize::MAX);
    Ok((body.len() >= length).then(|| body.trim().to_owned()))
}
