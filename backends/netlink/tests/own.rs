//! The node's own addresses on the real kernel: which may be taken over, and what becomes of them
//! when a link is flushed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::net::IpAddr;

use viplet_backend_api::{
    Class, DuplicateDetection, Lifetime, LinkKind, LinkName, Notice, Owner, Presence, Scope, Tag,
    Vip,
};
use viplet_namespace::{cable, eventually, in_namespace, ip, sysctl};
use viplet_netlink::{Kernel, Placed};

fn vip(text: &str) -> Vip {
    let (address, prefix_len) = text.split_once('/').unwrap();
    Vip {
        address: address.parse().unwrap(),
        prefix_len: prefix_len.parse().unwrap(),
        link: LinkName::new("left").unwrap(),
        presence: Presence::OnLink,
        scope: Scope::Universe,
        duplicate_detection: DuplicateDetection::Skip,
    }
}

fn kernel() -> Kernel {
    let mut kernel = Kernel::open(Tag::DEFAULT).unwrap();
    kernel.observe().unwrap();
    kernel
}

fn install(kernel: &mut Kernel, vip: &Vip) -> Placed {
    kernel.install(vip, Lifetime::from_secs(300).unwrap()).unwrap()
}

fn owner(kernel: &mut Kernel, address: &str) -> Option<Owner> {
    let address: IpAddr = address.parse().unwrap();
    let all = kernel.observe().unwrap().addresses;
    all.iter().find(|entry| entry.address == address).map(|entry| entry.owner)
}

/// The IPv4 addresses of `left` in the kernel's order, each with its prefix length.
fn in_order() -> Vec<String> {
    let shown = ip("-4 -o addr show left");
    shown.lines().map(|line| line.split_whitespace().nth(3).unwrap().to_owned()).collect()
}

fn told_of(kernel: &mut Kernel, address: IpAddr) -> bool {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut told = false;
    while let std::task::Poll::Ready(notice) = kernel.poll_notice(&mut cx) {
        told |= matches!(&notice, Notice::Address(entry) if entry.address == address);
    }
    told
}

#[test]
fn a_plain_permanent_host_address_is_taken_over_beside_the_nodes_own() {
    in_namespace("a_plain_permanent_host_address_is_taken_over_beside_the_nodes_own", || {
        cable();
        ip("addr add 10.0.0.1/24 dev left");
        ip("addr add fd00::1/64 dev left nodad");
        ip("addr add 10.0.0.5/32 dev left");
        ip("addr add fd00::5/128 dev left nodad");
        let mut kernel = kernel();
        for text in ["10.0.0.5/32", "fd00::5/128"] {
            let vip = vip(text);
            let address = vip.address.to_string();
            assert_eq!(owner(&mut kernel, &address), Some(Owner::Unmarked));
            assert_eq!(install(&mut kernel, &vip), Placed::Added);
            eventually("it is ours", || owner(&mut kernel, &address) == Some(Owner::Viplet));
            let shown = ip(&format!("addr show left to {text}"));
            assert!(
                shown.contains("deprecated") && !shown.contains("valid_lft forever"),
                "{shown}"
            );
        }
        assert_eq!(owner(&mut kernel, "10.0.0.1"), Some(Owner::Node));
        assert_eq!(owner(&mut kernel, "fd00::1"), Some(Owner::Node));
    });
}

#[test]
fn a_plain_host_address_with_another_wanted_length_is_replaced() {
    in_namespace("a_plain_host_address_with_another_wanted_length_is_replaced", || {
        cable();
        ip("addr add 10.0.0.1/24 dev left");
        ip("addr add 10.0.0.5/32 dev left");
        let mut kernel = kernel();
        install(&mut kernel, &vip("10.0.0.5/24"));
        assert_eq!(in_order(), ["10.0.0.1/24", "10.0.0.5/24"]);
        assert_eq!(owner(&mut kernel, "10.0.0.5"), Some(Owner::Viplet));
    });
}

#[test]
fn what_another_hand_made_permanent_on_the_holder_is_told_of_and_gets_its_lifetime_back() {
    let test =
        "what_another_hand_made_permanent_on_the_holder_is_told_of_and_gets_its_lifetime_back";
    in_namespace(test, || {
        cable();
        ip("addr add 10.0.0.1/24 dev left");
        ip("addr add fd00::1/64 dev left nodad");
        let mut kernel = kernel();
        for text in ["10.0.0.5/32", "fd00::5/128"] {
            let vip = vip(text);
            install(&mut kernel, &vip);
            eventually("the kernel has told of it", || told_of(&mut kernel, vip.address));
            ip(&format!("addr replace {text} dev left"));
            eventually("the change is told", || told_of(&mut kernel, vip.address));
            assert_eq!(install(&mut kernel, &vip), Placed::Added);
            eventually("it is finite", || {
                !ip(&format!("addr show left to {text}")).contains("valid_lft forever")
            });
        }
    });
}

#[test]
fn the_nodes_only_address_is_never_taken_however_it_looks() {
    in_namespace("the_nodes_only_address_is_never_taken_however_it_looks", || {
        cable();
        ip("addr add 10.0.0.1/32 dev left");
        ip("addr add fd00::1/128 dev left nodad");
        let mut kernel = kernel();
        for text in ["10.0.0.1/32", "fd00::1/128", "10.0.0.1/24"] {
            let refused = kernel.install(&vip(text), Lifetime::from_secs(10).unwrap()).unwrap_err();
            assert_eq!(refused.class, Class::Misconfigured, "{refused}");
            kernel.withdraw(vip(text).address, &vip(text).link).unwrap();
            assert_eq!(owner(&mut kernel, &vip(text).address.to_string()), Some(Owner::Node));
        }
    });
}

#[test]
fn a_plain_host_address_on_another_link_keeps_the_node_from_it_and_on_lo_or_a_dummy_does_not() {
    let test =
        "a_plain_host_address_on_another_link_keeps_the_node_from_it_and_on_lo_or_a_dummy_does_not";
    in_namespace(test, || {
        cable();
        ip("link add proxy type ifb"); // Carries nothing, as a dummy link, which few kernels here have.
        ip("link set proxy up");
        ip("addr add 10.0.0.1/24 dev left");
        ip("addr add 10.0.1.1/24 dev right");
        ip("addr add 10.0.0.5/32 dev right");
        ip("addr add 10.0.0.6/32 dev lo");
        ip("addr add 10.0.0.7/32 dev proxy");
        let mut kernel = kernel();
        let proxy = LinkName::new("proxy").unwrap();
        assert_eq!(kernel.link(&proxy).unwrap().kind, LinkKind::Dummy);
        let refused = kernel.install(&vip("10.0.0.5/32"), Lifetime::from_secs(10).unwrap());
        assert!(refused.unwrap_err().reason.contains("own address on right"));
        for text in ["10.0.0.6/32", "10.0.0.7/32"] {
            install(&mut kernel, &vip(text));
            kernel.withdraw(vip(text).address, &vip(text).link).unwrap();
        }
        assert!(ip("addr show lo").contains("10.0.0.6/32"), "never removed");
        assert!(ip("addr show proxy").contains("10.0.0.7/32"), "never removed");
    });
}

#[test]
fn on_lo_a_plain_host_address_is_taken_over_where_the_node_has_its_own_elsewhere() {
    let test = "on_lo_a_plain_host_address_is_taken_over_where_the_node_has_its_own_elsewhere";
    in_namespace(test, || {
        cable();
        ip("addr add 10.0.9.1/32 dev lo");
        let on_lo = |text| Vip { link: LinkName::new("lo").unwrap(), ..vip(text) };
        let mut kernel = kernel();
        let refused = kernel.install(&on_lo("10.0.9.1/32"), Lifetime::from_secs(10).unwrap());
        assert_eq!(
            refused.unwrap_err().class,
            Class::Misconfigured,
            "it may be the node's only one"
        );
        ip("addr add 10.0.0.1/24 dev left");
        ip("route add default via 10.0.0.254");
        eventually("it is told of", || told_of(&mut kernel, "10.0.9.1".parse().unwrap()));
        install(&mut kernel, &on_lo("10.0.9.1/32"));
        assert_eq!(owner(&mut kernel, "10.0.9.1"), Some(Owner::Viplet));
    });
}

/// Flushes `left`, on which the node and we have an address, puts ours back, then the node's.
fn flush(kernel: &mut Kernel, wanted: &Vip) {
    ip("addr add 10.0.0.1/24 dev left");
    install(kernel, wanted);
    assert_eq!(in_order()[0], "10.0.0.1/24");
    ip("addr flush dev left");
    assert_eq!(install(kernel, wanted), Placed::Added);
    assert_eq!(in_order(), ["10.0.0.5/32"], "it makes nothing a secondary");
    ip("addr add 10.0.0.1/24 dev left");
    install(kernel, wanted);
}

#[test]
fn after_a_flush_the_nodes_own_address_is_the_first_again() {
    in_namespace("after_a_flush_the_nodes_own_address_is_the_first_again", || {
        cable();
        sysctl("net.ipv4.conf.left.promote_secondaries", "0");
        let mut kernel = kernel();
        for text in ["10.0.0.5/32", "10.0.0.5/24"] {
            let wanted = vip(text);
            flush(&mut kernel, &wanted);
            assert_eq!(in_order(), ["10.0.0.1/24", text]);
            assert_eq!(install(&mut kernel, &wanted), Placed::Refreshed, "once is enough");
            kernel.withdraw(wanted.address, &wanted.link).unwrap();
            assert_eq!(in_order(), ["10.0.0.1/24"]);
            ip("addr flush dev left");
        }
    });
}

#[test]
fn an_address_that_was_there_before_the_nodes_own_lets_it_pass() {
    in_namespace("an_address_that_was_there_before_the_nodes_own_lets_it_pass", || {
        cable();
        sysctl("net.ipv4.conf.all.promote_secondaries", "0");
        sysctl("net.ipv4.conf.left.promote_secondaries", "0");
        let mut kernel = kernel();
        for text in ["10.0.0.5/24", "10.0.0.6/32"] {
            install(&mut kernel, &vip(text));
        }
        ip("addr add 10.0.0.1/24 dev left");
        assert!(ip("addr show left").contains("secondary"));
        for text in ["10.0.0.5/24", "10.0.0.6/32"] {
            install(&mut kernel, &vip(text));
        }
        assert_eq!(in_order(), ["10.0.0.1/24", "10.0.0.6/32", "10.0.0.5/24"]);
        let own = ip("addr show left to 10.0.0.1/32");
        assert!(!own.contains("secondary"), "{own}");
    });
}

#[test]
fn a_link_is_reported_with_its_alternative_names() {
    in_namespace("a_link_is_reported_with_its_alternative_names", || {
        cable();
        let mut kernel = kernel();
        let name = "an-alternative-name-that-is-longer-than-fifteen-bytes";
        ip(&format!("link property add dev left altname {name}"));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        eventually("it is told of", || {
            let mut told = false;
            while let std::task::Poll::Ready(notice) = kernel.poll_notice(&mut cx) {
                told |= matches!(&notice, Notice::Link(link) if link.altnames == [name]);
            }
            told
        });
        let links = kernel.observe().unwrap().links;
        let left = links.iter().find(|link| link.name.as_str() == "left").unwrap();
        assert_eq!(left.altnames, [name]);
    });
}
