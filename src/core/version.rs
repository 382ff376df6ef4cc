//! Which of two versions of one object is the later.

/// Whether `version` is before `known`. Resource versions of one type can be compared as numbers
/// (KEP-5504); where they are not numbers, nothing counts as older.
#[must_use]
pub fn is_older(version: &str, known: &str) -> bool {
    match (version.parse::<u128>(), known.parse::<u128>()) {
        (Ok(version), Ok(known)) => version < known,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers_and_what_is_none_is_never_older() {
        assert!(is_older("9", "10") && !is_older("10", "9") && !is_older("10", "10"));
        assert!(!is_older("9", "opaque") && !is_older("", "10"));
    }
}
