//! Socket options that no crate has: TCP MD5 signatures (RFC 2385), the least TTL that is heard
//! (GTSM, RFC 5082), and the filter of an ICMPv6 socket. The only unsafe code of BGP: `setsockopt`
//! with structures of the kernel's own layout.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of_val;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use libc::{c_int, c_void, socklen_t};
use socket2::SockAddr;

/// `linux/tcp.h`.
const TCP_MD5SIG_MAXKEYLEN: usize = 80;
/// `linux/in6.h`; libc has it not for every target.
const IPV6_MINHOPCOUNT: c_int = 73;
const IP_MINTTL: c_int = 21;
/// `linux/icmpv6.h`.
const ICMPV6_FILTER: c_int = 1;

/// `struct tcp_md5sig` of `linux/tcp.h`.
#[repr(C)]
struct Md5Signature {
    address: libc::sockaddr_storage,
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    link: c_int,
    key: [u8; TCP_MD5SIG_MAXKEYLEN],
}

fn set<T>(socket: &impl AsFd, (level, name): (c_int, c_int), value: &T) -> io::Result<()> {
    let length = socklen_t::try_from(size_of_val(value)).unwrap_or(0);
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: `value` is a live object of `length` bytes, which the kernel only reads; the
    // descriptor is open as long as it is borrowed.
    let outcome = unsafe {
        libc::setsockopt(
            descriptor,
            level,
            name,
            std::ptr::from_ref(value).cast::<c_void>(),
            length,
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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
    let length = usize::try_from(peer.len()).unwrap_or(0).min(size_of_val(&address));
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

/// Drops what comes in with a lower TTL or hop limit (RFC 5082 §3).
///
/// # Errors
/// As `setsockopt` says.
pub(crate) fn set_least_ttl(socket: &impl AsFd, peer: IpAddr, ttl: u8) -> io::Result<()> {
    let option = match peer {
        IpAddr::V4(_) => (libc::IPPROTO_IP, IP_MINTTL),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, IPV6_MINHOPCOUNT),
    };
    set(socket, option, &c_int::from(ttl))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_has_the_layout_of_the_kernel() {
        assert_eq!(std::mem::size_of::<Md5Signature>(), 128 + 8 + 80);
        assert_eq!(std::mem::offset_of!(Md5Signature, key), 136);
    }

    #[test]
    fn the_ttl_options_are_taken_by_the_kernel() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = std::net::TcpListener::bind(address).unwrap();
            let ip = listener.local_addr().unwrap().ip();
            set_least_ttl(&listener, ip, 254).unwrap();
        }
    }
}
