//! Requests: read, refused, cut anywhere.

use proptest::prelude::*;

use super::*;

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: node\r\n\r\n")
}

fn refused(head: &str) -> u16 {
    parse(head.as_bytes()).unwrap_err().as_u16()
}

#[test]
fn targets_of_both_forms_give_their_path_and_query() {
    for (target, path, query) in [
        ("/", "/", ""),
        ("/metrics", "/metrics", ""),
        ("/metrics?name[]=up", "/metrics", "name[]=up"),
        ("/readyz?", "/readyz", ""),
        ("/why?service=a/b#?c", "/why", "service=a/b"),
        ("/why#?service=a/b", "/why", ""),
        ("http://node:2112/status?x=/y", "/status", "x=/y"),
        ("http://node:2112", "/", ""),
        ("http://node?x", "/", "x"),
    ] {
        let head = get(target);
        let request = parse(head.as_bytes()).unwrap();
        assert_eq!(request, Request { method: Method::Get, path, query }, "{target}");
    }
}

#[test]
fn heads_that_make_no_sense_are_bad_requests() {
    for head in [
        "\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 x\r\nHost: a\r\n\r\n",
        "GET status HTTP/1.1\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
        "GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(refused(head), 400, "{head:?}");
    }
    assert_eq!(parse(b"GET /\xff HTTP/1.1\r\n\r\n"), Err(StatusCode::BAD_REQUEST));
}

#[test]
fn other_methods_and_long_targets_have_their_own_status() {
    assert_eq!(refused("POST / HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
    assert_eq!(refused("FETCH / HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
    assert_eq!(refused(&get(&format!("/{}", "a".repeat(LONGEST_TARGET)))), 414);
    assert_eq!(too_long(format!("GET /{}", "a".repeat(4_000)).as_bytes()).as_u16(), 414);
    assert_eq!(
        too_long(format!("GET / H\r\nA: {}", "a".repeat(4_000)).as_bytes()),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    );
}

#[test]
fn http_1_0_needs_no_host() {
    assert!(parse(b"HEAD /healthz HTTP/1.0\r\n\r\n").is_ok());
}

#[test]
fn the_end_is_found_however_the_bytes_arrive() {
    for head in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n"] {
        let bytes = head.as_bytes();
        for step in 1..=bytes.len() {
            let mut seen = 0;
            let mut found = None;
            for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
                found = found.or(end_of_head(&bytes[..end], seen));
                seen = end;
            }
            assert_eq!(found, Some(bytes.len()), "steps of {step}");
        }
    }
    assert_eq!(end_of_head(b"GET / HTTP/1.1\r\nHost: a\r\n", 0), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        seen in 0_usize..400,
    ) {
        let _ = (parse(&bytes), too_long(&bytes), end_of_head(&bytes, seen));
    }

    #[test]
    fn no_text_near_a_request_makes_it_panic(
        text in "(GET|HEAD|PUT)? ?(/|http://)?[a-z?/:]{0,9} HTTP/1.[01]\r\n(Host: ?[a-z]*\r\n)?\r?\n",
    ) {
        if let Ok(request) = parse(text.as_bytes()) {
            prop_assert!(request.path.starts_with('/'));
        }
    }
}
