//! TLS as rustls wants it: whom to believe, what to show, and which name to ask for.

mod certificate;
mod verifier;

use std::path::Path;
use std::sync::Arc;

use futures_rustls::pki_types::pem::PemObject as _;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use futures_rustls::rustls::client::Resumption;
use futures_rustls::rustls::crypto::{self, CryptoProvider};
use futures_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use futures_rustls::rustls::{ClientConfig, Error, InconsistentKeys, RootCertStore};

use super::access::{Access, AccessError, Identity, NameCheck, Origin, Trust};
use super::endpoint::{Endpoint, Host};
use super::kubeconfig::read_bounded;
use certificate::{Certificate, Version};
use verifier::{Names, Trusted, Verifier};

/// Where distributions keep the system's authorities.
pub(super) const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A field with more certificates than this holds authorities, and not a server's own certificate.
const MOST_THEMSELVES: usize = 16;

/// The TLS settings for `access`.
///
/// # Errors
/// Names the file and the part of it that makes no sense.
pub(crate) fn client_config(access: &Access) -> Result<Arc<ClientConfig>, AccessError> {
    let provider = Arc::new(crypto::ring::default_provider());
    let verifier = Verifier {
        trusted: trusted(access)?,
        names: names(access)?,
        algorithms: provider.signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| malformed(access, "TLS", &error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &access.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let shown = shown(access, identity, &provider)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
        }
    };
    config.resumption = Resumption::in_memory_sessions(2);
    Ok(Arc::new(config))
}

/// The client certificate with its key. Not rustls' own `with_client_auth_cert`: that refuses
/// certificates of version 1, which Go's clients and servers accept.
fn shown(
    access: &Access,
    identity: &Identity,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, AccessError> {
    let chain = certificates(access, "client-certificate", &identity.chain)?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key)
        .map_err(|error| malformed(access, "client-key", &error))?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| malformed(access, "client-key", &error))?;
    let shown = CertifiedKey::new(chain, key);
    match keys_match(&shown) {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(shown),
        Err(error) => Err(malformed(access, "client-certificate and client-key", &error)),
    }
}

fn keys_match(shown: &CertifiedKey) -> Result<(), Error> {
    match Certificate::read(shown.end_entity_cert()?) {
        Some(read) if read.version == Version::V1 => match shown.key.public_key() {
            Some(key) if key.as_ref() != read.public_key => {
                Err(InconsistentKeys::KeyMismatch.into())
            }
            _ => Ok(()),
        },
        _ => shown.keys_match(),
    }
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

fn names(access: &Access) -> Result<Names, AccessError> {
    match &access.name_check {
        NameCheck::Any => Ok(Names::Any),
        NameCheck::Endpoint | NameCheck::Named(_) => Ok(Names::Asked),
        NameCheck::OneOf(names) => {
            let name = |name: &String| {
                ServerName::try_from(name.clone()).map_err(|_| {
                    malformed(
                        access,
                        "server",
                        &format!("\"{name}\" is no name that a certificate can carry"),
                    )
                })
            };
            names.iter().map(name).collect::<Result<_, _>>().map(Names::OneOf)
        }
    }
}

fn trusted(access: &Access) -> Result<Trusted, AccessError> {
    let themselves = match &access.trust {
        Trust::Anything => return Ok(Trusted::Anything),
        Trust::Authority(pem) => certificates(access, "certificate-authority", pem)?,
        Trust::System => system_authorities(access)?,
    };
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(themselves.iter().cloned());
    if usable == 0 {
        return Err(malformed(access, "certificate-authority", &"no usable certificate in it"));
    }
    // A bundle of a hundred authorities is not kept a second time in memory.
    let themselves = if themselves.len() > MOST_THEMSELVES { Vec::new() } else { themselves };
    Ok(Trusted::These { roots, themselves })
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
