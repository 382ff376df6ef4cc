//! [`Connection`]: one request at a time over one HTTP/1.1 connection, opened when it is needed.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use smol::Timer;

use super::dial::{self, Live};
use super::error::{ApiError, Kind};
use super::transport::Api;

/// The largest answer that is read.
const LARGEST_ANSWER: usize = 8 << 20;
/// The most of an error's text that is read.
const LARGEST_REFUSAL: usize = 64 << 10;

/// One connection to the API server, for one request at a time.
#[derive(Debug)]
pub struct Connection {
    api: Api,
    live: Option<Live>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Live(generation {})", self.generation)
    }
}

/// A successful answer (2xx).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
}

/// The body of an answer that goes on and on: a watch. Dropping it closes the connection.
#[derive(Debug)]
pub struct Stream {
    body: Incoming,
    server: String,
    request: String,
    _live: Live,
}

/// How often a request was put on a wire.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Once,
    MaybeTwice,
}

/// Why there is no answer, and whether the server may have seen the request.
struct Lost {
    kind: Kind,
    seen: Seen,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Never,
    Maybe,
}

impl Connection {
    pub(crate) const fn new(api: Api) -> Self {
        Self { api, live: None }
    }

    /// The API that this is a connection to.
    #[must_use]
    pub const fn api(&self) -> &Api {
        &self.api
    }

    /// Sends `request` (its URI is a path) and reads the whole answer, opening a connection when
    /// there is none. A request that a kept connection broke under is repeated once when that is
    /// safe; after a 401, and where no connection comes about, it is tried again once with freshly read
    /// credentials if they have changed.
    ///
    /// # Errors
    /// Every status but 2xx, no answer within `deadline`, and all that can go wrong before.
    pub async fn call(
        &mut self,
        request: Request<Vec<u8>>,
        deadline: Duration,
    ) -> Result<Answer, ApiError> {
        let named = Named::new(&self.api, &request);
        // Dropping the exchange, here or by the caller, drops its connection with it.
        let exchange = async {
            let (response, live, sent) = self.respond(&request).await?;
            let status = response.status();
            let wait = retry_after(&response);
            let limit = if status.is_success() { LARGEST_ANSWER } else { LARGEST_REFUSAL };
            let (body, rest) = read(response.into_body(), limit).await?;
            if rest == Rest::None && !live.sender.is_closed() {
                self.live = Some(live);
            }
            match (status.is_success(), rest) {
                (true, Rest::None) => Ok(Answer { status: status.as_u16(), body }),
                (true, Rest::TooMuch) => Err(Kind::TooLarge(limit)),
                (false, _) => Err(doubt(Kind::of_status(status, wait, &body), sent)),
            }
        };
        within(deadline, exchange).await.map_err(|kind| named.error(kind))
    }

    /// Sends `request` and hands out the answer's body as it comes; the headers must be there
    /// within `deadline`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub async fn stream(
        &mut self,
        request: Request<Vec<u8>>,
        deadline: Duration,
    ) -> Result<Stream, ApiError> {
        let named = Named::new(&self.api, &request);
        let exchange = async {
            let (response, live, _) = self.respond(&request).await?;
            let status = response.status();
            if status.is_success() {
                return Ok((response.into_body(), live));
            }
            let wait = retry_after(&response);
            let (body, _) = read(response.into_body(), LARGEST_REFUSAL).await?;
            Err(Kind::of_status(status, wait, &body))
        };
        let (body, live) = within(deadline, exchange).await.map_err(|kind| named.error(kind))?;
        Ok(Stream { body, server: named.server, request: named.request, _live: live })
    }

    /// The head of the answer, after at most one repetition for each of the two good reasons.
    async fn respond(
        &mut self,
        request: &Request<Vec<u8>>,
    ) -> Result<(Response<Incoming>, Live, Sent), Kind> {
        let (response, live, sent) = self.deliver(request, Sent::Once).await?;
        if response.status() != http::StatusCode::UNAUTHORIZED {
            return Ok((response, live, sent));
        }
        if let Err(error) = self.api.reload() {
            return Err(Kind::Unauthorized(format!("and no other credentials: {error}")));
        }
        // The refused request was not carried out, so it may be sent again whatever it is.
        let (_, rest) = read(response.into_body(), LARGEST_REFUSAL).await?;
        if rest == Rest::None && !live.sender.is_closed() {
            self.live = Some(live);
        }
        self.deliver(request, sent).await
    }

    async fn deliver(
        &mut self,
        request: &Request<Vec<u8>>,
        sent: Sent,
    ) -> Result<(Response<Incoming>, Live, Sent), Kind> {
        let mut sent = sent;
        if let Some(live) = self.kept().await {
            match exchange(&self.api, live, request).await {
                Ok((response, live)) => return Ok((response, live, sent)),
                Err(Lost { seen: Seen::Never, .. }) => {}
                Err(Lost { kind, .. }) if !repeatable(request.method()) => return Err(kind),
                Err(Lost { .. }) => sent = Sent::MaybeTwice,
            }
        }
        let live = self.open().await?;
        let generation = live.generation;
        match exchange(&self.api, live, request).await {
            Ok((response, live)) => Ok((response, live, sent)),
            // In TLS 1.3 a server refuses our certificate after we hold the handshake for complete.
            Err(Lost { kind: Kind::Tls(text), .. }) => {
                let kind = self.reread(generation, Kind::Tls(text))?;
                if !repeatable(request.method()) {
                    return Err(kind);
                }
                let live = dial::open(&self.api).await?;
                match exchange(&self.api, live, request).await {
                    Ok((response, live)) => Ok((response, live, Sent::MaybeTwice)),
                    Err(Lost { kind, .. }) => Err(kind),
                }
            }
            Err(Lost { kind, .. }) => Err(kind),
        }
    }

    /// Opens a connection. Where none comes about, the cluster's authority, our certificate or the
    /// server's address may be others by now.
    async fn open(&self) -> Result<Live, Kind> {
        let generation = self.api.generation();
        match dial::open(&self.api).await {
            Err(kind @ (Kind::Tls(_) | Kind::Unreachable(_))) => {
                self.reread(generation, kind)?;
                dial::open(&self.api).await
            }
            outcome => outcome,
        }
    }

    /// Reads all files again after `kind` has happened with the access of `generation`, and gives
    /// `kind` back when it is worth another try: there is a newer access by now.
    ///
    /// # Errors
    /// `kind`, when all is as before, with the reason if files could not be read.
    fn reread(&self, generation: u64, kind: Kind) -> Result<Kind, Kind> {
        let reread = self.api.reload();
        if self.api.generation() != generation {
            log::info!("credentials were read again and have changed, after this: {kind}");
            return Ok(kind);
        }
        let Err(unread) = reread else { return Err(kind) };
        Err(match kind {
            Kind::Tls(text) => Kind::Tls(format!("{text}; and when read again, {unread}")),
            Kind::Unreachable(text) => {
                Kind::Unreachable(format!("{text}; and when read again, {unread}"))
            }
            kind => kind,
        })
    }

    /// The open connection, if it is still usable and opened with the access of today.
    async fn kept(&mut self) -> Option<Live> {
        let mut live = self.live.take()?;
        let usable = live.generation == self.api.generation() && live.sender.ready().await.is_ok();
        usable.then_some(live)
    }
}

impl Stream {
    /// The next piece of the body; `None` at its regular end.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(dial::of_transport(&error).of(&self.server, &self.request));
                }
            }
        }
    }
}

/// A request's name in errors.
struct Named {
    server: String,
    request: String,
}

impl Named {
    fn new(api: &Api, request: &Request<Vec<u8>>) -> Self {
        let request = format!("{} {}", request.method(), request.uri().path());
        Self { server: api.server(), request }
    }

    fn error(&self, kind: Kind) -> ApiError {
        kind.of(&self.server, &self.request)
    }
}

async fn exchange(
    api: &Api,
    mut live: Live,
    request: &Request<Vec<u8>>,
) -> Result<(Response<Incoming>, Live), Lost> {
    let never = |kind| Lost { kind, seen: Seen::Never };
    let dressed = dress(api, request).map_err(never)?;
    if let Err(error) = live.sender.ready().await {
        return Err(never(live.reason(&error)));
    }
    match live.sender.try_send_request(dressed).await {
        Ok(response) => Ok((response, live)),
        Err(mut error) => {
            let seen = match error.take_message() {
                Some(_) => Seen::Never,
                None => Seen::Maybe,
            };
            Err(Lost { kind: live.reason(error.error()), seen })
        }
    }
}

/// The request with our headers and the server's path prefix.
fn dress(api: &Api, request: &Request<Vec<u8>>) -> Result<Request<Full<Bytes>>, Kind> {
    let local = |error: &dyn std::fmt::Display| Kind::Local(error.to_string());
    let (authority, prefix) = api.address();
    let uri: Uri = format!("{prefix}{}", request.uri()).parse().map_err(|error| local(&error))?;
    let mut dressed = Request::new(Full::new(Bytes::from(request.body().clone())));
    *dressed.method_mut() = request.method().clone();
    *dressed.uri_mut() = uri;
    *dressed.headers_mut() = request.headers().clone();
    let headers = dressed.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(&authority).map_err(|error| local(&error))?);
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("viplet/", env!("CARGO_PKG_VERSION"))),
    );
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
    if let Some(secret) = api.authorization().map_err(|error| local(&error))? {
        headers.insert(AUTHORIZATION, secret);
    }
    Ok(dressed)
}

/// Sending it twice is as good as once. A PUT carries the version that it replaces, and our
/// patches set values.
fn repeatable(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::PUT | Method::PATCH)
}

/// After a repetition a conflict may be with ourselves.
fn doubt(kind: Kind, sent: Sent) -> Kind {
    match (kind, sent) {
        (Kind::Conflict(text) | Kind::AlreadyExists(text), Sent::MaybeTwice) => {
            Kind::Uncertain(text)
        }
        (kind, _) => kind,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    None,
    TooMuch,
}

async fn read(mut body: Incoming, limit: usize) -> Result<(Vec<u8>, Rest), Kind> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| dial::of_transport(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit.saturating_sub(bytes.len()) {
            return Ok((bytes, Rest::TooMuch));
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, Rest::None))
}

fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

async fn within<T>(
    deadline: Duration,
    exchange: impl Future<Output = Result<T, Kind>>,
) -> Result<T, Kind> {
    let limit = async {
        Timer::after(deadline).await;
        Err(Kind::Timeout(deadline))
    };
    smol::future::or(exchange, limit).await
}
