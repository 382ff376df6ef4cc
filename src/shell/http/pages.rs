//! What is served: `/`, `/metrics`, `/status`, `/healthz`, `/readyz`.

use ::http::StatusCode;

use super::request::{Method, Request};
use crate::build_info::VERSION;
use crate::shell::metrics;
use crate::shell::process::Process;
use crate::shell::source::{Source, StatusPage};

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
        Self { status: StatusCode::SERVICE_UNAVAILABLE, content_type: TEXT, body }
    }

    /// An answer that is only its status, with the status in words.
    pub(super) fn bare(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or_default();
        let hint = match status {
            StatusCode::NOT_FOUND => ": there are /metrics, /status, /healthz and /readyz",
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
        "/status" => status(source),
        "/healthz" => match source.health() {
            Ok(()) => Response::new(TEXT, "OK".into()),
            Err(why) => Response::unavailable(format!("{why}\n")),
        },
        "/readyz" => ready(source),
        _ => Response::bare(StatusCode::NOT_FOUND),
    }
}

fn ready(source: &dyn Source) -> Response {
    let reasons = source.status().not_ready;
    if reasons.is_empty() {
        return Response::new(TEXT, "ok".into());
    }
    let one_line = |reason: &String| format!("{}\n", reason.replace(['\n', '\r'], " "));
    Response::unavailable(reasons.iter().map(one_line).collect())
}

fn status(source: &dyn Source) -> Response {
    match serde_json::to_string_pretty(&StatusPage::of(source)) {
        Ok(json) => Response::new(JSON, json + "\n"),
        Err(error) => Response {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            content_type: TEXT,
            body: format!("{error}\n"),
        },
    }
}

fn index() -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><title>viplet</title></head>\n\
         <body><h1>viplet {VERSION}</h1>\n<ul>\n\
         <li><a href=\"/status\">/status</a>: each address, who holds it, until when and why</li>\n\
         <li><a href=\"/metrics\">/metrics</a>: for Prometheus</li>\n\
         <li><a href=\"/healthz\">/healthz</a>: does the loop turn</li>\n\
         <li><a href=\"/readyz\">/readyz</a>: is every address that should be here, here</li>\n\
         </ul></body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::source::fixture::{Fixture, holding};

    fn get(path: &str, source: &Fixture) -> Response {
        answer(Request { method: Method::Get, path }, source, None)
    }

    #[test]
    fn ready_says_ok_or_every_reason_on_its_line() {
        let source = holding();
        assert_eq!(get("/readyz", &source), Response::new(TEXT, "ok".into()));
        source.status.borrow_mut().not_ready =
            vec!["192.0.2.10: link eth0 is down".into(), "no lease\nseen".into()];
        let response = get("/readyz", &source);
        assert_eq!(response.status.as_u16(), 503);
        assert_eq!(response.body, "192.0.2.10: link eth0 is down\nno lease seen\n");
    }

    #[test]
    fn health_says_ok_as_kube_vip_does_or_why_not() {
        let source = holding();
        assert_eq!(get("/healthz", &source), Response::new(TEXT, "OK".into()));
        *source.health.borrow_mut() = Err("the loop has not turned for 12 s".into());
        let response = get("/healthz", &source);
        assert_eq!(response.status.as_u16(), 503);
        assert_eq!(response.body, "the loop has not turned for 12 s\n");
    }

    #[test]
    fn every_link_on_the_first_page_leads_somewhere() {
        let source = holding();
        let index = get("/", &source).body;
        let links: Vec<&str> =
            index.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(links.len(), 4);
        for link in links {
            assert_eq!(get(link, &source).status.as_u16(), 200, "{link}");
        }
        assert_eq!(get("/metrics/", &source).status.as_u16(), 404);
    }

    #[test]
    fn status_is_the_page_as_json() {
        let source = holding();
        let response = get("/status", &source);
        assert_eq!(response.content_type, JSON);
        let page: StatusPage = serde_json::from_str(&response.body).unwrap();
        assert_eq!(page, StatusPage::of(&source));
    }

    #[test]
    fn head_has_the_length_and_no_body() {
        let response = get("/readyz", &holding());
        let text = String::from_utf8(response.encode(Method::Head)).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.contains("Content-Length: 2\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    }

    #[test]
    fn a_refused_method_names_the_allowed_ones() {
        let response = Response::bare(StatusCode::METHOD_NOT_ALLOWED);
        let text = String::from_utf8(response.encode(Method::Get)).unwrap();
        assert!(text.contains("Allow: GET, HEAD\r\n"), "{text}");
    }
}
