//! What the tests start from: an executor, a kubeconfig on disk, certificates.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_rustls::TlsAcceptor;
use futures_rustls::pki_types::pem::PemObject as _;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::server::WebPkiClientVerifier;
use futures_rustls::rustls::{RootCertStore, ServerConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use smol::LocalExecutor;
use viplet::kube::access::Places;
use viplet::kube::{AccessSettings, Api, ControlPlane, Detect};

/// A folder of its own for each test, gone with it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("viplet-kube-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn run<F: AsyncFnOnce(Rc<LocalExecutor<'static>>)>(test: F) {
    let executor = Rc::new(LocalExecutor::new());
    smol::block_on(executor.run(test(Rc::clone(&executor))));
}

pub fn settings(kubeconfig: Option<&Path>) -> AccessSettings {
    AccessSettings {
        kubeconfig: kubeconfig.map(Path::to_owned),
        server_override: None,
        detect_control_plane: Detect::Off,
        port: 6443,
        control_plane: ControlPlane::Off,
        virtual_addresses: Vec::new(),
    }
}

/// No source but the ones that a test puts there.
pub fn places(folder: &Folder) -> Places {
    Places {
        admin_conf: folder.0.join("admin.conf"),
        home: Some(folder.0.join("home/.kube/config")),
        service_account: folder.0.join("serviceaccount"),
        service: None,
    }
}

pub fn kubeconfig(server: &str, cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
         contexts: [{{name: here, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: \"{server}\"{cluster}}}}}]\n\
         users: [{{name: u, user: {{{user}}}}}]\n"
    )
}

/// An `Api` for a server without TLS.
pub fn api(executor: &Rc<LocalExecutor<'static>>, folder: &Folder, url: &str, user: &str) -> Api {
    let file = folder.write("config", &kubeconfig(url, "", user));
    Api::new(settings(Some(&file)), places(folder), executor).unwrap()
}

/// A cluster's authority and what it signed.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

pub struct Signed {
    pub chain: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("authority {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { issuer: CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub fn sign(&self, names: &[&str]) -> Signed {
        self.sign_with(names, |_| ())
    }

    /// A certificate that is made different by `change`.
    pub fn sign_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Signed {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        Signed { chain: leaf.pem(), key: key.serialize_pem() }
    }

    /// The key that it signs with.
    pub fn key(&self) -> &KeyPair {
        self.issuer.key()
    }

    /// A server with `signed`, which wants client certificates of `clients`' signing.
    pub fn acceptor(signed: &Signed, clients: Option<&Self>) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.issuer.der().clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = CertificateDer::pem_slice_iter(signed.chain.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .unwrap();
        let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
        TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
    }
}
