//! NOTIFICATION (RFC 4271 §4.5) with the meaning of its codes as words, and the text of a shutdown
//! (RFC 9003).

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;

use super::{Kind, message};

/// The longest text of a shutdown, in bytes (RFC 9003 §2: its length is one byte, at most 255).
const TEXT: usize = 255;

/// Why a session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    pub(crate) code: u8,
    pub(crate) subcode: u8,
    pub(crate) data: Vec<u8>,
}

/// Subcodes of Cease (RFC 4486, RFC 9384) that we send.
pub(crate) mod cease {
    pub(crate) const ADMINISTRATIVE_SHUTDOWN: u8 = 2;
    pub(crate) const PEER_DECONFIGURED: u8 = 3;
    pub(crate) const CONNECTION_REJECTED: u8 = 5;
    pub(crate) const OTHER_CONFIGURATION_CHANGE: u8 = 6;
    pub(crate) const COLLISION: u8 = 7;
    pub(crate) const BFD_DOWN: u8 = 10;
}

const CEASE: u8 = 6;

impl Notification {
    pub(crate) const fn new(code: u8, subcode: u8) -> Self {
        Self { code, subcode, data: Vec::new() }
    }

    pub(crate) const fn cease(subcode: u8) -> Self {
        Self::new(CEASE, subcode)
    }

    /// Cease with a text for the operator at the other end (RFC 9003 §2).
    pub(crate) fn shutdown(subcode: u8, text: &str) -> Self {
        let mut end = text.len().min(TEXT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.as_bytes().get(..end).unwrap_or_default();
        let mut data = vec![u8::try_from(text.len()).unwrap_or(0)];
        data.extend(text);
        Self { code: CEASE, subcode, data }
    }

    /// `None` when it is cut off, which the framing excludes.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        match body {
            [code, subcode, data @ ..] => {
                Some(Self { code: *code, subcode: *subcode, data: data.to_vec() })
            }
            _ => None,
        }
    }

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        message(Kind::Notification, to, |to| {
            to.extend([self.code, self.subcode]);
            to.extend(self.data.iter().take(1024));
        });
    }

    /// The text of a shutdown or reset (RFC 9003 §2), without what would break a line.
    pub(crate) fn text(&self) -> Option<String> {
        let (CEASE, 2 | 4, [length, rest @ ..]) = (self.code, self.subcode, self.data.as_slice())
        else {
            return None;
        };
        let text = rest.get(..usize::from(*length)).filter(|text| !text.is_empty())?;
        let text = String::from_utf8_lossy(text);
        Some(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
    }

    /// The name that the RFCs give to it.
    pub(crate) const fn meaning(&self) -> &'static str {
        match self.code {
            1 => header(self.subcode),
            2 => open(self.subcode),
            3 => "UPDATE Message Error",
            4 => "Hold Timer Expired",
            5 => machine(self.subcode),
            CEASE => ceased(self.subcode),
            7 => "ROUTE-REFRESH Message Error",
            8 => "Send Hold Timer Expired",
            _ => "unknown error",
        }
    }

    /// What a person may do about one that a peer sent; empty where the meaning says it all.
    pub(crate) const fn advice(&self) -> &'static str {
        match (self.code, self.subcode) {
            (2, 2) => "it expects another AS number of us: compare bgp_as with its configuration",
            (2, 3) => "it has our router id itself: set bgp_routerid",
            (2, 6) => "it wants a longer hold time: raise bgp_hold_time",
            (CEASE, 1) => "raise the limit of prefixes in its configuration",
            (CEASE, 5) => "it does not know this node as a neighbour: look at its configuration",
            (CEASE, 10) => "its BFD session to this node is down",
            _ => "",
        }
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}/{})", self.meaning(), self.code, self.subcode)?;
        match self.text() {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

/// RFC 4271 §6.1.
const fn header(subcode: u8) -> &'static str {
    match subcode {
        1 => "Connection Not Synchronized",
        2 => "Bad Message Length",
        3 => "Bad Message Type",
        _ => "Message Header Error",
    }
}

/// RFC 4271 §6.2, RFC 5492, RFC 9234.
const fn open(subcode: u8) -> &'static str {
    match subcode {
        1 => "Unsupported Version Number",
        2 => "Bad Peer AS",
        3 => "Bad BGP Identifier",
        4 => "Unsupported Optional Parameter",
        5 => "Authentication Failure",
        6 => "Unacceptable Hold Time",
        7 => "Unsupported Capability",
        11 => "Role Mismatch",
        _ => "OPEN Message Error",
    }
}

/// RFC 6608.
const fn machine(subcode: u8) -> &'static str {
    match subcode {
        1 => "Unexpected Message in OpenSent",
        2 => "Unexpected Message in OpenConfirm",
        3 => "Unexpected Message in Established",
        _ => "Finite State Machine Error",
    }
}

/// RFC 4486, RFC 8538, RFC 9384.
const fn ceased(subcode: u8) -> &'static str {
    match subcode {
        1 => "Maximum Number of Prefixes Reached",
        2 => "Administrative Shutdown",
        3 => "Peer De-configured",
        4 => "Administrative Reset",
        5 => "Connection Rejected",
        6 => "Other Configuration Change",
        7 => "Connection Collision Resolution",
        8 => "Out of Resources",
        9 => "Hard Reset",
        10 => "BFD Down",
        _ => "Cease",
    }
}
