//! Points in time as text, in UTC: as Kubernetes writes them, and as the log does.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::Offset;

/// `2026-11-21T03:17:24Z`: RFC 3339 with whole seconds, as `metav1.Time`.
#[must_use]
pub(crate) fn rfc3339(at: SystemTime) -> String {
    DateTimePrinter::new().precision(Some(0)).timestamp_to_string(&timestamp(at))
}

/// `2026-11-21T03:17:24.000123Z`: RFC 3339 with microseconds, as `metav1.MicroTime`.
#[must_use]
pub(crate) fn rfc3339_micros(at: SystemTime) -> String {
    DateTimePrinter::new().precision(Some(6)).timestamp_to_string(&timestamp(at))
}

/// `2026/11/21 03:17:24`: as Go's `log` package writes it.
#[must_use]
pub(crate) fn go_log(at: SystemTime) -> String {
    let at = Offset::UTC.to_datetime(timestamp(at));
    let (year, month, day) = (at.year(), at.month(), at.day());
    let (hour, minute, second) = (at.hour(), at.minute(), at.second());
    format!("{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `20261121031724`: text that sorts as the points in time do, for comparison with the times in
/// certificates (X.680's `GeneralizedTime` without its `Z`).
#[must_use]
pub(crate) fn digits(at: SystemTime) -> String {
    go_log(at).replace(['/', ':', ' '], "")
}

/// A clock that is set beyond what a calendar knows reads as its last second.
fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::try_from(at).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
