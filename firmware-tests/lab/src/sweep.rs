//! The client's view of many IPv4 addresses at once: every address is pinged once in a period, over
//! one socket.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::echoes::Echoes;
use crate::namespace::Namespace;
use crate::prober::{echo_request, take_precedence};

/// Marks our requests among those of the [`Prober`](crate::Prober)s.
const IDENTIFIER: u16 = 0x7377;

type All = Arc<Mutex<BTreeMap<Ipv4Addr, Echoes>>>;

/// Pings many addresses until dropped.
#[derive(Debug)]
pub struct Sweep {
    all: All,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Sweep {
    /// Pings each of `targets` from `namespace`, once in `period`.
    pub fn start(namespace: &Namespace, targets: &[IpAddr], period: Duration) -> Self {
        let v4 = |address: &IpAddr| match address {
            IpAddr::V4(ip) => (*ip, Echoes::default()),
            IpAddr::V6(_) => panic!("only IPv4 addresses are swept"),
        };
        let all: All = Arc::new(Mutex::new(targets.iter().map(v4).collect()));
        let receiver = namespace.run(|| {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4));
            let socket = socket.expect("a raw socket");
            socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
            socket.set_send_buffer_size(8 << 20).expect("a send buffer");
            socket.set_recv_buffer_size(8 << 20).expect("a receive buffer");
            socket
        });
        let sender = receiver.try_clone().expect("a second descriptor");
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&all), Arc::clone(&stop));
        let listening = thread::spawn(move || listen(receiver, &shared, &stopped));
        let (shared, stopped) = (Arc::clone(&all), Arc::clone(&stop));
        let sending = thread::spawn(move || send(&sender, period, &shared, &stopped));
        Self { all, stop, threads: vec![listening, sending] }
    }

    /// Each address' longest silence since a moment, as [`Prober::longest_silence`](crate::Prober).
    pub fn longest_silences(&self, since: Instant) -> BTreeMap<IpAddr, Duration> {
        let now = Instant::now();
        let all = self.all.lock().unwrap();
        all.iter().map(|(ip, seen)| (IpAddr::V4(*ip), seen.longest_silence(since, now))).collect()
    }

    /// The longest silence of any address since a moment.
    pub fn longest_silence(&self, since: Instant) -> Duration {
        self.longest_silences(since).into_values().max().unwrap_or_default()
    }

    /// The addresses without an answer since a moment.
    pub fn silent_since(&self, since: Instant) -> Vec<IpAddr> {
        let all = self.all.lock().unwrap();
        let silent = |seen: &Echoes| seen.answers().last().is_none_or(|last| *last < since);
        all.iter().filter(|(_, seen)| silent(seen)).map(|(ip, _)| IpAddr::V4(*ip)).collect()
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn send(
    socket: &Socket,
    period: Duration,
    all: &Mutex<BTreeMap<Ipv4Addr, Echoes>>,
    stop: &AtomicBool,
) {
    take_precedence();
    let targets: Vec<Ipv4Addr> = all.lock().unwrap().keys().copied().collect();
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        for target in &targets {
            let sequence = all.lock().unwrap().get_mut(target).map(|one| one.ask(Instant::now()));
            let address = IpAddr::V4(*target);
            let request = echo_request(address, IDENTIFIER, sequence.unwrap_or_default());
            // Refused while nobody has the address: the next one may pass.
            let _ = socket.send_to(&request, &SockAddr::from(SocketAddr::new(address, 0)));
        }
        next += period;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn listen(mut socket: Socket, all: &Mutex<BTreeMap<Ipv4Addr, Echoes>>, stop: &AtomicBool) {
    take_precedence();
    let mut buffer = [0; 512];
    while !stop.load(Ordering::Relaxed) {
        let Ok(length) = socket.read(&mut buffer) else { continue };
        if let Some((from, sequence)) = answer(&buffer[..length]) {
            let at = Instant::now();
            if let Some(one) = all.lock().unwrap().get_mut(&from) {
                one.answer(sequence, at);
            }
        }
    }
}

/// Who answered which of our requests.
fn answer(datagram: &[u8]) -> Option<(Ipv4Addr, u16)> {
    let from: [u8; 4] = datagram.get(12..16)?.try_into().ok()?;
    let icmp = datagram.get(20..)?;
    let ours = icmp.first() == Some(&0) && icmp.get(4..6) == Some(&IDENTIFIER.to_be_bytes());
    let sequence: [u8; 2] = icmp.get(6..8).filter(|_| ours)?.try_into().ok()?;
    Some((Ipv4Addr::from(from), u16::from_be_bytes(sequence)))
}
