//! Where to listen: `prometheus_server` and `health_check_port` as addresses, and the socket.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use async_io::Async;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with};
use rustix::net::{SocketAddrAny, sockopt};

/// Connections that the kernel keeps for us until we accept them.
const BACKLOG: i32 = 64;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// On every address of the node, both families where the kernel has IPv6.
    Everywhere(u16),
    /// On one address.
    At(SocketAddr),
    /// On the first address of a name that can be listened on.
    Named(String, u16),
}

impl Listen {
    /// Reads `host:port` as Go's `net.Listen` does: `:2112`, `127.0.0.1:2112`, `[::1]:2112`,
    /// `localhost:2112`. An empty text means: do not listen.
    ///
    /// # Errors
    /// Says what is wrong with the text and what is accepted.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || {
            format!(
                "{text:?} is not a place to listen at: accepted are \":2112\" (every address), \
                 \"127.0.0.1:2112\", \"[::1]:2112\", \"name:2112\", and \"\" (do not listen)"
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let digits = port.bytes().all(|b| b.is_ascii_digit());
        let port: u16 = port.parse().ok().filter(|port| digits && *port > 0).ok_or_else(wrong)?;
        if host.is_empty() || host == "[::]" {
            return Ok(Some(Self::Everywhere(port)));
        }
        if let Ok(address) = text.parse() {
            return Ok(Some(Self::At(address)));
        }
        // RFC 6761 §6.3; it saves the resolver's thread.
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(Some(Self::At(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))));
        }
        let named = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        // A last label of digits is a mistyped IPv4 address, not a name (RFC 1123 §2.1).
        let last = host.rsplit('.').next().unwrap_or_default();
        let number = last.bytes().all(|b| b.is_ascii_digit());
        if named && !number { Ok(Some(Self::Named(host.to_owned(), port))) } else { Err(wrong()) }
    }

    /// Takes the place.
    ///
    /// # Errors
    /// As the kernel says, or the resolver.
    pub(super) async fn bind(&self) -> io::Result<Async<TcpListener>> {
        match self {
            Self::Everywhere(port) => {
                listener(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), *port)).or_else(
                    // IPv6 is off on this kernel.
                    |error| match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                        Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL) => {
                            listener(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), *port))
                        }
                        _ => Err(error),
                    },
                )
            }
            Self::At(address) => listener(*address),
            Self::Named(host, port) => {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                for address in smol::net::resolve((host.as_str(), *port)).await? {
                    match listener(address) {
                        Ok(listener) => return Ok(listener),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere(port) => write!(f, ":{port}"),
            Self::At(address) => write!(f, "{address}"),
            Self::Named(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// Not `TcpListener::bind`: whether `[::]` takes IPv4 too must not depend on a sysctl
/// (`net.ipv6.bindv6only`).
fn listener(address: SocketAddr) -> io::Result<Async<TcpListener>> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    bind(&socket, &SocketAddrAny::from(address))?;
    listen(&socket, BACKLOG)?;
    Async::new_nonblocking(TcpListener::from(socket))
}

#[cfg(test)]
mod tests;
