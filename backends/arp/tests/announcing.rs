//! The backend on the real kernel: what goes out on the wire, and what is heard.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Read;
use std::net::IpAddr;
use std::task::Poll;

use async_io::Timer;
use socket2::{Domain, Protocol, Socket, Type};
use viplet_arp::Arp;
use viplet_backend_api::{
    Backend, Class, Command, DuplicateDetection, Lifetime, LinkName, Notice, Owner, Rival, Scope,
    Tag, Vip,
};
use viplet_namespace::{
    PATIENCE, Station, cable, eventually, in_namespace, in_namespace_after, ip,
};

const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const LEFT: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn vip(address: &str) -> Vip {
    Vip {
        address: address.parse().unwrap(),
        prefix_len: if address.contains(':') { 128 } else { 32 },
        link: LinkName::new("left").unwrap(),
        presence: viplet_backend_api::Presence::OnLink,
        scope: Scope::Universe,
        duplicate_detection: DuplicateDetection::Skip,
    }
}

fn install(address: &str) -> Command {
    Command::Install { vip: vip(address), lifetime: Lifetime::from_secs(300).unwrap() }
}

fn announce(address: &str) -> Command {
    Command::Announce { vip: vip(address) }
}

fn arp() -> Arp {
    let mut arp = Arp::open(Tag::DEFAULT).unwrap();
    arp.observe().unwrap();
    arp
}

/// Captures every frame of an ethertype that comes in on any link of this namespace.
fn capture(ethertype: u16) -> Socket {
    let protocol = Protocol::from(i32::from(ethertype.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The next frame that `wanted` accepts, with its Ethernet header.
fn frame(capture: &mut Socket, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    loop {
        let mut buffer = [0; 2048];
        let length = capture.read(&mut buffer).expect("no frame came");
        if wanted(&buffer[..length]) {
            return buffer[..length].to_vec();
        }
    }
}

/// The next notice that `wanted` accepts.
fn notice<T>(arp: &mut Arp, what: &str, wanted: impl Fn(Notice) -> Option<T>) -> T {
    let mut timer = Timer::after(PATIENCE);
    let found = async_io::block_on(std::future::poll_fn(|cx| {
        while let Poll::Ready(notice) = arp.poll_notice(cx) {
            if let Some(found) = wanted(notice) {
                return Poll::Ready(Some(found));
            }
        }
        std::future::Future::poll(std::pin::Pin::new(&mut timer), cx).map(|_| None)
    }));
    found.unwrap_or_else(|| panic!("never noticed: {what}"))
}

fn rival(arp: &mut Arp) -> Rival {
    notice(arp, "a rival", |notice| match notice {
        Notice::Rival(rival) => Some(rival),
        _ => None,
    })
}

fn installed(arp: &mut Arp, address: &str) {
    arp.apply(&install(address)).unwrap();
    let address: IpAddr = address.parse().unwrap();
    notice(arp, "the address", |notice| match notice {
        Notice::Address(entry) if entry.address == address => {
            assert_eq!(entry.owner, Owner::Viplet);
            Some(())
        }
        _ => None,
    });
}

#[test]
fn an_address_is_installed_and_withdrawn() {
    in_namespace("an_address_is_installed_and_withdrawn", || {
        cable();
        let mut arp = arp();
        assert_eq!(arp.name(), "arp");
        for address in ["10.0.0.5", "fd00::5"] {
            arp.apply(&install(address)).unwrap();
            assert!(ip("addr show left").contains(address));
            arp.apply(&vip(address).withdrawal()).unwrap();
            assert!(!ip("addr show left").contains(address));
        }
    });
}

#[test]
fn one_announcement_is_a_request_and_a_reply_to_all_as_in_rfc_5227() {
    in_namespace("one_announcement_is_a_request_and_a_reply_to_all_as_in_rfc_5227", || {
        cable();
        let mut right = capture(ARP);
        let mut arp = arp();
        arp.apply(&install("10.0.0.5")).unwrap();
        arp.apply(&announce("10.0.0.5")).unwrap();
        for (operation, target) in [(1, [0; 6]), (2, LEFT)] {
            let mut expected = [&[0xff; 6][..], &LEFT, &[8, 6]].concat();
            expected.extend([0, 1, 8, 0, 6, 4, 0, operation]);
            expected.extend(LEFT);
            expected.extend([10, 0, 0, 5]);
            expected.extend(target);
            expected.extend([10, 0, 0, 5]);
            assert_eq!(frame(&mut right, |_| true), expected);
        }
    });
}

#[test]
fn an_ipv6_address_is_advertised_to_all_nodes() {
    in_namespace("an_ipv6_address_is_advertised_to_all_nodes", || {
        cable();
        let local = || {
            let shown = ip("-6 addr show left scope link -tentative");
            let mut words = shown.split_whitespace().skip_while(|word| *word != "inet6").skip(1);
            words.next()?.split('/').next()?.parse::<std::net::Ipv6Addr>().ok()
        };
        eventually("a link-local address", || local().is_some());
        let source = local().unwrap();
        let mut right = capture(IPV6);
        let mut arp = arp();
        arp.apply(&install("fd00::5")).unwrap();
        arp.apply(&announce("fd00::5")).unwrap();
        let heard = frame(&mut right, |frame| frame.get(54) == Some(&136));
        let mut expected = [&[0x33, 0x33, 0, 0, 0, 1][..], &LEFT, &[0x86, 0xdd]].concat();
        expected.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
        expected.extend(source.octets());
        expected.extend("ff02::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
        assert_eq!(heard[..54], expected);
        // Override, and neither solicited nor from a router.
        assert_eq!((heard[54], heard[55], &heard[58..62]), (136, 0, &[0x20, 0, 0, 0][..]));
        let target = "fd00::5".parse::<std::net::Ipv6Addr>().unwrap();
        assert_eq!(heard[62..78], target.octets());
        assert_eq!(heard[78..], [&[2, 1][..], &LEFT].concat());
    });
}

#[test]
fn a_neighbour_believes_the_announcement() {
    in_namespace("a_neighbour_believes_the_announcement", || {
        cable();
        let station = Station::with("right");
        station.ip("addr add 10.0.0.77/24 dev right");
        station.ip("addr add fd00::77/64 dev right nodad");
        eventually("left is up again", || ip("link show left").contains("state UP"));
        let mut arp = arp();
        // The neighbour had another holder in its tables.
        for address in ["10.0.0.5", "fd00::5"] {
            let stale = format!("neigh add {address} lladdr 02:00:00:00:00:44 nud stale dev right");
            station.ip(&stale);
            arp.apply(&install(address)).unwrap();
            eventually("the neighbour knows", || {
                // Linux locks a fresh ARP entry against changes for a second (locktime).
                arp.apply(&announce(address)).unwrap();
                station.ip(&format!("neigh show {address}")).contains("02:00:00:00:00:01")
            });
        }
    });
}

#[test]
fn a_rival_is_noticed_and_other_stations_and_our_own_frames_are_not() {
    in_namespace("a_rival_is_noticed_and_other_stations_and_our_own_frames_are_not", || {
        cable();
        let station = Station::with("right");
        for name in ["ipv4.conf.right.arp_notify", "ipv6.conf.right.ndisc_notify"] {
            station.sysctl(name, "1");
        }
        station.ip("addr add 10.0.0.77/24 dev right");
        station.ip("addr add fd00::77/64 dev right nodad");
        eventually("left is up again", || ip("link show left").contains("state UP"));
        let mut arp = arp();
        for (address, prefix_len, hardware) in
            [("10.0.0.5", 24, "02:00:00:00:00:91"), ("fd00::5", 64, "02:00:00:00:00:92")]
        {
            installed(&mut arp, address);
            arp.apply(&announce(address)).unwrap();
            // A new hardware address makes the station announce all that it has: before it has
            // ours, which must be passed over, and after.
            station.ip("link set right address 02:00:00:00:00:90");
            station.ip(&format!("addr add {address}/{prefix_len} dev right nodad"));
            station.ip(&format!("link set right address {hardware}"));
            let heard = rival(&mut arp);
            assert_eq!(heard.address.to_string(), address);
            assert_eq!(heard.link.as_str(), "left");
            assert_eq!(heard.hardware.to_string(), hardware);
            arp.apply(&vip(address).withdrawal()).unwrap();
        }
    });
}

#[test]
fn nothing_is_announced_where_nobody_listens() {
    in_namespace("nothing_is_announced_where_nobody_listens", || {
        cable();
        let mut arp = arp();
        let on_lo = Vip { link: LinkName::new("lo").unwrap(), ..vip("10.0.0.5") };
        let lifetime = Lifetime::from_secs(300).unwrap();
        let on_host = Vip { scope: Scope::Host, ..on_lo.clone() };
        arp.apply(&Command::Install { vip: on_host, lifetime }).unwrap();
        assert!(ip("addr show lo").contains("10.0.0.5/32 scope host"));
        arp.apply(&Command::Announce { vip: on_lo }).unwrap();
    });
}

#[test]
fn a_link_that_is_down_or_gone_is_said() {
    in_namespace("a_link_that_is_down_or_gone_is_said", || {
        cable();
        let mut arp = arp();
        ip("link set right down");
        // The kernel tells of a lost carrier up to a second later; until then it drops frames.
        let why = "cannot announce 10.0.0.5: left has no carrier: waiting for it";
        eventually("the lost carrier is said", || {
            arp.apply(&announce("10.0.0.5")).is_err_and(|refused| refused.reason == why)
        });
        let mut refused = || arp.apply(&announce("10.0.0.5")).unwrap_err();
        ip("link set left down");
        let why = "cannot announce 10.0.0.5: left is switched off: waiting for it";
        assert_eq!(refused().reason, why);
        ip("link del left");
        let gone = refused();
        assert_eq!(gone.class, Class::Lost);
        assert_eq!(gone.reason, "cannot announce 10.0.0.5: left does not exist: waiting for it");
    });
}

#[test]
fn a_missing_capability_is_named() {
    let without = ["setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw"];
    in_namespace_after("a_missing_capability_is_named", &without, || {
        let refused = Arp::open(Tag::DEFAULT).unwrap_err();
        assert_eq!(refused.class, Class::Forbidden);
        assert!(refused.reason.contains("the capability NET_RAW"), "{refused}");
    });
}

/// The operation and the address of the next gratuitous ARP.
fn said(capture: &mut Socket) -> (u8, u8) {
    let heard = frame(capture, |_| true);
    (heard[21], heard[31])
}

#[test]
fn later_announcements_are_a_request_and_a_reply_by_turns_for_each_of_many_addresses() {
    let test = "later_announcements_are_a_request_and_a_reply_by_turns_for_each_of_many_addresses";
    in_namespace(test, || {
        cable();
        let mut right = capture(ARP);
        let mut arp = arp();
        let both = [announce("10.0.0.5"), announce("10.0.0.6")];
        let mut hear = |arp: &mut Arp, commands: &[Command], frames: usize| {
            assert!(arp.apply_all(commands).iter().all(Result::is_ok));
            (0..frames).map(|_| said(&mut right)).collect::<Vec<_>>()
        };
        for command in [install("10.0.0.5"), install("10.0.0.6")] {
            arp.apply(&command).unwrap();
        }
        for _ in 0..4 {
            assert_eq!(hear(&mut arp, &both, 4), [(1, 5), (2, 5), (1, 6), (2, 6)]);
        }
        for _ in 0..2 {
            assert_eq!(hear(&mut arp, &both, 2), [(1, 5), (1, 6)]);
            // A refresh changes nothing about it.
            hear(&mut arp, &[install("10.0.0.5"), install("10.0.0.6")], 0);
            assert_eq!(hear(&mut arp, &both, 2), [(2, 5), (2, 6)]);
        }
        let again = [vip("10.0.0.5").withdrawal(), install("10.0.0.5"), both[0].clone()];
        assert_eq!(hear(&mut arp, &again, 2), [(1, 5), (2, 5)]);
        assert_eq!(hear(&mut arp, &both[1..], 1), [(1, 6)]);
    });
}

#[test]
fn of_many_commands_at_once_each_has_its_own_outcome_in_their_order() {
    in_namespace("of_many_commands_at_once_each_has_its_own_outcome_in_their_order", || {
        cable();
        ip("addr add 10.0.0.7/24 dev left");
        let mut right = capture(ARP);
        let mut arp = arp();
        let addresses: Vec<_> = (100..200).map(|last| format!("10.0.0.{last}")).collect();
        let mut commands = vec![install("10.0.0.7")];
        commands.extend(addresses.iter().map(|address| install(address)));
        commands.extend(addresses.iter().map(|address| announce(address)));
        commands.push(vip("10.0.0.100").withdrawal());
        let outcomes = arp.apply_all(&commands);
        assert_eq!(outcomes.len(), commands.len());
        assert!(outcomes[0].as_ref().is_err_and(|r| r.class == Class::Misconfigured));
        assert!(outcomes[1..].iter().all(Result::is_ok), "{outcomes:?}");
        let heard: Vec<_> = (0..200).map(|_| said(&mut right).1).collect();
        let wanted: Vec<u8> = (100..200).flat_map(|last| [last, last]).collect();
        assert_eq!(heard, wanted);
        assert!(!ip("addr show left").contains("10.0.0.100/"));
        assert!(ip("addr show left").contains("10.0.0.199/"));
    });
}
