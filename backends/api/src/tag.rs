//! Whose marks an instance of viplet puts on what it installs.

/// The mark on every address that an instance installs (`IFA_PROTO`, design law 4): by it the
/// instance knows, after a crash, what is its own. Instances on one node need different ones, or
/// each would remove the addresses of the others as left behind.
///
/// 118 is that of the instance without a name; those with one have 119 to 250. The lower values
/// are left to the kernel (which uses 1 to 3) and to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u8);

impl Tag {
    /// Of the instance without a name.
    pub const DEFAULT: Self = Self(118);
    const FIRST: u8 = 119;
    const LAST: u8 = 250;

    /// Of the instance `name`: the same on every run and every node. Two names may share a tag,
    /// one pair in 132.
    #[must_use]
    pub fn of_instance(name: &str) -> Self {
        if name.is_empty() {
            return Self::DEFAULT;
        }
        // FNV-1a: what it gives stays, since addresses outlive a program and its update.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        let tags = u64::from(Self::LAST - Self::FIRST) + 1;
        let offset = u8::try_from(hash % tags).unwrap_or(0);
        Self(Self::FIRST.saturating_add(offset))
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

    #[test]
    fn named_instances_use_their_whole_range_and_nothing_else() {
        let tags: std::collections::BTreeSet<u8> =
            (0..5_000).map(|n| Tag::of_instance(&format!("instance-{n}")).value()).collect();
        assert_eq!(tags, (119..=250).collect());
    }
}
