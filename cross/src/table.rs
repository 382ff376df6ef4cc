//! The table of sizes, and its place in the documentation.

use std::collections::BTreeMap;

use crate::facts::Facts;

/// Where the table begins in a document.
pub const BEGIN: &str = "<!-- sizes: written by scripts/build --table -->";
/// Where it ends.
pub const END: &str = "<!-- end of sizes -->";

/// Sizes in bytes by target and set.
pub type Sizes = BTreeMap<(String, String), u64>;

/// One line per set, one column per target; each cell says what it is and what it may be.
#[must_use]
pub fn render(facts: &Facts, sizes: &Sizes) -> String {
    let mut text = String::from("| features |");
    for target in facts.target.values() {
        text += &format!(" {} |", target.platform.trim_start_matches("linux/"));
    }
    text += &format!("\n|---|{}\n", "---|".repeat(facts.target.len()));
    for (set, is) in &facts.set {
        text += &format!("| `{set}`: {} |", is.purpose);
        for (name, target) in &facts.target {
            let ceiling = target.ceiling.get(set).copied().map_or_else(String::new, megabytes);
            match sizes.get(&(name.clone(), set.clone())) {
                Some(size) => text += &format!(" {} of {ceiling} |", megabytes(*size)),
                None => text += &format!(" not built, at most {ceiling} |"),
            }
        }
        text.push('\n');
    }
    text
}

/// Millions of bytes, rounded up to two digits behind the point.
fn megabytes(bytes: u64) -> String {
    let hundredths = bytes.div_ceil(10_000);
    format!("{}.{:02} MB", hundredths / 100, hundredths % 100)
}

/// `document` with `table` between its marks.
///
/// # Errors
/// When a mark is missing.
pub fn insert(document: &str, table: &str) -> Result<String, String> {
    let (before, rest) =
        document.split_once(BEGIN).ok_or_else(|| format!("there is no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("there is no line {END}"))?;
    Ok(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_table_says_what_each_binary_is_and_what_it_may_be() {
        let facts = Facts::parse(include_str!("../targets.toml")).unwrap();
        let key = ("aarch64-unknown-linux-musl".to_owned(), "arp".to_owned());
        let text = render(&facts, &BTreeMap::from([(key, 1_234_567)]));
        assert!(text.contains("| 1.24 MB of "), "{text}");
        assert!(text.contains("not built"), "{text}");
        assert_eq!(text.lines().count(), 2 + facts.set.len());
    }

    #[test]
    fn a_table_takes_the_place_of_the_last_one() {
        let document = format!("a\n{BEGIN}\n\nold\n\n{END}\nb\n");
        let once = insert(&document, "new\n").unwrap();
        assert_eq!(once, format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n"));
        assert_eq!(insert(&once, "new\n").unwrap(), once);
    }

    #[test]
    fn a_document_without_the_marks_is_refused() {
        assert!(insert("a", "b").unwrap_err().contains("sizes"));
    }
}
