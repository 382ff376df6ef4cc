//! The server with real clients on loopback, friendly, slow and hostile.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::shell::source::fixture::holding;

/// So long that no test sees the end of it.
const LONG: Duration = Duration::from_secs(3_600);

/// A server on a thread of its own; it ends with the test process.
fn server(limits: Limits) -> SocketAddr {
    let (address, bound) = mpsc::channel();
    thread::spawn(move || {
        smol::block_on(async {
            let listener = Async::<TcpListener>::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            let port = listener.get_ref().local_addr().unwrap().port();
            address.send(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
            let source: Rc<dyn Source> = Rc::new(holding());
            panic!("{}", accept_all(&listener, &source, None, limits).await);
        })
    });
    bound.recv().unwrap()
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// What comes back until the server closes.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer is the server's right; what came before it counts.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

fn ask(server: SocketAddr, request: &str) -> String {
    let mut stream = connect(server);
    // The server may refuse before it has read everything.
    let _ = stream.write_all(request.as_bytes());
    rest(stream)
}

fn get(server: SocketAddr, path: &str) -> String {
    ask(server, &format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n"))
}

fn status_of(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn a_request_is_answered_and_the_connection_closed() {
    let answer = get(server(LIMITS), "/healthz");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nOK"), "{answer}");
}

#[test]
fn a_request_in_pieces_is_answered() {
    let mut stream = connect(server(LIMITS));
    for byte in b"GET /readyz HTTP/1.1\r\nHost: node\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert!(rest(stream).ends_with("\r\n\r\nok"));
}

#[test]
fn each_kind_of_bad_request_has_its_status() {
    let server = server(LIMITS);
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(2_000));
    let endless_target = format!("GET /{}", "a".repeat(100_000));
    let long_head = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(100_000));
    for (request, status) in [
        ("GET / HTTP/1.1\r\nno host\r\n\r\n", "400"),
        ("\u{0}\u{1}\u{2}\r\n\r\n", "400"),
        ("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nsome body", "405"),
        (&long_target, "414"),
        (&endless_target, "414"),
        (&long_head, "431"),
    ] {
        let answer = ask(server, request);
        assert_eq!(status_of(&answer), status, "{answer}");
    }
}

#[test]
fn a_slow_request_is_answered_408() {
    let limits = Limits { head: Duration::from_millis(50), ..LIMITS };
    let mut stream = connect(server(limits));
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    assert_eq!(status_of(&rest(stream)), "408");
}

/// As many connections as there are places, none of which ever asks for anything.
fn occupy(server: SocketAddr, places: usize) -> Vec<TcpStream> {
    let mut slow: Vec<TcpStream> = (0..places).map(|_| connect(server)).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /").unwrap();
    }
    slow
}

#[test]
fn there_are_only_so_many_connections_at_once() {
    let server = server(Limits { head: LONG, patience: LONG, ..LIMITS });
    let slow = occupy(server, LOCAL_PLACES);
    let answer = get(server, "/healthz");
    // The refusal may be lost in the reset that follows it.
    assert!(matches!(status_of(&answer), "503" | ""), "{answer}");
    drop(slow);
    while status_of(&get(server, "/healthz")) != "200" {
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn slow_clients_give_way_to_new_ones() {
    let server = server(Limits { head: LONG, patience: Duration::ZERO, ..LIMITS });
    let mut slow = occupy(server, LOCAL_PLACES);
    assert_eq!(status_of(&get(server, "/healthz")), "200");
    assert_eq!(rest(slow.remove(0)), "", "the oldest is closed without an answer");
}

#[test]
fn other_machines_cannot_keep_the_nodes_own_clients_out() {
    let server = server(Limits { head: LONG, patience: LONG, ..LIMITS });
    // A connection to 127.0.0.2 comes from 127.0.0.1, so it is not to itself.
    let remote = SocketAddr::from(([127, 0, 0, 2], server.port()));
    let _slow = occupy(remote, REMOTE_PLACES);
    assert!(matches!(status_of(&get(remote, "/healthz")), "503" | ""));
    assert_eq!(status_of(&get(server, "/healthz")), "200");
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    // An answer larger than any socket buffer, to a client that never reads.
    smol::block_on(async {
        let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.get_ref().local_addr().unwrap();
        let source = holding();
        source.status.borrow_mut().not_ready = vec!["r".repeat(1_000); 64_000];
        let source: Rc<dyn Source> = Rc::new(source);
        let mut client = Async::<TcpStream>::connect(address).await.unwrap();
        client.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let limits = Limits { answer: Duration::from_millis(100), ..LIMITS };
        let whole = within(Duration::from_secs(20), converse(stream, source, None, limits)).await;
        assert!(whole.is_some(), "still writing after {:?}", limits.answer);
    });
}

#[test]
fn a_taken_port_is_tried_again_until_it_is_free() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    smol::block_on(async {
        let source: Rc<dyn Source> = Rc::new(holding());
        let mut server = std::pin::pin!(serve(Listen::At(address), source));
        // The first try fails within the first poll.
        assert!(smol::future::poll_once(&mut server).await.is_none());
        drop(taken);
        let client = async {
            let mut stream = loop {
                match Async::<TcpStream>::connect(address).await {
                    Ok(stream) => break stream,
                    Err(_) => Timer::after(Duration::from_millis(10)).await,
                };
            };
            stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.ends_with("OK"), "{answer}");
        };
        let serving = async {
            let _: Infallible = server.await;
        };
        or(serving, client).await;
    });
}
