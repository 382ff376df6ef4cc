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
        let attempts = self.attempts.lock().unwrap();
        let within = || attempts.iter().filter(|one| one.began >= since);
        let failed = within().filter_map(|one| {
            let why = one.outcome.as_ref().err()?;
            Some((one.began.saturating_duration_since(since), why.clone()))
        });
        Figures {
            requests: within().count(),
            failed: failed.collect(),
            silence: longest_silence(within(), (since, Instant::now())),
        }
    }

    #[cfg(test)]
    fn silence(&self, since: Instant, now: Instant) -> Duration {
        longest_silence(self.attempts.lock().unwrap().iter(), (since, now))
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

/// The longest time without the end of a good answer in a span.
fn longest_silence<'a>(
    attempts: impl Iterator<Item = &'a Attempt>,
    (since, now): (Instant, Instant),
) -> Duration {
    let good = attempts.filter(|one| one.outcome.is_ok()).map(|one| one.ended);
    let mut ends: Vec<Instant> = good.chain([since, now]).collect();
    ends.sort();
    let gaps = ends.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(seen: &[(u64, u64, Result<&str, &str>)]) -> (Traffic, Instant) {
        let start = Instant::now() - Duration::from_secs(60);
        let at = |millis| start + Duration::from_millis(millis);
        let attempt = |(began, ended, outcome): &(u64, u64, Result<&str, &str>)| Attempt {
            began: at(*began),
            ended: at(*ended),
            outcome: outcome.map(str::to_owned).map_err(str::to_owned),
        };
        let attempts = Arc::new(Mutex::new(seen.iter().map(attempt).collect()));
        (Traffic { attempts, stop: Arc::default(), thread: None }, start)
    }

    #[test]
    fn failed_requests_are_counted_with_their_time_and_reason() {
        let (traffic, start) = traffic(&[(0, 5, Ok("a")), (10, 4010, Err("no connection"))]);
        let figures = traffic.since(start);
        assert_eq!(figures.requests, 2);
        let failed = (Duration::from_millis(10), "no connection".to_owned());
        assert_eq!(figures.failed, [failed]);
        assert_eq!(traffic.since(start + Duration::from_millis(11)).requests, 0);
    }

    #[test]
    fn silence_is_the_longest_time_between_two_good_answers_in_whatever_order_they_came() {
        let seen = [(0, 5, Ok("a")), (10, 300, Ok("a")), (20, 25, Ok("b")), (30, 31, Err("no"))];
        let (traffic, start) = traffic(&seen);
        let silence = traffic.silence(start, start + Duration::from_millis(310));
        assert_eq!(silence, Duration::from_millis(275));
        let later = traffic.silence(start, start + Duration::from_millis(900));
        assert_eq!(later, Duration::from_millis(600), "the silence that goes on counts");
    }

    #[test]
    fn an_answer_is_whole_when_its_length_is_there() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
        assert_eq!(whole_answer(head).unwrap(), None);
        assert_eq!(whole_answer(&format!("{head}web\n")).unwrap(), Some("web".to_owned()));
        assert!(whole_answer("HTTP/1.1 503 Service Unavailable\r\n\r\n").is_err());
    }
}
