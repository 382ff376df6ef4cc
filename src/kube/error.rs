//! Why a request to the API server failed: a class to act upon and one line for a person.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use ::kube::core::Status;
use http::StatusCode;

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The server, as its URL.
    pub server: String,
    /// Method and path.
    pub request: String,
    /// What happened.
    pub kind: Kind,
}

/// What happened to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No connection, or it broke before the answer was complete.
    Unreachable(String),
    /// No answer within this time.
    Timeout(Duration),
    /// The TLS handshake failed.
    Tls(String),
    /// 401, also with freshly read credentials.
    Unauthorized(String),
    /// 403.
    Forbidden(String),
    /// 404.
    NotFound(String),
    /// 409: the object was changed since it was read.
    Conflict(String),
    /// 409: the object exists already.
    AlreadyExists(String),
    /// 409 on a request that was sent twice: the first time may have been the one that succeeded.
    Uncertain(String),
    /// 400, 422 and other refusals of this very request.
    Refused(u16, String),
    /// 410: the version is too old.
    Gone(String),
    /// 429: not before this time has passed.
    TooMany(Option<Duration>, String),
    /// 5xx.
    Server(u16, String),
    /// The answer makes no sense.
    Malformed(String),
    /// The answer is larger than this many bytes (or objects).
    TooLarge(usize),
    /// The request cannot be built or authorised here.
    Local(String),
}

impl Kind {
    /// The class of an answer with a status that is not 2xx. `body` is a `Status` object or text.
    pub(crate) fn of_status(
        status: StatusCode,
        retry_after: Option<Duration>,
        body: &[u8],
    ) -> Self {
        let parsed: Status = serde_json::from_slice(body).unwrap_or_default();
        let text = if parsed.message.is_empty() { excerpt(body) } else { parsed.message };
        match status.as_u16() {
            401 => Self::Unauthorized(text),
            403 => Self::Forbidden(text),
            404 => Self::NotFound(text),
            409 if parsed.reason == "AlreadyExists" => Self::AlreadyExists(text),
            409 => Self::Conflict(text),
            410 => Self::Gone(text),
            429 => Self::TooMany(retry_after, text),
            code @ 500..=599 => Self::Server(code, text),
            code => Self::Refused(code, text),
        }
    }

    /// Names the server and the request.
    pub(crate) fn of(self, server: &str, request: &str) -> ApiError {
        ApiError { server: server.to_owned(), request: request.to_owned(), kind: self }
    }
}

/// The beginning of a body that is not JSON, for a person.
fn excerpt(body: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text = String::from_utf8_lossy(body.get(..LONGEST).unwrap_or(body));
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.trim() {
        "" => "no reason given".to_owned(),
        text => text.to_owned(),
    }
}

/// An error with all its causes, in one line; each said once.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(text) => write!(f, "unreachable: {text}"),
            Self::Timeout(after) => write!(f, "no answer within {:.1} s", after.as_secs_f64()),
            Self::Tls(text) => write!(f, "TLS: {text}"),
            Self::Unauthorized(text) => write!(f, "401, the credentials are not accepted: {text}"),
            Self::Forbidden(text) => write!(f, "403, not allowed: {text}"),
            Self::NotFound(text) => write!(f, "404: {text}"),
            Self::Conflict(text) => write!(f, "409, changed by somebody else: {text}"),
            Self::AlreadyExists(text) => write!(f, "409, exists already: {text}"),
            Self::Uncertain(text) => {
                write!(f, "409 after the request was repeated on a new connection: {text}")
            }
            Self::Refused(code, text) => write!(f, "{code}, refused: {text}"),
            Self::Gone(text) => write!(f, "410, the version is too old: {text}"),
            Self::TooMany(_, text) => write!(f, "429, the server asks to wait: {text}"),
            Self::Server(code, text) => write!(f, "{code}, the server failed: {text}"),
            Self::Malformed(text) => write!(f, "the answer makes no sense: {text}"),
            Self::TooLarge(limit) => write!(f, "the answer is larger than {limit}"),
            Self::Local(text) => write!(f, "not sent: {text}"),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.request, self.server, self.kind)
    }
}

impl Error for ApiError {}

#[cfg(test)]
mod tests;
