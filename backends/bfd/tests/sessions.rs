//! BFD on the real kernel: two drivers in two network namespaces, and forged packets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::future::poll_fn;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::pin::Pin;
use std::process::{Child, ChildStdout, Stdio};
use std::task::Poll;
use std::time::Duration;

use async_io::{Async, Timer};
use viplet_backend_api::LinkName;
use viplet_bfd::wire::{Demand, Packet, Sequence};
use viplet_bfd::{Bfd, Diagnostic, Endpoint, Event, Hops, Settings, State};
use viplet_namespace::{PATIENCE, Station, cable, in_namespace, ip};

const PEER: &str = "VIPLET_TEST_BFD_PEER";

fn intervals(receive: u64, transmit: u64, multiplier: u8) -> Settings {
    let ms = Duration::from_millis;
    Settings { receive: ms(receive), transmit: ms(transmit), multiplier }
}

/// `address`, `address%link`, or `address*` for several hops.
fn endpoint(text: &str) -> Endpoint {
    let (text, hops) = match text.strip_suffix('*') {
        Some(text) => (text, Hops::Several),
        None => (text, Hops::One),
    };
    let (address, link) = text.split_once('%').map_or((text, None), |(a, l)| (a, LinkName::new(l)));
    Endpoint { peer: address.parse().unwrap(), link, source: None, hops }
}

fn one(peer: Endpoint, intervals: Settings) -> Bfd {
    let mut bfd = Bfd::new(u64::from(std::process::id()));
    bfd.set_peers(vec![("peer".to_owned(), peer, intervals)]);
    bfd
}

/// The next event, awaited.
fn event(bfd: &mut Bfd, what: &str) -> Event {
    let mut timer = Timer::after(PATIENCE);
    let found = async_io::block_on(poll_fn(|cx| match bfd.poll_event(cx) {
        Poll::Ready(event) => Poll::Ready(Some(event)),
        Poll::Pending => Future::poll(Pin::new(&mut timer), cx).map(|_| None),
    }));
    found.unwrap_or_else(|| panic!("never: {what}; {:?}", bfd.error("peer")))
}

fn until(bfd: &mut Bfd, state: State) -> Event {
    loop {
        let event = event(bfd, state.name());
        if event.state == state {
            return event;
        }
    }
}

/// Another driver, in the station's namespace. Its events are lines of its output; it is held
/// down on purpose when its input ends.
struct Other {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Other {
    fn start(station: &Station, peer: &str) -> Self {
        let mut child = station
            .command(std::env::current_exe().unwrap())
            .args(["--exact", "the_other_driver", "--nocapture"])
            .env(PEER, peer)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Waits for an event that begins so.
    fn says(&mut self, begin: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "it ended before {begin}");
            if let Some(at) = line.find(begin) {
                return line.split_off(at).trim().to_owned();
            }
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: the other side of the tests here, which start it.
#[test]
fn the_other_driver() {
    let Ok(peer) = std::env::var(PEER) else { return };
    let mut bfd = one(endpoint(&peer), intervals(50, 50, 3));
    let input = Async::new(std::io::stdin()).unwrap();
    let mut stopped = false;
    async_io::block_on(poll_fn(|cx| {
        while let Poll::Ready(event) = bfd.poll_event(cx) {
            println!("\n{}: {}", event.state.name(), event.diagnostic.words());
        }
        if !stopped && input.poll_readable(cx).is_ready() {
            stopped = true;
            bfd.admin_down();
            println!("\nstopped");
        }
        Poll::<()>::Pending
    }));
}

/// Both sides up, each at its address with the rest of an endpoint.
fn both_up(ours: &str, theirs: &str) -> (Station, Bfd, Other) {
    cable();
    let station = Station::with("right");
    station.sysctl("ipv6.conf.right.accept_dad", "0");
    ip("addr add 192.0.2.1/24 dev left");
    station.ip("addr add 192.0.2.2/24 dev right");
    ip("addr add fe80::11/64 dev left nodad");
    station.ip("addr add fe80::22/64 dev right nodad");
    let mut bfd = one(endpoint(theirs), intervals(50, 50, 3));
    let mut other = Other::start(&station, ours);
    until(&mut bfd, State::Up);
    other.says("Up");
    assert_eq!((bfd.state("peer"), bfd.error("peer")), (Some(State::Up), None));
    (station, bfd, other)
}

#[test]
fn a_cut_is_seen_by_both_sides_and_mended() {
    in_namespace("a_cut_is_seen_by_both_sides_and_mended", || {
        let (station, mut bfd, mut other) = both_up("192.0.2.1", "192.0.2.2");
        station.ip("addr del 192.0.2.2/24 dev right");
        let down = event(&mut bfd, "down");
        assert_eq!(
            (down.state, down.diagnostic),
            (State::Down, Diagnostic::DETECTION_TIME_EXPIRED)
        );
        assert_eq!(other.says("Down"), "Down: control detection time expired");
        station.ip("addr add 192.0.2.2/24 dev right");
        until(&mut bfd, State::Up);
    });
}

#[test]
fn a_link_that_is_gone_is_a_peer_that_is_down_and_an_error_that_passes() {
    in_namespace("a_link_that_is_gone_is_a_peer_that_is_down_and_an_error_that_passes", || {
        let (_station, mut bfd, mut other) = both_up("192.0.2.1", "192.0.2.2");
        ip("link set left down");
        assert_eq!(until(&mut bfd, State::Down).diagnostic, Diagnostic::DETECTION_TIME_EXPIRED);
        other.says("Down");
        let error = bfd.error("peer").unwrap();
        assert!(error.contains("cannot send BFD to 192.0.2.2"), "{error}");
        ip("link set left up");
        until(&mut bfd, State::Up);
        assert_eq!(bfd.error("peer"), None);
    });
}

#[test]
fn a_planned_stop_is_told_from_a_failure() {
    in_namespace("a_planned_stop_is_told_from_a_failure", || {
        let (_station, mut bfd, mut other) = both_up("192.0.2.1", "192.0.2.2");
        drop(other.child.stdin.take());
        let down = event(&mut bfd, "down");
        assert_eq!((down.state, down.remote), (State::Down, State::AdminDown));
        assert_eq!(down.diagnostic, Diagnostic::NEIGHBOR_SIGNALED_DOWN);
    });
}

#[test]
fn peers_meet_by_link_local_addresses() {
    in_namespace("peers_meet_by_link_local_addresses", || {
        both_up("fe80::11%right", "fe80::22%left");
    });
}

#[test]
fn peers_several_hops_away_meet_at_the_other_port() {
    in_namespace("peers_several_hops_away_meet_at_the_other_port", || {
        both_up("192.0.2.1*", "192.0.2.2*");
    });
}

#[test]
fn a_peer_that_is_no_longer_wanted_is_told_and_the_others_stay() {
    in_namespace("a_peer_that_is_no_longer_wanted_is_told_and_the_others_stay", || {
        let (_station, mut bfd, mut other) = both_up("192.0.2.1", "192.0.2.2");
        let stays = ("peer".to_owned(), endpoint("192.0.2.2"), intervals(60, 60, 3));
        let more = ("more".to_owned(), endpoint("192.0.2.9"), intervals(50, 50, 3));
        bfd.set_peers(vec![stays, more]);
        let states = (bfd.state("peer"), bfd.state("more"));
        assert_eq!(states, (Some(State::Up), Some(State::Down)));
        bfd.set_peers(vec![]);
        assert_eq!(other.says("Down"), "Down: neighbor signaled session down");
        assert_eq!(bfd.state("peer"), None);
    });
}

#[test]
fn a_process_that_comes_late_reads_before_it_judges() {
    in_namespace("a_process_that_comes_late_reads_before_it_judges", || {
        cable();
        let station = Station::with("right");
        ip("addr add 192.0.2.1/24 dev left");
        station.ip("addr add 192.0.2.2/24 dev right");
        // We are heard for 30 s without a packet; they for 1 s.
        let mut bfd = one(endpoint("192.0.2.2"), intervals(333, 1000, 30));
        let mut other = Other::start(&station, "192.0.2.1");
        until(&mut bfd, State::Up);
        other.says("Up");
        std::thread::sleep(Duration::from_millis(2500)); // not for a condition: this is the lateness
        let polled = async_io::block_on(poll_fn(|cx| Poll::Ready(bfd.poll_event(cx))));
        assert_eq!((polled, bfd.state("peer")), (Poll::Pending, Some(State::Up)));
        drop(other);
        assert_eq!(until(&mut bfd, State::Down).diagnostic, Diagnostic::DETECTION_TIME_EXPIRED);
    });
}

fn forged(state: State) -> [u8; 24] {
    let packet = Packet {
        diagnostic: Diagnostic::NONE,
        state,
        sequence: Sequence::Periodic,
        demand: Demand::Off,
        multiplier: 1,
        my_discriminator: 9,
        your_discriminator: 0,
        desired_min_tx: 100_000,
        required_min_rx: 100_000,
        required_min_echo_rx: 0,
    };
    packet.encode()
}

#[test]
fn what_came_over_a_router_is_not_heard() {
    in_namespace("what_came_over_a_router_is_not_heard", || {
        ip("link set lo up");
        for (local, remote) in [("127.0.0.1", "127.0.0.2"), ("::1", "2001:db8::2")] {
            if remote.contains(':') {
                ip("addr add 2001:db8::2/128 dev lo nodad");
            }
            let endpoint = Endpoint { source: Some(local.parse().unwrap()), ..endpoint(remote) };
            let mut bfd = one(endpoint, intervals(100, 100, 3));
            // The first poll opens the sockets.
            let _ = async_io::block_on(poll_fn(|cx| Poll::Ready(bfd.poll_event(cx))));
            let socket = UdpSocket::bind((remote, 0)).unwrap();
            let send = |hops, state| {
                let socket = socket2::SockRef::from(&socket);
                if remote.contains(':') {
                    socket.set_unicast_hops_v6(hops).unwrap();
                } else {
                    socket.set_ttl_v4(hops).unwrap();
                }
                let to = socket2::SockAddr::from(std::net::SocketAddr::new(
                    local.parse().unwrap(),
                    3784,
                ));
                socket.send_to(&forged(state), &to).unwrap();
            };
            send(254, State::Down);
            send(254, State::AdminDown);
            send(255, State::Down);
            assert_eq!(event(&mut bfd, "init").state, State::Init);
            let next = event(&mut bfd, "down");
            assert_eq!(next.diagnostic, Diagnostic::DETECTION_TIME_EXPIRED, "{remote}");
        }
    });
}

#[test]
fn a_port_that_is_taken_is_said_and_taken_when_it_is_free() {
    in_namespace("a_port_that_is_taken_is_said_and_taken_when_it_is_free", || {
        cable();
        let station = Station::with("right");
        ip("addr add 192.0.2.1/24 dev left");
        station.ip("addr add 192.0.2.2/24 dev right");
        let taken = UdpSocket::bind("0.0.0.0:3784").unwrap();
        let mut bfd = one(endpoint("192.0.2.2"), intervals(50, 50, 3));
        let _ = async_io::block_on(poll_fn(|cx| Poll::Ready(bfd.poll_event(cx))));
        let error = bfd.error("peer").unwrap().to_owned();
        assert!(error.contains("UDP port 3784") && error.contains("another BFD daemon"), "{error}");
        drop(taken);
        let _other = Other::start(&station, "192.0.2.1");
        until(&mut bfd, State::Up);
        assert_eq!(bfd.error("peer"), None);
    });
}
