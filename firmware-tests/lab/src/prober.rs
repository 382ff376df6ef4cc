//! The client's view: an echo request every few milliseconds, and how long no answer came.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::setpriority_process;
use rustix::thread::gettid;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::echoes::Echoes;
use crate::namespace::Namespace;

/// The time between two requests, where nothing else is asked.
pub const PERIOD: Duration = Duration::from_millis(5);

/// Pings one address until dropped.
#[derive(Debug)]
pub struct Prober {
    echoes: Arc<Mutex<Echoes>>,
    period: Duration,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Prober {
    /// Pings `target` from `namespace`.
    pub fn start(namespace: &Namespace, target: IpAddr) -> Self {
        Self::start_every(namespace, target, PERIOD)
    }

    /// Pings `target` from `namespace`, once in `period`.
    pub fn start_every(namespace: &Namespace, target: IpAddr, period: Duration) -> Self {
        let (domain, protocol) = match target {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let receiver = namespace.run(move || {
            let socket = Socket::new(domain, Type::RAW, Some(protocol)).expect("a raw socket");
            socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
            // Many requests wait on one unresolved neighbour; a full queue must not look like silence.
            socket.set_send_buffer_size(1 << 20).expect("a send buffer");
            socket
        });
        let sender = receiver.try_clone().expect("a second descriptor");
        let echoes: Arc<Mutex<Echoes>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let identifier = 0x7669;
        let (shared, stopped) = (Arc::clone(&echoes), Arc::clone(&stop));
        let listening =
            thread::spawn(move || listen(receiver, (target, identifier), &shared, &stopped));
        let (shared, stopped) = (Arc::clone(&echoes), Arc::clone(&stop));
        let sending = thread::spawn(move || {
            send(&sender, (target, identifier), period, (&shared, &stopped));
        });
        Self { echoes, period, stop, threads: vec![listening, sending] }
    }

    /// How many requests were answered so far.
    pub fn answered(&self) -> usize {
        self.echoes.lock().unwrap().answers().len()
    }

    /// When the last answer came.
    pub fn last_answer(&self) -> Option<Instant> {
        self.echoes.lock().unwrap().answers().last().copied()
    }

    /// Whether the address answers at this moment.
    pub fn answers(&self) -> bool {
        self.last_answer().is_some_and(|last| last.elapsed() < 10 * self.period.max(PERIOD))
    }

    /// The first answer after `since`.
    pub fn first_answer_since(&self, since: Instant) -> Option<Instant> {
        let echoes = self.echoes.lock().unwrap();
        let answers = echoes.answers();
        answers.get(answers.partition_point(|at| *at <= since)).copied()
    }

    /// The longest time between `since` and now in which requests were lost. A silence that began
    /// before `since` counts whole, one that lasts counts until now.
    pub fn longest_silence(&self, since: Instant) -> Duration {
        self.echoes.lock().unwrap().longest_silence(since, Instant::now())
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The client's own wait for the processor must not look like silence. As an ordinary user we wait.
pub(crate) fn take_precedence() {
    let _ = setpriority_process(Some(gettid()), -20);
}

fn send(
    socket: &Socket,
    (target, identifier): (IpAddr, u16),
    period: Duration,
    (echoes, stop): (&Mutex<Echoes>, &AtomicBool),
) {
    take_precedence();
    let to = SockAddr::from(SocketAddr::new(target, 0));
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let sequence = echoes.lock().unwrap().ask(Instant::now());
        // Refused while nobody has the address: the next one may pass.
        let _ = socket.send_to(&echo_request(target, identifier, sequence), &to);
        next += period;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn listen(
    mut socket: Socket,
    (target, identifier): (IpAddr, u16),
    echoes: &Mutex<Echoes>,
    stop: &AtomicBool,
) {
    take_precedence();
    let mut buffer = [0; 512];
    while !stop.load(Ordering::Relaxed) {
        match socket.read(&mut buffer) {
            Ok(length) => {
                if let Some(sequence) = answer(&buffer[..length], target, identifier) {
                    echoes.lock().unwrap().answer(sequence, Instant::now());
                }
            }
            Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            // The socket reports "host unreachable" for what was sent earlier.
            Err(_) => {}
        }
    }
}

pub(crate) fn echo_request(target: IpAddr, identifier: u16, sequence: u16) -> [u8; 16] {
    let mut packet = [0; 16];
    packet[0] = if target.is_ipv4() { 8 } else { 128 };
    packet[4..6].copy_from_slice(&identifier.to_be_bytes());
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    if target.is_ipv4() {
        // For ICMPv6 the kernel fills it in.
        let sum: u32 =
            packet.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("folded twice");
        packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    packet
}

/// The sequence number of an answer to one of our requests.
fn answer(datagram: &[u8], target: IpAddr, identifier: u16) -> Option<u16> {
    // A raw IPv4 socket hands out the IP header too, a raw IPv6 socket does not.
    let (kind, icmp) = match target {
        IpAddr::V4(ip) if datagram.get(12..16) == Some(&ip.octets()) => (0, datagram.get(20..)?),
        IpAddr::V4(_) => return None,
        IpAddr::V6(_) => (129, datagram),
    };
    let ours = icmp.first() == Some(&kind) && icmp.get(4..6) == Some(&identifier.to_be_bytes());
    let sequence = icmp.get(6..8).filter(|_| ours)?;
    Some(u16::from_be_bytes(sequence.try_into().ok()?))
}
