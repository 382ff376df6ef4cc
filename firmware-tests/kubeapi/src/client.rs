//! A blocking HTTP client of few lines that shows what a server answers as it is: for contract
//! tests, and for preparing a server. It knows nothing of the client under test.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_lite::{AsyncRead, AsyncWrite, FutureExt as _};
use futures_rustls::TlsConnector;
use futures_rustls::rustls::crypto::ring::default_provider;
use futures_rustls::rustls::{ClientConfig, RootCertStore};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use smol::{Async, Timer};
use smol_hyper::rt::FuturesIo;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A way to one server, as one user.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    token: Option<String>,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub code: u16,
    /// The body, or null when it is not JSON.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

/// A request's body and its media type.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// No body.
    None,
    /// `application/json`.
    Json(&'a Value),
    /// `application/merge-patch+json`.
    Merge(&'a Value),
    /// `application/json-patch+json`.
    JsonPatch(&'a Value),
    /// `application/apply-patch+yaml`: what `kubectl apply --server-side` sends, text as it is.
    Apply(&'a str),
}

impl Payload<'_> {
    fn media(&self) -> &'static str {
        match self {
            Self::None | Self::Json(_) => "application/json",
            Self::Merge(_) => "application/merge-patch+json",
            Self::JsonPatch(_) => "application/json-patch+json",
            Self::Apply(_) => "application/apply-patch+yaml",
        }
    }

    fn bytes(&self) -> Bytes {
        match self {
            Self::None => Bytes::new(),
            Self::Json(v) | Self::Merge(v) | Self::JsonPatch(v) => Bytes::from(v.to_string()),
            Self::Apply(text) => Bytes::copy_from_slice(text.as_bytes()),
        }
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

type Driver = Pin<Box<dyn Future<Output = ()>>>;

impl Client {
    /// Plain HTTP, as nobody.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None, token: None }
    }

    /// HTTPS, trusting the authority in `ca` (PEM), with a client certificate and key (PEM) or not.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn tls(
        address: SocketAddr,
        ca: &Path,
        identity: Option<(&Path, &Path)>,
    ) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(ca).map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain =
                    vec![CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?];
                let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
                config.with_client_auth_cert(chain, key).map_err(io::Error::other)?
            }
        };
        Ok(Self { address, tls: Some(Arc::new(config)), token: None })
    }

    /// The same way with a bearer token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Sends one request and reads the answer, whatever its status.
    ///
    /// # Errors
    /// No connection, or no answer within 30 s.
    pub fn call(&self, method: &str, path: &str, payload: Payload<'_>) -> io::Result<Answer> {
        let exchange = async {
            let (driver, response) = self.send(method, path, payload).await?;
            let (head, body) = response.into_parts();
            let body = alongside(driver, body.collect()).await?.map_err(io::Error::other)?;
            let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            let body = serde_json::from_str(&text).unwrap_or(Value::Null);
            Ok(Answer { code: head.status.as_u16(), body, text })
        };
        smol::block_on(exchange.or(timed_out(ANSWER_TIMEOUT)))
    }

    /// `GET`.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn get(&self, path: &str) -> io::Result<Answer> {
        self.call("GET", path, Payload::None)
    }

    /// `POST` of a JSON object.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn create(&self, path: &str, object: &Value) -> io::Result<Answer> {
        self.call("POST", path, Payload::Json(object))
    }

    /// Opens a watch: `path` holds `watch=true`.
    ///
    /// # Errors
    /// As [`Client::call`]; also any status but 200.
    pub fn watch(&self, path: &str) -> io::Result<Watching> {
        let exchange = async {
            let (driver, response) = self.send("GET", path, Payload::None).await?;
            if response.status() != 200 {
                return Err(io::Error::other(format!("watch {path}: {}", response.status())));
            }
            Ok(Watching { driver, body: response.into_body(), buffer: Vec::new() })
        };
        smol::block_on(exchange.or(timed_out(ANSWER_TIMEOUT)))
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        payload: Payload<'_>,
    ) -> io::Result<(Driver, http::Response<Incoming>)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, payload.media());
        let request = match &self.token {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        };
        let request = request.body(Full::new(payload.bytes())).map_err(io::Error::other)?;
        let wire = FuturesIo::new(self.connect().await?);
        let (mut sender, connection) = http1::handshake(wire).await.map_err(io::Error::other)?;
        let mut driver: Driver = Box::pin(async { drop(connection.await) });
        let response = alongside(&mut driver, sender.send_request(request)).await?;
        Ok((driver, response.map_err(io::Error::other)?))
    }

    async fn connect(&self) -> io::Result<Box<dyn Wire>> {
        let stream = TcpStream::connect_timeout(&self.address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        let stream = Async::new(stream)?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(config) => {
                let name = ServerName::IpAddress(self.address.ip().into());
                let connector = TlsConnector::from(Arc::clone(config));
                Ok(Box::new(connector.connect(name, stream).await?))
            }
        }
    }
}

/// Drives the connection until the exchange over it is done.
async fn alongside<T>(
    driver: impl Future<Output = ()>,
    exchange: impl Future<Output = T>,
) -> io::Result<T> {
    // After the connection's end the exchange still holds what came over it.
    let driven = async {
        driver.await;
        std::future::pending().await
    };
    Ok(driven.or(exchange).await)
}

async fn timed_out<T>(after: Duration) -> io::Result<T> {
    Timer::after(after).await;
    Err(io::ErrorKind::TimedOut.into())
}

/// A running watch. Dropping it closes its connection.
pub struct Watching {
    driver: Driver,
    body: Incoming,
    buffer: Vec<u8>,
}

impl Watching {
    /// The next event; `None` at the end of the stream.
    ///
    /// # Errors
    /// Nothing came within `patience`, the stream broke off, or a line is no JSON.
    pub fn next(&mut self, patience: Duration) -> io::Result<Option<Value>> {
        smol::block_on(self.read().or(timed_out(patience)))
    }

    /// The next event that is no bookmark.
    ///
    /// # Errors
    /// As [`Watching::next`]; also the end of the stream.
    pub fn next_change(&mut self, patience: Duration) -> io::Result<Value> {
        loop {
            match self.next(patience)? {
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(event) if event["type"] == "BOOKMARK" => {}
                Some(event) => return Ok(event),
            }
        }
    }

    async fn read(&mut self) -> io::Result<Option<Value>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            match alongside(&mut self.driver, self.body.frame()).await? {
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(frame) => {
                    let frame = frame.map_err(io::Error::other)?;
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}
