//! BGP messages ↔ values (RFC 4271 §4). The framing and every length are checked before anything
//! else is looked at; the bodies of peers' UPDATEs are never decoded. Pure, never panics.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub(crate) mod notification;
pub(crate) mod open;
pub(crate) mod update;

use std::net::IpAddr;

use notification::Notification;

/// Marker, length and type (RFC 4271 §4.1).
pub(crate) const HEADER: usize = 19;
/// The longest message, header and all (RFC 4271 §4; RFC 8654 is not negotiated).
pub(crate) const LONGEST: usize = 4096;

/// Address families of which we speak: unicast of both (RFC 4760).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::V4, Self::V6];
    /// SAFI of unicast.
    pub(crate) const UNICAST: u8 = 1;

    pub(crate) const fn afi(self) -> u16 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
        }
    }

    pub(crate) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// `None` for what we do not speak of.
    pub(crate) const fn read(afi: u16, safi: u8) -> Option<Self> {
        match (afi, safi) {
            (1, Self::UNICAST) => Some(Self::V4),
            (2, Self::UNICAST) => Some(Self::V6),
            _ => None,
        }
    }

    /// For a person.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// Types of messages (RFC 4271 §4.1, RFC 2918 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Open = 1,
    Update = 2,
    Notification = 3,
    Keepalive = 4,
    RouteRefresh = 5,
}

impl Kind {
    const fn read(value: u8) -> Option<Self> {
        match value {
            1 => Some(Self::Open),
            2 => Some(Self::Update),
            3 => Some(Self::Notification),
            4 => Some(Self::Keepalive),
            5 => Some(Self::RouteRefresh),
            _ => None,
        }
    }

    /// The lengths that a message of this type may have (RFC 4271 §6.1, RFC 2918 §3).
    const fn lengths(self) -> (usize, usize) {
        match self {
            Self::Open => (29, LONGEST),
            Self::Update | Self::RouteRefresh => (23, LONGEST),
            Self::Notification => (21, LONGEST),
            Self::Keepalive => (HEADER, HEADER),
        }
    }
}

/// One message as it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) body: &'a [u8],
}

impl Frame<'_> {
    pub(crate) const fn length(&self) -> usize {
        HEADER + self.body.len()
    }
}

/// The first message in `bytes`, or `None` while it is not there as a whole.
///
/// # Errors
/// With the NOTIFICATION to answer with (RFC 4271 §6.1).
pub(crate) fn frame(bytes: &[u8]) -> Result<Option<Frame<'_>>, Notification> {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    let [marker @ .., high, low, kind] = header;
    if marker.iter().any(|byte| *byte != 0xff) {
        return Err(Notification::new(1, 1));
    }
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let bad_length = || Notification { data: vec![*high, *low], ..Notification::new(1, 2) };
    if !(HEADER..=LONGEST).contains(&length) {
        return Err(bad_length());
    }
    let bad_kind = || Notification { data: vec![*kind], ..Notification::new(1, 3) };
    let kind = Kind::read(*kind).ok_or_else(bad_kind)?;
    let (least, most) = kind.lengths();
    if !(least..=most).contains(&length) {
        return Err(bad_length());
    }
    Ok(bytes.get(HEADER..length).map(|body| Frame { kind, body }))
}

/// Writes one message with its header: what `body` appends goes after it.
pub(crate) fn message(kind: Kind, to: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    to.extend([0xff; 16]);
    to.extend([0, 0, kind as u8]);
    body(to);
    let length = u16::try_from(to.len() - start).unwrap_or(u16::MAX);
    patch(to, start + 16, length);
}

/// Puts `value` at `at`, in network order.
pub(crate) fn patch(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// A KEEPALIVE (RFC 4271 §4.4).
pub(crate) fn keepalive(to: &mut Vec<u8>) {
    message(Kind::Keepalive, to, |_| {});
}

/// The family that a ROUTE-REFRESH asks for (RFC 2918 §3); `None`: not one of ours, or a mark of
/// enhanced route refresh (RFC 7313), which was not negotiated.
pub(crate) fn route_refresh(body: &[u8]) -> Option<Family> {
    match body {
        [high, low, 0, safi, ..] => Family::read(u16::from_be_bytes([*high, *low]), *safi),
        _ => None,
    }
}

/// Takes the first `n` bytes off `rest`.
pub(crate) fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(n)?;
    *rest = tail;
    Some(head)
}

/// Takes one byte off `rest`.
pub(crate) fn take_u8(rest: &mut &[u8]) -> Option<u8> {
    take(rest, 1)?.first().copied()
}

/// Takes two bytes off `rest`.
pub(crate) fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    take(rest, 2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// Takes four bytes off `rest`.
pub(crate) fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest, 4)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests;
