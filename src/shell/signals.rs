//! Signals, as orders.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_signal::Signal;
use smol::stream::Stream;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// SIGTERM, SIGINT.
    Stop,
    /// SIGUSR1.
    Dump,
    /// SIGHUP.
    Reload,
}

/// The signals that this process takes.
#[derive(Debug)]
pub struct Signals(async_signal::Signals);

impl Signals {
    /// Takes them over from now on.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub fn new() -> io::Result<Self> {
        let taken = [Signal::Term, Signal::Int, Signal::Usr1, Signal::Hup];
        async_signal::Signals::new(taken).map(Self)
    }

    /// The next order. Signals that cannot be read are as good as none.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Order> {
        loop {
            match Pin::new(&mut self.0).poll_next(cx) {
                Poll::Ready(Some(Ok(signal))) => return Poll::Ready(order(signal)),
                Poll::Ready(Some(Err(error))) => log::warn!("a signal could not be read: {error}"),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

const fn order(signal: Signal) -> Order {
    match signal {
        Signal::Usr1 => Order::Dump,
        Signal::Hup => Order::Reload,
        _ => Order::Stop,
    }
}
