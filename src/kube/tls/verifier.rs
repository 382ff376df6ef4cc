//! Whether a server's certificate is believed: who signed it, and which names it carries.

use std::time::{Duration, SystemTime};

use futures_rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use futures_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use futures_rustls::rustls::client::{
    verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use futures_rustls::rustls::crypto::{self, WebPkiSupportedAlgorithms};
use futures_rustls::rustls::server::ParsedCertificate;
use futures_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::certificate::Certificate;

/// Checks a server's certificate, and in any case that the server has its key.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) trusted: Trusted,
    pub(super) names: Names,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

/// Whose certificates are believed.
#[derive(Debug)]
pub(super) enum Trusted {
    /// Anybody's (`insecure-skip-tls-verify`).
    Anything,
    /// Those that one of these signed, and these themselves: a field for authorities may hold the
    /// server's own certificate, as Go accepts it (`crypto/x509`: a leaf that is among the roots).
    These {
        /// As authorities.
        roots: RootCertStore,
        /// As they are.
        themselves: Vec<CertificateDer<'static>>,
    },
}

/// Which names the certificate must carry.
#[derive(Debug)]
pub(super) enum Names {
    /// None is asked for.
    Any,
    /// The one that the server is asked by.
    Asked,
    /// One of these.
    OneOf(Vec<ServerName<'static>>),
}

impl Names {
    /// The first error is the one that is told.
    fn check(
        &self,
        certificate: &ParsedCertificate<'_>,
        asked: &ServerName<'_>,
    ) -> Result<(), Error> {
        match self {
            Self::Any => Ok(()),
            Self::Asked => verify_server_name(certificate, asked),
            Self::OneOf(names) => {
                let mut outcomes = names.iter().map(|name| verify_server_name(certificate, name));
                match outcomes.next() {
                    Some(Err(error)) if !outcomes.any(|outcome| outcome.is_ok()) => Err(error),
                    _ => Ok(()),
                }
            }
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        asked: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Trusted::These { roots, themselves } = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.algorithms.all;
        let signed = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            roots,
            intermediates,
            now,
            algorithms,
        );
        match signed {
            Err(_) if themselves.contains(certificate) => is_valid_at(certificate, now)?,
            signed => signed?,
        }
        self.names.check(&parsed, asked)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn is_valid_at(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
    let read = Certificate::read(certificate).ok_or(CertificateError::BadEncoding)?;
    Ok(read.is_valid_at(now)?)
}
