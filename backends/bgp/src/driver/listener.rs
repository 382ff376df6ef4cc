//! Connections that peers open, where the settings want them: one socket per family.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Async;

use super::dial::{self, plain};
use crate::machine::Moment;
use crate::settings::{Listen, PeerAddress, Settings};
use crate::sys;

/// A port that cannot be had is asked for again so often.
const AGAIN: Duration = Duration::from_secs(5);

/// The sockets that take connections.
#[derive(Debug, Default)]
pub(super) struct Listener {
    sockets: Vec<Async<TcpListener>>,
    next: Moment,
    /// The failure that was said already.
    said: Option<String>,
}

impl Listener {
    pub(super) fn close(&mut self) {
        self.sockets.clear();
        self.next = Moment::ZERO;
    }

    pub(super) fn deadline(&self, settings: &Settings) -> Option<Moment> {
        let wanted = settings.listen != Listen::No && self.sockets.is_empty();
        wanted.then_some(self.next)
    }

    /// The next connection, of whomever.
    pub(super) fn poll(
        &mut self,
        settings: &Settings,
        now: Moment,
        cx: &mut Context<'_>,
    ) -> Poll<(TcpStream, SocketAddr)> {
        if let Listen::Port(port) = settings.listen
            && self.sockets.is_empty()
            && self.next <= now
        {
            self.next = now + AGAIN;
            self.open(settings, port);
        }
        for socket in &self.sockets {
            loop {
                match socket.get_ref().accept() {
                    Ok(accepted) => return Poll::Ready(accepted),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // ECONNABORTED and the like: the next one may be good.
                    Err(error) => log::debug!("cannot take a connection: {error}"),
                }
                if socket.poll_readable(cx).is_pending() {
                    break;
                }
            }
        }
        Poll::Pending
    }

    fn open(&mut self, settings: &Settings, port: u16) {
        for any in dial::ANY {
            let opened = dial::listen(any, port).and_then(|socket| {
                sign(&socket, settings, any);
                Async::new(socket)
            });
            match opened {
                Ok(socket) => self.sockets.push(socket),
                // A node without IPv6.
                Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {}
                Err(error) => self.complain(port, &error),
            }
        }
    }

    fn complain(&mut self, port: u16, error: &io::Error) {
        let why = plain(error);
        if self.said.as_ref() != Some(&why) {
            log::warn!(
                "cannot take connections of peers at port {port}: {why}; ours to them are not \
                 affected; free the port, or set another one"
            );
            self.said = Some(why);
        }
    }
}

/// Passwords of the peers of a family, which the listener has to know before they connect.
fn sign(socket: &TcpListener, settings: &Settings, family: IpAddr) {
    for peer in &settings.peers {
        let address = match peer.address {
            PeerAddress::Ip(address) => address,
            PeerAddress::LinkLocal(address, _) => IpAddr::V6(address),
            PeerAddress::Unnumbered(_) => continue,
        };
        let Some(password) =
            peer.password.as_ref().filter(|_| address.is_ipv4() == family.is_ipv4())
        else {
            continue;
        };
        if let Err(error) = sys::set_md5(socket, address, password.0.as_bytes()) {
            log::warn!("peer {}: its password cannot be used: {}", peer.name(), plain(&error));
        }
    }
}
