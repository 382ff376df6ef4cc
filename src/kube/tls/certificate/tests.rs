//! Certificates that rcgen makes, and bytes that are none.

use std::time::Duration;

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _, date_time_ymd};

use super::*;

fn days(days: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400)
}

#[test]
fn a_certificate_is_valid_between_its_two_times_and_at_no_other() {
    // The first year is a UTCTime, the second a GeneralizedTime.
    let mut params = CertificateParams::new(vec!["a".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2060, 1, 1);
    let key = KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap();
    let certificate = Certificate::read(der.der()).unwrap();
    assert_eq!(certificate.version, Version::Later);
    assert_eq!(certificate.public_key, key.subject_public_key_info());
    for (day, expected) in [
        (11_322, Err(CertificateError::NotValidYet)),
        (11_323, Ok(())),
        (32_872, Ok(())),
        (32_874, Err(CertificateError::Expired)),
    ] {
        assert_eq!(certificate.is_valid_at(days(day)), expected, "day {day}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(certificate) = Certificate::read(&bytes) {
            let _ = certificate.is_valid_at(days(1));
        }
    }

    #[test]
    fn a_certificate_that_was_cut_or_changed_is_read_or_refused(at in 0usize..300, byte in any::<u8>()) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(&key).unwrap();
        let mut der = certificate.der().to_vec();
        let at = at.min(der.len() - 1);
        der[at] = byte;
        for der in [&der[..], &der[..at]] {
            if let Some(certificate) = Certificate::read(der) {
                let _ = certificate.is_valid_at(days(1));
            }
        }
    }
}
