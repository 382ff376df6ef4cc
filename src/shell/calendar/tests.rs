//! Dates that are known, and every day of four centuries.

use super::*;

fn text(seconds: u64) -> String {
    Civil::at(Duration::from_secs(seconds)).rfc3339()
}

#[test]
fn known_moments_read_as_they_should() {
    assert_eq!(text(0), "1970-01-01T00:00:00Z");
    assert_eq!(text(951_782_399), "2000-02-28T23:59:59Z");
    assert_eq!(text(951_782_400), "2000-02-29T00:00:00Z");
    assert_eq!(text(951_868_800), "2000-03-01T00:00:00Z");
    assert_eq!(text(1_234_567_890), "2009-02-13T23:31:30Z");
    assert_eq!(text(4_107_542_400), "2100-03-01T00:00:00Z");
}

#[test]
fn every_day_of_four_centuries_follows_the_day_before() {
    let month_length = |year: u64, month: u64| match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let (mut year, mut month, mut day) = (1970, 1, 1);
    for number in 0..DAYS_IN_400_YEARS {
        let civil = Civil::at(Duration::from_secs(number * 86_400));
        assert_eq!((civil.year, civil.month, civil.day), (year, month, day));
        day += 1;
        if day > month_length(year, month) {
            (month, day) = (month + 1, 1);
        }
        if month > 12 {
            (year, month) = (year + 1, 1);
        }
    }
}

#[test]
fn the_end_of_the_clock_does_not_panic() {
    assert!(Civil::at(Duration::MAX).year > 2_000);
}

#[test]
fn microseconds_are_six_digits() {
    let civil = Civil::at(Duration::new(1_234_567_890, 123_000));
    assert_eq!(civil.rfc3339_micros(), "2009-02-13T23:31:30.000123Z");
}
