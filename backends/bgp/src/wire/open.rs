//! OPEN (RFC 4271 §4.2) and its capabilities (RFC 5492), read and written by ourselves: zettabgp
//! knows neither RFC 8950 nor RFC 9072.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::Ipv4Addr;

use super::notification::Notification;
use super::{Family, Kind, message, take, take_u8, take_u16, take_u32};

/// `AS_TRANS` (RFC 6793 §9): stands for an AS number of four bytes where only two fit.
pub(crate) const AS_TRANS: u16 = 23456;
/// The optional parameter that has the capabilities (RFC 5492 §4).
const CAPABILITIES: u8 = 2;
/// Says that the lengths of optional parameters have two bytes (RFC 9072 §2).
const EXTENDED: u8 = 255;

mod code {
    pub(super) const MULTIPROTOCOL: u8 = 1;
    pub(super) const ROUTE_REFRESH: u8 = 2;
    pub(super) const EXTENDED_NEXT_HOP: u8 = 5;
    pub(super) const GRACEFUL_RESTART: u8 = 64;
    pub(super) const FOUR_OCTET_AS: u8 = 65;
}

/// What an OPEN says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// The AS number; that of the capability, where there is one.
    pub(crate) asn: u32,
    /// Proposed, in seconds.
    pub(crate) hold: u16,
    pub(crate) identifier: Ipv4Addr,
    pub(crate) capabilities: Capabilities,
}

/// Capabilities as far as we know them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// Multiprotocol extensions (RFC 4760 §8).
    pub(crate) families: Vec<Family>,
    /// AS numbers of four bytes (RFC 6793 §3).
    pub(crate) as_width: AsWidth,
    /// IPv4 unicast with IPv6 next hops (RFC 8950 §4).
    pub(crate) next_hops: NextHops,
    pub(crate) graceful_restart: Option<Restart>,
}

/// Bytes of an AS number in AS_PATH.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AsWidth {
    #[default]
    Two,
    Four,
}

/// Next hops that IPv4 routes may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum NextHops {
    #[default]
    SameFamily,
    /// IPv6 ones too.
    Extended,
}

/// The capability of RFC 4724 §3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Restart {
    /// Whether the sender has just restarted (the R bit).
    pub(crate) phase: Phase,
    /// So many seconds its routes are to be kept while it is away, at most 4095.
    pub(crate) seconds: u16,
    /// Families whose forwarding state was preserved (the F bit).
    pub(crate) preserved: Vec<Family>,
}

/// Whether a speaker has just restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Restarting,
    Settled,
}

impl Open {
    /// Reads the body of an OPEN.
    ///
    /// # Errors
    /// With the NOTIFICATION to answer with (RFC 4271 §6.2). Whether AS number, identifier and
    /// hold time are acceptable is not judged here.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Notification> {
        let malformed = || Notification::new(2, 0);
        let mut rest = body;
        let version = take_u8(&mut rest).ok_or_else(malformed)?;
        if version != 4 {
            return Err(Notification { data: vec![0, 4], ..Notification::new(2, 1) });
        }
        let asn = u32::from(take_u16(&mut rest).ok_or_else(malformed)?);
        let hold = take_u16(&mut rest).ok_or_else(malformed)?;
        let identifier = Ipv4Addr::from(take_u32(&mut rest).ok_or_else(malformed)?);
        let mut open = Self { asn, hold, identifier, capabilities: Capabilities::default() };
        parameters(rest, |kind, value| open.parameter(kind, value))?;
        Ok(open)
    }

    fn parameter(&mut self, kind: u8, mut value: &[u8]) -> Result<(), Notification> {
        if kind != CAPABILITIES {
            return Err(Notification::new(2, 4));
        }
        while let Some(code) = take_u8(&mut value) {
            let length = take_u8(&mut value).ok_or(Notification::new(2, 0))?;
            let content = take(&mut value, usize::from(length)).ok_or(Notification::new(2, 0))?;
            self.capability(code, content);
        }
        Ok(())
    }

    /// Unknown and malformed ones are ignored, as RFC 5492 §3 wants.
    fn capability(&mut self, code: u8, mut content: &[u8]) {
        let known = &mut self.capabilities;
        match (code, content) {
            (code::MULTIPROTOCOL, [high, low, _, safi]) => {
                let family = Family::read(u16::from_be_bytes([*high, *low]), *safi);
                let new = family.filter(|family| !known.families.contains(family));
                known.families.extend(new);
            }
            (code::FOUR_OCTET_AS, [a, b, c, d]) => {
                known.as_width = AsWidth::Four;
                self.asn = u32::from_be_bytes([*a, *b, *c, *d]);
            }
            (code::EXTENDED_NEXT_HOP, _) => {
                while let Some(triple) = take(&mut content, 6) {
                    if triple == [0, 1, 0, Family::UNICAST, 0, 2] {
                        known.next_hops = NextHops::Extended;
                    }
                }
            }
            (code::GRACEFUL_RESTART, _) => known.graceful_restart = Restart::read(content),
            _ => {}
        }
    }

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        message(Kind::Open, to, |to| {
            to.push(4);
            to.extend(u16::try_from(self.asn).unwrap_or(AS_TRANS).to_be_bytes());
            to.extend(self.hold.to_be_bytes());
            to.extend(self.identifier.octets());
            let capabilities = self.capabilities.write(self.asn);
            // All that we know together are 46 bytes.
            let length = u8::try_from(capabilities.len()).unwrap_or(0);
            to.extend([length.saturating_add(2), CAPABILITIES, length]);
            to.extend(capabilities);
        });
    }
}

impl Capabilities {
    fn write(&self, asn: u32) -> Vec<u8> {
        let mut to = Vec::new();
        for family in &self.families {
            to.extend([code::MULTIPROTOCOL, 4, 0, family.afi() as u8, 0, Family::UNICAST]);
        }
        to.extend([code::ROUTE_REFRESH, 0]);
        if self.next_hops == NextHops::Extended {
            to.extend([code::EXTENDED_NEXT_HOP, 6, 0, 1, 0, Family::UNICAST, 0, 2]);
        }
        if let Some(restart) = &self.graceful_restart {
            restart.write(&mut to);
        }
        if self.as_width == AsWidth::Four {
            to.extend([code::FOUR_OCTET_AS, 4]);
            to.extend(asn.to_be_bytes());
        }
        to
    }
}

impl Restart {
    const RESTARTING: u16 = 0x8000;
    const SECONDS: u16 = 0x0fff;
    const PRESERVED: u8 = 0x80;

    fn read(mut content: &[u8]) -> Option<Self> {
        let flags = take_u16(&mut content)?;
        let restarting = flags & Self::RESTARTING != 0;
        let phase = if restarting { Phase::Restarting } else { Phase::Settled };
        let mut preserved = Vec::new();
        while let Some([high, low, safi, flags]) = take(&mut content, 4) {
            let family = Family::read(u16::from_be_bytes([*high, *low]), *safi);
            preserved.extend(family.filter(|_| flags & Self::PRESERVED != 0));
        }
        preserved.truncate(Family::BOTH.len());
        Some(Self { phase, seconds: flags & Self::SECONDS, preserved })
    }

    fn write(&self, to: &mut Vec<u8>) {
        let length = u8::try_from(2 + 4 * self.preserved.len()).unwrap_or(2);
        let restarting = match self.phase {
            Phase::Restarting => Self::RESTARTING,
            Phase::Settled => 0,
        };
        to.extend([code::GRACEFUL_RESTART, length]);
        to.extend((restarting | self.seconds.min(Self::SECONDS)).to_be_bytes());
        for family in &self.preserved {
            to.extend(family.afi().to_be_bytes());
            to.extend([Family::UNICAST, Self::PRESERVED]);
        }
    }
}

/// Goes through the optional parameters, in the form of RFC 4271 or RFC 9072 §2.
fn parameters(
    mut rest: &[u8],
    mut each: impl FnMut(u8, &[u8]) -> Result<(), Notification>,
) -> Result<(), Notification> {
    let malformed = || Notification::new(2, 0);
    let length = take_u8(&mut rest).ok_or_else(malformed)?;
    let extended = length != 0 && rest.first() == Some(&EXTENDED);
    let length = match extended {
        true => take(&mut rest, 1).and_then(|_| take_u16(&mut rest)),
        false => Some(u16::from(length)),
    };
    if length.map(usize::from) != Some(rest.len()) {
        return Err(malformed());
    }
    while let Some(kind) = take_u8(&mut rest) {
        let length = match extended {
            true => take_u16(&mut rest),
            false => take_u8(&mut rest).map(u16::from),
        };
        let value = length.and_then(|length| take(&mut rest, usize::from(length)));
        each(kind, value.ok_or_else(malformed)?)?;
    }
    Ok(())
}
