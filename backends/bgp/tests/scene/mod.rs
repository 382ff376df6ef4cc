//! A speaker and peers that say exactly the bytes that a test wants, in one thread and namespace.
#![allow(dead_code)]

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_io::Timer;
use viplet_backend_api::{
    Backend, BgpSession, Command, DuplicateDetection, Lifetime, LinkName, Notice, PeerStatus,
    Peers, Presence, Scope, Tag, Vip,
};
use viplet_bgp::Bgp;
use viplet_bgp::settings::{
    Attributes, Distance, Families, GracefulRestart, Listen, Peer, PeerAddress, RemoteAs, RouterId,
    Settings, Source,
};

use viplet_namespace::PATIENCE;

pub(crate) const OPEN: u8 = 1;
pub(crate) const UPDATE: u8 = 2;
pub(crate) const NOTIFICATION: u8 = 3;
pub(crate) const KEEPALIVE: u8 = 4;
pub(crate) const REFRESH: u8 = 5;

pub(crate) fn peer(at: SocketAddr) -> Peer {
    Peer {
        address: PeerAddress::Ip(at.ip()),
        port: at.port(),
        remote_as: RemoteAs::Number(65001),
        password: None,
        distance: Distance::Direct,
        source: Source::Any,
        families: Families::Own,
        hold: Duration::from_secs(90),
        keepalive: Duration::from_secs(30),
        bfd: None,
    }
}

pub(crate) fn settings(peers: Vec<Peer>) -> Settings {
    Settings {
        local_as: 65000,
        router_id: RouterId::Fixed([10, 0, 0, 5].into()),
        attributes: Attributes::default(),
        graceful_restart: GracefulRestart::Within(120),
        graceful_shutdown: Duration::from_millis(700),
        listen: Listen::No,
        peers,
    }
}

pub(crate) fn vip(address: &str) -> Vip {
    let address: IpAddr = address.parse().unwrap();
    Vip {
        address,
        prefix_len: if address.is_ipv4() { 32 } else { 128 },
        link: LinkName::new("lo").unwrap(),
        presence: Presence::OnLink,
        scope: Scope::Universe,
        duplicate_detection: DuplicateDetection::Skip,
    }
}

pub(crate) fn known(address: &str) -> Vip {
    Vip { presence: Presence::MadeKnown, ..vip(address) }
}

pub(crate) fn install(vip: &Vip, seconds: u32) -> Command {
    Command::Install { vip: vip.clone(), lifetime: Lifetime::from_secs(seconds).unwrap() }
}

/// Installs and announces, as the core does.
pub(crate) fn take(vips: &[Vip]) -> Vec<Command> {
    let announce = |vip: &Vip| Command::Announce { vip: vip.clone() };
    vips.iter().map(|vip| install(vip, 300)).chain(vips.iter().map(announce)).collect()
}

/// What was logged in this process, from the first call on; each test has a process of its own.
pub(crate) fn logged() -> Vec<String> {
    static LOG: Memory = Memory(Mutex::new(Vec::new()));
    if log::set_logger(&LOG).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
    LOG.0.lock().unwrap().clone()
}

struct Memory(Mutex<Vec<String>>);

impl log::Log for Memory {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        if record.level() <= log::Level::Info {
            self.0.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
        }
    }
    fn flush(&self) {}
}

/// A speaker, and what it noticed.
pub(crate) struct Scene {
    pub(crate) bgp: Bgp,
    pub(crate) notices: Vec<Notice>,
}

impl Scene {
    pub(crate) fn new(settings: Settings) -> Self {
        Self::tagged(settings, Tag::DEFAULT)
    }

    pub(crate) fn tagged(settings: Settings, tag: Tag) -> Self {
        let mut bgp = Bgp::open(tag, settings).unwrap();
        bgp.observe().unwrap();
        Self { bgp, notices: Vec::new() }
    }

    /// Lets the speaker do what it has to, for a moment.
    pub(crate) fn turn(&mut self) {
        let mut moment = Timer::after(Duration::from_millis(2));
        async_io::block_on(std::future::poll_fn(|cx| {
            while let Poll::Ready(notice) = self.bgp.poll_notice(cx) {
                self.notices.push(notice);
            }
            Future::poll(Pin::new(&mut moment), cx).map(drop)
        }));
    }

    pub(crate) fn until(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(start.elapsed() < PATIENCE, "never: {what}; {:?}", self.bgp.statuses());
            self.turn();
        }
    }

    pub(crate) fn status(&self) -> PeerStatus {
        self.bgp.statuses().swap_remove(0)
    }

    pub(crate) fn bgp_status(&self) -> BgpSession {
        self.status().bgp.unwrap()
    }

    pub(crate) fn until_error(&mut self, words: &str) {
        self.until(words, |scene| {
            scene.status().last_error.is_some_and(|error| error.contains(words))
        });
    }

    pub(crate) fn apply(&mut self, commands: &[Command]) {
        for outcome in self.bgp.apply_all(commands) {
            outcome.unwrap();
        }
    }

    /// The next connection to `router`.
    pub(crate) fn accept(&mut self, router: &TcpListener) -> Router {
        let mut accepted = None;
        self.until("a connection", |_| {
            accepted = router.accept().ok();
            accepted.is_some()
        });
        Router::new(accepted.unwrap().0)
    }

    /// The next message that `router` hears.
    pub(crate) fn hear(&mut self, router: &mut Router) -> (u8, Vec<u8>) {
        let mut heard = None;
        self.until("a message", |_| {
            heard = router.try_hear();
            heard.is_some()
        });
        heard.unwrap()
    }

    /// The next message of a kind that `router` hears; KEEPALIVEs before it do not matter.
    pub(crate) fn hear_kind(&mut self, router: &mut Router, kind: u8) -> Vec<u8> {
        loop {
            match self.hear(router) {
                (KEEPALIVE, _) if kind != KEEPALIVE => {}
                (heard, body) => {
                    assert_eq!(heard, kind, "{body:?}");
                    return body;
                }
            }
        }
    }

    /// Code and subcode of the NOTIFICATION that comes next.
    pub(crate) fn refusal(&mut self, router: &mut Router) -> (u8, u8) {
        let body = self.hear_kind(router, NOTIFICATION);
        (body[0], body[1])
    }

    /// Goes through the OPENs until the session is established.
    pub(crate) fn establish(&mut self, router: &TcpListener) -> Router {
        let mut router = self.accept(router);
        self.hear_kind(&mut router, OPEN);
        router.say(OPEN, &open(65001, 9, 90));
        router.say(KEEPALIVE, &[]);
        self.hear_kind(&mut router, KEEPALIVE);
        router
    }
}

/// A router as a test wants it, at one end of a connection.
pub(crate) struct Router {
    pub(crate) socket: TcpStream,
    bytes: VecDeque<u8>,
}

impl Router {
    pub(crate) fn new(socket: TcpStream) -> Self {
        socket.set_nonblocking(true).unwrap();
        Self { socket, bytes: VecDeque::new() }
    }

    pub(crate) fn say(&mut self, kind: u8, body: &[u8]) {
        self.say_bytes(&message(kind, body));
    }

    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// The next message, if it is there.
    pub(crate) fn try_hear(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut chunk = [0; 65536];
        match self.socket.read(&mut chunk) {
            Ok(length) => self.bytes.extend(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{error}"),
        }
        let bytes = self.bytes.make_contiguous();
        let length = usize::from(u16::from_be_bytes([*bytes.get(16)?, *bytes.get(17)?]));
        if bytes.len() < length {
            return None;
        }
        let message: Vec<u8> = self.bytes.drain(..length).collect();
        assert_eq!(message[..16], [0xff; 16]);
        assert!((19..=4096).contains(&length));
        Some((message[18], message[19..].to_vec()))
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self.socket.peek(&mut byte) {
            Ok(length) => length == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff; 16];
    bytes.extend(u16::try_from(body.len() + 19).unwrap().to_be_bytes());
    bytes.push(kind);
    bytes.extend(body);
    bytes
}

/// An OPEN of a router that does IPv4 and IPv6 unicast and AS numbers of four bytes.
pub(crate) fn open(asn: u32, identifier: u8, hold: u16) -> Vec<u8> {
    let mut body = vec![4];
    body.extend(u16::try_from(asn).unwrap_or(23456).to_be_bytes());
    body.extend(hold.to_be_bytes());
    body.extend([10, 0, 0, identifier]);
    body.extend([20, 2, 18, 1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1, 65, 4]);
    body.extend(asn.to_be_bytes());
    body
}

/// Where a router listens on loopback.
pub(crate) fn router() -> (TcpListener, SocketAddr) {
    router_at("127.0.0.1:0")
}

pub(crate) fn router_at(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    let at = listener.local_addr().unwrap();
    (listener, at)
}
