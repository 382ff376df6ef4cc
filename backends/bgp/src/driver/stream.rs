//! One TCP connection: bytes in and out without ever waiting, and what has not been sent yet.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Async;

use crate::machine::Moment;
use crate::wire;
use crate::wire::notification::Notification;

/// UPDATEs are put together up to about so many bytes before they are written.
const BATCH: usize = 16 * 1024;
/// Read at once.
const CHUNK: usize = wire::LONGEST;
/// A peer that takes nothing for so long is given up (RFC 9687 §4, the lower bound there is 8 minutes).
const SEND_HOLD: Duration = Duration::from_secs(8 * 60);

/// A connection, made or in the making.
#[derive(Debug)]
pub(super) struct Stream {
    socket: Async<TcpStream>,
    progress: Progress,
    input: Vec<u8>,
    waiting: Waiting,
    output: Vec<u8>,
    /// Since when the peer takes nothing.
    stuck: Option<Moment>,
}

/// Whether the TCP handshake is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Connecting,
    Connected,
}

/// Whether there may be bytes to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Bytes,
    /// None when it was read last: the reactor says when there are.
    Nothing,
}

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// The TCP connection stands.
    Connection,
    /// More bytes: see [`Stream::message`].
    Bytes,
}

impl Stream {
    /// One whose handshake is under way.
    pub(super) fn connecting(socket: TcpStream) -> io::Result<Self> {
        Self::new(Async::new(socket)?, Progress::Connecting)
    }

    /// One that stands.
    pub(super) fn connected(socket: TcpStream) -> io::Result<Self> {
        Self::new(Async::new(socket)?, Progress::Connected)
    }

    fn new(socket: Async<TcpStream>, progress: Progress) -> io::Result<Self> {
        Ok(Self {
            socket,
            progress,
            input: Vec::new(),
            waiting: Waiting::Bytes,
            output: Vec::new(),
            stuck: None,
        })
    }

    pub(super) fn local(&self) -> io::Result<SocketAddr> {
        self.socket.get_ref().local_addr()
    }

    /// Waits for the handshake, or for bytes, which it takes in.
    ///
    /// # Errors
    /// When the connection failed, or ended (`UnexpectedEof`).
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arrived>> {
        if self.progress == Progress::Connecting {
            std::task::ready!(self.socket.poll_writable(cx))?;
            if let Some(error) = self.socket.get_ref().take_error()? {
                return Poll::Ready(Err(error));
            }
            // Readiness from before the handshake began means nothing.
            if let Err(error) = self.socket.get_ref().peer_addr() {
                return match error.kind() {
                    io::ErrorKind::NotConnected => {
                        self.socket.poll_writable(cx).map(|_| Err(error))
                    }
                    _ => Poll::Ready(Err(error)),
                };
            }
            self.progress = Progress::Connected;
            return Poll::Ready(Ok(Arrived::Connection));
        }
        self.poll_bytes(cx).map_ok(|()| Arrived::Bytes)
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting == Waiting::Nothing {
            std::task::ready!(self.socket.poll_readable(cx))?;
            self.waiting = Waiting::Bytes;
        }
        let mut chunk = [0; CHUNK];
        loop {
            match self.socket.get_ref().read(&mut chunk) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(length) => {
                    self.input.extend(chunk.get(..length).unwrap_or_default());
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.waiting = Waiting::Nothing;
                    if self.input.is_empty() {
                        self.input = Vec::new();
                    }
                    std::task::ready!(self.socket.poll_readable(cx))?;
                    self.waiting = Waiting::Bytes;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// The first whole message that has come in, which is given to `heard` and then forgotten.
    ///
    /// # Errors
    /// With the NOTIFICATION to answer with, when it is none.
    pub(super) fn message(&mut self) -> Result<Option<Vec<u8>>, Notification> {
        match wire::frame(&self.input)? {
            None => Ok(None),
            Some(frame) => {
                let length = frame.length();
                Ok(Some(self.input.drain(..length).collect()))
            }
        }
    }

    /// Where the next messages are to be appended; `None` while enough of them wait.
    pub(super) fn room(&mut self) -> Option<&mut Vec<u8>> {
        (self.output.len() < BATCH).then_some(&mut self.output)
    }

    /// Appends messages that have to be sent whatever waits already.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        // A peer that does not read gets no KEEPALIVEs on top of what it has not read.
        if self.output.len() < 2 * BATCH {
            self.output.extend(bytes);
        }
    }

    /// Writes what the socket takes now.
    ///
    /// # Errors
    /// When the connection ended, or the peer takes nothing for too long (`TimedOut`).
    pub(super) fn flush(&mut self, now: Moment) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.socket.get_ref().write(&self.output) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => {
                    self.output.drain(..length.min(self.output.len()));
                    self.stuck = None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let since = *self.stuck.get_or_insert(now);
                    let expired = now.saturating_sub(since) >= SEND_HOLD;
                    return if expired { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) };
                }
                Err(error) => return Err(error),
            }
        }
        if self.output.capacity() > BATCH {
            self.output = Vec::new();
        }
        Ok(())
    }

    /// Whether everything has been handed to the kernel.
    pub(super) fn is_flushed(&self) -> bool {
        self.output.is_empty()
    }

    /// Waits until the socket takes more, where it has to.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.output.is_empty() || self.progress == Progress::Connecting {
            return Poll::Pending;
        }
        self.socket.poll_writable(cx).map(|_| ())
    }

    /// Closes it; what was pushed before is still tried once.
    pub(super) fn close(mut self, now: Moment) {
        let _ = self.flush(now);
        let _ = self.socket.get_ref().shutdown(Shutdown::Write);
    }
}
