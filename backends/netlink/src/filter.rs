//! Classic BPF (bpf(4)) for the monitor: of what the kernel tells, most is of no concern to us,
//! routes above all, of which each address makes some. Pure.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use socket2::SockFilter;

use crate::request::UNHEARD;
use crate::wire::rtm;

/// `ldb`, `ldh` and `ld` of an offset.
const BYTE: u16 = 0x30;
const HALF: u16 = 0x28;
const WORD: u16 = 0x20;
/// `jeq` and `jset` with a constant.
const EQUAL: u16 = 0x15;
const SET: u16 = 0x45;
const RETURN: u16 = 0x06;

/// `nlmsg_type`, `nlmsg_seq` and `nlmsg_pid` of `struct nlmsghdr`, and `rtm_dst_len` after it.
const TYPE: u32 = 4;
const SEQUENCE: u32 = 8;
const PORT: u32 = 12;
const PREFIX_LEN: u32 = 17;

/// Keeps away all routes but default routes, and what the kernel tells of those changes of our
/// own, asked for from `port`, whose sequence number says that it is known ([`UNHEARD`]).
pub(crate) fn of_concern(port: u32) -> [SockFilter; 12] {
    [
        SockFilter::new(HALF, 0, 0, TYPE),
        jump(EQUAL, half(rtm::NEWADDR), 4, 0),
        jump(EQUAL, half(rtm::NEWROUTE), 1, 0),
        jump(EQUAL, half(rtm::DELROUTE), 0, 6),
        SockFilter::new(BYTE, 0, 0, PREFIX_LEN),
        jump(EQUAL, 0, 4, 5),
        SockFilter::new(WORD, 0, 0, PORT),
        jump(EQUAL, word(port), 0, 2),
        SockFilter::new(WORD, 0, 0, SEQUENCE),
        jump(SET, word(UNHEARD), 1, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// Jumps over `yes` or `no` instructions.
const fn jump(code: u16, value: u32, yes: u8, no: u8) -> SockFilter {
    SockFilter::new(code, yes, no, value)
}

/// Netlink has the machine's byte order, the program reads big-endian.
fn half(value: u16) -> u32 {
    u32::from(u16::from_be_bytes(value.to_ne_bytes()))
}

const fn word(value: u32) -> u32 {
    u32::from_be_bytes(value.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::encode::encode;

    const OURS: u32 = 0x0102_0304;

    /// A message as the kernel tells it: with the port and the sequence number of who asked.
    fn told(kind: u16, sequence: u32, port: u32, payload: [u8; 8]) -> Vec<u8> {
        let mut bytes = encode(kind, 0, sequence, &payload);
        bytes[12..16].copy_from_slice(&port.to_ne_bytes());
        bytes
    }

    fn passes(message: &[u8]) -> bool {
        let (mut sender, mut receiver) = Socket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
        receiver.attach_filter(&of_concern(OURS)).unwrap();
        receiver.set_nonblocking(true).unwrap();
        sender.write_all(message).unwrap();
        let mut buffer = [0; 256];
        receiver.read(&mut buffer).is_ok_and(|length| buffer[..length] == *message)
    }

    #[test]
    fn only_default_routes_are_heard_of() {
        for kind in [rtm::NEWROUTE, rtm::DELROUTE] {
            assert!(passes(&told(kind, 1, 0, [2, 0, 0, 0, 254, 0, 0, 1])));
            assert!(!passes(&told(kind, 1, 0, [2, 32, 0, 0, 255, 0, 0, 1])));
        }
    }

    #[test]
    fn a_refresh_of_ours_is_not_heard_of_and_any_other_address_is() {
        let address = [2, 32, 0, 0, 1, 0, 0, 0];
        assert!(!passes(&told(rtm::NEWADDR, 7 | UNHEARD, OURS, address)));
        assert!(passes(&told(rtm::NEWADDR, 7, OURS, address)));
        assert!(passes(&told(rtm::NEWADDR, 7 | UNHEARD, OURS + 1, address)));
        assert!(passes(&told(rtm::DELADDR, 7 | UNHEARD, OURS, address)));
    }

    #[test]
    fn links_are_heard_of() {
        assert!(passes(&told(rtm::NEWLINK, 7 | UNHEARD, OURS, [0, 32, 0, 0, 0, 0, 0, 0])));
        assert!(passes(&told(rtm::DELLINK, 0, 0, [0, 32, 0, 0, 0, 0, 0, 0])));
    }
}
