//! Points in time that are known.

use std::time::Duration;

use super::*;

fn at(seconds: u64, nanos: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)
}

#[test]
fn known_moments_read_as_they_should() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (951_868_800, "2000-03-01T00:00:00Z"),
        (1_234_567_890, "2009-02-13T23:31:30Z"),
        (1_709_251_199, "2024-02-29T23:59:59Z"),
        (1_735_689_599, "2024-12-31T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(rfc3339(at(seconds, 999_999_999)), text);
    }
}

#[test]
fn microseconds_are_always_six_digits_and_never_rounded_up() {
    assert_eq!(rfc3339_micros(at(1_234_567_890, 123_999)), "2009-02-13T23:31:30.000123Z");
    assert_eq!(rfc3339_micros(at(0, 0)), "1970-01-01T00:00:00.000000Z");
    assert_eq!(rfc3339_micros(at(59, 999_999_999)), "1970-01-01T00:00:59.999999Z");
}

#[test]
fn the_log_and_certificates_have_their_own_forms() {
    assert_eq!(go_log(at(1_234_567_890, 0)), "2009/02/13 23:31:30");
    assert_eq!(digits(at(1_234_567_890, 0)), "20090213233130");
}

#[test]
fn a_clock_that_is_set_far_beyond_all_calendars_still_has_a_text() {
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::MAX / 4);
    assert!(rfc3339(far).starts_with("9999-12-"), "{}", rfc3339(far));
    assert!(go_log(far).starts_with("9999/12/"), "{}", go_log(far));
}
