//! A small HTTP/1.1 server on loopback that does exactly what a test tells it to, bad things
//! included: hang, break off, truncate, drip. Plain or TLS with client certificates.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use futures_rustls::TlsAcceptor;
use smol::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use smol::{Async, LocalExecutor, Task, Timer};

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Counts the connections from 0.
    pub connection: usize,
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn is_watch(&self) -> bool {
        self.query.contains("watch=true")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What to do next with the connection.
pub enum Step {
    Send(Vec<u8>),
    /// A chunk of a chunked body, dripped byte by byte when asked.
    Chunk(Vec<u8>),
    Wait(Duration),
    /// Chunks from elsewhere until their sender is dropped.
    Chunks(smol::channel::Receiver<Vec<u8>>),
    /// The regular end of a chunked body.
    End,
    /// Read on, answer nothing.
    Hang,
    Close,
}

pub type Steps = Vec<Step>;

/// A whole answer.
pub fn answer(status: u16, body: &str) -> Steps {
    with_headers(status, "", body)
}

pub fn with_headers(status: u16, headers: &str, body: &str) -> Steps {
    vec![Step::Send(
        format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )]
}

/// The head of a chunked answer, and then `steps`.
pub fn chunked(steps: Steps) -> Steps {
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    std::iter::once(Step::Send(head)).chain(steps).collect()
}

/// Runs while it is kept.
pub struct Server {
    pub address: SocketAddr,
    pub seen: Rc<RefCell<Vec<Seen>>>,
    /// What connections from now on are encrypted with.
    pub tls: Rc<RefCell<Option<TlsAcceptor>>>,
    _accept: Task<()>,
}

impl Server {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn count(&self, wanted: impl Fn(&Seen) -> bool) -> usize {
        self.seen.borrow().iter().filter(|seen| wanted(seen)).count()
    }
}

type Handler = Rc<RefCell<dyn FnMut(&Seen) -> Steps>>;

/// Starts a server whose answers `handler` decides.
pub fn serve(
    executor: &Rc<LocalExecutor<'static>>,
    tls: Option<TlsAcceptor>,
    handler: impl FnMut(&Seen) -> Steps + 'static,
) -> Server {
    serve_at([127, 0, 0, 1], executor, tls, handler)
}

/// The same at an address of one's own choice.
pub fn serve_at(
    address: [u8; 4],
    executor: &Rc<LocalExecutor<'static>>,
    tls: Option<TlsAcceptor>,
    handler: impl FnMut(&Seen) -> Steps + 'static,
) -> Server {
    let tls = Rc::new(RefCell::new(tls));
    let acceptors = Rc::clone(&tls);
    let listener = Async::<TcpListener>::bind((address, 0)).unwrap();
    let address = listener.get_ref().local_addr().unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (log, spawner) = (Rc::clone(&seen), Rc::downgrade(executor));
    let handler: Handler = Rc::new(RefCell::new(handler));
    let accept = executor.spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (log, handler, tls) =
                (Rc::clone(&log), Rc::clone(&handler), acceptors.borrow().clone());
            let Some(executor) = spawner.upgrade() else { return };
            executor
                .spawn(async move {
                    match tls {
                        None => talk(stream, connection, log, handler).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(stream, connection, log, handler).await;
                            }
                        }
                    }
                })
                .detach();
        }
    });
    Server { address, seen, tls, _accept: accept }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    connection: usize,
    log: Rc<RefCell<Vec<Seen>>>,
    handler: Handler,
) {
    while let Some(seen) = request(&mut stream, connection).await {
        log.borrow_mut().push(seen.clone());
        let steps = (handler.borrow_mut())(&seen);
        for step in steps {
            if !play(&mut stream, step).await {
                let _ = stream.close().await;
                return;
            }
        }
    }
}

/// False: the connection is over.
async fn play<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, step: Step) -> bool {
    match step {
        Step::Send(bytes) => send(stream, &bytes).await,
        Step::Chunk(bytes) => send(stream, &chunk(&bytes)).await,
        Step::End => send(stream, b"0\r\n\r\n").await,
        Step::Wait(span) => {
            Timer::after(span).await;
            true
        }
        Step::Chunks(source) => {
            let mut open = true;
            while let (true, Ok(bytes)) = (open, source.recv().await) {
                open = send(stream, &chunk(&bytes)).await;
            }
            open
        }
        Step::Hang => {
            let mut sink = [0; 1024];
            while matches!(stream.read(&mut sink).await, Ok(1..)) {}
            false
        }
        Step::Close => false,
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok()
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    out
}

async fn request<S: AsyncRead + Unpin>(stream: &mut S, connection: usize) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap().to_owned(), first.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (path, query) = (path.to_owned(), query.to_owned());
    Some(Seen { connection, method, path, query, headers, body })
}

/// Is true within five seconds, or the test fails. Looks again whenever anything else has run.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = std::time::Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(std::time::Instant::now() < limit, "never came true: {what}");
        Timer::after(Duration::from_millis(2)).await;
    }
}
