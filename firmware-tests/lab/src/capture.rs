//! What the client sees on the wire: gratuitous ARP and unsolicited neighbour advertisements.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::namespace::Namespace;
use crate::raw;
use crate::rtnl::Rtnl;

/// ARP and IPv6; no other frame costs us anything.
const PROTOCOLS: [u16; 2] = [0x0806, 0x86dd];

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// ARP, request form.
    ArpRequest,
    /// ARP, reply form.
    ArpReply,
    /// IPv6 neighbour advertisement.
    Advertisement,
}

/// One frame that announces an address: ARP with sender = target, or an unsolicited advertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When it came.
    pub at: Instant,
    /// What it is.
    pub kind: FrameKind,
    /// The sender's hardware address as the frame's body states it.
    pub hardware: [u8; 6],
    /// The announced address.
    pub address: IpAddr,
}

/// Records announcements until dropped.
#[derive(Debug)]
pub struct Capture {
    frames: Arc<Mutex<Vec<Frame>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Capture {
    /// Records what arrives in `namespace`.
    pub fn start(namespace: &Namespace) -> Self {
        let frames: Arc<Mutex<Vec<Frame>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let record = |protocol| {
            let socket = namespace.run(move || open(protocol));
            let (shared, stopped) = (Arc::clone(&frames), Arc::clone(&stop));
            thread::spawn(move || listen(socket, &shared, &stopped))
        };
        let threads = PROTOCOLS.map(record).into();
        Self { frames, stop, threads }
    }

    /// Forgets what was recorded.
    pub fn forget(&self) {
        self.frames.lock().unwrap().clear();
    }

    /// When each address was first announced at or after `since` by a frame that `counts`.
    pub fn firsts_since(
        &self,
        since: Instant,
        counts: impl Fn(&Frame) -> bool,
    ) -> BTreeMap<IpAddr, Instant> {
        let mut firsts = BTreeMap::new();
        let frames = self.frames.lock().unwrap();
        for frame in frames.iter().filter(|frame| frame.at >= since && counts(frame)) {
            firsts.entry(frame.address).or_insert(frame.at);
        }
        firsts
    }

    /// The announcements of `address` so far.
    pub fn of(&self, address: IpAddr) -> Vec<Frame> {
        let frames = self.frames.lock().unwrap();
        frames.iter().filter(|frame| frame.address == address).cloned().collect()
    }

    /// The first announcement of `address` at or after `since`.
    pub fn first_since(&self, address: IpAddr, since: Instant) -> Option<Frame> {
        self.of(address).into_iter().find(|frame| frame.at >= since)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn open(protocol: u16) -> Socket {
    let protocol = Protocol::from(i32::from(protocol.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).expect("AF_PACKET");
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    // A thousand addresses may be announced at once.
    socket.set_recv_buffer_size(4 << 20).expect("a receive buffer");
    socket
}

fn listen(mut socket: Socket, frames: &Mutex<Vec<Frame>>, stop: &AtomicBool) {
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        if let Ok(length) = socket.read(&mut buffer) {
            frames.lock().unwrap().extend(announcement(&buffer[..length]));
        }
    }
}

/// Sends one gratuitous ARP reply that claims `address` for `hardware`, from `namespace`'s `eth0`;
/// returns the moment before it went out.
pub fn claim(namespace: &Namespace, address: IpAddr, hardware: [u8; 6]) -> Instant {
    let IpAddr::V4(address) = address else { panic!("only IPv4 addresses are claimed by ARP") };
    namespace.run(move || {
        let index = Rtnl::open().index("eth0").expect("eth0");
        let mut frame = vec![0xff; 6];
        frame.extend(hardware);
        frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2]);
        frame.extend(hardware);
        frame.extend(address.octets());
        frame.extend([0xff; 6]);
        frame.extend(address.octets());
        let socket = Socket::new(Domain::PACKET, Type::RAW, None).expect("AF_PACKET");
        let at = Instant::now();
        socket.send_to(&frame, &raw::link_address(index)).expect("a frame goes out");
        at
    })
}

fn announcement(frame: &[u8]) -> Option<Frame> {
    let body = frame.get(14..)?;
    match frame.get(12..14)? {
        [0x08, 0x06] => gratuitous_arp(body),
        [0x86, 0xdd] => unsolicited_advertisement(body),
        _ => None,
    }
}

fn gratuitous_arp(body: &[u8]) -> Option<Frame> {
    let kind = match body.get(6..8)? {
        [0, 1] => FrameKind::ArpRequest,
        [0, 2] => FrameKind::ArpReply,
        _ => return None,
    };
    let hardware = body.get(8..14)?.try_into().ok()?;
    let sender: [u8; 4] = body.get(14..18)?.try_into().ok()?;
    let target: [u8; 4] = body.get(24..28)?.try_into().ok()?;
    let address = IpAddr::V4(Ipv4Addr::from(sender));
    (sender == target).then_some(Frame { at: Instant::now(), kind, hardware, address })
}

fn unsolicited_advertisement(body: &[u8]) -> Option<Frame> {
    let (next_header, icmp) = (*body.get(6)?, body.get(40..)?);
    let (kind, flags) = (*icmp.first()?, *icmp.get(4)?);
    if next_header != 58 || kind != 136 || flags & 0x40 != 0 {
        return None;
    }
    let target: [u8; 16] = icmp.get(8..24)?.try_into().ok()?;
    Some(Frame {
        at: Instant::now(),
        kind: FrameKind::Advertisement,
        // The option "target link-layer address" follows: type 2, length 1.
        hardware: icmp.get(26..32)?.try_into().ok()?,
        address: IpAddr::V6(Ipv6Addr::from(target)),
    })
}
