//! Addresses on the real kernel: the dead-man, whose an address is, and what its removal spares.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::net::IpAddr;
use std::time::Duration;

use viplet_backend_api::{
    Address, Class, DuplicateDetection, Lifetime, LinkName, Notice, Owner, Scope, Tag, Usability,
    Vip,
};
use viplet_namespace::{Station, cable, eventually, in_namespace, ip, sysctl};
use viplet_netlink::{Kernel, Placed};

const TAG: Tag = Tag::DEFAULT;

fn withdraw(kernel: &mut Kernel, text: &str) {
    let vip = vip(text);
    kernel.withdraw(vip.address, &vip.link).unwrap();
}

fn vip(text: &str) -> Vip {
    let (address, prefix_len) = text.split_once('/').unwrap();
    Vip {
        address: address.parse().unwrap(),
        prefix_len: prefix_len.parse().unwrap(),
        link: LinkName::new("left").unwrap(),
        presence: viplet_backend_api::Presence::OnLink,
        scope: Scope::Universe,
        duplicate_detection: DuplicateDetection::Skip,
    }
}

fn seconds(seconds: u32) -> Lifetime {
    Lifetime::from_secs(seconds).unwrap()
}

fn kernel() -> Kernel {
    let mut kernel = Kernel::open(TAG).unwrap();
    kernel.observe().unwrap();
    kernel
}

fn entries(kernel: &mut Kernel, address: &str) -> Vec<Address> {
    let address: IpAddr = address.parse().unwrap();
    let mut all = kernel.observe().unwrap().addresses;
    all.retain(|entry| entry.address == address);
    all
}

fn only(kernel: &mut Kernel, address: &str) -> Address {
    let mut found = entries(kernel, address);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// What is already there to be told, without waiting.
fn notices(kernel: &mut Kernel) -> Vec<Notice> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut all = Vec::new();
    while let std::task::Poll::Ready(notice) = kernel.poll_notice(&mut cx) {
        all.push(notice);
    }
    all
}

/// Of these, the ones about an address.
fn about(address: IpAddr, mut notices: Vec<Notice>) -> Vec<Notice> {
    notices.retain(|notice| match notice {
        Notice::Address(entry) => entry.address == address,
        Notice::AddressGone { address: gone, .. } => *gone == address,
        _ => false,
    });
    notices
}

fn none_gone(notices: &[Notice]) -> bool {
    !notices.iter().any(|notice| matches!(notice, Notice::AddressGone { .. }))
}

#[test]
fn an_installed_address_is_ours_deprecated_and_finite() {
    in_namespace("an_installed_address_is_ours_deprecated_and_finite", || {
        cable();
        let mut kernel = kernel();
        for text in ["10.0.0.5/32", "fd00::5/128"] {
            let vip = vip(text);
            kernel.install(&vip, seconds(90)).unwrap();
            let entry = only(&mut kernel, &vip.address.to_string());
            assert_eq!((entry.owner, entry.prefix_len), (Owner::Viplet, vip.prefix_len));
            let left = entry.valid_for.unwrap();
            assert!((20..=90).contains(&left.as_secs()), "{left:?}");
            let shown = ip(&format!("addr show left to {text}"));
            assert!(shown.contains("deprecated"), "{shown}");
        }
    });
}

#[test]
fn an_address_that_nobody_refreshes_disappears_by_itself() {
    in_namespace("an_address_that_nobody_refreshes_disappears_by_itself", || {
        cable();
        let mut kernel = kernel();
        for text in ["10.0.0.5/32", "fd00::5/128"] {
            kernel.install(&vip(text), seconds(1)).unwrap();
            assert!(ip("addr show left").contains(text));
        }
        eventually("both are gone", || {
            let shown = ip("addr show left");
            !shown.contains("10.0.0.5") && !shown.contains("fd00::5")
        });
        // Held by nobody: only the kernel can have removed them, and it says so.
        let gone = notices(&mut kernel);
        let gone = gone.iter().filter(|n| matches!(n, Notice::AddressGone { .. })).count();
        assert_eq!(gone, 2);
    });
}

#[test]
fn a_refresh_extends_the_lifetime_in_place() {
    in_namespace("a_refresh_extends_the_lifetime_in_place", || {
        cable();
        let mut kernel = kernel();
        for text in ["10.0.0.5/32", "fd00::5/128"] {
            let vip = vip(text);
            assert_eq!(kernel.install(&vip, seconds(5)).unwrap(), Placed::Added);
            eventually("the kernel has told of it", || {
                !about(vip.address, notices(&mut kernel)).is_empty()
            });
            assert_eq!(kernel.install(&vip, seconds(500)).unwrap(), Placed::Refreshed);
            // Nothing but the lifetime has changed: that is no news.
            assert_eq!(about(vip.address, notices(&mut kernel)), []);
            let entry = only(&mut kernel, &vip.address.to_string());
            assert!(entry.valid_for.unwrap() > Duration::from_secs(400));
            // Shortened as well: what remains of a lease may be less than what was installed.
            kernel.install(&vip, seconds(50)).unwrap();
            let entry = only(&mut kernel, &vip.address.to_string());
            assert!(entry.valid_for.unwrap() <= Duration::from_secs(50));
        }
    });
}

#[test]
fn the_nodes_own_address_is_refused_and_survives() {
    in_namespace("the_nodes_own_address_is_refused_and_survives", || {
        cable();
        ip("addr add 10.0.0.5/24 dev left");
        ip("addr add fd00::5/64 dev left nodad");
        ip("addr add 10.0.0.6/24 dev right");
        ip("addr add 10.0.0.7/24 dev left valid_lft 900 preferred_lft 900");
        let mut kernel = kernel();
        for (text, link) in [
            ("10.0.0.5/24", "left"),
            ("10.0.0.5/32", "left"),
            ("fd00::5/64", "left"),
            ("fd00::5/128", "left"),
            ("10.0.0.6/32", "right"),
            ("10.0.0.7/24", "left"),
        ] {
            let vip = vip(text);
            let refused = kernel.install(&vip, seconds(10)).unwrap_err();
            assert_eq!(refused.class, Class::Misconfigured);
            let expected = format!("{} is this node's own address on {link};", vip.address);
            assert!(refused.reason.starts_with(&expected), "{refused}");
            kernel.withdraw(vip.address, &vip.link).unwrap();
            let entry = only(&mut kernel, &vip.address.to_string());
            assert_eq!(entry.owner, Owner::Node);
            assert_ne!(entry.valid_for.map(|left| left.as_secs()), Some(10));
        }
    });
}

#[test]
fn an_address_that_became_the_nodes_own_is_seen_at_once() {
    in_namespace("an_address_that_became_the_nodes_own_is_seen_at_once", || {
        cable();
        let mut kernel = kernel();
        ip("addr add 10.0.0.5/24 dev left");
        assert!(kernel.install(&vip("10.0.0.5/24"), seconds(10)).is_err());
        assert_eq!(only(&mut kernel, "10.0.0.5").valid_for, None);
    });
}

#[test]
fn what_kube_vip_left_behind_is_taken_over_in_place() {
    in_namespace("what_kube_vip_left_behind_is_taken_over_in_place", || {
        cable();
        ip("addr add 10.0.0.5/32 dev left preferred_lft 0 valid_lft forever");
        ip("addr add fd00::5/128 dev left nodad preferred_lft 0 valid_lft forever");
        ip("addr add 10.0.0.6/32 dev left preferred_lft 0 valid_lft 60");
        let mut kernel = kernel();
        for text in ["10.0.0.5/32", "fd00::5/128", "10.0.0.6/32"] {
            let vip = vip(text);
            let address = vip.address.to_string();
            assert_eq!(only(&mut kernel, &address).owner, Owner::Predecessor);
            kernel.install(&vip, seconds(30)).unwrap();
            let said = notices(&mut kernel);
            assert!(none_gone(&said), "{said:?}");
            let entry = only(&mut kernel, &address);
            assert_eq!(entry.owner, Owner::Viplet);
            assert!(entry.valid_for.unwrap() <= Duration::from_secs(30));
        }
    });
}

#[test]
fn a_leftover_with_another_prefix_length_is_replaced() {
    in_namespace("a_leftover_with_another_prefix_length_is_replaced", || {
        cable();
        ip("addr add 10.0.0.5/32 dev left preferred_lft 0 valid_lft forever");
        ip("addr add fd00::5/128 dev left nodad preferred_lft 0 valid_lft forever");
        let mut kernel = kernel();
        for text in ["10.0.0.5/24", "fd00::5/64"] {
            let vip = vip(text);
            kernel.install(&vip, seconds(30)).unwrap();
            let entry = only(&mut kernel, &vip.address.to_string());
            assert_eq!((entry.owner, entry.prefix_len), (Owner::Viplet, vip.prefix_len));
            if vip.address.is_ipv4() {
                // IPv4 adds before it removes: there is no moment without the address.
                assert!(none_gone(&notices(&mut kernel)));
            }
        }
    });
}

#[test]
fn an_address_can_be_withdrawn_in_the_moment_in_which_it_was_installed() {
    in_namespace("an_address_can_be_withdrawn_in_the_moment_in_which_it_was_installed", || {
        cable();
        let mut kernel = kernel();
        for round in 0..200 {
            for text in ["10.0.0.5/32", "fd00::5/128"] {
                let vip = vip(text);
                kernel.install(&vip, seconds(300)).unwrap();
                kernel.withdraw(vip.address, &vip.link).unwrap();
                let left = entries(&mut kernel, &vip.address.to_string());
                assert!(left.is_empty(), "round {round}: {left:?}");
            }
        }
    });
}

#[test]
fn withdrawing_what_is_not_there_is_success() {
    in_namespace("withdrawing_what_is_not_there_is_success", || {
        cable();
        let mut kernel = kernel();
        for text in ["10.0.0.5/32", "fd00::5/128"] {
            withdraw(&mut kernel, text);
            kernel.withdraw(vip(text).address, &LinkName::new("nowhere").unwrap()).unwrap();
            // Installed and removed by another hand.
            kernel.install(&vip(text), seconds(30)).unwrap();
            ip(&format!("addr del {text} dev left"));
            withdraw(&mut kernel, text);
        }
    });
}

#[test]
fn removing_the_last_ipv4_address_keeps_the_links_routes() {
    in_namespace("removing_the_last_ipv4_address_keeps_the_links_routes", || {
        cable();
        let mut kernel = kernel();
        kernel.install(&vip("10.0.0.5/32"), seconds(300)).unwrap();
        for route in [
            "10.9.0.0/16 dev left scope link proto static",
            "default via 10.9.0.1 dev left metric 50 mtu 1400",
            "10.8.0.0/16 via 10.7.0.1 dev left onlink table 100 proto 99",
            "10.6.0.0/16 table 101 nexthop via 10.9.0.1 dev left nexthop via 10.9.0.2 dev left weight 3",
            "10.5.0.0/16 nexthop dev right nexthop via 10.9.0.2 dev left weight 3",
        ] {
            ip(&format!("route add {route}"));
        }
        let before = routes();
        assert_eq!(before.lines().count(), 9, "{before}");
        withdraw(&mut kernel, "10.0.0.5/32");
        assert!(!ip("addr show left").contains("10.0.0.5"));
        assert_eq!(routes(), before);
    });
}

/// The IPv4 routes of all tables, without what belongs to an address.
fn routes() -> String {
    let all = ip("-4 route show table all");
    let mut lines: Vec<_> =
        all.lines().filter(|line| !line.contains("local")).map(str::trim_end).collect();
    // Multipath routes are several lines each.
    if lines.is_empty() {
        lines.push("none");
    }
    lines.join("\n")
}

#[test]
fn removing_a_primary_address_spares_its_secondaries() {
    in_namespace("removing_a_primary_address_spares_its_secondaries", || {
        cable();
        sysctl("net.ipv4.conf.all.promote_secondaries", "0");
        sysctl("net.ipv4.conf.left.promote_secondaries", "0");
        let mut kernel = kernel();
        kernel.install(&vip("10.0.0.5/24"), seconds(300)).unwrap();
        ip("addr add 10.0.0.1/24 dev left label left:node");
        ip("addr add 10.0.0.2/24 dev left valid_lft 900 preferred_lft 800");
        ip("route add 10.9.0.0/16 via 10.0.0.77 src 10.0.0.1");
        assert!(ip("addr show left").contains("secondary"));
        withdraw(&mut kernel, "10.0.0.5/24");
        let shown = ip("addr show left");
        assert!(!shown.contains("10.0.0.5"), "{shown}");
        assert!(shown.contains("10.0.0.1/24 scope global left:node"), "{shown}");
        assert!(shown.contains("10.0.0.2/24"), "{shown}");
        let left = only(&mut kernel, "10.0.0.2").valid_for.unwrap();
        assert!(left.as_secs() > 800, "{left:?}");
        let routes = ip("route show");
        assert!(routes.contains("10.9.0.0/16 via 10.0.0.77 dev left src 10.0.0.1"), "{routes}");
        assert!(routes.contains("10.0.0.0/24 dev left proto kernel"), "{routes}");
    });
}

#[test]
fn another_address_of_the_link_is_left_alone() {
    in_namespace("another_address_of_the_link_is_left_alone", || {
        cable();
        ip("addr add 10.0.0.1/24 dev left");
        ip("addr add fd00::1/64 dev left nodad");
        ip("route add default via 10.0.0.254");
        ip("-6 route add default via fd00::fe");
        let before = (ip("-4 addr show left"), ip("route show"), ip("-6 route show"));
        let mut kernel = kernel();
        for text in ["10.0.0.5/24", "fd00::5/64"] {
            kernel.install(&vip(text), seconds(300)).unwrap();
            withdraw(&mut kernel, text);
        }
        assert_eq!((ip("-4 addr show left"), ip("route show"), ip("-6 route show")), before);
    });
}

#[test]
fn an_expired_ipv6_address_leaves_the_nodes_prefix_route() {
    in_namespace("an_expired_ipv6_address_leaves_the_nodes_prefix_route", || {
        cable();
        ip("addr add fd00::1/64 dev left nodad");
        let mut kernel = kernel();
        kernel.install(&vip("fd00::5/64"), seconds(1)).unwrap();
        eventually("it is gone", || !ip("-6 addr show left").contains("fd00::5"));
        let routes = ip("-6 route show");
        assert!(routes.contains("fd00::/64 dev left proto kernel metric 256 pref"), "{routes}");
    });
}

/// A cable whose right end is another station, which has fd00::5.
fn duplicate() -> Station {
    cable();
    let station = Station::with("right");
    station.ip("addr add fd00::5/64 dev right nodad");
    sysctl("net.ipv6.conf.left.accept_dad", "1");
    eventually("left is up again", || ip("link show left").contains("state UP"));
    station
}

#[test]
fn a_leftover_that_failed_duplicate_detection_is_taken_over_where_that_is_to_be_skipped() {
    let test =
        "a_leftover_that_failed_duplicate_detection_is_taken_over_where_that_is_to_be_skipped";
    in_namespace(test, || {
        let _station = duplicate();
        ip("addr add fd00::5/64 dev left preferred_lft 0 valid_lft forever");
        let mut kernel = kernel();
        eventually("the duplicate is found", || {
            only(&mut kernel, "fd00::5").usability == Usability::Duplicate
        });
        assert_eq!(only(&mut kernel, "fd00::5").owner, Owner::Predecessor);
        kernel.install(&vip("fd00::5/64"), seconds(300)).unwrap();
        let entry = only(&mut kernel, "fd00::5");
        assert_eq!((entry.owner, entry.usability), (Owner::Viplet, Usability::Usable));
    });
}

#[test]
fn a_duplicate_that_the_kernel_finds_is_noticed_as_the_address_going() {
    in_namespace("a_duplicate_that_the_kernel_finds_is_noticed_as_the_address_going", || {
        let _station = duplicate();
        let mut kernel = kernel();
        let probing = Vip { duplicate_detection: DuplicateDetection::Kernel, ..vip("fd00::5/64") };
        kernel.install(&probing, seconds(300)).unwrap();
        let mut said = Vec::new();
        // An address with a finite lifetime is not kept as failed: the kernel takes it away.
        eventually("the kernel takes it away", || {
            said.extend(notices(&mut kernel));
            said.iter().any(|notice| matches!(notice, Notice::AddressGone { .. }))
        });
        assert!(said.iter().any(|notice| matches!(notice, Notice::Address(entry)
            if entry.usability == Usability::Tentative)));
    });
}

#[test]
fn many_addresses_are_installed_and_refreshed_at_once_and_one_refused_does_not_keep_the_others() {
    let test = "many_addresses_are_installed_and_refreshed_at_once_and_one_refused_does_not_keep_the_others";
    in_namespace(test, || {
        cable();
        ip("addr add 10.0.0.7/24 dev left");
        // Another prefix length: cannot be done in one message.
        ip("addr add 10.0.0.8/24 dev left preferred_lft 0 valid_lft forever");
        let mut kernel = kernel();
        let nowhere = Vip { link: LinkName::new("nowhere").unwrap(), ..vip("10.0.0.9/32") };
        let mut vips: Vec<Vip> = (1..=150).map(|last| vip(&format!("10.0.1.{last}/32"))).collect();
        vips.extend((1..=10).map(|last| vip(&format!("fd00::{last}/128"))));
        vips.insert(3, vip("10.0.0.7/32"));
        vips.insert(5, nowhere);
        vips.insert(70, vip("10.0.0.10/33"));
        vips.insert(80, vip("10.0.0.8/32"));
        let refused = [(3, Class::Misconfigured), (5, Class::Lost), (70, Class::Misconfigured)];
        for placed in [Placed::Added, Placed::Refreshed] {
            let all: Vec<_> = vips.iter().map(|vip| (vip, seconds(300))).collect();
            let outcomes = kernel.install_all(&all);
            assert_eq!(outcomes.len(), vips.len());
            for (place, outcome) in outcomes.into_iter().enumerate() {
                let why = refused.iter().find(|(at, _)| *at == place).map(|(_, class)| *class);
                let seen = outcome.map_err(|refusal| refusal.class);
                assert_eq!(seen, why.map_or(Ok(placed), Err), "{}", vips[place]);
            }
            let ours = |kernel: &mut Kernel| {
                let all = kernel.observe().unwrap().addresses.into_iter();
                all.filter(|entry| entry.owner == Owner::Viplet).count()
            };
            eventually("the kernel has told of them", || ours(&mut kernel) == 161);
        }
        assert_eq!(only(&mut kernel, "10.0.0.8").prefix_len, 32);
    });
}

#[test]
fn an_address_that_ran_out_and_is_installed_again_is_noticed() {
    in_namespace("an_address_that_ran_out_and_is_installed_again_is_noticed", || {
        cable();
        let mut kernel = kernel();
        let vip = vip("10.0.0.5/32");
        kernel.install(&vip, seconds(300)).unwrap();
        notices(&mut kernel);
        // Nothing is read from here on: a slow machine must not tell of its end too early.
        kernel.install(&vip, seconds(1)).unwrap();
        eventually("it is gone", || !ip("addr show left").contains("10.0.0.5"));
        assert_eq!(kernel.install(&vip, seconds(300)).unwrap(), Placed::Added);
        let said = notices(&mut kernel);
        assert!(matches!(&said[..], [Notice::AddressGone { .. }, Notice::Address(_)]), "{said:?}");
    });
}

#[test]
fn removing_a_primary_address_whose_secondaries_the_kernel_promotes_leaves_them_to_it() {
    let test = "removing_a_primary_address_whose_secondaries_the_kernel_promotes_leaves_them_to_it";
    in_namespace(test, || {
        cable();
        sysctl("net.ipv4.conf.left.promote_secondaries", "1");
        let mut kernel = kernel();
        for text in ["10.0.0.5/24", "10.0.0.6/24", "10.0.0.7/24"] {
            kernel.install(&vip(text), seconds(300)).unwrap();
        }
        for (text, left) in [("10.0.0.5/24", 2), ("10.0.0.6/24", 1), ("10.0.0.7/24", 0)] {
            withdraw(&mut kernel, text);
            assert_eq!(ip("-4 addr show left").matches("inet ").count(), left);
        }
    });
}
