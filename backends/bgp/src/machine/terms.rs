//! What goes into a session and what comes out of it. Pure.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::time::Duration;

use crate::settings::RemoteAs;
use crate::wire::notification::Notification;
use crate::wire::open::{AsWidth, NextHops, Open};
use crate::wire::update::Relation;
use crate::wire::{Family, Frame};

/// What the settings say of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) local_as: u32,
    pub(crate) remote_as: RemoteAs,
    pub(crate) hold: Duration,
    pub(crate) keepalive: Duration,
}

/// Who opened a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// We did.
    Ours,
    /// The peer did.
    Theirs,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Ours, Self::Theirs];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Ours => Self::Theirs,
            Self::Theirs => Self::Ours,
        }
    }
}

/// What happens to a session.
#[derive(Clone, Debug)]
pub(crate) enum Event<'a> {
    /// The TCP connection stands; we are to say this. One that stood on this side before was lost.
    Connected(Side, Open),
    /// It could not be made, or it ended.
    Lost(Side, String),
    /// A message came in.
    Message(Side, Frame<'a>),
    /// What came in is no message.
    Garbled(Side, Notification),
    /// BFD says that the peer is gone.
    PathDown,
    /// BFD says that it is there, or that it is not to be asked (AdminDown).
    PathUp,
    /// The session is to end, and not to be tried again.
    Stop(Notification),
    /// A deadline may have passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Open a TCP connection; the outcome is to be told.
    Connect,
    /// Send these bytes.
    Send(Side, Vec<u8>),
    /// Close the connection, after what was sent before.
    Close(Side),
    /// The session is established over this connection.
    Up(Side, Terms),
    /// It is no longer.
    Down,
    /// The peer wants to hear all routes of a family again.
    Refresh(Family),
}

/// What both sides can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) remote_as: u32,
    pub(crate) relation: Relation,
    pub(crate) as_width: AsWidth,
    pub(crate) families: Vec<Family>,
    pub(crate) next_hops: NextHops,
}

/// The states of RFC 4271 §8.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Idle,
    Connect,
    Active,
    OpenSent,
    OpenConfirm,
    Established,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        }
    }
}
