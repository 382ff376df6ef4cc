//! Sockets to peers and for peers: source, TTL, GTSM, TCP MD5.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};

use crate::settings::{Distance, Peer, RemoteAs, Source};
use crate::sys;

const TTL_MOST: u8 = 255;
const BACKLOG: i32 = 16;

/// Begins a connection to `to`.
///
/// # Errors
/// With what was tried, and what the kernel said.
pub(super) fn connect(peer: &Peer, local_as: u32, to: SocketAddr) -> Result<TcpStream, String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| format!("cannot {what}: {}", plain(&error))
    };
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(to), kind, Some(Protocol::TCP))
        .map_err(failed("open a socket"))?;
    prepare(&socket, peer, local_as, to.ip())?;
    match &peer.source {
        Source::Any => {}
        Source::Address(address) if address.is_ipv4() != to.is_ipv4() => {}
        Source::Address(address) => socket
            .bind(&SocketAddr::new(*address, 0).into())
            .map_err(failed(&format!("speak from {address} (bgp_sourceip)")))?,
        Source::Link(link) => socket
            .bind_device(Some(link.as_str().as_bytes()))
            .map_err(failed(&format!("speak from the link {link} (bgp_sourceif)")))?,
    }
    if let Some(password) = &peer.password {
        sys::set_md5(&socket, to.ip(), password.0.as_bytes())
            .map_err(failed("use a password (TCP MD5, 1 to 80 bytes)"))?;
    }
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(format!("cannot connect to {to}: {}", plain(&error))),
    }
    Ok(socket.into())
}

/// Sets what holds for a connection of either side.
///
/// # Errors
/// With what was tried, and what the kernel said.
pub(super) fn prepare(
    socket: &Socket,
    peer: &Peer,
    local_as: u32,
    to: IpAddr,
) -> Result<(), String> {
    let outcome = socket.set_tcp_nodelay(true).and_then(|()| match peer.distance {
        Distance::Direct if peer.remote_as == RemoteAs::Number(local_as) => Ok(()),
        Distance::Direct => set_ttl(socket, to, 1),
        Distance::Multihop(ttl) => set_ttl(socket, to, ttl),
        Distance::Secured(hops) => {
            let least = TTL_MOST.saturating_sub(hops.saturating_sub(1)).max(1);
            set_ttl(socket, to, TTL_MOST).and_then(|()| set_least_ttl(socket, to, least))
        }
    });
    outcome.map_err(|error| format!("cannot set the TTL: {}", plain(&error)))
}

fn set_ttl(socket: &Socket, to: IpAddr, ttl: u8) -> io::Result<()> {
    match to {
        IpAddr::V4(_) => socket.set_ttl_v4(u32::from(ttl)),
        IpAddr::V6(_) => socket.set_unicast_hops_v6(u32::from(ttl)),
    }
}

fn set_least_ttl(socket: &Socket, to: IpAddr, ttl: u8) -> io::Result<()> {
    match to {
        IpAddr::V4(_) => sys::set_min_ttl(socket, ttl),
        IpAddr::V6(_) => sys::set_min_hop_count(socket, ttl),
    }
}

/// Takes connections of one family at `port`.
///
/// # Errors
/// As the kernel says.
pub(super) fn listen(to: IpAddr, port: u16) -> io::Result<TcpListener> {
    let at = SocketAddr::new(to, port);
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(at), kind, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A peer with GTSM hears the SYN-ACK, which has the listener's TTL.
    set_ttl(&socket, to, TTL_MOST)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Where connections of each family are taken.
pub(super) const ANY: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// The error without std's «(os error N)», which says nothing to a person.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}
