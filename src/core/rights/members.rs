//! What one Lease decides about: nearly always one address, for the Lease for all thousands.

use std::collections::{BTreeSet, btree_set};

use super::subject::Subject;

/// The subjects of one Lease, in order. One alone takes no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Members {
    /// None.
    #[default]
    None,
    /// One.
    One(Subject),
    /// Several.
    Many(BTreeSet<Subject>),
}

impl Members {
    /// One more.
    pub(crate) fn insert(&mut self, subject: Subject) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(subject),
            Self::One(known) if known == subject => Self::One(known),
            Self::One(known) => Self::Many(BTreeSet::from([known, subject])),
            Self::Many(mut known) => {
                known.insert(subject);
                Self::Many(known)
            }
        };
    }

    /// One less.
    pub(crate) fn remove(&mut self, subject: &Subject) {
        match self {
            Self::One(known) if known == subject => *self = Self::None,
            Self::Many(known) => {
                known.remove(subject);
                if known.len() <= 1 {
                    *self = known.pop_first().map_or(Self::None, Self::One);
                }
            }
            Self::None | Self::One(_) => {}
        }
    }

    /// How many there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Many(known) => known.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is one of them.
    #[must_use]
    pub(crate) fn contains(&self, subject: &Subject) -> bool {
        match self {
            Self::None => false,
            Self::One(known) => known == subject,
            Self::Many(known) => known.contains(subject),
        }
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> Iter<'_> {
        match self {
            Self::None => Iter::Few(None),
            Self::One(known) => Iter::Few(Some(known)),
            Self::Many(known) => Iter::Many(known.iter()),
        }
    }
}

/// Goes through [`Members`].
pub(crate) enum Iter<'a> {
    Few(Option<&'a Subject>),
    Many(btree_set::Iter<'a, Subject>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Subject;

    fn next(&mut self) -> Option<&'a Subject> {
        match self {
            Self::Few(one) => one.take(),
            Self::Many(rest) => rest.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn members_come_and_go_one_by_one_and_stay_in_order() {
        let subject = |n: u8| Subject::Address(IpAddr::from([192, 0, 2, n]));
        let mut members = Members::default();
        for n in [3, 1, 2, 2] {
            members.insert(subject(n));
        }
        assert!(members.iter().eq(&[subject(1), subject(2), subject(3)]));
        assert!(members.contains(&subject(2)) && !members.contains(&subject(4)));
        members.remove(&subject(2));
        members.remove(&subject(4));
        members.remove(&subject(1));
        assert_eq!(members, Members::One(subject(3)));
        members.remove(&subject(1));
        members.remove(&subject(3));
        assert!(members.is_empty());
    }
}
