//! Which addresses can be virtual ones at all.

use std::net::IpAddr;

/// Why an address cannot be a virtual one on `link`, when it cannot.
#[must_use]
pub fn unusable(address: IpAddr, link: &str) -> Option<&'static str> {
    let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    let local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_multicast() {
        Some("is a multicast address; accepted: a unicast address")
    } else if broadcast {
        Some("is the broadcast address; accepted: a unicast address")
    } else if address.is_loopback() && link != "lo" {
        Some("is a loopback address, which no other machine reaches; accepted: another one")
    } else if local {
        Some("is link-local, which needs an interface to be reached; accepted: a routable one")
    } else if mapped {
        Some("is an IPv4 address inside an IPv6 one; write it as IPv4")
    } else {
        None
    }
}
