//! The monitor on the real kernel: every change is noticed, and a lost one is made up for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use async_io::Timer;
use viplet_backend_api::{
    DefaultRoute, DuplicateDetection, Lifetime, Link, LinkKind, LinkName, LinkState, Notice,
    Observation, Scope, Tag, Vip,
};
use viplet_namespace::{PATIENCE, Woken, cable, eventually, in_namespace, ip};
use viplet_netlink::{Kernel, Placed};

const TAG: Tag = Tag::DEFAULT;

fn kernel() -> Kernel {
    let mut kernel = Kernel::open(TAG).unwrap();
    kernel.observe().unwrap();
    kernel
}

/// Waits for the notice that `wanted` accepts, skipping others.
fn notice<T>(kernel: &mut Kernel, what: &str, mut wanted: impl FnMut(Notice) -> Option<T>) -> T {
    let mut timer = Timer::after(PATIENCE);
    let found = async_io::block_on(std::future::poll_fn(|cx| {
        while let Poll::Ready(notice) = kernel.poll_notice(cx) {
            if let Some(found) = wanted(notice) {
                return Poll::Ready(Some(found));
            }
        }
        let timeout = std::future::Future::poll(std::pin::Pin::new(&mut timer), cx);
        timeout.map(|_| None)
    }));
    found.unwrap_or_else(|| panic!("never noticed: {what}"))
}

fn left(observation: &Observation) -> &Link {
    observation.links.iter().find(|link| link.name.as_str() == "left").unwrap()
}

fn link_named(name: &str) -> impl FnMut(Notice) -> Option<Link> {
    move |notice| match notice {
        Notice::Link(link) if link.name.as_str() == name => Some(link),
        _ => None,
    }
}

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

#[test]
fn links_are_described_as_they_are() {
    in_namespace("links_are_described_as_they_are", || {
        cable();
        let mut kernel = Kernel::open(TAG).unwrap();
        let observation = kernel.observe().unwrap();
        let link = left(&observation);
        assert_eq!((link.kind, link.state), (LinkKind::Ethernet, LinkState::Up));
        assert_eq!(link.hardware.to_string(), "02:00:00:00:00:01");
        let facts = kernel.link(&link.name).unwrap();
        assert_eq!(facts.broadcast.to_string(), "ff:ff:ff:ff:ff:ff");
        let lo = observation.links.iter().find(|link| link.name.as_str() == "lo").unwrap();
        assert_eq!((lo.kind, lo.state), (LinkKind::Loopback, LinkState::Up));
    });
}

#[test]
fn a_link_that_goes_down_comes_up_changes_its_name_or_leaves_is_noticed() {
    in_namespace("a_link_that_goes_down_comes_up_changes_its_name_or_leaves_is_noticed", || {
        cable();
        let mut kernel = kernel();
        let state = |wanted: LinkState| {
            move |notice| match notice {
                Notice::Link(link) if link.name.as_str() == "left" && link.state == wanted => {
                    Some(())
                }
                _ => None,
            }
        };
        ip("link set right down");
        notice(&mut kernel, "no carrier", state(LinkState::NoCarrier));
        ip("link set left down");
        notice(&mut kernel, "switched off", state(LinkState::AdminDown));
        ip("addr add 10.0.0.9/24 dev left");
        ip("link set left name other");
        notice(&mut kernel, "the old name goes", |notice| match notice {
            Notice::LinkGone(name) if name.as_str() == "left" => Some(()),
            _ => None,
        });
        notice(&mut kernel, "the new name comes", link_named("other"));
        notice(&mut kernel, "its address comes along", |notice| match notice {
            Notice::Address(entry) if entry.link.as_str() == "other" => Some(()),
            _ => None,
        });
        ip("link set other name left");
        ip("link set right up");
        ip("link set left up");
        notice(&mut kernel, "up", state(LinkState::Up));
        ip("link del left");
        notice(&mut kernel, "gone", |notice| match notice {
            Notice::LinkGone(name) if name.as_str() == "left" => Some(()),
            _ => None,
        });
        assert_eq!(kernel.observe().unwrap().links.len(), 1);
    });
}

#[test]
fn an_address_that_another_program_changes_is_noticed() {
    in_namespace("an_address_that_another_program_changes_is_noticed", || {
        cable();
        let mut kernel = kernel();
        let lifetime = Lifetime::from_secs(300).unwrap();
        for text in ["10.0.0.5", "fd00::5"] {
            kernel.install(&vip(text), lifetime).unwrap();
            let is_it = |address: std::net::IpAddr| address.to_string() == text;
            notice(&mut kernel, "installed", |notice| match notice {
                Notice::Address(entry) if is_it(entry.address) => Some(()),
                _ => None,
            });
            ip(&format!("addr del {text} dev left"));
            notice(&mut kernel, "removed", |notice| match notice {
                Notice::AddressGone { address, .. } if is_it(address) => Some(()),
                _ => None,
            });
        }
    });
}

#[test]
fn the_default_route_is_found() {
    in_namespace("the_default_route_is_found", || {
        cable();
        ip("addr add 10.0.0.1/24 dev left");
        ip("addr add 10.1.0.1/24 dev right");
        ip("addr add fd00::1/64 dev right nodad");
        let mut kernel = kernel();
        let mut defaults = || {
            let observation = kernel.observe().unwrap();
            let of = |name: &str| {
                let mut links = observation.links.iter();
                links.find(|link| link.name.as_str() == name).unwrap().default_route
            };
            (of("left"), of("right"))
        };
        use DefaultRoute::{None, V4, V6};
        assert_eq!(defaults(), (None, None));
        ip("-6 route add default via fd00::fe");
        assert_eq!(defaults(), (None, V6));
        ip("route add default via 10.1.0.254 metric 200");
        assert_eq!(defaults(), (None, V4));
        // The lower metric wins; another table does not count.
        ip("route add default via 10.0.0.254 metric 100");
        ip("route add default via 10.1.0.254 table 100 metric 1");
        assert_eq!(defaults(), (V4, V6));
        ip("route del default metric 100");
        ip("route add default metric 50 nexthop via 10.0.0.254 nexthop via 10.1.0.254");
        assert_eq!(defaults(), (V4, V6));
        ip("route add blackhole default metric 1");
        assert_eq!(defaults(), (V4, V6));
    });
}

#[test]
fn a_default_route_that_moves_is_noticed_even_where_the_kernel_is_silent() {
    in_namespace("a_default_route_that_moves_is_noticed_even_where_the_kernel_is_silent", || {
        cable();
        ip("addr add 10.0.0.1/24 dev left");
        ip("addr add 10.1.0.1/24 dev right");
        let mut kernel = kernel();
        let route = |wanted: DefaultRoute| {
            move |notice| match notice {
                Notice::Link(link)
                    if link.name.as_str() == "left" && link.default_route == wanted =>
                {
                    Some(())
                }
                _ => None,
            }
        };
        ip("route add default via 10.0.0.254");
        notice(&mut kernel, "a default route", route(DefaultRoute::V4));
        // IPv4 routes that go with an address are flushed without a message.
        ip("addr del 10.0.0.1/24 dev left");
        notice(&mut kernel, "gone with the address", route(DefaultRoute::None));
        ip("addr add 10.0.0.1/24 dev left");
        ip("route add default via 10.0.0.254");
        notice(&mut kernel, "again", route(DefaultRoute::V4));
        ip("link set left down");
        notice(&mut kernel, "gone with the link", route(DefaultRoute::None));
    });
}

#[test]
fn an_overrun_of_the_monitor_leads_to_a_snapshot() {
    in_namespace("an_overrun_of_the_monitor_leads_to_a_snapshot", || {
        cable();
        let mut kernel = Kernel::open_with_buffer(TAG, 1).unwrap();
        kernel.observe().unwrap();
        let flood: Vec<_> =
            (1..=200).map(|last| format!("addr add 10.0.1.{last}/24 dev left")).collect();
        let file = std::env::temp_dir().join(format!("viplet-flood-{}", std::process::id()));
        std::fs::write(&file, flood.join("\n")).unwrap();
        ip(&format!("-batch {}", file.display()));
        std::fs::remove_file(&file).unwrap();
        let snapshot = notice(&mut kernel, "a snapshot", |notice| match notice {
            Notice::Snapshot(snapshot) => Some(snapshot),
            _ => None,
        });
        let there = snapshot.addresses.iter().filter(|entry| entry.prefix_len == 24).count();
        assert_eq!(there, 200);
        // And it hears on.
        ip("addr del 10.0.1.200/24 dev left");
        let gone: std::net::IpAddr = "10.0.1.200".parse().unwrap();
        notice(&mut kernel, "a later change", |notice| match notice {
            Notice::AddressGone { address, .. } => (address == gone).then_some(()),
            // So small a buffer may overrun again.
            Notice::Snapshot(snapshot) => {
                snapshot.addresses.iter().all(|entry| entry.address != gone).then_some(())
            }
            _ => None,
        });
    });
}

#[test]
fn notices_that_a_command_read_wake_the_one_who_waits() {
    in_namespace("notices_that_a_command_read_wake_the_one_who_waits", || {
        cable();
        let mut kernel = kernel();
        let woken = Arc::new(Woken::default());
        let waker = woken.clone().into();
        let mut cx = Context::from_waker(&waker);
        while kernel.poll_notice(&mut cx).is_ready() {}
        ip("addr add 10.0.0.9/24 dev left");
        // The reactor's own call comes first and only once; it may be lost when a command reads
        // what it was about, so the command must call again.
        eventually("woken by the reactor", || woken.0.swap(false, Ordering::SeqCst));
        kernel.install(&vip("10.0.0.5"), Lifetime::from_secs(300).unwrap()).unwrap();
        assert!(woken.0.load(Ordering::SeqCst));
        let mut told = std::iter::from_fn(|| match kernel.poll_notice(&mut cx) {
            Poll::Ready(notice) => Some(notice),
            Poll::Pending => None,
        });
        assert!(told.any(|notice| matches!(notice, Notice::Address(entry)
            if entry.address.to_string() == "10.0.0.9")));
    });
}

#[test]
fn refreshes_of_our_addresses_do_not_reach_the_monitor() {
    in_namespace("refreshes_of_our_addresses_do_not_reach_the_monitor", || {
        cable();
        // Too small for what the kernel would tell of so many: something would be lost.
        let mut kernel = Kernel::open_with_buffer(TAG, 1).unwrap();
        kernel.observe().unwrap();
        let vips: Vec<Vip> = (1..=64).map(|last| vip(&format!("10.0.1.{last}"))).collect();
        let lifetime = Lifetime::from_secs(300).unwrap();
        let all: Vec<_> = vips.iter().map(|vip| (vip, lifetime)).collect();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut losses = |kernel: &mut Kernel| {
            let told = std::iter::from_fn(|| match kernel.poll_notice(&mut cx) {
                Poll::Ready(notice) => Some(notice),
                Poll::Pending => None,
            });
            told.filter(|notice| matches!(notice, Notice::Snapshot(_))).count()
        };
        kernel.install_all(&all);
        assert!(losses(&mut kernel) > 0, "the buffer is small enough");
        // Links have their own to tell at first.
        eventually("a round in which nothing is lost", || {
            let placed = kernel.install_all(&all);
            assert!(placed.into_iter().all(|placed| placed == Ok(Placed::Refreshed)));
            losses(&mut kernel) == 0
        });
    });
}
