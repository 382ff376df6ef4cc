//! Whole numbers, in their limits.

use std::ops::RangeInclusive;

use super::{Parsed, Value};
use crate::config::setting::{Outside, Setting};

/// Milliseconds. Below this, kube-vip does not announce.
const FASTEST_ANNOUNCEMENT: i64 = 500;
/// What it does instead, and the default.
const USUAL_ANNOUNCEMENT: i64 = 3000;
/// The longest pause between two announcements, in milliseconds: 24 days.
const SLOWEST_ANNOUNCEMENT: i64 = i32::MAX as i64;

/// A whole number; out of `range`, what the setting says becomes of it.
pub(super) fn integer(
    setting: &Setting,
    text: &str,
    range: RangeInclusive<i64>,
) -> Result<Parsed, String> {
    let (min, max) = (*range.start(), *range.end());
    let accepted = format!("accepted: a whole number from {min} to {max}");
    let value: i64 = text.parse().map_err(|_| format!("not a whole number; {accepted}"))?;
    let instead = match setting.outside {
        _ if range.contains(&value) => return Ok(Value::Integer(value).into()),
        Outside::Refused => return Err(format!("out of range; {accepted}")),
        Outside::Nearest => value.clamp(min, max),
        Outside::Default => setting.default.parse().unwrap_or(min),
    };
    let warning = format!("out of range; {accepted}; {instead} is used");
    Ok(Parsed::instead(Value::Integer(instead), warning))
}

/// A port that needs no privilege, or 0 for none.
pub(super) fn high_port(text: &str) -> Result<Parsed, String> {
    let accepted = "not usable; accepted: 0 (off), or a port from 1024 to 65535";
    match text.parse::<i64>() {
        Ok(port) if port == 0 || (1024..=65_535).contains(&port) => Ok(Value::Integer(port).into()),
        // kube-vip goes on without the probe.
        Ok(port) if port > 65_535 => {
            Ok(Parsed::instead(Value::Integer(0), format!("{accepted}; it is off")))
        }
        _ => Err(accepted.into()),
    }
}

/// Milliseconds between two announcements, with kube-vip's own lower limit.
pub(super) fn announce_interval(text: &str) -> Result<Parsed, String> {
    let value: i64 = text.parse().map_err(|_| {
        format!(
            "not a number of milliseconds; accepted: a whole number from \
             {FASTEST_ANNOUNCEMENT} to {SLOWEST_ANNOUNCEMENT}"
        )
    })?;
    let (used, wrong) = match value {
        ..FASTEST_ANNOUNCEMENT => (USUAL_ANNOUNCEMENT, "less than 500"),
        FASTEST_ANNOUNCEMENT..=SLOWEST_ANNOUNCEMENT => return Ok(Value::Integer(value).into()),
        _ => (SLOWEST_ANNOUNCEMENT, "too much"),
    };
    let warning = format!("{value} ms is {wrong}; {used} ms is used");
    Ok(Parsed::instead(Value::Integer(used), warning))
}

/// A number as Go's flags take it, `0x1F`, `0b11`, `0o17`, `017`, `1_000`, in decimal digits; other text
/// as it is. Variables take decimal digits only.
pub(in crate::config) fn from_flag(text: &str) -> String {
    decimal(text).map_or_else(|| text.to_owned(), |number| number.to_string())
}

/// Go's `strconv.ParseInt` with base 0.
fn decimal(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1) {
        Some(("-", digits)) => ("-", digits),
        Some(("+", digits)) => ("", digits),
        _ => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.split_at_checked(2) {
        Some(("0x", digits)) => (16, digits),
        Some(("0b", digits)) => (2, digits),
        Some(("0o", digits)) => (8, digits),
        Some(("0_", digits)) => (8, digits),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, lower.as_str()),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with('+') || digits.starts_with('-') {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), radix).ok()
}
