//! Where an API server listens: scheme, host, port and path prefix, from a URL or `host:port`.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

/// How the server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP: the model API server and tests.
    Http,
    /// HTTP over TLS.
    Https,
}

/// What to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name for the resolver.
    Name(String),
    /// A literal address.
    Address(IpAddr),
    /// This node itself: `127.0.0.1`, then `::1`.
    Loopback,
}

/// Where an API server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// How the server is spoken to.
    pub scheme: Scheme,
    /// What to connect to.
    pub host: Host,
    /// TCP port.
    pub port: u16,
    /// Put before each path; empty, or `/…` without a slash at its end.
    pub prefix: String,
}

/// A URL as it may be shown: what stands before an `@` may be a password (RFC 3986 §3.2.1).
#[must_use]
pub fn without_user(text: &str) -> String {
    let Some((before, rest)) = text.rsplit_once('@') else { return text.to_owned() };
    let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
    let slashes = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{slashes}********@{rest}")
}

impl Endpoint {
    /// Reads a URL (`https://[fd00::1]:6443`), `host:port`, a host name or an address. Without a
    /// scheme it is HTTPS, without a port the scheme's own (443 or 80), as client-go has it.
    ///
    /// # Errors
    /// What is wrong with `text`, and what would be accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| {
            let shown = without_user(text);
            format!("\"{shown}\" is no server address ({why}); use https://HOST:PORT or HOST:PORT")
        };
        let text = text.trim();
        if text.parse::<std::net::Ipv6Addr>().is_ok() {
            return Self::parse(&format!("https://[{text}]"));
        }
        if !text.contains("://") {
            if text.is_empty() {
                return Err(refuse("it is empty"));
            }
            return Self::parse(&format!("https://{text}")).map_err(|_| {
                refuse("an IPv6 address with a port needs brackets, a port is 1 to 65535")
            });
        }
        let uri: Uri = text.parse().map_err(|error| refuse(&format!("{error}")))?;
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(refuse("the scheme must be https or http")),
        };
        let authority = uri.authority().ok_or_else(|| refuse("no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("a user name has no place in it"));
        }
        if uri.query().is_some() {
            return Err(refuse("a query has no place in it"));
        }
        let named = authority.host();
        let after_host = authority.as_str().strip_prefix(named).unwrap_or_default();
        let port = match (after_host, authority.port_u16(), scheme) {
            ("", _, Scheme::Https) => 443,
            ("", _, Scheme::Http) => 80,
            (_, Some(port), _) if port != 0 => port,
            _ => return Err(refuse("a port is 1 to 65535")),
        };
        let bare = named.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match (bare, named.parse::<IpAddr>()) {
            (Some(v6), _) => Host::Address(v6.parse().map_err(|_| refuse("no IPv6 address"))?),
            (None, Ok(address)) => Host::Address(address),
            (None, Err(_)) if named.is_empty() => return Err(refuse("no host")),
            (None, Err(_)) => Host::Name(named.to_owned()),
        };
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { scheme, host, port, prefix })
    }

    /// `host:port` as the HTTP `Host` header has it.
    #[must_use]
    pub fn authority(&self) -> String {
        match &self.host {
            Host::Name(name) => format!("{name}:{}", self.port),
            Host::Address(IpAddr::V4(address)) => format!("{address}:{}", self.port),
            Host::Address(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            Host::Loopback => format!("127.0.0.1:{}", self.port),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

#[cfg(test)]
mod tests;
