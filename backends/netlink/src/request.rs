//! The request socket: rtnetlink answers inside `send`, so every question and every change is
//! done when the call returns; the socket never blocks, so a silent kernel cannot hang us.

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::encode::{Dump, encode, encode_dump};
use crate::error::errno;
use crate::wire::{self, Frame, Frames, Message};

/// `MSG_TRUNC`: report the true length of what was cut off.
pub(crate) const MSG_TRUNC: i32 = 0x20;
/// The kernel never makes a dump's datagram longer than this (`netlink_dump`).
const DATAGRAM: usize = 32 * 1024;
/// How often an interrupted dump is repeated before it counts as failed.
const DUMP_ATTEMPTS: usize = 8;

/// Why a request failed: the errno, and the kernel's own words where it has any.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: io::Error,
    pub(crate) words: String,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { error, words: String::new() }
    }
}

impl Failure {
    fn errno(code: i32, words: String) -> Self {
        Self { error: io::Error::from_raw_os_error(code), words }
    }

    pub(crate) fn is(&self, code: i32) -> bool {
        self.error.raw_os_error() == Some(code)
    }
}

/// A socket to the kernel on which one request is under way at a time.
#[derive(Debug)]
pub(crate) struct Requests {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Requests {
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        // Both only improve the texts of refusals; kernels before 4.12 lack them.
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_ext_ack(true);
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(DATAGRAM) })
    }

    /// Asks for a change and returns when it is done or refused.
    pub(crate) fn change(&mut self, kind: u16, flags: u16, payload: &[u8]) -> Result<(), Failure> {
        let sequence = self.next_sequence();
        self.send(&encode(kind, flags, sequence, payload))?;
        let mut outcome = None;
        while outcome.is_none() {
            self.receive(sequence, |frame| {
                if let Ok(Message::Outcome { errno, words }) = wire::decode(&frame) {
                    outcome = Some((errno, words));
                }
            })?;
        }
        match outcome {
            Some((code, words)) if code != 0 => Err(Failure::errno(code, words)),
            _ => Ok(()),
        }
    }

    /// Dumps into a fresh `T` by `each`; again from the start where the kernel reports that its
    /// tables changed half-way.
    pub(crate) fn dump<T: Default>(
        &mut self,
        dump: Dump,
        mut each: impl FnMut(&mut T, Frame<'_>),
    ) -> Result<T, Failure> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut found = T::default();
            if self.dump_once(dump, |frame| each(&mut found, frame))? == Consistency::Whole {
                return Ok(found);
            }
        }
        Err(Failure::from(io::Error::other("the kernel's tables change faster than they are read")))
    }

    fn dump_once(
        &mut self,
        dump: Dump,
        mut each: impl FnMut(Frame<'_>),
    ) -> Result<Consistency, Failure> {
        let sequence = self.next_sequence();
        self.send(&encode_dump(dump, sequence))?;
        let (mut consistency, mut outcome) = (Consistency::Whole, None);
        while outcome.is_none() {
            self.receive(sequence, |frame| {
                if frame.interrupted() {
                    consistency = Consistency::Interrupted;
                }
                match wire::decode(&frame) {
                    Ok(Message::Outcome { errno, words }) => outcome = Some((errno, words)),
                    _ => each(frame),
                }
            })?;
        }
        match outcome {
            Some((code, words)) if code != 0 => Err(Failure::errno(code, words)),
            _ => Ok(consistency),
        }
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        loop {
            match self.socket.send(bytes, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return sent.map(drop),
            }
        }
    }

    /// One datagram; answers to earlier, failed requests are skipped.
    fn receive(&mut self, sequence: u32, mut each: impl FnMut(Frame<'_>)) -> Result<(), Failure> {
        self.buffer.clear();
        let length = match self.socket.recv(&mut self.buffer, MSG_TRUNC) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::Error::other("the kernel gave no answer").into());
            }
            received => received?,
        };
        if length > self.buffer.len() {
            return Err(Failure::errno(errno::EMSGSIZE, String::new()));
        }
        for frame in Frames(&self.buffer) {
            match frame {
                Ok(frame) if frame.sequence == sequence => each(frame),
                Ok(_) => {}
                Err(reject) => log::debug!("netlink: rejected an answer: {}", reject.0),
            }
        }
        Ok(())
    }
}

/// Whether a dump shows one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consistency {
    Whole,
    Interrupted,
}
