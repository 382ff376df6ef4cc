//! The monitor socket: the kernel's own messages about links, addresses and routes, as they come.

use std::io;
use std::task::{Context, Poll};

use async_io::Async;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use socket2::SockRef;

use crate::error::errno;
use crate::filter;
use crate::request::MSG_TRUNC;
use crate::wire::Frames;

/// `RTNLGRP_*` (`linux/rtnetlink.h`): links, IPv4 addresses, IPv4 routes, IPv6 addresses and
/// IPv6 routes.
const GROUPS: [u32; 5] = [1, 5, 7, 9, 11];
/// No message of the monitor is longer.
const MESSAGE: usize = 32 * 1024;
/// A socket that hears every change.
#[derive(Debug)]
pub(crate) struct Monitor {
    socket: Async<Socket>,
    buffer: Vec<u8>,
}

/// What one read of the monitor gave.
pub(crate) enum Heard<'a> {
    Nothing,
    Messages(Frames<'a>),
    /// Not from the kernel, or interrupted: read again.
    Noise,
    /// `ENOBUFS`, or a datagram too long for the buffer: dump again.
    Lost,
}

impl Monitor {
    /// `bytes`: the receive buffer; the kernel allows at most `net.core.rmem_max`. `port`: of the
    /// socket by which we ask for changes.
    pub(crate) fn open(bytes: i32, port: u32) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_rx_buf_sz(bytes)?;
        // It only saves work: what it would keep away is passed over as well.
        if let Err(error) = SockRef::from(&socket).attach_filter(&filter::of_concern(port)) {
            log::debug!("netlink: no filter on the monitor: {error}");
        }
        socket.bind(&SocketAddr::new(0, 0))?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        Ok(Self { socket: Async::new(socket)?, buffer: Vec::with_capacity(MESSAGE) })
    }

    /// Reads one datagram, without waiting.
    pub(crate) fn read(&mut self) -> Heard<'_> {
        self.buffer.clear();
        match self.socket.get_ref().recv_from(&mut self.buffer, MSG_TRUNC) {
            Ok((length, _)) if length > self.buffer.len() => Heard::Lost,
            Ok((_, sender)) if sender.port_number() != 0 => Heard::Noise,
            Ok(_) => Heard::Messages(Frames(&self.buffer)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Heard::Noise,
            Err(error) => {
                if error.raw_os_error() != Some(errno::ENOBUFS) {
                    log::warn!("netlink: the monitor cannot be read: {error}");
                }
                Heard::Lost
            }
        }
    }

    /// Throws away all that is there.
    pub(crate) fn discard(&mut self) {
        while !matches!(self.read(), Heard::Nothing) {}
    }

    /// Waits until there is something to read.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_readable(cx).map(drop)
    }
}
