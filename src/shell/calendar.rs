//! Civil dates from the wall clock's seconds, in UTC, without a date library.
//!
//! The arithmetic counts years from 1 March, so that the leap day is the last day of the year,
//! and works in the Gregorian calendar's cycles of 400 years (146,097 days).

use std::time::{Duration, SystemTime};

/// A date and a time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// Year, 1970 or later.
    pub year: u64,
    /// 1..=12.
    pub month: u64,
    /// 1..=31.
    pub day: u64,
    /// 0..=23.
    pub hour: u64,
    /// 0..=59.
    pub minute: u64,
    /// 0..=59.
    pub second: u64,
    /// 0..=999,999.
    pub micros: u32,
}

const DAYS_IN_400_YEARS: u64 = 146_097;
/// Days from 1 March of the year 0 to 1 January 1970.
const DAYS_BEFORE_1970: u64 = 719_468;

impl Civil {
    /// The civil time at `since_1970`, a time since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn at(since_1970: Duration) -> Self {
        let seconds = since_1970.as_secs();
        let of_day = seconds % 86_400;
        let days = (seconds / 86_400).saturating_add(DAYS_BEFORE_1970);
        let cycle = days / DAYS_IN_400_YEARS;
        let day_of_cycle = days % DAYS_IN_400_YEARS;
        let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524
            - day_of_cycle / 146_096)
            / 365;
        let day_of_year =
            day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_cycle + cycle * 400 + u64::from(month <= 2);
        Self {
            year,
            month,
            day,
            hour: of_day / 3_600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            micros: since_1970.subsec_micros(),
        }
    }

    /// The wall clock's time now; a clock before 1970 reads as 1970.
    #[must_use]
    pub fn now() -> Self {
        Self::at(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }

    /// `2026-11-21T03:17:24Z` (RFC 3339).
    #[must_use]
    pub fn rfc3339(&self) -> String {
        let Self { year, month, day, hour, minute, second, .. } = self;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// `2026-11-21T03:17:24.000123Z`: RFC 3339 with microseconds, as Kubernetes' `MicroTime`.
    #[must_use]
    pub fn rfc3339_micros(&self) -> String {
        let Self { year, month, day, hour, minute, second, micros } = self;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

#[cfg(test)]
mod tests;
