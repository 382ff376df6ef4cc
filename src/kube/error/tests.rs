//! The class of an answer, and the line that a person reads.

use super::*;

fn kind(status: u16, body: &str) -> Kind {
    Kind::of_status(StatusCode::from_u16(status).unwrap(), None, body.as_bytes())
}

#[test]
fn a_status_object_gives_the_class_and_the_servers_own_words() {
    let body = r#"{"kind":"Status","status":"Failure","reason":"AlreadyExists",
        "message":"leases \"x\" already exists","code":409}"#;
    assert_eq!(kind(409, body), Kind::AlreadyExists("leases \"x\" already exists".into()));
    let body = r#"{"reason":"Conflict","message":"modified"}"#;
    assert_eq!(kind(409, body), Kind::Conflict("modified".into()));
    assert_eq!(kind(403, r#"{"message":"no verb"}"#), Kind::Forbidden("no verb".into()));
}

#[test]
fn an_error_page_that_is_not_json_is_quoted_briefly_and_on_one_line() {
    let page = format!("<html>\n502 bad\u{7} gateway{}", "x".repeat(5000));
    let Kind::Server(502, text) = kind(502, &page) else { panic!("class") };
    assert!(text.starts_with("<html> 502 bad"), "{text}");
    assert!(text.len() <= 200 && !text.contains('\n'));
    assert_eq!(kind(500, ""), Kind::Server(500, "no reason given".into()));
    assert_eq!(kind(503, r#"{"code":"x"}"#), Kind::Server(503, r#"{"code":"x"}"#.into()));
}

#[test]
fn the_line_names_request_and_server() {
    let error = Kind::Timeout(Duration::from_secs(5)).of("https://a:1", "GET /version");
    assert_eq!(error.to_string(), "GET /version at https://a:1: no answer within 5.0 s");
}
