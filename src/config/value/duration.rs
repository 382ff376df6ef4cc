//! Lengths of time as Go writes them.

use std::fmt;
use std::time::Duration;

/// Go's `time.ParseDuration`: `300ms`, `1.5h`, `2h45m`; not negative.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "not a length of time; accepted: 300ms, 1.5s, 2m30s, 0".to_owned();
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at_checked(digits).ok_or_else(wrong)?;
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters).ok_or_else(wrong)?;
        let nanoseconds = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(wrong()),
        };
        let part = decimal(number, nanoseconds).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = tail;
    }
    // Go's limit: an i64 of nanoseconds.
    if total.as_nanos() > i64::MAX as u128 {
        return Err(wrong());
    }
    Ok(total)
}

/// The largest unit that leaves no remainder.
pub(super) fn write(f: &mut fmt::Formatter<'_>, value: Duration) -> fmt::Result {
    let nanoseconds = value.as_nanos();
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];
    match units.iter().find(|(size, _)| nanoseconds.is_multiple_of(*size)) {
        Some((size, unit)) => write!(f, "{}{unit}", nanoseconds / size),
        None => write!(f, "0s"),
    }
}

/// `1.5` units of so many nanoseconds.
fn decimal(number: &str, unit: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanoseconds = whole.checked_mul(unit)?;
    let mut weight = unit;
    for digit in fraction.bytes() {
        weight /= 10;
        nanoseconds = nanoseconds.checked_add(u64::from(digit.checked_sub(b'0')?) * weight)?;
    }
    Some(Duration::from_nanos(nanoseconds))
}
