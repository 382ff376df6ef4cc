//! What is printed may come from a server or a file that somebody else wrote: a terminal acts on
//! none of it.

use std::io::Write;

use crate::shell::logger::acts_on_a_terminal;

/// Writes a text so that no terminal acts on it. A closed pipe is not worth a word.
pub(super) fn say(to: &mut dyn Write, text: &str) {
    let _ = to.write_all(printable(text).as_bytes());
}

/// The text with its newlines and tabs; other letters that a terminal acts on become `\u001b`, which
/// JSON reads as the same letter.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if acts_on_a_terminal(letter) && !matches!(letter, '\n' | '\t') {
            out.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests;
