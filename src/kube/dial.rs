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

use super::access::{Access, NameCheck};
use super::endpoint::{Endpoint, Host};
use super::error::{Kind, with_causes};
use super::tls;
use super::transport::{Api, Dial};

/// The peer is asked whether it is alive after this time of silence, and then this often.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
/// A connection whose peer has not acknowledged for so long is dead.
const USER_TIMEOUT: Duration = Duration::from_secs(20);
/// One address of several gets no more time than this before the next has its turn: a renewal
/// must get through in time. The last one has all that is left.
const TURN: Duration = Duration::from_millis(400);
/// This node's own API server, where it is asked instead of the control plane's address, has no
/// more time than this.
const OWN_TURN: Duration = Duration::from_secs(1);
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
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
    let Access { endpoint, way, .. } = &dial.access;
    let addresses = addresses(endpoint).await?;
    if !way.avoids(&endpoint.host, &addresses) {
        return open_at(api, &dial, &addresses).await;
    }
    // This node's own API server listens on the same port: the address leads to nothing else.
    let limit = async {
        smol::Timer::after(OWN_TURN).await;
        Err(Kind::Timeout(OWN_TURN))
    };
    let own = match smol::future::or(open_at(api, &dial, &LOOPBACK), limit).await {
        Ok(live) => return Ok(live),
        Err(kind) => kind,
    };
    open_at(api, &dial, &addresses).await.map_err(|kind| circle(&dial.access, own, kind))
}

/// Nobody holds the address before one node has reached an API server by another way.
fn circle(access: &Access, own: Kind, theirs: Kind) -> Kind {
    Kind::Unreachable(format!(
        "the server {} of {} is the control plane's own virtual address, which nobody holds before \
         an API server was reached by another way ({theirs}), and this node's own API server was \
         not reached either ({own}); start it, or name another server in {} or in kubernetes_addr",
        access.endpoint, access.origin, access.origin
    ))
}

async fn open_at(api: &Api, dial: &Dial, addresses: &[IpAddr]) -> Result<Live, Kind> {
    let Access { endpoint, name_check, .. } = &dial.access;
    let stream = connect(addresses, endpoint.port).await?;
    let Some(config) = &dial.tls else {
        return start(api, FuturesIo::new(stream), dial.generation).await;
    };
    let stream = encrypt(stream, Arc::clone(config), endpoint, name_check).await?;
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

async fn addresses(endpoint: &Endpoint) -> Result<Vec<IpAddr>, Kind> {
    match &endpoint.host {
        Host::Address(address) => Ok(vec![*address]),
        Host::Loopback => Ok(LOOPBACK.to_vec()),
        Host::Name(name) => resolve(name, endpoint.port).await,
    }
}

async fn connect(addresses: &[IpAddr], port: u16) -> Result<Async<TcpStream>, Kind> {
    let mut reasons = Vec::new();
    let last = addresses.len().saturating_sub(1);
    for (turn, address) in addresses.iter().enumerate() {
        let address = SocketAddr::new(*address, port);
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
async fn resolve(name: &str, port: u16) -> Result<Vec<IpAddr>, Kind> {
    match smol::net::resolve((name, port)).await {
        Ok(found) if !found.is_empty() => Ok(found.iter().map(SocketAddr::ip).collect()),
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
