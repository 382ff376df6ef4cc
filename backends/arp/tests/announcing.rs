//! The backend on the real kernel: what goes out on the wire, and what is heard.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../netlink/tests/namespace/mod.rs"]
mod namespace;

use namespace::{cable, in_namespace, ip};
use viplet_arp::Arp;
use viplet_backend_api::{Backend, Command, DuplicateDetection, Lifetime, LinkName, Scope, Vip};

fn vip(address: &str, prefix_len: u8) -> Vip {
    Vip {
        address: address.parse().unwrap(),
        prefix_len,
        link: LinkName::new("left").unwrap(),
        scope: Scope::Universe,
        duplicate_detection: DuplicateDetection::Skip,
    }
}

#[test]
fn an_address_is_installed_announced_and_withdrawn() {
    in_namespace("an_address_is_installed_announced_and_withdrawn", || {
        cable();
        let mut arp = Arp::open().unwrap();
        arp.observe().unwrap();
        for vip in [vip("10.0.0.5", 32), vip("fd00::5", 128)] {
            let lifetime = Lifetime::from_secs(15).unwrap();
            arp.apply(&Command::Install { vip: vip.clone(), lifetime }).unwrap();
            assert!(ip("addr show left").contains(&vip.address.to_string()));
            arp.apply(&Command::Announce { vip: vip.clone() }).unwrap();
            arp.apply(&Command::Withdraw { vip: vip.clone() }).unwrap();
            assert!(!ip("addr show left").contains(&vip.address.to_string()));
        }
    });
}
