//! One request at a time: kept connections, repetitions, time-outs, credentials, sizes.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use http::Request;
use viplet::kube::{ApiError, Connection, Kind, Reloaded, set_label};

use super::server::{Seen, Step, Steps, answer, chunked, serve, with_headers};
use super::setup::{Folder, api, run};
use super::store::status;

const SOON: Duration = Duration::from_secs(5);

fn ask(method: &str) -> Request<Vec<u8>> {
    Request::builder().method(method).uri("/x?a=b").body(b"{}".to_vec()).unwrap()
}

async fn get(connection: &mut Connection) -> Result<Vec<u8>, Kind> {
    connection.call(ask("GET"), SOON).await.map(|answer| answer.body).map_err(|error| error.kind)
}

/// The class that one GET of `steps` ends in.
fn kind_of(steps: impl Fn() -> Steps + 'static) -> Kind {
    let result = Rc::new(Cell::new(None));
    let out = Rc::clone(&result);
    run(async move |executor| {
        let folder = Folder::new();
        let server = serve(&executor, None, move |_| steps());
        let mut connection = api(&executor, &folder, &server.url(), "").connection();
        out.set(Some(get(&mut connection).await.unwrap_err()));
    });
    result.take().unwrap()
}

#[test]
fn calls_share_one_connection_and_carry_our_headers() {
    run(async |executor| {
        let folder = Folder::new();
        let server = serve(&executor, None, |_| answer(200, "[]"));
        let url = format!("{}/prefix/", server.url());
        let user = "username: me, password: 'a:b'";
        let mut connection = api(&executor, &folder, &url, user).connection();
        for _ in 0..3 {
            assert_eq!(get(&mut connection).await, Ok(b"[]".to_vec()));
        }
        let seen = server.seen.borrow();
        assert!(seen.iter().all(|seen| seen.connection == 0 && seen.path == "/prefix/x"));
        assert_eq!((seen[0].query.as_str(), seen.len()), ("a=b", 3));
        assert_eq!(seen[0].header("authorization"), "Basic bWU6YTpi");
        assert_eq!(seen[0].header("host"), server.address.to_string());
        assert!(seen[0].header("user-agent").starts_with("viplet/"));
    });
}

/// Answers the first request of the first connection, then breaks it under the second request.
fn breaking(then: fn() -> Steps) -> impl FnMut(&Seen) -> Steps {
    let mut requests = 0;
    move |_| {
        requests += 1;
        match requests {
            1 => answer(200, "1"),
            2 => vec![Step::Close],
            _ => then(),
        }
    }
}

#[test]
fn a_request_that_a_kept_connection_broke_under_is_repeated_when_that_is_safe() {
    for (method, times) in [("GET", 3), ("PUT", 3), ("PATCH", 3), ("POST", 2)] {
        run(async move |executor| {
            let folder = Folder::new();
            let server = serve(&executor, None, breaking(|| answer(200, "2")));
            let mut connection = api(&executor, &folder, &server.url(), "").connection();
            get(&mut connection).await.unwrap();
            let second = connection.call(ask(method), SOON).await;
            assert_eq!(server.seen.borrow().len(), times, "{method}");
            match method {
                "POST" => assert!(matches!(second.unwrap_err().kind, Kind::Unreachable(_))),
                _ => assert_eq!(second.unwrap().body, b"2"),
            }
        });
    }
}

#[test]
fn a_conflict_after_a_repetition_may_be_with_ourselves() {
    run(async |executor| {
        let folder = Folder::new();
        let server = serve(&executor, None, breaking(|| status(409, "Conflict")));
        let mut connection = api(&executor, &folder, &server.url(), "").connection();
        get(&mut connection).await.unwrap();
        let error = connection.call(ask("PUT"), SOON).await.unwrap_err();
        assert!(matches!(error.kind, Kind::Uncertain(_)), "{error}");
        let error = connection.call(ask("PUT"), SOON).await.unwrap_err();
        assert!(matches!(error.kind, Kind::Conflict(_)), "{error}");
    });
}

#[test]
fn a_request_that_a_new_connection_broke_under_is_not_repeated() {
    let count = Rc::new(Cell::new(0));
    let counter = Rc::clone(&count);
    let kind = kind_of(move || {
        counter.set(counter.get() + 1);
        vec![Step::Close]
    });
    assert!(matches!(kind, Kind::Unreachable(_)), "{kind}");
    assert_eq!(count.get(), 1);
}

#[test]
fn a_connection_that_the_server_does_not_keep_is_opened_anew_also_for_a_post() {
    run(async |executor| {
        let folder = Folder::new();
        let server = serve(&executor, None, |_| {
            let mut steps = with_headers(200, "connection: close\r\n", "1");
            steps.push(Step::Close);
            steps
        });
        let mut connection = api(&executor, &folder, &server.url(), "").connection();
        for _ in 0..3 {
            connection.call(ask("POST"), SOON).await.unwrap();
        }
        let seen: Vec<usize> = server.seen.borrow().iter().map(|seen| seen.connection).collect();
        assert_eq!(seen, [0, 1, 2]);
    });
}

#[test]
fn a_server_that_hangs_or_drips_costs_no_more_than_the_deadline_and_the_next_call_works() {
    run(async |executor| {
        let folder = Folder::new();
        let mut requests = 0;
        let server = serve(&executor, None, move |_| {
            requests += 1;
            match requests {
                1 => vec![Step::Hang],
                2 => chunked(vec![Step::Chunk(b"{".to_vec()), Step::Hang]),
                3 => vec![Step::Send(b"HTTP/1.1 200 OK\r\nx: ".to_vec()), Step::Hang],
                _ => answer(200, "ok"),
            }
        });
        let mut connection = api(&executor, &folder, &server.url(), "").connection();
        let brief = Duration::from_millis(60);
        for _ in 0..3 {
            let error = connection.call(ask("GET"), brief).await.unwrap_err();
            assert_eq!(error.kind, Kind::Timeout(brief));
            assert!(error.to_string().starts_with("GET /x at http://127.0.0.1:"), "{error}");
        }
        assert_eq!(get(&mut connection).await, Ok(b"ok".to_vec()));
    });
}

#[test]
fn each_status_has_its_class() {
    type Is = fn(&Kind) -> bool;
    let cases: [(u16, Is); 9] = [
        (400, |kind| matches!(kind, Kind::Refused(400, _))),
        (403, |kind| matches!(kind, Kind::Forbidden(_))),
        (404, |kind| matches!(kind, Kind::NotFound(_))),
        (409, |kind| matches!(kind, Kind::Conflict(_))),
        (410, |kind| matches!(kind, Kind::Gone(_))),
        (422, |kind| matches!(kind, Kind::Refused(422, _))),
        (429, |kind| matches!(kind, Kind::TooMany(None, _))),
        (500, |kind| matches!(kind, Kind::Server(500, _))),
        (302, |kind| matches!(kind, Kind::Refused(302, _))),
    ];
    for (code, is) in cases {
        let kind = kind_of(move || status(code, "X"));
        assert!(is(&kind), "{code}: {kind}");
    }
    let kind = kind_of(|| with_headers(429, "retry-after: 7\r\n", "slow down"));
    assert_eq!(kind, Kind::TooMany(Some(Duration::from_secs(7)), "slow down".into()));
}

#[test]
fn answers_that_are_no_http_or_break_off_or_are_endless_are_errors() {
    let kind = kind_of(|| vec![Step::Send(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), Step::Hang]);
    assert!(matches!(kind, Kind::Unreachable(_)), "{kind}");
    let kind = kind_of(|| {
        vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{".to_vec()), Step::Close]
    });
    assert!(matches!(kind, Kind::Unreachable(_)), "{kind}");
    let endless_head = || {
        let line = format!("x: {}\r\n", "y".repeat(60_000));
        vec![Step::Send(format!("HTTP/1.1 200 OK\r\n{}", line.repeat(20)).into_bytes()), Step::Hang]
    };
    let kind = kind_of(endless_head);
    assert!(matches!(kind, Kind::Unreachable(_)), "{kind}");
    let kind = kind_of(|| {
        let megabyte = vec![b' '; 1 << 20];
        let chunks = (0..12).map(|_| Step::Chunk(megabyte.clone()));
        chunked(chunks.chain([Step::Hang]).collect())
    });
    assert_eq!(kind, Kind::TooLarge(8 << 20));
}

#[test]
fn an_endless_error_page_is_cut_and_still_an_error_of_its_class() {
    let kind = kind_of(|| {
        let head = b"HTTP/1.1 503 X\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        let chunks = (0..64).map(|_| Step::Chunk(vec![b'e'; 4096]));
        std::iter::once(Step::Send(head)).chain(chunks).chain([Step::Hang]).collect()
    });
    assert!(matches!(kind, Kind::Server(503, _)), "{kind}");
}

#[test]
fn nobody_listening_says_so_with_the_address() {
    run(async |executor| {
        let folder = Folder::new();
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut connection = api(&executor, &folder, &format!("http://{unused}"), "").connection();
        let error = connection.call(ask("GET"), SOON).await.unwrap_err();
        assert!(error.to_string().contains(&format!("{unused}: Connection refused")), "{error}");
        let mut connection =
            api(&executor, &folder, "http://no.such.name.invalid", "").connection();
        let error: ApiError = connection.call(ask("GET"), SOON).await.unwrap_err();
        assert!(
            error.to_string().contains("\"no.such.name.invalid\" cannot be resolved"),
            "{error}"
        );
    });
}

/// Accepts only the token in `valid`.
fn guarded(valid: Rc<Cell<&'static str>>) -> impl FnMut(&Seen) -> Steps {
    move |seen| match seen.header("authorization") == format!("Bearer {}", valid.get()) {
        true => answer(200, "in"),
        false => status(401, "Unauthorized"),
    }
}

#[test]
fn a_rotated_token_is_read_again_at_once_when_the_old_one_is_refused() {
    run(async |executor| {
        let folder = Folder::new();
        folder.write("token", "one\n");
        let valid = Rc::new(Cell::new("one"));
        let server = serve(&executor, None, guarded(Rc::clone(&valid)));
        let api = api(&executor, &folder, &server.url(), "tokenFile: token");
        let mut connection = api.connection();
        assert!(get(&mut connection).await.is_ok());
        folder.write("token", "two\n");
        valid.set("two");
        assert_eq!(connection.call(ask("POST"), SOON).await.unwrap().body, b"in");
        let seen: Vec<usize> = server.seen.borrow().iter().map(|seen| seen.connection).collect();
        assert_eq!(seen, [0, 0, 0], "all over the same connection");
        valid.set("three");
        assert!(matches!(get(&mut connection).await, Err(Kind::Unauthorized(_))));
        assert_eq!(server.seen.borrow().len(), 5, "tried twice, no more");
        std::fs::remove_file(folder.0.join("token")).unwrap();
        assert!(matches!(get(&mut connection).await, Err(Kind::Unauthorized(_))));
        valid.set("two");
        assert!(get(&mut connection).await.is_ok(), "the last token that was read stays in use");
    });
}

#[test]
fn reloading_takes_the_new_server_and_credentials_and_survives_a_broken_file() {
    run(async |executor| {
        let folder = Folder::new();
        let old = serve(&executor, None, |_| answer(200, "old"));
        let new = serve(&executor, None, |_| answer(200, "new"));
        let api_here = api(&executor, &folder, &old.url(), "token: a");
        let mut connection = api_here.connection();
        assert_eq!(get(&mut connection).await, Ok(b"old".to_vec()));
        assert_eq!(api_here.reload(), Ok(Reloaded::Same));
        folder.write("config", "nonsense");
        assert!(api_here.reload().is_err());
        assert_eq!(get(&mut connection).await, Ok(b"old".to_vec()));
        folder.write("config", &super::setup::kubeconfig(&new.url(), "", "token: b"));
        assert_eq!(api_here.reload(), Ok(Reloaded::Changed));
        assert_eq!(get(&mut connection).await, Ok(b"new".to_vec()));
        assert_eq!(new.seen.borrow()[0].header("authorization"), "Bearer b");
    });
}

#[test]
fn a_call_that_its_caller_gave_up_leaves_no_half_read_answer_behind() {
    run(async |executor| {
        let folder = Folder::new();
        let mut requests = 0;
        let server = serve(&executor, None, move |_| {
            requests += 1;
            let wait = Step::Wait(Duration::from_millis(100));
            match requests {
                1 => std::iter::once(wait).chain(answer(200, "late")).collect(),
                _ => answer(200, "mine"),
            }
        });
        let mut connection = api(&executor, &folder, &server.url(), "").connection();
        let given_up = async {
            smol::Timer::after(Duration::from_millis(30)).await;
            Ok(Vec::new())
        };
        assert_eq!(smol::future::or(get(&mut connection), given_up).await, Ok(Vec::new()));
        assert_eq!(get(&mut connection).await, Ok(b"mine".to_vec()));
    });
}

#[test]
fn a_node_label_is_set_and_removed_by_a_merge_patch() {
    run(async |executor| {
        let folder = Folder::new();
        let server = serve(&executor, None, |_| answer(200, "{}"));
        let mut connection = api(&executor, &folder, &server.url(), "").connection();
        let key = "kube-vip.io/has-ip";
        set_label(&mut connection, "node-a", key, Some("10.0.0.9")).await.unwrap();
        set_label(&mut connection, "node-a", key, None).await.unwrap();
        assert!(set_label(&mut connection, "", key, None).await.is_err());
        let seen = server.seen.borrow();
        for (seen, value) in seen.iter().zip(["\"10.0.0.9\"", "null"]) {
            assert_eq!(
                (seen.method.as_str(), seen.path.as_str()),
                ("PATCH", "/api/v1/nodes/node-a")
            );
            assert_eq!(seen.header("content-type"), "application/merge-patch+json");
            let expected = format!(r#"{{"metadata":{{"labels":{{"{key}":{value}}}}}}}"#);
            assert_eq!(String::from_utf8_lossy(&seen.body), expected);
        }
    });
}
