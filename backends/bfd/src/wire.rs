//! BFD control packets ↔ bytes (RFC 5880 §4.1, with the checks of §6.8.6). Pure, never panics.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;

/// Bytes of a control packet without authentication section (RFC 5880 §4.1).
pub const LENGTH: usize = 24;
const VERSION: u8 = 1;
const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const AUTHENTICATION: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// `Sta` (RFC 5880 §4.1): what one side believes of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Held down by a person or a stop; says nothing about the path (RFC 5882 §3.2).
    AdminDown,
    /// Nothing is heard.
    Down,
    /// The other side is heard, and does not know it yet.
    Init,
    /// Both sides hear each other.
    Up,
}

impl State {
    /// RFC 5880's name: `AdminDown`, `Down`, `Init`, `Up`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AdminDown => "AdminDown",
            Self::Down => "Down",
            Self::Init => "Init",
            Self::Up => "Up",
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1,
            Self::Init => 2,
            Self::Up => 3,
        }
    }

    const fn of_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }
}

/// `Diag` (RFC 5880 §4.1): why the sender's session left Up the last time; 0 to 31.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Diagnostic(pub u8);

impl Diagnostic {
    /// It never left Up, or is up again.
    pub const NONE: Self = Self(0);
    /// Nothing was heard for the detection time.
    pub const DETECTION_TIME_EXPIRED: Self = Self(1);
    /// The other side said that its session is not up.
    pub const NEIGHBOR_SIGNALED_DOWN: Self = Self(3);
    /// Held down on purpose.
    pub const ADMINISTRATIVELY_DOWN: Self = Self(7);

    /// RFC 5880's words for the code.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self.0 {
            0 => "no diagnostic",
            1 => "control detection time expired",
            2 => "echo function failed",
            3 => "neighbor signaled session down",
            4 => "forwarding plane reset",
            5 => "path down",
            6 => "concatenated path down",
            7 => "administratively down",
            8 => "reverse concatenated path down",
            _ => "a diagnostic that RFC 5880 does not define",
        }
    }
}

/// P and F: no packet has both (RFC 5880 §6.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sequence {
    /// Neither.
    #[default]
    Periodic,
    /// P: the receiver has to answer at once.
    Poll,
    /// F: the answer to P.
    Final,
}

/// D: whether the sender asks us to be silent while both sides are up (RFC 5880 §6.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Demand {
    /// Packets are wanted all the time.
    #[default]
    Off,
    /// None are wanted.
    On,
}

/// A control packet. Intervals are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Why the sender's session went down last.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: State,
    /// P and F.
    pub sequence: Sequence,
    /// D.
    pub demand: Demand,
    /// `Detect Mult`: not 0.
    pub multiplier: u8,
    /// The sender's discriminator: not 0.
    pub my_discriminator: u32,
    /// Ours, as far as the sender knows it, else 0.
    pub your_discriminator: u32,
    /// `Desired Min TX Interval`: the sender would like to send no faster.
    pub desired_min_tx: u32,
    /// `Required Min RX Interval`: the sender can receive no faster; 0: wants no packets.
    pub required_min_rx: u32,
    /// `Required Min Echo RX Interval`; we never echo.
    pub required_min_echo_rx: u32,
}

/// Why bytes are no control packet that we take (RFC 5880 §6.8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Fewer bytes than a packet has, or than its `Length` says.
    Short,
    /// A version that is not 1.
    Version,
    /// `Length` is less than a packet has.
    Length,
    /// `Detect Mult` 0.
    Multiplier,
    /// M.
    Multipoint,
    /// A: we use no authentication.
    Authenticated,
    /// P and F at once.
    Sequence,
    /// `My Discriminator` 0.
    MyDiscriminator,
    /// `Your Discriminator` 0 in a state that cannot be without it.
    YourDiscriminator,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "shorter than it says",
            Self::Version => "not BFD version 1",
            Self::Length => "its length field is too small",
            Self::Multiplier => "detection multiplier 0",
            Self::Multipoint => "the multipoint bit is set",
            Self::Authenticated => "it is authenticated, which viplet cannot do; turn it off there",
            Self::Sequence => "poll and final at once",
            Self::MyDiscriminator => "its discriminator is 0",
            Self::YourDiscriminator => "it does not name our discriminator",
        })
    }
}

/// Reads a control packet, with every check of RFC 5880 §6.8.6 that needs no session.
///
/// # Errors
/// What is wrong with it: it has to be dropped.
pub fn decode(bytes: &[u8]) -> Result<Packet, Malformed> {
    let head = bytes.first_chunk::<LENGTH>().ok_or(Malformed::Short)?;
    let [first, flags, multiplier, length, numbers @ ..] = *head;
    check(first, flags, usize::from(length))?;
    if usize::from(length) > bytes.len() {
        return Err(Malformed::Short);
    }
    let [mine, yours, tx, rx, echo] = words(numbers);
    let state = State::of_bits(flags >> 6);
    match () {
        () if multiplier == 0 => return Err(Malformed::Multiplier),
        () if mine == 0 => return Err(Malformed::MyDiscriminator),
        () if yours == 0 && state > State::Down => return Err(Malformed::YourDiscriminator),
        () => {}
    }
    Ok(Packet {
        diagnostic: Diagnostic(first & 0x1f),
        state,
        sequence: match flags & (POLL | FINAL) {
            0 => Sequence::Periodic,
            POLL => Sequence::Poll,
            _ => Sequence::Final,
        },
        demand: if flags & DEMAND == 0 { Demand::Off } else { Demand::On },
        multiplier,
        my_discriminator: mine,
        your_discriminator: yours,
        desired_min_tx: tx,
        required_min_rx: rx,
        required_min_echo_rx: echo,
    })
}

fn check(first: u8, flags: u8, length: usize) -> Result<(), Malformed> {
    match () {
        () if first >> 5 != VERSION => Err(Malformed::Version),
        () if length < LENGTH => Err(Malformed::Length),
        () if flags & MULTIPOINT != 0 => Err(Malformed::Multipoint),
        () if flags & AUTHENTICATION != 0 => Err(Malformed::Authenticated),
        () if flags & POLL != 0 && flags & FINAL != 0 => Err(Malformed::Sequence),
        () => Ok(()),
    }
}

/// The five 32-bit fields.
fn words(bytes: [u8; 20]) -> [u32; 5] {
    let mut words = [0; 5];
    for (word, four) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*four);
    }
    words
}

impl Packet {
    /// The packet's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; LENGTH] {
        let sequence = match self.sequence {
            Sequence::Periodic => 0,
            Sequence::Poll => POLL,
            Sequence::Final => FINAL,
        };
        let demand = if self.demand == Demand::On { DEMAND } else { 0 };
        let head = [
            VERSION << 5 | self.diagnostic.0 & 0x1f,
            self.state.bits() << 6 | sequence | demand,
            self.multiplier,
            24,
        ];
        let numbers = [
            self.my_discriminator,
            self.your_discriminator,
            self.desired_min_tx,
            self.required_min_rx,
            self.required_min_echo_rx,
        ];
        let mut bytes = [0; LENGTH];
        let fields = head.into_iter().chain(numbers.into_iter().flat_map(u32::to_be_bytes));
        for (byte, field) in bytes.iter_mut().zip(fields) {
            *byte = field;
        }
        bytes
    }
}

#[cfg(test)]
mod tests;
