//! The request socket: rtnetlink answers inside `send`, so every question and every change is
//! done when the call returns; the socket never blocks, so a silent kernel cannot hang us.

use std::io;

use netlink_packet_core::NLM_F_ACK;
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

/// Set in the sequence number of a change of which the monitor need not hear: the kernel repeats
/// the number in what it tells of an IPv4 address.
pub(crate) const UNHEARD: u32 = 1 << 31;

/// Whether the monitor is to hear of a change of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    Heard,
    Unheard,
}

/// A change to ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'a> {
    /// `RTM_*`.
    pub(crate) kind: u16,
    /// `NLM_F_*`.
    pub(crate) flags: u16,
    pub(crate) payload: &'a [u8],
    pub(crate) echo: Echo,
}

impl<'a> Change<'a> {
    /// One that the monitor hears of.
    pub(crate) const fn heard(kind: u16, flags: u16, payload: &'a [u8]) -> Self {
        Self { kind, flags, payload, echo: Echo::Heard }
    }
}

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
    port: u32,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Requests {
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        let port = socket.bind_auto()?.port_number();
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        // Both only improve the texts of refusals; kernels before 4.12 lack them.
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_ext_ack(true);
        Ok(Self { socket, port, sequence: 0, buffer: Vec::with_capacity(DATAGRAM) })
    }

    /// By which the kernel tells this socket from others.
    pub(crate) const fn port(&self) -> u32 {
        self.port
    }

    /// Asks for a change and returns when it is done or refused.
    pub(crate) fn change(&mut self, change: &Change<'_>) -> Result<(), Failure> {
        self.change_all(std::slice::from_ref(change)).pop().unwrap_or(Ok(()))
    }

    /// Asks for changes at once and returns when all are done or refused. The kernel goes through
    /// them in order and answers what it refuses, and the last one.
    pub(crate) fn change_all(&mut self, changes: &[Change<'_>]) -> Vec<Result<(), Failure>> {
        let mut outcomes: Vec<_> = changes.iter().map(|_| Ok(())).collect();
        let Some(last) = changes.len().checked_sub(1) else { return outcomes };
        let mut bytes = Vec::new();
        let mut sequences = Vec::with_capacity(changes.len());
        for (place, change) in changes.iter().enumerate() {
            let ack = if place == last { NLM_F_ACK } else { 0 };
            let sequence = self.next_sequence(change.echo);
            bytes.extend(encode(change.kind, change.flags | ack, sequence, change.payload));
            sequences.push(sequence);
        }
        if let Err(failure) = self.exchange(&bytes, &sequences, &mut outcomes) {
            let failed = || Failure { error: again(&failure.error), words: failure.words.clone() };
            outcomes.iter_mut().filter(|done| done.is_ok()).for_each(|done| *done = Err(failed()));
        }
        outcomes
    }

    fn exchange(
        &mut self,
        bytes: &[u8],
        sequences: &[u32],
        outcomes: &mut [Result<(), Failure>],
    ) -> Result<(), Failure> {
        self.send(bytes)?;
        let mut through = false;
        while !through {
            self.receive(|frame| {
                let place = sequences.iter().position(|sequence| *sequence == frame.sequence);
                let answer = place.and_then(|place| outcomes.get_mut(place));
                if let (Some(answer), Ok(Message::Outcome { errno, words })) =
                    (answer, wire::decode(&frame))
                {
                    through |= sequences.last() == Some(&frame.sequence);
                    if errno != 0 {
                        *answer = Err(Failure::errno(errno, words));
                    }
                }
            })?;
        }
        Ok(())
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
        let sequence = self.next_sequence(Echo::Heard);
        self.send(&encode_dump(dump, sequence))?;
        let (mut consistency, mut outcome) = (Consistency::Whole, None);
        while outcome.is_none() {
            self.receive(|frame| {
                if frame.sequence != sequence {
                    return; // An answer to an earlier, failed request.
                }
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

    fn next_sequence(&mut self, echo: Echo) -> u32 {
        self.sequence = self.sequence.wrapping_add(1) & !UNHEARD;
        match echo {
            Echo::Heard => self.sequence,
            Echo::Unheard => self.sequence | UNHEARD,
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        loop {
            match self.socket.send(bytes, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return sent.map(drop),
            }
        }
    }

    /// One datagram.
    fn receive(&mut self, mut each: impl FnMut(Frame<'_>)) -> Result<(), Failure> {
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
                Ok(frame) => each(frame),
                Err(reject) => log::debug!("netlink: rejected an answer: {}", reject.0),
            }
        }
        Ok(())
    }
}

/// The same error once more: `io::Error` cannot be cloned.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// Whether a dump shows one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consistency {
    Whole,
    Interrupted,
}
