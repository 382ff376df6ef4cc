//! Opens TCP and TLS to the API server and starts HTTP/1.1 on it.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_rustls::TlsConnector;
use futures_rustls::rustls::{self, ClientConfig};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use rustix::net::sockopt;
use smol::{Async, Task};
use smol_hyper::rt::FuturesIo;

use super::access::NameCheck;
use super::endpoint::{Endpoint, Host};
use super::error::{Kind, with_causes};
use super::tls;
use super::transport::Api;

/// The peer is asked whether it is alive after this time of silence, and then this often.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
/// A connection whose peer has not acknowledged for so long is dead.
const USER_TIMEOUT: Duration = Duration::from_secs(20);
/// One address of several gets no more time than this before the next has its turn: a renewal
/// must get through in time. The last one has all that is left.
const TURN: Duration = Duration::from_millis(400);
/// Headers of an answer, or one chunk, in memory.
const READ_BUFFER: usize = 16 * 1024;

/// An open HTTP/1.1 connection.
pub(crate) struct Live {
    pub(crate) sender: http1::SendRequest<Full<Bytes>>,
    /// Of the access that it was opened with.
    pub(crate) generation: u64,
    /// Why the connection ended, when no request was told.
    ended: Rc<RefCell<Option<Kind>>>,
    /// Drives the connection; dropping it closes the socket.
    _driver: Task<()>,
}

impl Live {
    /// The true reason of `error`, which this connection gave for a request.
    pub(crate) fn reason(&self, error: &hyper::Error) -> Kind {
        self.ended.borrow_mut().take().unwrap_or_else(|| of_transport(error))
    }
}

/// Opens a connection.
pub(crate) async fn open(api: &Api) -> Result<Live, Kind> {
    let dial = api.dial();
    let stream = connect(&dial.access.endpoint).await?;
    let Some(config) = dial.tls else {
        return start(api, FuturesIo::new(stream), dial.generation).await;
    };
    let stream = encrypt(stream, config, &dial.access.endpoint, &dial.access.name_check).await?;
    start(api, FuturesIo::new(stream), dial.generation).await
}

async fn start<S>(api: &Api, stream: S, generation: u64) -> Result<Live, Kind>
where
    S: Read + Write + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(READ_BUFFER)
        .handshake(stream)
        .await
        .map_err(|error| Kind::Unreachable(with_causes(&error)))?;
    let ended = Rc::new(RefCell::new(None));
    let end = Rc::clone(&ended);
    let driver = api.executor().spawn(async move {
        if let Err(error) = connection.await {
            *end.borrow_mut() = Some(of_transport(&error));
        }
    });
    Ok(Live { sender, generation, ended, _driver: driver })
}

async fn encrypt(
    stream: Async<TcpStream>,
    config: Arc<ClientConfig>,
    endpoint: &Endpoint,
    check: &NameCheck,
) -> Result<futures_rustls::client::TlsStream<Async<TcpStream>>, Kind> {
    let name = tls::server_name(endpoint, check).map_err(Kind::Tls)?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| of_transport(&error))
}

async fn connect(endpoint: &Endpoint) -> Result<Async<TcpStream>, Kind> {
    let addresses = match &endpoint.host {
        Host::Address(address) => vec![SocketAddr::new(*address, endpoint.port)],
        Host::Loopback => [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            .map(|address| SocketAddr::new(address, endpoint.port))
            .to_vec(),
        Host::Name(name) => resolve(name, endpoint.port).await?,
    };
    let mut reasons = Vec::new();
    let last = addresses.len().saturating_sub(1);
    for (turn, address) in addresses.into_iter().enumerate() {
        let limit = async {
            if turn == last {
                return std::future::pending().await;
            }
            smol::Timer::after(TURN).await;
            Err(std::io::Error::from(std::io::ErrorKind::TimedOut))
        };
        match smol::future::or(Async::<TcpStream>::connect(address), limit).await {
            Ok(stream) => {
                tune(&stream).map_err(|error| Kind::Local(format!("socket options: {error}")))?;
                return Ok(stream);
            }
            Err(error) => reasons.push(format!("{address}: {error}")),
        }
    }
    Err(Kind::Unreachable(reasons.join("; ")))
}

/// A resolver thread runs for the length of this call.
async fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, Kind> {
    match smol::net::resolve((name, port)).await {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(Kind::Unreachable(format!("the name \"{name}\" has no address"))),
        Err(error) => Err(Kind::Unreachable(format!(
            "the name \"{name}\" cannot be resolved ({error}); give it an address in the hosts file or set kubernetes_addr"
        ))),
    }
}

fn tune(stream: &Async<TcpStream>) -> Result<(), rustix::io::Errno> {
    sockopt::set_tcp_nodelay(stream, true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_EVERY)?;
    let milliseconds = u32::try_from(USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, milliseconds)
}

/// The class of an error below HTTP: rustls puts its own into I/O errors.
pub(crate) fn of_transport(error: &(dyn std::error::Error + 'static)) -> Kind {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        let wrapped = inner
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(found) = wrapped.or_else(|| inner.downcast_ref::<rustls::Error>()) {
            return Kind::Tls(found.to_string());
        }
        cause = inner.source();
    }
    Kind::Unreachable(with_causes(error))
}
