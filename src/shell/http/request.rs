//! The head of an HTTP/1.1 request (RFC 9112), as much of it as a server of six pages needs.
//! Pure: bytes in, a request or a refusal out; never allocates.

use ::http::StatusCode;

/// The longest request head, request line included.
pub(super) const LONGEST_HEAD: usize = 4 * 1024;
/// The longest request target.
const LONGEST_TARGET: usize = 1024;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// Without the query.
    pub(super) path: &'a str,
    /// What follows the `?`, as written; empty when there is none.
    pub(super) query: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
}

/// Where the head ends, when it does: after its empty line. The bytes before `seen` were looked
/// at before.
pub(super) fn end_of_head(bytes: &[u8], seen: usize) -> Option<usize> {
    let start = seen.saturating_sub(3);
    let new = bytes.get(start..)?;
    let crlf = new.windows(3).position(|w| w == b"\n\r\n").map(|at| at + 3);
    let bare = new.windows(2).position(|w| w == b"\n\n").map(|at| at + 2);
    let end = match (crlf, bare) {
        (Some(a), Some(b)) => a.min(b),
        (a, b) => a.or(b)?,
    };
    Some(start + end)
}

/// Reads a whole head, or says with which status it is refused.
pub(super) fn parse(head: &[u8]) -> Result<Request<'_>, StatusCode> {
    let text = std::str::from_utf8(head).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut lines = text.trim_start_matches(['\r', '\n']).lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(StatusCode::BAD_REQUEST);
    };
    if !is_token(method) || !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
        return Err(StatusCode::BAD_REQUEST);
    }
    check_fields(lines, version)?;
    if target.len() > LONGEST_TARGET {
        return Err(StatusCode::URI_TOO_LONG);
    }
    let path = path(target).ok_or(StatusCode::BAD_REQUEST)?;
    let query = query(target);
    match method {
        "GET" => Ok(Request { method: Method::Get, path, query }),
        "HEAD" => Ok(Request { method: Method::Head, path, query }),
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// With which status a head is refused that fills the whole buffer and has no end.
pub(super) fn too_long(head: &[u8]) -> StatusCode {
    let target = head.split(|b| *b == b' ').nth(1);
    match target {
        Some(target) if target.len() > LONGEST_TARGET => StatusCode::URI_TOO_LONG,
        _ => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    }
}

/// Nothing in the fields matters here, but a malformed head is not to be guessed at (request
/// smuggling lives there), and RFC 9112 §3.2 wants exactly one Host in HTTP/1.1.
fn check_fields<'a>(lines: impl Iterator<Item = &'a str>, version: &str) -> Result<(), StatusCode> {
    let mut hosts = 0_u32;
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(StatusCode::BAD_REQUEST)?;
        if !is_token(name) || value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(StatusCode::BAD_REQUEST);
        }
        hosts += u32::from(name.eq_ignore_ascii_case("host"));
    }
    let allowed = hosts == 1 || (hosts == 0 && version == "HTTP/1.0");
    if allowed { Ok(()) } else { Err(StatusCode::BAD_REQUEST) }
}

/// The path of an origin-form or absolute-form target (RFC 9112 §3.2).
fn path(target: &str) -> Option<&str> {
    let visible = target.bytes().all(|b| b.is_ascii_graphic());
    let before_query = target.split(['?', '#']).next().filter(|_| visible)?;
    if before_query.starts_with('/') {
        return Some(before_query);
    }
    let rest = before_query.strip_prefix("http://")?;
    let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
    let path = rest.strip_prefix(authority)?;
    Some(if path.is_empty() { "/" } else { path })
}

fn query(target: &str) -> &str {
    let before_fragment = target.split('#').next().unwrap_or_default();
    before_fragment.split_once('?').map(|(_, query)| query).unwrap_or_default()
}

/// `token` of RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let special = |b| b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || special(b))
}

#[cfg(test)]
mod tests;
