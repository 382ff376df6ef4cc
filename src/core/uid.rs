//! `metadata.uid`, as small as it can be: there may be thousands.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which object of all that ever had its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Uid {
    /// As the API server gives it (RFC 9562), as a number.
    Uuid([u8; 16]),
    /// In any other form.
    Other(Box<str>),
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let uuid = u128::from_str_radix(&digits, 16).ok().map(|n| Self::Uuid(n.to_be_bytes()));
        // Only what reads the same again.
        match uuid.filter(|uuid| uuid.to_string() == text) {
            Some(uuid) => uuid,
            None => Self::Other(text.into()),
        }
    }
}

impl From<String> for Uid {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.to_string()
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = match self {
            Self::Other(text) => return f.write_str(text),
            Self::Uuid(bytes) => u128::from_be_bytes(*bytes),
        };
        let part = |shift: u32, bits: u32| number >> shift & ((1 << bits) - 1);
        let (first, second, third) = (part(96, 32), part(80, 16), part(64, 16));
        write!(f, "{first:08x}-{second:04x}-{third:04x}-{:04x}-{:012x}", part(48, 16), part(0, 48))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_written_back_as_it_was_whatever_its_form() {
        for uid in [
            "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
            "00000000-0000-0000-0000-000000000000",
            "6BA7B810-9DAD-41D1-80B4-00C04FD430C8",
            "6ba7b8109dad41d180b400c04fd430c8",
            "u-1",
            "+1",
            "",
            "\u{e9}",
        ] {
            assert_eq!(Uid::from(uid).to_string(), uid);
        }
        let uuid = Uid::from("6ba7b810-9dad-41d1-80b4-00c04fd430c8");
        assert!(matches!(uuid, Uid::Uuid(_)), "{uuid:?}");
    }
}
