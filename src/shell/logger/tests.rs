//! The form of a line, and what a hostile message cannot do.

use std::time::Duration;

use super::*;

fn at_some_time(level: Level, message: &str) -> String {
    line(SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890), level, message)
}

#[test]
fn a_line_has_the_form_of_slog() {
    let line = at_some_time(Level::Info, "lease acquired lease=kube-system/plndr-cp-lock");
    assert_eq!(line, "2009/02/13 23:31:30 INFO lease acquired lease=kube-system/plndr-cp-lock\n");
}

#[test]
fn a_record_is_one_line_whatever_it_contains() {
    let hostile = "a\nb\r\nc\u{2028}d\u{85}e\u{1b}[2Jf\0g\u{202e}h\tä";
    let line = at_some_time(Level::Warn, hostile);
    assert_eq!(line.lines().count(), 1);
    assert!(
        line.ends_with("WARN a\\nb\\r\\nc\\u{2028}d\\u{85}e\\u{1b}[2Jf\\u{0}g\\u{202e}h\\tä\n"),
        "{line}"
    );
}

#[test]
fn an_endless_message_is_cut() {
    for hostile in ["ä", "\u{202e}", "\n"] {
        let line = at_some_time(Level::Error, &hostile.repeat(1_000_000));
        assert!(line.len() <= pipe::AT_ONCE, "{}", line.len());
        let bytes = hostile.len() * 1_000_000;
        assert!(line.ends_with(&format!("… ({bytes} bytes in all)\n")), "{line}");
    }
}

#[test]
fn thresholds_are_slog_levels() {
    for (threshold, expected) in [
        (i32::MIN, LevelFilter::Trace),
        (-8, LevelFilter::Trace),
        (-5, LevelFilter::Debug),
        (-4, LevelFilter::Debug),
        (-3, LevelFilter::Info),
        (0, LevelFilter::Info),
        (1, LevelFilter::Warn),
        (4, LevelFilter::Warn),
        (5, LevelFilter::Error),
        (8, LevelFilter::Error),
        (9, LevelFilter::Off),
        (i32::MAX, LevelFilter::Off),
    ] {
        assert_eq!(filter(threshold), expected, "{threshold}");
    }
}
