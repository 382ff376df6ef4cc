//! Socket options that neither std nor `socket2` has. This is the one
//! module with unsafe code: they are only to be had as C functions.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use socket2::SockAddr;

/// GTSM (RFC 5082) for an IPv4 TCP socket: segments whose TTL is lower are dropped by the kernel
/// (`IP_MINTTL`, ip(7)); 1 to 255, 0: all are taken. Linux heeds it for TCP only.
///
/// # Errors
/// Those of setsockopt(2).
pub(crate) fn set_min_ttl(socket: &impl AsFd, least: u8) -> io::Result<()> {
    set(socket, (libc::IPPROTO_IP, libc::IP_MINTTL), &c_int::from(least))
}

/// The same for IPv6 (`IPV6_MINHOPCOUNT`, `linux/in6.h`).
///
/// # Errors
/// Those of setsockopt(2).
pub(crate) fn set_min_hop_count(socket: &impl AsFd, least: u8) -> io::Result<()> {
    /// `linux/in6.h`; libc does not name it on every target.
    const IPV6_MINHOPCOUNT: c_int = 73;
    set(socket, (libc::IPPROTO_IPV6, IPV6_MINHOPCOUNT), &c_int::from(least))
}

/// Signs and checks every segment to and from `peer` with `key` (at most 80 bytes); an empty key
/// takes the key away.
///
/// # Errors
/// `EINVAL` for a longer key, `ENOPROTOOPT` where the kernel has no `CONFIG_TCP_MD5SIG`.
pub(crate) fn set_md5(socket: &impl AsFd, peer: IpAddr, key: &[u8]) -> io::Result<()> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    let mut room = [0; TCP_MD5SIG_MAXKEYLEN];
    room.get_mut(..key.len()).ok_or_else(invalid)?.copy_from_slice(key);
    let peer = SockAddr::from(SocketAddr::new(peer, 0));
    // SAFETY: every field of `sockaddr_storage` is valid as zeros.
    let mut address: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let length = usize::try_from(peer.len()).unwrap_or(0).min(std::mem::size_of_val(&address));
    // SAFETY: both are at least `length` bytes long and do not overlap; any bytes are a valid
    // `sockaddr_storage`.
    unsafe {
        std::ptr::copy_nonoverlapping(
            peer.as_ptr().cast::<u8>(),
            std::ptr::from_mut(&mut address).cast::<u8>(),
            length,
        );
    }
    let signature = Md5Signature {
        address,
        flags: 0,
        prefix_len: 0,
        key_len: u16::try_from(key.len()).map_err(|_| invalid())?,
        link: 0,
        key: room,
    };
    set(socket, (libc::IPPROTO_TCP, libc::TCP_MD5SIG), &signature)
}

/// Lets only these types of ICMPv6 messages in (RFC 3542 §3.2).
///
/// # Errors
/// As `setsockopt` says.
pub(crate) fn set_icmpv6_types(socket: &impl AsFd, types: &[u8]) -> io::Result<()> {
    // A set bit keeps a type away.
    let mut filter = [u32::MAX; 8];
    for kind in types {
        if let Some(word) = filter.get_mut(usize::from(kind >> 5)) {
            *word &= !(1 << (kind & 31));
        }
    }
    set(socket, (libc::IPPROTO_ICMPV6, ICMPV6_FILTER), &filter)
}

/// `linux/tcp.h`.
const TCP_MD5SIG_MAXKEYLEN: usize = 80;
/// `linux/icmpv6.h`.
const ICMPV6_FILTER: c_int = 1;

/// `struct tcp_md5sig` of `linux/tcp.h`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Md5Signature {
    address: libc::sockaddr_storage,
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    link: c_int,
    key: [u8; TCP_MD5SIG_MAXKEYLEN],
}

/// setsockopt(2) with a value that is a C structure of plain bytes or an integer.
fn set<T: Copy>(socket: &impl AsFd, option: (c_int, c_int), value: &T) -> io::Result<()> {
    let length =
        libc::socklen_t::try_from(size_of::<T>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor is borrowed and so open; the kernel only reads `length` bytes, which
    // is all of `value`.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            option.0,
            option.1,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};

    #[test]
    fn the_signature_has_the_layout_of_the_kernel() {
        assert_eq!(size_of::<Md5Signature>(), 128 + 8 + 80);
        assert_eq!(std::mem::offset_of!(Md5Signature, key), 136);
    }

    #[test]
    fn the_kernel_takes_a_least_ttl_for_both_families() {
        let v4 = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        set_min_ttl(&v4, 254).unwrap();
        let v6 = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        set_min_hop_count(&v6, 254).unwrap();
    }
}
