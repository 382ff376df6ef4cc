//! The model server's TLS: a certificate and a key from a folder, no client certificates.

use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_rustls::TlsAcceptor;
use futures_rustls::rustls::ServerConfig;
use futures_rustls::rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The acceptor for `tls.crt` and `tls.key` in `folder`.
pub(super) fn acceptor(folder: &Path) -> io::Result<TlsAcceptor> {
    let unusable = |name: &'static str| {
        move |error: rustls_pki_types::pem::Error| {
            io::Error::other(format!("{name} cannot be read as PEM: {error}"))
        }
    };
    let certificates = CertificateDer::pem_file_iter(folder.join("tls.crt"))
        .and_then(Iterator::collect)
        .map_err(unusable("tls.crt"))?;
    let key = PrivateKeyDer::from_pem_file(folder.join("tls.key")).map_err(unusable("tls.key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
