//! Certificates that Go's TLS accepts and webpki alone does not: client certificates of version 1,
//! and the server's own certificate in the place of an authority.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_rustls::TlsAcceptor;
use futures_rustls::pki_types::pem::PemObject as _;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use futures_rustls::rustls::client::danger::HandshakeSignatureValid;
use futures_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use futures_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use futures_rustls::rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use http::Request;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, SigningKey as _, date_time_ymd};
use smol::LocalExecutor;
use viplet::kube::{Api, ApiError, Kind};

use super::server::{Server, answer, serve};
use super::setup::{Authority, Folder, Signed, kubeconfig, places, run, settings};

async fn version(api: &Api) -> Result<(), ApiError> {
    let request = Request::get("/version").body(Vec::new()).unwrap();
    api.connection().call(request, Duration::from_secs(20)).await.map(|_| ())
}

/// Asks a server that shows `signed`, believing what is in `authority`.
async fn ask(
    executor: &Rc<LocalExecutor<'static>>,
    signed: &Signed,
    authority: &str,
) -> Result<(), String> {
    let folder = Folder::new();
    let server = serve(executor, Some(Authority::acceptor(signed, None)), |_| answer(200, "{}"));
    folder.write("ca.crt", authority);
    let url = format!("https://{}", server.address);
    let file = folder.write("config", &kubeconfig(&url, ", certificate-authority: ca.crt", ""));
    let api = Api::new(settings(Some(&file)), places(&folder), executor).unwrap();
    version(&api).await.map_err(|error| match error.kind {
        Kind::Tls(text) => text,
        other => panic!("not a matter of TLS: {other}"),
    })
}

#[test]
fn a_server_whose_own_certificate_is_named_as_the_authority_is_believed_by_its_names() {
    run(async |executor| {
        let authority = Authority::new();
        let mine = authority.sign(&["127.0.0.1"]);
        assert_eq!(ask(&executor, &mine, &mine.chain).await, Ok(()));
        let elsewhere = authority.sign(&["10.9.8.7"]);
        let error = ask(&executor, &elsewhere, &elsewhere.chain).await.unwrap_err();
        assert!(error.contains("not valid for name"), "{error}");
        let sister = authority.sign(&["127.0.0.1"]);
        let error = ask(&executor, &sister, &mine.chain).await.unwrap_err();
        assert!(error.contains("UnknownIssuer"), "only that very certificate is believed: {error}");
    });
}

#[test]
fn a_certificate_that_signed_itself_is_believed_though_it_says_that_it_is_an_authority() {
    run(async |executor| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let signed = Signed { chain: pem.clone(), key: key.serialize_pem() };
        assert_eq!(ask(&executor, &signed, &pem).await, Ok(()));
    });
}

#[test]
fn a_servers_own_certificate_is_not_believed_before_and_after_its_time() {
    run(async |executor| {
        let authority = Authority::new();
        for (from, until, said) in [(2001, 2002, "Expired"), (2100, 2101, "NotValidYet")] {
            let signed = authority.sign_with(&["127.0.0.1"], |params| {
                params.not_before = date_time_ymd(from, 1, 1);
                params.not_after = date_time_ymd(until, 1, 1);
            });
            let error = ask(&executor, &signed, &signed.chain).await.unwrap_err();
            let same = error.replace(' ', "").to_lowercase();
            let said = said.to_lowercase();
            assert!(same.contains(&said), "{said}: {error}");
        }
    });
}

/// The elements of DER one after another: each with its tag, and whole.
fn elements(mut der: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (length, head) = match der[1] {
            short @ 0..=0x7f => (usize::from(short), 2),
            0x81 => (usize::from(der[2]), 3),
            0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
            other => panic!("a length of {other:#x}"),
        };
        let (whole, rest) = der.split_at(head + length);
        found.push((whole[0], whole));
        der = rest;
    }
    found
}

fn contents(whole: &[u8]) -> &[u8] {
    let head = if whole[1] <= 0x7f { 2 } else { 2 + usize::from(whole[1] & 0x7f) };
    &whole[head..]
}

fn wrapped(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], contents].concat()
}

/// The same certificate without version and extensions, and signed anew: what
/// `openssl x509 -req -CA ca.crt -CAkey ca.key` makes, and MicroK8s shipped.
fn of_version_1(authority: &Authority, signed: &Signed) -> Signed {
    let der = CertificateDer::from_pem_slice(signed.chain.as_bytes()).unwrap();
    let parts = elements(contents(&der));
    let fields = elements(contents(parts[0].1)).into_iter();
    let kept: Vec<&[u8]> =
        fields.filter(|(tag, _)| !matches!(tag, 0xa0 | 0xa3)).map(|(_, field)| field).collect();
    let fields = wrapped(0x30, &kept.concat());
    let signature = authority.key().sign(&fields).unwrap();
    let signature = wrapped(0x03, &[&[0], &signature[..]].concat());
    let der = wrapped(0x30, &[&fields, parts[1].1, &signature].concat());
    Signed { chain: pem(&der), key: signed.key.clone() }
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Wants this very certificate, and proof that the client has its key: an ECDSA one.
#[derive(Debug)]
struct OnlyThis(CertificateDer<'static>, WebPkiSupportedAlgorithms);

impl ClientCertVerifier for OnlyThis {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        assert_eq!(shown, &self.0);
        Ok(ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls13_signature(message, certificate, signature)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Serial number, algorithm, issuer, validity, subject, key.
        let fields = elements(contents(elements(contents(certificate))[0].1));
        let key = elements(contents(fields[5].1))[1].1;
        let algorithms = self.1.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
        algorithms.unwrap().1[0]
            .verify_signature(&contents(key)[1..], message, signature.signature())
            .unwrap();
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.supported_schemes()
    }
}

fn wants(server: &Signed, client: &Signed) -> TlsAcceptor {
    let provider = ring::default_provider();
    let client = CertificateDer::from_pem_slice(client.chain.as_bytes()).unwrap();
    let verifier = Arc::new(OnlyThis(client, provider.signature_verification_algorithms));
    let chain = CertificateDer::from_pem_slice(server.chain.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![chain], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[test]
fn a_client_certificate_of_version_1_is_shown_with_the_proof_that_its_key_is_ours() {
    run(async |executor| {
        let (folder, authority) = (Folder::new(), Authority::new());
        let client = of_version_1(&authority, &authority.sign(&["me"]));
        let acceptor = wants(&authority.sign(&["127.0.0.1"]), &client);
        let server: Server = serve(&executor, Some(acceptor), |_| answer(200, "{}"));
        folder.write("ca.crt", &authority.pem());
        folder.write("crt", &client.chain);
        folder.write("key", &client.key);
        let url = format!("https://{}", server.address);
        let user = "client-certificate: crt, client-key: key";
        let text = kubeconfig(&url, ", certificate-authority: ca.crt", user);
        let file = folder.write("config", &text);
        let api = Api::new(settings(Some(&file)), places(&folder), &executor).unwrap();
        version(&api).await.unwrap();
        folder.write("key", &authority.sign(&["me"]).key);
        let error = Api::new(settings(Some(&file)), places(&folder), &executor).unwrap_err();
        assert!(error.to_string().contains("client-certificate and client-key: "), "{error}");
    });
}
