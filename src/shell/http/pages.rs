//! What is served: `/`, `/metrics`, `/status`, `/why`, `/healthz`, `/readyz`.

use ::http::StatusCode;
use serde::Serialize;

use super::request::{Method, Request};
use crate::build_info::VERSION;
use crate::core::cluster::record::ServiceName;
use crate::shell::metrics;
use crate::shell::process::Process;
use crate::shell::source::{ApiHealth, Source, StatusPage};

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// One answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: StatusCode,
    content_type: &'static str,
    body: String,
}

impl Response {
    fn new(content_type: &'static str, body: String) -> Self {
        Self { status: StatusCode::OK, content_type, body }
    }

    fn unavailable(body: String) -> Self {
        Self::refused(StatusCode::SERVICE_UNAVAILABLE, body)
    }

    fn refused(status: StatusCode, body: String) -> Self {
        Self { status, content_type: TEXT, body }
    }

    fn json(document: &impl Serialize) -> Self {
        match serde_json::to_string_pretty(document) {
            Ok(json) => Self::new(JSON, json + "\n"),
            Err(error) => Self::refused(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    /// An answer that is only its status, with the status in words.
    pub(super) fn bare(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or_default();
        let hint = match status {
            StatusCode::NOT_FOUND => ": there are /metrics, /status, /why, /healthz and /readyz",
            StatusCode::METHOD_NOT_ALLOWED => ": only GET and HEAD",
            _ => "",
        };
        Self { status, content_type: TEXT, body: format!("{reason}{hint}\n") }
    }

    /// The bytes that go to the client.
    pub(super) fn encode(&self, method: Method) -> Vec<u8> {
        let Self { status, content_type, body } = self;
        let reason = status.canonical_reason().unwrap_or_default();
        let allow = match *status {
            StatusCode::METHOD_NOT_ALLOWED => "Allow: GET, HEAD\r\n",
            _ => "",
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {code} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
             {allow}Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
             Connection: close\r\n\r\n",
            code = status.as_u16(),
        );
        let mut bytes = head.into_bytes();
        if method == Method::Get {
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    }
}

/// The answer to a well-formed request; `started`: when the process did, see [`Process::now`].
pub(super) fn answer(request: Request<'_>, source: &dyn Source, started: Option<f64>) -> Response {
    match request.path {
        "/" => Response::new(HTML, index()),
        "/metrics" => {
            Response::new(metrics::CONTENT_TYPE, metrics::render(source, Process::now(started)))
        }
        "/status" => Response::json(&StatusPage::of(source)),
        "/why" => why(request.query, source),
        "/healthz" => match source.health() {
            Ok(()) => Response::new(TEXT, "OK".into()),
            Err(why) => Response::unavailable(format!("{why}\n")),
        },
        "/readyz" => ready(source),
        _ => Response::bare(StatusCode::NOT_FOUND),
    }
}

fn ready(source: &dyn Source) -> Response {
    let mut reasons = source.status().not_ready;
    if reasons.is_empty() {
        return Response::new(TEXT, "ok".into());
    }
    // By itself it is no reason: what is held stays held. But it may be why the rest is as it is.
    if let ApiHealth::Unreachable { seconds, reason } = source.api() {
        reasons.push(format!("the API server has been unreachable for {seconds} s: {reason}"));
    }
    let one_line = |reason: &String| format!("{}\n", reason.replace(['\n', '\r'], " "));
    Response::unavailable(reasons.iter().map(one_line).collect())
}

/// `service=NAMESPACE/NAME`.
fn why(query: &str, source: &dyn Source) -> Response {
    let Some(service) = service(query) else {
        let text = "which Service? Ask for /why?service=NAMESPACE/NAME\n";
        return Response::refused(StatusCode::BAD_REQUEST, text.to_owned());
    };
    match source.why(&service) {
        Some(why) => Response::json(&why),
        // `viplet why` tells this from a stranger's 404 by its beginning.
        None => Response::refused(
            StatusCode::NOT_FOUND,
            format!(
                "{service}: this viplet knows no such Service of type LoadBalancer. Is the name \
                 right (kubectl get service --all-namespaces)? viplet sees Services where svc_enable \
                 is true, those of svc_namespace only where that is set, and none before the API \
                 server has answered (viplet config, viplet status)\n"
            ),
        ),
    }
}

/// Names of Kubernetes' objects need no escape, but a careful client escapes the slash.
fn service(query: &str) -> Option<ServiceName> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("service="))?;
    let value = value.replace("%2F", "/").replace("%2f", "/");
    let (namespace, name) = value.split_once('/')?;
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    let is_name = |text: &str| !text.is_empty() && text.bytes().all(letter);
    (is_name(namespace) && is_name(name)).then(|| ServiceName::new(namespace, name))
}

fn index() -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><title>viplet</title></head>\n\
         <body><h1>viplet {VERSION}</h1>\n<ul>\n\
         <li><a href=\"/status\">/status</a>: each address and Service, who holds it, until when and why</li>\n\
         <li>/why?service=NAMESPACE/NAME: what led to the state of a Service</li>\n\
         <li><a href=\"/metrics\">/metrics</a>: for Prometheus</li>\n\
         <li><a href=\"/healthz\">/healthz</a>: does the loop turn</li>\n\
         <li><a href=\"/readyz\">/readyz</a>: is every address that should be here, here</li>\n\
         </ul></body></html>\n"
    )
}

#[cfg(test)]
mod tests;
