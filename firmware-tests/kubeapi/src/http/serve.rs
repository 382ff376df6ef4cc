//! One request: what was asked, what goes wrong on purpose, what the store answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Either, Full, Limited, StreamBody};
use hyper::body::Incoming;
use serde_json::Value;
use smol::Timer;
use viplet_sim::api::{
    ApiError, Bookmarks, Collection, Key, ListQuery, Part, Patch, Selectors, Store, Written,
};

use super::faults::{Asked, Effect, refusal};
use super::model::{Inner, Model, now};
use super::stream::{Cut, Frames, follow};
use super::target::{Query, Target};
use super::{admin, stream};

/// The largest body that is read, as kube-apiserver's.
const LARGEST_BODY: usize = 3 << 20;
/// How long a watch lasts whose client does not say.
const WATCH_LASTS: Duration = Duration::from_secs(30 * 60);

pub(super) type Body = Either<Full<Bytes>, StreamBody<Frames>>;

/// What a handler makes: a document, or a stream of events.
enum Outcome {
    Document(u16, Value),
    Stream(Frames),
}

/// Answers one request; an error closes its connection.
pub(super) async fn answer(
    model: Arc<Model>,
    request: Request<Incoming>,
    client: IpAddr,
) -> Result<Response<Body>, Cut> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let body = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(document(413, &too_large().to_status())),
    };
    if path.starts_with("/model/") {
        return Ok(admin::answer(&model, &head.method, &path, &body));
    }
    if let Some(plain) = plain(&model, &path) {
        return Ok(plain);
    }
    let target = match Target::parse(&path) {
        Ok(target) => target,
        Err(error) => return Ok(document(error.code, &error.to_status())),
    };
    let Some(verb) = verb(&head.method, &target, &query) else {
        return Ok(document(405, &ApiError::not_allowed().to_status()));
    };
    let asked = Asked { verb, resource: target.resource(), client };
    let verdict = model.judge(asked);
    Timer::after(Duration::from_millis(verdict.delay_ms)).await;
    let outcome = match verdict.then {
        Some(Effect::Hang) => std::future::pending().await,
        Some(Effect::Cut) => return Err(Cut),
        Some(Effect::Fail(code)) => Err(refusal(code)),
        _ => {
            let media = head.headers.get(header::CONTENT_TYPE);
            let media = media.and_then(|value| value.to_str().ok()).unwrap_or_default();
            let call = Call { verb, query: &query, media, body: &body };
            call.carry_out(&model, &target)
        }
    };
    let outcome = outcome.unwrap_or_else(|e| Outcome::Document(e.code, e.to_status()));
    let code = match &outcome {
        Outcome::Document(code, _) => *code,
        Outcome::Stream(_) => 200,
    };
    model.count(asked, code);
    if verdict.then == Some(Effect::LoseAnswer) {
        return Err(Cut);
    }
    Ok(match outcome {
        Outcome::Document(code, value) => document(code, &value),
        Outcome::Stream(frames) => streamed(frames),
    })
}

/// The Kubernetes verb of a request.
fn verb(method: &Method, target: &Target, query: &Query) -> Option<&'static str> {
    match (target, method.as_str()) {
        (Target::Collection(_), "GET") if query.is_set("watch") => Some("watch"),
        (Target::Collection(_), "GET") => Some("list"),
        (Target::Collection(_), "POST") => Some("create"),
        (Target::Object(..), "GET") => Some("get"),
        (Target::Object(..), "PUT") => Some("update"),
        (Target::Object(..), "PATCH") => Some("patch"),
        (Target::Object(_, Part::Main), "DELETE") => Some("delete"),
        _ => None,
    }
}

/// The answers that are not about objects.
fn plain(model: &Model, path: &str) -> Option<Response<Body>> {
    match path {
        "/livez" | "/readyz" | "/healthz" => Some(text("ok".to_owned())),
        "/metrics" => Some(text(model.metrics())),
        "/version" => Some(document(
            200,
            &serde_json::json!({
                "major": "1", "minor": "36", "gitVersion": "v1.36.3+model",
                "gitTreeState": "clean", "platform": "linux/model",
            }),
        )),
        _ => None,
    }
}

struct Call<'a> {
    verb: &'static str,
    query: &'a Query,
    media: &'a str,
    body: &'a [u8],
}

impl Call<'_> {
    fn carry_out(&self, model: &Arc<Model>, target: &Target) -> Result<Outcome, ApiError> {
        match target {
            Target::Collection(of) if self.verb == "create" => {
                let body = self.object()?;
                let created = model.change(|inner| inner.store.create(of, body, &now()))?;
                Ok(Outcome::Document(201, created))
            }
            Target::Collection(of) if self.verb == "watch" => self.watch(model, of.clone()),
            Target::Collection(of) => self.list(&model.lock().store, of),
            Target::Object(key, part) => {
                let value = match self.verb {
                    "get" => model.lock().store.get(key)?,
                    "update" => return self.update(model, key, *part),
                    "patch" => {
                        let patch = self.patch()?;
                        model.change(|inner| inner.store.patch(key, *part, &patch))?
                    }
                    _ => self.delete(model, key)?,
                };
                Ok(Outcome::Document(200, value))
            }
        }
    }

    fn update(&self, model: &Model, key: &Key, part: Part) -> Result<Outcome, ApiError> {
        let body = self.object()?;
        let put = |inner: &mut Inner| inner.store.update_or_create(key, part, body, &now());
        let (written, value) = model.change(put)?;
        let code = match written {
            Written::Created => 201,
            Written::Replaced => 200,
        };
        Ok(Outcome::Document(code, value))
    }

    fn list(&self, store: &Store, of: &Collection) -> Result<Outcome, ApiError> {
        let limit = usize::try_from(self.query.number("limit")?).unwrap_or(usize::MAX);
        let query = ListQuery {
            selectors: self.selectors(of)?,
            limit: Some(limit),
            from: self.query.text("continue").to_owned(),
        };
        Ok(Outcome::Document(200, store.list(of, &query)?))
    }

    fn watch(&self, model: &Arc<Model>, of: Collection) -> Result<Outcome, ApiError> {
        if self.query.is_set("sendInitialEvents") {
            let why = "sendInitialEvents: Forbidden: not supported by the model";
            let text = format!("ListOptions.meta.k8s.io \"\" is invalid: {why}");
            return Err(ApiError::new(422, "Invalid", text)); // clients then list and watch
        }
        let bookmarks = match self.query.is_set("allowWatchBookmarks") {
            true => Bookmarks::On,
            false => Bookmarks::Off,
        };
        let timeout = match self.query.number("timeoutSeconds")? {
            0 => WATCH_LASTS,
            seconds => Duration::from_secs(seconds),
        };
        let since = self.query.text("resourceVersion");
        let selectors = self.selectors(&of)?;
        let begun = model.lock().store.watch(of, selectors, since, bookmarks);
        let frames = match begun {
            Ok(watch) => follow(Arc::clone(model), watch, timeout),
            // kube-apiserver opens the stream and says so in its only event.
            Err(error) if error.code == 410 => stream::only(&error),
            Err(error) => return Err(error),
        };
        Ok(Outcome::Stream(frames))
    }

    fn delete(&self, model: &Model, key: &Key) -> Result<Value, ApiError> {
        let options = if self.body.is_empty() { Value::Null } else { self.object()? };
        model.change(|inner| inner.store.delete(key, &options, &now()))
    }

    fn selectors(&self, of: &Collection) -> Result<Selectors, ApiError> {
        Selectors::parse(self.query.text("fieldSelector"), self.query.text("labelSelector"))?
            .of(of.resource)
    }

    fn object(&self) -> Result<Value, ApiError> {
        match self.media_type() {
            "" | "application/json" => self.parsed(),
            _ => Err(self.wrong_media("application/json")),
        }
    }

    fn patch(&self) -> Result<Patch, ApiError> {
        match self.media_type() {
            "application/merge-patch+json" => Ok(Patch::Merge(self.parsed()?)),
            "application/json-patch+json" => Ok(Patch::Json(self.parsed()?)),
            _ => Err(self.wrong_media("application/json-patch+json, application/merge-patch+json")),
        }
    }

    fn media_type(&self) -> &str {
        self.media.split(';').next().unwrap_or_default().trim()
    }

    fn parsed(&self) -> Result<Value, ApiError> {
        serde_json::from_slice(self.body).map_err(|error| {
            ApiError::bad_request(format!("the body cannot be read as JSON: {error}"))
        })
    }

    fn wrong_media(&self, accepted: &str) -> ApiError {
        let media = self.media;
        let text = format!("the body is {media:?}; accepted media types include: {accepted}");
        ApiError::new(415, "UnsupportedMediaType", text)
    }
}

fn too_large() -> ApiError {
    ApiError::new(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
}

fn with_type(media: &'static str, code: u16, body: Body) -> Response<Body> {
    let response = Response::builder().status(code).header(header::CONTENT_TYPE, media);
    let response = if code == 429 { response.header(header::RETRY_AFTER, "1") } else { response };
    response.body(body).unwrap()
}

pub(super) fn document(code: u16, value: &Value) -> Response<Body> {
    with_type("application/json", code, Either::Left(Full::from(value.to_string())))
}

pub(super) fn text(text: String) -> Response<Body> {
    with_type("text/plain; charset=utf-8", 200, Either::Left(Full::from(text)))
}

fn streamed(frames: Frames) -> Response<Body> {
    with_type("application/json", 200, Either::Right(StreamBody::new(frames)))
}
