//! The pages by their paths.

use std::time::Duration;

use super::*;
use crate::core::status::{ServiceState, Why};
use crate::shell::source::fixture::{Fixture, holding, service as service_status};

fn get(target: &str, source: &Fixture) -> Response {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    answer(Request { method: Method::Get, path, query }, source, None)
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
    *source.api.borrow_mut() = ApiHealth::unreachable(Duration::from_secs(7), "TLS: UnknownIssuer");
    let body = get("/readyz", &source).body;
    let last = "the API server has been unreachable for 7 s: TLS: UnknownIssuer\n";
    assert!(body.ends_with(last), "what status says, readyz says too: {body}");
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
fn why_is_answered_for_a_service_that_is_known() {
    let source = holding();
    let known = service_status("default/web", ServiceState::Waiting);
    source.status.borrow_mut().services.push(known.clone());
    for target in ["/why?service=default/web", "/why?x=y&service=default%2Fweb"] {
        let response = get(target, &source);
        assert_eq!((response.status.as_u16(), response.content_type), (200, JSON), "{target}");
        let why: Why = serde_json::from_str(&response.body).unwrap();
        assert_eq!(why.status, known);
    }
    let unknown = get("/why?service=default/other", &source);
    assert_eq!(unknown.status.as_u16(), 404);
    assert!(unknown.body.starts_with("default/other: this viplet knows no such"), "{unknown:?}");
    for query in ["", "?service=", "?service=web", "?service=a/b/c", "?service=A/%62", "?x=a/b"] {
        let response = get(&format!("/why{query}"), &source);
        assert_eq!(response.status.as_u16(), 400, "{query}");
        assert!(response.body.contains("/why?service=NAMESPACE/NAME"), "{response:?}");
    }
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
