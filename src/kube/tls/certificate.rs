//! Two things in a certificate (X.509, RFC 5280 §4.1) that webpki does not tell: its validity, and
//! the public key of one of version 1, which webpki does not read at all.
//!
//! ```text
//! Certificate ::= SEQUENCE { TBSCertificate ::= SEQUENCE {
//!     [0] version    absent in version 1
//!     serialNumber, signature, issuer,
//!     validity       SEQUENCE { notBefore, notAfter }
//!     subject,
//!     subjectPublicKeyInfo … }, … }
//! ```

use std::time::SystemTime;

use futures_rustls::rustls::CertificateError;

use crate::dates;

/// Of versions 2 and 3: `[0]`, constructed.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Which version of X.509 a certificate is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Without extensions: `openssl x509 -req` makes such ones, and MicroK8s did.
    V1,
    /// 2 or 3.
    Later,
}

/// The parts of a certificate that are read here.
pub(super) struct Certificate<'a> {
    pub(super) version: Version,
    /// The whole `SubjectPublicKeyInfo`, as DER.
    pub(super) public_key: &'a [u8],
    /// Both times.
    validity: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads a certificate in DER; `None` where it is none.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut input = der;
        let mut certificate = Element::read(&mut input)?.contents;
        let mut fields = Element::read(&mut certificate)?.contents;
        let first = Element::read(&mut fields)?;
        let version = if first.tag == VERSION { Version::Later } else { Version::V1 };
        if version == Version::Later {
            let _serial_number = Element::read(&mut fields)?;
        }
        let _signature = Element::read(&mut fields)?;
        let _issuer = Element::read(&mut fields)?;
        let validity = Element::read(&mut fields)?.contents;
        let _subject = Element::read(&mut fields)?;
        let public_key = Element::read(&mut fields)?.whole;
        Some(Self { version, public_key, validity })
    }

    /// Whether `now` is between its two times.
    ///
    /// # Errors
    /// It is not valid yet, not valid any more, or its times make no sense.
    pub(super) fn is_valid_at(&self, now: SystemTime) -> Result<(), CertificateError> {
        let mut times = self.validity;
        let mut next = || Element::read(&mut times).and_then(|time| time.digits());
        let (Some(from), Some(until)) = (next(), next()) else {
            return Err(CertificateError::BadEncoding);
        };
        let now = dates::digits(now);
        if now < from {
            Err(CertificateError::NotValidYet)
        } else if now > until {
            Err(CertificateError::Expired)
        } else {
            Ok(())
        }
    }
}

/// One element of DER (X.690 §8.1): tag, length, contents.
struct Element<'a> {
    tag: u8,
    contents: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first element of `input`, which begins after it from then on.
    fn read(input: &mut &'a [u8]) -> Option<Self> {
        let all = *input;
        let (tag, rest) = all.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), rest),
            long @ 0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        let whole = all.get(..all.len() - rest.len())?;
        *input = rest;
        Some(Self { tag: *tag, contents, whole })
    }

    /// A time as `YYYYMMDDHHMMSS`.
    fn digits(&self) -> Option<String> {
        let text = std::str::from_utf8(self.contents).ok()?.strip_suffix('Z')?;
        let digits = match self.tag {
            // RFC 5280 §4.1.2.5.1: years from 1950 to 2049.
            UTC_TIME if text < "50" => format!("20{text}"),
            UTC_TIME => format!("19{text}"),
            GENERALIZED_TIME => text.to_owned(),
            _ => return None,
        };
        (digits.len() == 14 && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(digits)
    }
}

#[cfg(test)]
mod tests;
