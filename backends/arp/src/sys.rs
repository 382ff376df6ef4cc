//! Link-layer socket addresses (packet(7)). This is the one module with unsafe code: `socket2`
//! has no safe way to build or read a `sockaddr_ll`, nor to receive into initialised bytes along
//! with the sender.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;

use socket2::{SockAddr, SockAddrStorage, Socket};

/// `AF_PACKET` (`linux/socket.h`).
const AF_PACKET: u16 = 17;
/// Where `sll_addr` begins.
const ADDRESS_AT: usize = 12;
/// `sizeof(struct sockaddr_ll)`: the kernel refuses less.
const LEAST: usize = 20;
/// Longest hardware address that fits here; IPoIB's has 20 bytes, longer than `sll_addr`.
/// The kernel takes what `sll_halen` says, as long as the address given is long enough.
const HARDWARE: usize = 32;

/// `struct sockaddr_ll` with room for longer hardware addresses. All integers, no padding, at
/// most as large and as aligned as `sockaddr_storage`.
#[repr(C)]
struct SockAddrLl {
    family: u16,
    /// Big-endian ethertype.
    protocol: [u8; 2],
    index: i32,
    hatype: u16,
    pkttype: u8,
    halen: u8,
    address: [u8; HARDWARE],
}

const _: () = assert!(size_of::<SockAddrLl>() == ADDRESS_AT + HARDWARE);
const _: () = assert!(size_of::<SockAddrLl>() <= size_of::<SockAddrStorage>());
const _: () = assert!(align_of::<SockAddrLl>() <= align_of::<SockAddrStorage>());

/// The address of `hardware` on a link, for frames of an ethertype; index 0: every link.
pub(crate) fn address(index: u32, ethertype: u16, hardware: &[u8]) -> io::Result<SockAddr> {
    let too_large = || io::Error::from(io::ErrorKind::InvalidInput);
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: by the assertions above the view fits into the zeroed storage and is aligned, and
    // each of its fields is valid for any bytes.
    let view = unsafe { storage.view_as::<SockAddrLl>() };
    view.family = AF_PACKET;
    view.protocol = ethertype.to_be_bytes();
    view.index = i32::try_from(index).map_err(|_| too_large())?;
    view.halen = u8::try_from(hardware.len()).map_err(|_| too_large())?;
    view.address.get_mut(..hardware.len()).ok_or_else(too_large)?.copy_from_slice(hardware);
    let length = LEAST.max(ADDRESS_AT + hardware.len());
    let length = u32::try_from(length).map_err(|_| too_large())?;
    // SAFETY: the family is AF_PACKET and `length` bytes of a sockaddr_ll are initialised.
    Ok(unsafe { SockAddr::new(storage, length) })
}

/// Who sent a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sender {
    /// The link on which it came in.
    pub(crate) index: u32,
    /// `PACKET_HOST`, `PACKET_BROADCAST`, ..., `PACKET_OUTGOING` (4).
    pub(crate) pkttype: u8,
    /// Its hardware address; at most 8 bytes of it (`sll_addr`).
    pub(crate) hardware: Vec<u8>,
}

/// Receives one frame without its link-layer header.
pub(crate) fn receive<'a>(socket: &Socket, buffer: &'a mut [u8]) -> io::Result<(&'a [u8], Sender)> {
    let room: *mut [MaybeUninit<u8>] = std::ptr::from_mut(buffer) as *mut [MaybeUninit<u8>];
    // SAFETY: the same bytes, exclusively borrowed; `recv_from` only ever writes initialised
    // bytes to them (socket2 documents this for its buffers).
    let (length, from) = socket.recv_from(unsafe { &mut *room })?;
    let frame = buffer.get(..length).unwrap_or(&[]);
    Ok((frame, sender(&from)))
}

fn sender(from: &SockAddr) -> Sender {
    // SAFETY: `SockAddr` owns a whole `sockaddr_storage`, zeroed where the kernel wrote nothing,
    // which is at least as large and as aligned as the view (see the assertions above).
    let view = unsafe { &*from.as_ptr().cast::<SockAddrLl>() };
    let length = usize::from(view.halen).min(8);
    Sender {
        index: u32::try_from(view.index).unwrap_or(0),
        pkttype: view.pkttype,
        hardware: view.address.get(..length).unwrap_or(&[]).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_back_as_it_was_made() {
        let made = address(7, 0x0806, &[1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!((made.family(), made.len()), (AF_PACKET, 20));
        let expected = Sender { index: 7, pkttype: 0, hardware: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(sender(&made), expected);
    }

    #[test]
    fn an_ipoib_address_is_longer_than_the_structure() {
        assert_eq!(address(7, 0x0806, &[9; 20]).unwrap().len(), 32);
        assert!(address(7, 0x0806, &[9; 33]).is_err());
    }
}
