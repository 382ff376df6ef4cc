//! What the core is told when a Lease cannot be read or written, and what a watch makes of odd
//! news.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use viplet::core::{Input, LeaseRequest, LeaseVerb, LeaseView, WriteOutcome};
use viplet::kube::{LeaseClient, LeaseMemory, LeaseNews, Pace, watch_lease};

use super::leases::{name, record};
use super::server::{Step, Steps, answer, chunked, serve, until};
use super::setup::{Folder, api, run};
use super::store::status;

fn lease(version: u32, spec: &Value) -> Value {
    let name = name();
    json!({"spec": spec, "metadata":
        {"name": name.name, "namespace": name.namespace, "resourceVersion": version.to_string()}})
}

fn held(version: u32) -> Value {
    lease(version, &json!({"holderIdentity": "node-x", "leaseDurationSeconds": 15}))
}

fn request(verb: LeaseVerb) -> LeaseRequest {
    LeaseRequest { lease: name(), verb, timeout: Duration::from_secs(2) }
}

fn replace() -> LeaseVerb {
    LeaseVerb::Replace { attempt: 9, version: "5".into(), record: record("me") }
}

fn create() -> LeaseVerb {
    LeaseVerb::Create { attempt: 9, record: record("me"), annotations: Default::default() }
}

/// What comes of `verb` when the server answers writes with `steps`, and reads with version 5.
fn written(verb: LeaseVerb, steps: impl Fn() -> Steps + 'static) -> WriteOutcome {
    let result = Rc::new(RefCell::new(None));
    let out = Rc::clone(&result);
    run(async move |executor| {
        let folder = Folder::new();
        let server = serve(&executor, None, move |seen| match seen.method.as_str() {
            "GET" => answer(200, &held(5).to_string()),
            _ => steps(),
        });
        let api = api(&executor, &folder, &server.url(), "");
        let mut client = LeaseClient::new(&api, LeaseMemory::default());
        match client.perform(&request(verb)).await {
            Input::LeaseWritten { lease, attempt: 9, outcome } if lease == name() => {
                *out.borrow_mut() = Some(outcome);
            }
            other => panic!("{other:?}"),
        }
    });
    result.take().unwrap()
}

#[test]
fn a_resting_connection_is_kept_open_by_reads_that_nobody_hears_of() {
    run(async |executor| {
        let folder = Folder::new();
        let server = serve(&executor, None, |_| answer(200, &held(5).to_string()));
        let api = api(&executor, &folder, &server.url(), "");
        let mut client = LeaseClient::new(&api, LeaseMemory::default());
        let lease = name();
        let warm = client.keep_warm(&lease, Duration::from_millis(5));
        let enough = until("three reads", || server.count(|seen| seen.method == "GET") >= 3);
        smol::future::or(enough, warm).await;
        assert!(server.seen.borrow().iter().all(|seen| seen.connection == 0));
    });
}

#[test]
fn a_write_that_the_server_refused_is_rejected_with_its_reason() {
    for verb in [create, replace] {
        for (code, reason) in
            [(403, "Forbidden"), (422, "Invalid"), (429, "TooMany"), (503, "Busy")]
        {
            let outcome = written(verb(), move || status(code, reason));
            let WriteOutcome::Rejected(text) = outcome else { panic!("{code}: {outcome:?}") };
            assert!(text.contains(reason) && text.contains("/leases"), "{text}");
        }
    }
}

#[test]
fn a_write_whose_fate_is_not_known_is_unknown() {
    let fates: [fn() -> Steps; 6] = [
        || vec![Step::Hang],
        || vec![Step::Close],
        || status(500, "etcdserver: request timed out"),
        || status(504, "Timeout"),
        || answer(200, "{\"metadata\":{\"na"),
        || answer(200, &lease(6, &json!({"leaseDurationSeconds": []})).to_string()),
    ];
    for verb in [create, replace] {
        for fate in fates {
            let outcome = written(verb(), fate);
            assert!(matches!(outcome, WriteOutcome::Unknown(_)), "{outcome:?}");
        }
    }
}

#[test]
fn conflicts_and_missing_objects_are_told_apart() {
    assert_eq!(written(create(), || status(409, "AlreadyExists")), WriteOutcome::Conflict);
    assert_eq!(written(replace(), || status(409, "Conflict")), WriteOutcome::Conflict);
    assert_eq!(written(replace(), || status(404, "NotFound")), WriteOutcome::Gone);
    let no_namespace = written(create(), || status(404, "NotFound"));
    assert!(matches!(no_namespace, WriteOutcome::Rejected(_)), "{no_namespace:?}");
}

#[test]
fn a_version_that_is_no_longer_the_current_one_is_a_conflict_without_a_write() {
    let verb = LeaseVerb::Replace { attempt: 9, version: "4".into(), record: record("me") };
    assert_eq!(written(verb, || panic!("written")), WriteOutcome::Conflict);
}

#[test]
fn a_read_that_fails_says_why() {
    type Case = (fn() -> Steps, &'static str);
    let cases: [Case; 5] = [
        (|| status(403, "Forbidden"), "403, not allowed"),
        (|| vec![Step::Hang], "no answer within 2.0 s"),
        (|| answer(200, "[]"), "makes no sense"),
        (|| answer(200, "{\"metadata\""), "makes no sense"),
        (|| answer(200, &lease(6, &json!({"renewTime": 1})).to_string()), "spec.renewTime"),
    ];
    for (steps, expected) in cases {
        run(async move |executor| {
            let folder = Folder::new();
            let server = serve(&executor, None, move |_| steps());
            let api = api(&executor, &folder, &server.url(), "");
            let mut client = LeaseClient::new(&api, LeaseMemory::default());
            let told = client.perform(&request(LeaseVerb::Read)).await;
            let Input::LeaseUnreadable { reason, .. } = told else { panic!("{told:?}") };
            assert!(reason.contains(expected), "{reason}");
        });
    }
}

/// What the watch of a lease tells of this list and these events, in short.
fn told(items: Vec<Value>, events: Vec<(&'static str, Value)>, expected: &str) {
    let expected = expected.to_owned();
    run(async move |executor| {
        let folder = Folder::new();
        let lines: String = events
            .iter()
            .map(|(kind, object)| format!("{}\n", json!({"type": kind, "object": object})))
            .collect();
        let list = json!({"metadata": {"resourceVersion": "3"}, "items": items}).to_string();
        let server = serve(&executor, None, move |seen| match seen.is_watch() {
            true => chunked(vec![Step::Chunk(lines.clone().into_bytes()), Step::Hang]),
            false => answer(200, &list),
        });
        let api = api(&executor, &folder, &server.url(), "");
        let log = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&log);
        let watch =
            watch_lease(api, name(), LeaseMemory::default(), Pace::default(), async move |news| {
                sink.borrow_mut().push(match news {
                    LeaseNews::Input(Input::Lease { view: LeaseView::Absent, .. }) => {
                        "absent".into()
                    }
                    LeaseNews::Input(Input::Lease {
                        view: LeaseView::Present { version, .. },
                        ..
                    }) => version,
                    LeaseNews::Input(Input::LeaseUnreadable { .. }) => "unreadable".into(),
                    other => format!("{other:?}"),
                });
            });
        let _watch = executor.spawn(watch);
        until(&expected, || log.borrow().join(" ") == expected).await;
    });
}

#[test]
fn a_lease_that_makes_no_sense_is_unreadable_and_not_absent() {
    let odd = lease(2, &json!([]));
    told(vec![odd.clone()], vec![("MODIFIED", held(4))], "unreadable 4");
    told(vec![held(2)], vec![("MODIFIED", odd), ("DELETED", held(5))], "2 unreadable absent");
}

#[test]
fn other_leases_are_left_alone_where_the_server_does_not_know_the_selector() {
    let mut other = held(4);
    other["metadata"]["name"] = json!("other");
    let events = vec![("MODIFIED", other.clone()), ("MODIFIED", held(5))];
    told(vec![other.clone()], events, "absent 5");
    told(vec![other.clone(), held(2)], vec![("DELETED", other), ("DELETED", held(6))], "2 absent");
}
