//! Whose marks an instance of viplet puts on what it installs.

use crate::fnv1a;

/// The mark on everything that an instance installs (design law 4): `IFA_PROTO` of addresses,
/// `rtm_protocol` of routes. By it the instance knows, after a crash, what is its own. Instances
/// on one node may share one: what carries it and has a lifetime is left to the kernel, as another
/// instance may refresh it.
///
/// 118 is that of the instance without a name; those with one have 119 to 185 and 199 to 247.
/// Nobody else is known to use these. In `rtm_protocol` (`linux/rtnetlink.h`, iproute2's
/// `etc/iproute2/rt_protos`, FRR's `zebra/rt_netlink.h`, BIRD's `sysdep/linux/netlink.c`) the
/// kernel and boot scripts have 0 to 4, routing daemons 8 to 18, Babel 42, Calico 80, OVN 84,
/// Open/R 99, FRR's daemons 186 to 198; kube-vip's routing-table mode has 248. In `IFA_PROTO`
/// (`linux/if_addr.h`) the kernel has 1 to 3.
///
/// Names that had 186 to 250 before this gap was left free have another tag now. What a run from
/// before left under the old one is another's in our eyes: it is not removed, and goes by itself
/// when its lifetime ends, at most the lease's duration after that run; until then the address
/// cannot be installed on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u8);

impl Tag {
    /// Of the instance without a name.
    pub const DEFAULT: Self = Self(118);

    /// Of the instance `name`: the same on every run and every node. Two names may share a tag,
    /// one pair in about 100.
    #[must_use]
    pub fn of_instance(name: &str) -> Self {
        /// The first for names, and how many there were before the gap was left free.
        const FIRST: u8 = 119;
        const SPAN: u64 = 132;
        /// From here on they are moved into what is free above the gap.
        const GAP: u8 = 186;
        const ABOVE: u8 = 199;
        const FREE_ABOVE: u8 = 49;
        if name.is_empty() {
            return Self::DEFAULT;
        }
        // What it gives stays, since addresses outlive a program and its update.
        let hash = fnv1a(name.bytes());
        let tag = FIRST.saturating_add(u8::try_from(hash % SPAN).unwrap_or(0));
        match tag.checked_sub(GAP) {
            None => Self(tag),
            Some(beyond) => Self(ABOVE.saturating_add(beyond % FREE_ABOVE)),
        }
    }

    /// As the kernel has it.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_without_a_name_has_the_tag_that_it_always_had() {
        assert_eq!((Tag::of_instance(""), Tag::DEFAULT.value()), (Tag::DEFAULT, 118));
    }

    #[test]
    fn the_tag_of_a_name_never_changes() {
        let tags = ["blue", "green", "tenant-a", "tenant-b"].map(|n| Tag::of_instance(n).value());
        assert_eq!(tags, [136, 139, 158, 165]);
    }

    fn many() -> std::collections::BTreeSet<u8> {
        (0..5_000).map(|n| Tag::of_instance(&format!("instance-{n}")).value()).collect()
    }

    #[test]
    fn named_instances_use_their_whole_range_and_nothing_else() {
        assert_eq!(many(), (119..=185).chain(199..=247).collect());
    }

    /// The protocols of rtnetlink.h, rt_protos, FRR, BIRD, Calico, OVN and kube-vip; the kernel's
    /// origins of addresses are among them.
    #[test]
    fn no_tag_is_a_protocol_of_somebody_else() {
        let known = (0..=4).chain(8..=18).chain([42, 80, 84, 99]).chain(186..=198).chain([248]);
        let ours = many();
        for taken in known {
            assert!(taken != Tag::DEFAULT.value() && !ours.contains(&taken), "{taken}");
        }
    }

    #[test]
    fn names_whose_tag_was_somebody_elses_or_beyond_have_one_that_never_changes_either() {
        let tags = ["prod", "staging", "kube-system"].map(|n| Tag::of_instance(n).value());
        assert_eq!(tags, [203, 205, 246]);
    }
}
