//! Tests of what a terminal is given.

use super::*;

#[test]
fn what_a_terminal_acts_on_is_written_out_and_lines_stay_lines() {
    assert_eq!(
        printable("a\u{1b}[2J\u{9b}b\r\u{202e}\u{7f}\n\té\u{1f600}\n"),
        "a\\u001b[2J\\u009bb\\u000d\\u202e\\u007f\n\té\u{1f600}\n"
    );
}

#[test]
fn json_stays_the_same_document() {
    let letters = "\u{7f}\u{85}\u{9b}\u{2028}\u{202e}";
    let document = serde_json::to_string(letters).unwrap();
    assert_eq!(serde_json::from_str::<String>(&printable(&document)).unwrap(), letters);
}

#[test]
fn what_is_said_is_harmless_and_a_closed_pipe_is_no_failure() {
    let mut said = Vec::new();
    say(&mut said, "held by \u{1b}[2Jn1\n");
    assert_eq!(String::from_utf8(said).unwrap(), "held by \\u001b[2Jn1\n");
    let (reader, mut writer) = std::io::pipe().unwrap();
    drop(reader);
    say(&mut writer, "nobody reads this");
}
