//! The little of YAML that manifests need: text that users gave, and indentation.

use std::fmt::Write as _;

/// Words that YAML 1.1 or 1.2 reads as something else than text.
const NOT_TEXT: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "~"];

/// A text as YAML reads it back: plain where that is beyond doubt, else in double quotes.
pub(super) fn scalar(text: &str) -> String {
    let simple = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    // With two dots it is no number: an address or a version.
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        || text.starts_with(|c: char| c.is_ascii_digit()) && text.matches('.').count() > 1;
    let word = NOT_TEXT.iter().any(|word| word.eq_ignore_ascii_case(text));
    if starts && !word && text.chars().all(simple) { text.to_owned() } else { quoted(text) }
}

/// Every line moved to the right.
pub(super) fn indented(text: &str, columns: usize) -> String {
    let margin = " ".repeat(columns);
    text.lines().fold(String::new(), |mut moved, line| {
        let _ = writeln!(moved, "{margin}{line}");
        moved
    })
}

/// In double quotes, with JSON's escapes, which are YAML's too.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            // Also what YAML does not print: line separators, the byte order mark, and the like.
            c if c.is_control() || ('\u{2028}'..='\u{2029}').contains(&c) || c == '\u{feff}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
