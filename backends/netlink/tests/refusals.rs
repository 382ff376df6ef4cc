//! What the kernel refuses, and what the refusal says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use viplet_backend_api::{Class, DuplicateDetection, Lifetime, LinkName, Refusal, Scope, Tag, Vip};
use viplet_namespace::{cable, in_namespace, in_namespace_after, sysctl};
use viplet_netlink::Kernel;

fn install(address: &str, prefix_len: u8, link: &str) -> Result<(), Refusal> {
    let mut kernel = Kernel::open(Tag::DEFAULT).unwrap();
    kernel.observe().unwrap();
    let vip = Vip {
        address: address.parse().unwrap(),
        prefix_len,
        link: LinkName::new(link).unwrap(),
        presence: viplet_backend_api::Presence::OnLink,
        scope: Scope::Universe,
        duplicate_detection: DuplicateDetection::Skip,
    };
    kernel.install(&vip, Lifetime::from_secs(10).unwrap()).map(drop)
}

#[test]
fn a_missing_capability_is_named() {
    let without = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"];
    in_namespace_after("a_missing_capability_is_named", &without, || {
        for (address, prefix_len) in [("10.0.0.5", 32), ("fd00::5", 128)] {
            let refused = install(address, prefix_len, "lo").unwrap_err();
            assert_eq!(refused.class, Class::Forbidden);
            assert!(refused.reason.contains("the capability NET_ADMIN"), "{refused}");
        }
    });
}

#[test]
fn a_link_that_does_not_exist_is_waited_for() {
    in_namespace("a_link_that_does_not_exist_is_waited_for", || {
        let refused = install("10.0.0.5", 32, "nowhere").unwrap_err();
        assert_eq!(refused.class, Class::Lost);
        assert_eq!(
            refused.reason,
            "cannot put 10.0.0.5/32 on nowhere: no such device; the link does not exist: waiting for it"
        );
    });
}

#[test]
fn a_prefix_length_that_the_kernel_does_not_take_is_a_mistake_of_the_settings() {
    in_namespace(
        "a_prefix_length_that_the_kernel_does_not_take_is_a_mistake_of_the_settings",
        || {
            cable();
            for (address, prefix_len) in [("10.0.0.5", 33), ("fd00::5", 129)] {
                let refused = install(address, prefix_len, "left").unwrap_err();
                assert_eq!(refused.class, Class::Misconfigured, "{refused}");
                assert!(refused.reason.contains("prefix length"), "{refused}");
            }
        },
    );
}

#[test]
fn ipv6_switched_off_on_the_link_is_said() {
    in_namespace("ipv6_switched_off_on_the_link_is_said", || {
        cable();
        sysctl("net.ipv6.conf.left.disable_ipv6", "1");
        let refused = install("fd00::5", 128, "left").unwrap_err();
        assert_eq!(refused.class, Class::Misconfigured);
        assert!(refused.reason.contains("net.ipv6.conf.<link>.disable_ipv6"), "{refused}");
    });
}
