//! The log: one line per record to stderr, in the form of Go's slog text that kube-vip writes,
//! `YYYY/MM/DD HH:MM:SS LEVEL message`, in UTC.
//!
//! The threshold is a slog level (`vip_loglevel`): -4 debug, 0 info, 4 warn, 8 error. A record is
//! written when its level is at least the threshold, so 5 hides info and warn. It can be changed
//! at any time with [`set_threshold`].

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::pipe;
use crate::dates::go_log;

/// A message is cut where its line gets longer: what a peer sends us must not flood the log, and
/// a line must fit into a pipe at once.
const LONGEST: usize = pipe::AT_ONCE - 64;

struct Logger;

/// Lines that nobody read.
static LOST: AtomicU64 = AtomicU64::new(0);

static LOGGER: Logger = Logger;

/// Makes this the process's logger; a second call only sets the threshold.
pub fn install(threshold: i32) {
    // The only error says that a logger is there already: ours, or a test's.
    let _ = log::set_logger(&LOGGER);
    set_threshold(threshold);
}

/// Changes which records are written (`vip_loglevel`, a slog level).
pub fn set_threshold(threshold: i32) {
    log::set_max_level(filter(threshold));
}

/// The records that a slog threshold lets through.
#[must_use]
pub fn filter(threshold: i32) -> LevelFilter {
    match threshold {
        ..=-8 => LevelFilter::Trace,
        -7..=-4 => LevelFilter::Debug,
        -3..=0 => LevelFilter::Info,
        1..=4 => LevelFilter::Warn,
        5..=8 => LevelFilter::Error,
        9.. => LevelFilter::Off,
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            write(&line(SystemTime::now(), record.level(), &record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// Each line in one write, so that lines of several processes do not mix.
fn write(text: &str) {
    let lost = LOST.swap(0, Ordering::Relaxed);
    if lost > 0 {
        let note = format!("{lost} lines are missing here: nobody read the log");
        if pipe::offer(std::io::stderr(), line(SystemTime::now(), Level::Warn, &note).as_bytes())
            .is_err()
        {
            LOST.fetch_add(lost + 1, Ordering::Relaxed);
            return;
        }
    }
    if pipe::offer(std::io::stderr(), text.as_bytes()).is_err() {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

fn line(now: SystemTime, level: Level, message: &str) -> String {
    let mut line = format!("{} {level} ", go_log(now));
    escape(message, &mut line);
    line.push('\n');
    line
}

/// Whatever a message contains, it stays one line, and no terminal acts on it.
fn escape(message: &str, line: &mut String) {
    for c in message.chars() {
        if line.len() >= LONGEST {
            let _ = write!(line, "… ({} bytes in all)", message.len());
            return;
        }
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if acts_on_a_terminal(c) => {
                let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
            }
            c => line.push(c),
        }
    }
}

/// Whether a terminal does something else than to show this letter: control characters, Unicode's
/// line and paragraph separators and its bidirectional controls.
#[must_use]
pub fn acts_on_a_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests;
