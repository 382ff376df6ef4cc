//! The certificates of one API server: an authority, the server's own, any user's.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

/// A certificate authority whose files lie in one folder.
pub(super) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes one; its certificate is `ca.crt`.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("viplet test authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = new_key()?;
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        fs::write(folder.join("ca.crt"), certificate.pem())?;
        Ok(Self { folder: folder.to_owned(), issuer: Issuer::new(params, key) })
    }

    /// The file with its own certificate.
    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// A certificate for a server with these addresses and names.
    pub(super) fn server(&self, addresses: &[IpAddr], names: &[&str]) -> io::Result<Identity> {
        let addresses = addresses.iter().map(IpAddr::to_string);
        let all: Vec<String> = addresses.chain(names.iter().map(|n| (*n).to_owned())).collect();
        let mut params = CertificateParams::new(all).map_err(io::Error::other)?;
        params.distinguished_name = named("kube-apiserver", &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&params, "server")
    }

    /// A certificate for a user; Kubernetes takes the common name as user, organisations as groups.
    pub(super) fn user(&self, user: &str, groups: &[&str]) -> io::Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(user, groups);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params, &format!("user-{}", file_name(user)))
    }

    fn issue(&self, params: &CertificateParams, name: &str) -> io::Result<Identity> {
        let key = new_key()?;
        let issued = params.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        let file = |extension: &str| self.folder.join(format!("{name}.{extension}"));
        let identity = Identity { certificate: file("crt"), key: file("key") };
        fs::write(&identity.certificate, issued.pem())?;
        fs::write(&identity.key, key.serialize_pem())?;
        Ok(identity)
    }
}

/// A key pair for ServiceAccount tokens: `service-accounts.key` and `service-accounts.pub`.
pub(super) fn write_token_keys(folder: &Path) -> io::Result<()> {
    let pair = new_key()?;
    fs::write(folder.join("service-accounts.key"), pair.serialize_pem())?;
    fs::write(folder.join("service-accounts.pub"), pair.public_key_pem())
}

/// A user's name with what a file's name cannot hold replaced (`system:node:n1`).
pub(super) fn file_name(user: &str) -> String {
    user.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

fn new_key() -> io::Result<KeyPair> {
    KeyPair::generate().map_err(io::Error::other)
}

fn named(common_name: &str, organisations: &[&str]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    for organisation in organisations {
        name.push(DnType::OrganizationName, *organisation);
    }
    name
}
