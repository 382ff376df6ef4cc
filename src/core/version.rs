//! Versions of objects, and which of two of one object is the later.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `metadata.resourceVersion`, as small as it can be: there may be thousands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ResourceVersion {
    /// As API servers give it (KEP-5504).
    Number(u64),
    /// Opaque.
    Other(Box<str>),
}

impl ResourceVersion {
    /// Whether it is before `known`; what is no number is not.
    #[must_use]
    pub fn is_older(&self, known: &Self) -> bool {
        match (self, known) {
            (Self::Number(version), Self::Number(known)) => version < known,
            _ => is_older(&self.to_string(), &known.to_string()),
        }
    }
}

impl From<&str> for ResourceVersion {
    fn from(text: &str) -> Self {
        // Only what reads the same again.
        let number = text.parse().ok().map(Self::Number);
        match number.filter(|number| number.to_string() == text) {
            Some(number) => number,
            None => Self::Other(text.into()),
        }
    }
}

impl From<String> for ResourceVersion {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<ResourceVersion> for String {
    fn from(version: ResourceVersion) -> Self {
        version.to_string()
    }
}

impl fmt::Display for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Whether `version` is before `known`. Resource versions of one type can be compared as numbers
/// (KEP-5504); where they are not numbers, nothing counts as older.
#[must_use]
pub fn is_older(version: &str, known: &str) -> bool {
    // Of numbers without leading zeros the longer one is the greater, whatever its length.
    let is_number = |text: &str| {
        !text.is_empty()
            && (text == "0" || !text.starts_with('0'))
            && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let both = is_number(version) && is_number(known);
    both && (version.len(), version) < (known.len(), known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_written_back_as_it_was() {
        for text in ["", "0", "007", "+1", "18446744073709551615", "18446744073709551616", "opaque"]
        {
            assert_eq!(ResourceVersion::from(text).to_string(), text);
        }
    }

    #[test]
    fn versions_are_compared_as_numbers_and_what_is_none_is_never_older() {
        let long = "18446744073709551616";
        for older in [is_older, |a: &str, b: &str| ResourceVersion::from(a).is_older(&b.into())] {
            assert!(older("9", "10") && !older("10", "9") && !older("10", "10"));
            assert!(older("7", long) && !older(long, "7") && older(long, &format!("{long}0")));
            assert!(!older("9", "opaque") && !older("", "10") && !older("007", "10"));
        }
    }
}
