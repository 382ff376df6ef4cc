//! TLS as rustls wants it: whom to believe, what to show, and which name to ask for.

use std::path::Path;
use std::sync::Arc;

use futures_rustls::pki_types::pem::PemObject as _;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use futures_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use futures_rustls::rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use futures_rustls::rustls::crypto::{self, WebPkiSupportedAlgorithms};
use futures_rustls::rustls::server::ParsedCertificate;
use futures_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::access::{Access, AccessError, NameCheck, Origin, Trust};
use super::endpoint::{Endpoint, Host};
use super::kubeconfig::read_bounded;

/// Where distributions keep the system's authorities.
pub(super) const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The TLS settings for `access`.
///
/// # Errors
/// Names the file and the part of it that makes no sense.
pub(crate) fn client_config(access: &Access) -> Result<Arc<ClientConfig>, AccessError> {
    let provider = Arc::new(crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| malformed(access, "TLS", &error))?;
    let builder = match (&access.trust, &access.name_check) {
        (Trust::Anything, _) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Lenient { roots: None, algorithms })),
        (_, NameCheck::Any) => {
            let roots = Some(roots(access)?);
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Lenient { roots, algorithms }))
        }
        (_, _) => builder.with_root_certificates(roots(access)?),
    };
    let mut config = match &access.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = certificates(access, "client-certificate", &identity.chain)?;
            let key = PrivateKeyDer::from_pem_slice(&identity.key)
                .map_err(|error| malformed(access, "client-key", &error))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| malformed(access, "client-certificate and client-key", &error))?
        }
    };
    config.resumption = Resumption::in_memory_sessions(2);
    Ok(Arc::new(config))
}

/// The name to ask the server for, as `access` says.
///
/// # Errors
/// The name is neither a DNS name nor an address.
pub(crate) fn server_name(
    endpoint: &Endpoint,
    check: &NameCheck,
) -> Result<ServerName<'static>, String> {
    let name = match (check, &endpoint.host) {
        (NameCheck::Named(name), _) | (_, Host::Name(name)) => name.clone(),
        (_, Host::Address(address)) => return Ok(ServerName::IpAddress((*address).into())),
        (_, Host::Loopback) => "kubernetes".to_owned(),
    };
    ServerName::try_from(name.clone())
        .map_err(|_| format!("\"{name}\" is no name that a certificate can carry"))
}

fn roots(access: &Access) -> Result<RootCertStore, AccessError> {
    let found = match &access.trust {
        Trust::Authority(pem) => certificates(access, "certificate-authority", pem)?,
        Trust::System | Trust::Anything => system_authorities(access)?,
    };
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found);
    if usable == 0 {
        return Err(malformed(access, "certificate-authority", &"no usable certificate in it"));
    }
    Ok(roots)
}

fn system_authorities(access: &Access) -> Result<Vec<CertificateDer<'static>>, AccessError> {
    let bundle = SYSTEM_AUTHORITIES.iter().find_map(|path| read_bounded(Path::new(path)).ok());
    let bundle = bundle.ok_or_else(|| {
        malformed(
            access,
            "certificate-authority",
            &"it is missing, and this system has no file of authorities; name the cluster's",
        )
    })?;
    certificates(access, "the system's authorities", &bundle)
}

fn certificates(
    access: &Access,
    field: &str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, AccessError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Err(error) => Err(malformed(access, field, &error)),
        Ok(found) if found.is_empty() => Err(malformed(access, field, &"no PEM certificate in it")),
        Ok(found) => Ok(found),
    }
}

fn malformed(access: &Access, field: &str, text: &dyn std::fmt::Display) -> AccessError {
    let (path, field) = match (&access.origin, field) {
        (Origin::File(path), field) => (path.clone(), field.to_owned()),
        (Origin::ServiceAccount(folder), "certificate-authority") => {
            (folder.join("ca.crt"), String::new())
        }
        (Origin::ServiceAccount(folder), field) => (folder.clone(), field.to_owned()),
    };
    AccessError::Malformed { path, field, text: text.to_string() }
}

/// Checks the signatures and, where there are `roots`, the chain; never the name.
#[derive(Debug)]
struct Lenient {
    roots: Option<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let parsed = ParsedCertificate::try_from(certificate)?;
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
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
