//! The sockets that receive what other stations say of addresses held here.

use std::io;
use std::task::{Context, Poll};

use async_io::Async;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use viplet_backend_api::HardwareAddress;

use crate::filter::Instruction;
use crate::sys;
use crate::wire::{self, ETHERTYPE_ARP};

/// Longest frame that we look into; the rest of a longer one is cut off.
const FRAME: usize = 2048;
/// `PACKET_OUTGOING`: our own frame, looped back.
const OUTGOING: u8 = 4;

/// A receiving socket, open only while an address of its family is held here.
#[derive(Debug)]
pub(super) struct Receiver {
    ethertype: u16,
    socket: Option<Async<Socket>>,
    waiting: Waiting,
}

/// Whether frames may wait in a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Frames,
    /// None when it was read last: the reactor says when there are.
    Nothing,
}

impl Receiver {
    /// One that is closed.
    pub(super) const fn new(ethertype: u16) -> Self {
        Self { ethertype, socket: None, waiting: Waiting::Nothing }
    }

    /// Listens for what `program` passes; without one, closes.
    pub(super) fn set(&mut self, program: Option<&[Instruction]>) -> io::Result<()> {
        let Some(program) = program else {
            self.socket = None;
            return Ok(());
        };
        let program: Vec<SockFilter> = program
            .iter()
            .map(|i| SockFilter::new(i.code, i.jump_true, i.jump_false, i.operand))
            .collect();
        match &self.socket {
            Some(socket) => socket.get_ref().attach_filter(&program),
            None => {
                let socket = packet_socket()?;
                // The filter first: unfiltered frames would pile up.
                socket.attach_filter(&program)?;
                socket.bind(&sys::address(0, self.ethertype, &[])?)?;
                self.socket = Some(Async::new(socket)?);
                Ok(())
            }
        }
    }

    /// Looks at the next frame: the claim in it, if any, and the index of the link on which it
    /// was heard.
    pub(super) fn poll_claim(&mut self, cx: &mut Context<'_>) -> Poll<Option<(wire::Claim, u32)>> {
        let Some(socket) = &self.socket else { return Poll::Pending };
        // Asked before it is read: most turns of the caller have another reason.
        if self.waiting == Waiting::Nothing {
            std::task::ready!(socket.poll_readable(cx)).ok();
            self.waiting = Waiting::Frames;
        }
        let mut buffer = [0; FRAME];
        Poll::Ready(match sys::receive(socket.get_ref(), &mut buffer) {
            Ok((_, from)) if from.pkttype == OUTGOING => None,
            Ok((frame, from)) => self.read(frame, &from).map(|claim| (claim, from.index)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.waiting = Waiting::Nothing;
                return socket.poll_readable(cx).map(|_| None);
            }
            // ENETDOWN is reported once when a link goes down; the socket stays good.
            Err(error) => {
                log::debug!("packet socket: {error}");
                None
            }
        })
    }

    fn read(&self, frame: &[u8], from: &sys::Sender) -> Option<wire::Claim> {
        let read = match self.ethertype {
            ETHERTYPE_ARP => wire::read_arp(frame),
            _ => wire::read_advertisement(frame).map(Some),
        };
        match read {
            Ok(Some(claim)) => {
                let sender = || HardwareAddress(from.hardware.clone());
                let hardware = Some(claim.hardware.unwrap_or_else(sender));
                Some(wire::Claim { hardware, ..claim })
            }
            Ok(None) => None,
            Err(reject) => {
                log::debug!("rejected a frame: {}", reject.0);
                None
            }
        }
    }
}

/// Receives nothing until it is bound to an ethertype; the kernel builds the link-layer header.
pub(super) fn packet_socket() -> io::Result<Socket> {
    Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(0)))
}
