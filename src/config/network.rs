//! Values that name places on a network: addresses, prefix lengths, URLs, listeners.

use std::fmt;
use std::net::IpAddr;

use crate::core::settings::Target;
use crate::shell::http::Listen;

/// What `vip_subnet` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PrefixChoice {
    /// One length for whatever family the address has.
    One(u8),
    /// IPv4's and IPv6's; `None`: from the interface.
    Both(Option<u8>, Option<u8>),
    /// From the interface.
    Auto,
}

impl fmt::Display for PrefixChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |length: &Option<u8>| length.map_or("auto".to_owned(), |n| n.to_string());
        match self {
            Self::One(length) => write!(f, "{length}"),
            Self::Both(v4, v6) => write!(f, "{},{}", text(v4), text(v6)),
            Self::Auto => f.write_str("auto"),
        }
    }
}

/// Reads `24`, `24,64`, `auto`, `auto,auto`; a leading `/` is kube-vip's older way.
pub(super) fn prefixes(text: &str) -> Result<Option<PrefixChoice>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let parts: Vec<&str> =
        text.split(',').map(|part| part.trim().trim_start_matches('/')).collect();
    let choice = match parts.as_slice() {
        ["auto"] => PrefixChoice::Auto,
        [one] => PrefixChoice::One(length(one, 128)?.ok_or_else(accepted)?),
        // kube-vip takes a list with one family left out.
        [v4, ""] => PrefixChoice::Both(length(v4, 32)?, Some(128)),
        ["", v6] => PrefixChoice::Both(Some(32), length(v6, 128)?),
        [v4, v6] => PrefixChoice::Both(length(v4, 32)?, length(v6, 128)?),
        _ => return Err(accepted()),
    };
    Ok(Some(choice))
}

/// Reads a comma list of addresses and names; each is kept once, in its first place.
///
/// # Errors
/// Names the part that is neither.
pub(super) fn targets(text: &str) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let target = match Target::parse(part).map_err(|why| format!("{part}: {why}"))? {
            // Go reads an IPv4 address inside an IPv6 one as IPv4.
            Target::Address(address) => Target::Address(address.to_canonical()),
            Target::Name(name) if is_mistyped_address(&name) => {
                return Err(format!(
                    "{part}: a mistyped IPv4 address; accepted: IP addresses and DNS names"
                ));
            }
            name @ Target::Name(_) => name,
        };
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    Ok(targets)
}

pub(super) fn cidr(text: &str) -> Result<(), String> {
    let wrong = || format!("{text:?} is not a network; accepted: 10.0.0.0/16 or 2001:db8::/56");
    let (address, length) = text.split_once('/').ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    match length.parse::<u8>() {
        Ok(length) if length <= most => Ok(()),
        _ => Err(wrong()),
    }
}

pub(super) fn url(text: &str) -> Result<(), String> {
    let wrong = "not an absolute URL; accepted: http://… or https://… with a host";
    let uri: http::Uri = text.parse().map_err(|_| wrong.to_owned())?;
    let scheme = uri.scheme_str().is_some_and(|scheme| scheme == "http" || scheme == "https");
    let host = uri.host().is_some_and(|host| !host.is_empty());
    if scheme && host { Ok(()) } else { Err(wrong.to_owned()) }
}

pub(super) fn endpoint(text: &str) -> Result<(), String> {
    let wrong = || "no API server; accepted: host:port, or an http or https URL".to_owned();
    if text.contains("://") {
        return url(text).map_err(|_| wrong());
    }
    let authority: http::uri::Authority = text.parse().map_err(|_| wrong())?;
    let clean = !authority.host().is_empty() && !text.contains('@');
    if clean && authority.port_u16().is_none_or(|port| port > 0) { Ok(()) } else { Err(wrong()) }
}

/// Where to listen; nowhere when empty.
pub(super) fn listener(text: &str) -> Result<Option<Listen>, String> {
    Listen::parse(text).map_err(|_| {
        "no place to listen; accepted: :2112 (every address), 127.0.0.1:2112, [::1]:2112, \
         name:2112"
            .to_owned()
    })
}

fn accepted() -> String {
    "no prefix length; accepted: 1 to 32 (IPv4), 1 to 128 (IPv6), both as 24,64, or auto".into()
}

fn length(text: &str, most: u8) -> Result<Option<u8>, String> {
    if text == "auto" {
        return Ok(None);
    }
    match text.parse::<u8>() {
        Ok(length) if (1..=most).contains(&length) => Ok(Some(length)),
        _ => Err(accepted()),
    }
}

/// Four labels of which three are numbers: `10.77.0.12O`. As a DNS name it would be asked for, for
/// ever and without a word, where kube-vip does not start.
fn is_mistyped_address(name: &str) -> bool {
    let labels: Vec<&str> = name.split('.').collect();
    let is_number = |label: &&str| label.bytes().all(|b| b.is_ascii_digit());
    labels.len() == 4 && labels.into_iter().filter(is_number).count() == 3
}
