//! Writes to a Service, and lists of thousands: what is sent, and what comes of each answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use serde_json::{Value, json};
use viplet::core::cluster::record::{ServiceName, ServiceRecord};
use viplet::core::input::{
    ConditionChange, HostChange, IngressChange, ServiceOutcome, ServiceUpdate,
};
use viplet::kube::{Event, Pace, Watch, service_scope, update_service};

use super::server::{Seen, Step, Steps, answer, chunked, serve, until};
use super::setup::{Folder, api, run};
use super::store::{query, status};

pub fn object(name: &str, version: u32) -> Value {
    json!({
        "metadata": {
            "namespace": "shop", "name": name, "uid": format!("uid-of-{name}"),
            "resourceVersion": version.to_string(), "annotations": {"note": "x".repeat(2_000)},
        },
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    })
}

pub fn update(name: &str) -> ServiceUpdate {
    ServiceUpdate {
        service: ServiceName::new("shop", name),
        uid: format!("uid-of-{name}").into(),
        attempt: 7,
        host: HostChange::Set("node-1".to_owned()),
        ingress: IngressChange::default(),
        condition: ConditionChange::Keep,
    }
}

/// What comes of an update that reads `get` and writes `put`, and what was sent.
fn outcome(
    get: impl Fn() -> Steps + 'static,
    put: impl Fn() -> Steps + 'static,
) -> (ServiceOutcome, Vec<Seen>) {
    let result = Rc::new(RefCell::new(None));
    let out = Rc::clone(&result);
    run(async move |executor| {
        let folder = Folder::new();
        let server = serve(&executor, None, move |seen| match seen.method.as_str() {
            "GET" => get(),
            _ => put(),
        });
        let mut connection = api(&executor, &folder, &server.url(), "").connection();
        let outcome = update_service(&mut connection, &update("web"), SystemTime::now()).await;
        *out.borrow_mut() = Some((outcome, server.seen.borrow().clone()));
    });
    result.take().unwrap()
}

fn stored() -> Steps {
    answer(200, &object("web", 5).to_string())
}

#[test]
fn a_service_is_read_and_written_once_with_the_version_that_was_read_and_never_patched() {
    let (outcome, seen) = outcome(stored, stored);
    assert_eq!(outcome, ServiceOutcome::Done);
    let asked: Vec<_> =
        seen.iter().map(|seen| (seen.method.as_str(), seen.path.as_str())).collect();
    assert_eq!(
        asked,
        [
            ("GET", "/api/v1/namespaces/shop/services/web"),
            ("PUT", "/api/v1/namespaces/shop/services/web/status"),
        ]
    );
    let mut expected = object("web", 5);
    expected["metadata"]["annotations"]["kube-vip.io/vipHost"] = json!("node-1");
    assert_eq!(seen[1].json(), expected, "all else as it was");
    assert_eq!(seen[0].connection, seen[1].connection);
}

#[test]
fn where_nothing_changes_nothing_is_written() {
    let held = || {
        let mut object = object("web", 5);
        object["metadata"]["annotations"]["kube-vip.io/vipHost"] = json!("node-1");
        answer(200, &object.to_string())
    };
    let (outcome, seen) = outcome(held, || panic!("written"));
    assert_eq!((outcome, seen.len()), (ServiceOutcome::Done, 1));
}

#[test]
fn each_answer_has_its_outcome() {
    for (code, reason, expected) in [
        (404, "NotFound", "Gone"),
        (409, "Conflict", "Conflict"),
        (403, "Forbidden", "Refused"),
        (422, "Invalid", "Refused"),
        (400, "BadRequest", "Refused"),
        (401, "Unauthorized", "Failed"),
        (429, "TooManyRequests", "Failed"),
        (500, "InternalError", "Failed"),
        (503, "Unavailable", "Failed"),
    ] {
        let (told, seen) = outcome(stored, move || status(code, reason));
        assert!(format!("{told:?}").starts_with(expected), "PUT {code}: {told:?}");
        let puts = seen.iter().filter(|seen| seen.method == "PUT").count();
        assert!(puts <= 2, "no storm: a 401 is tried again once, nothing else: {puts}");
        let (told, _) = outcome(move || status(code, reason), || panic!("written"));
        assert!(format!("{told:?}").starts_with(expected), "GET {code}: {told:?}");
    }
}

#[test]
fn another_service_of_the_same_name_and_one_that_makes_no_sense_are_not_written() {
    let another = || {
        let mut object = object("web", 5);
        object["metadata"]["uid"] = json!("another");
        answer(200, &object.to_string())
    };
    assert_eq!(outcome(another, || panic!("written")).0, ServiceOutcome::Gone);
    let odd = || answer(200, r#"{"metadata":{"uid":"uid-of-web","annotations":7}}"#);
    let (told, _) = outcome(odd, || panic!("written"));
    assert!(
        matches!(&told, ServiceOutcome::Failed(why) if why.contains("annotations")),
        "{told:?}"
    );
}

#[test]
fn ten_thousand_services_are_listed_in_pages_of_forty() {
    run(async |executor| {
        let folder = Folder::new();
        let server = serve(&executor, None, |seen| {
            if seen.is_watch() {
                return chunked(vec![Step::Hang]);
            }
            let from: usize = query(seen, "continue").parse().unwrap_or(0);
            let items: Vec<_> = (from..from + 40).map(|at| object(&format!("s{at}"), 1)).collect();
            let next = if from < 9_960 { (from + 40).to_string() } else { String::new() };
            let list =
                json!({"metadata": {"resourceVersion": "5", "continue": next}, "items": items});
            answer(200, &list.to_string())
        });
        let told = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&told);
        let api = api(&executor, &folder, &server.url(), "");
        let watch = Watch::new(&api, service_scope(None), Pace::default());
        let watch =
            executor.spawn(watch.run(async move |event: Event<ServiceRecord, _>| match event {
                Event::Replaced(all) => log.borrow_mut().extend(all),
                other => panic!("{other:?}"),
            }));
        until("the list", || !told.borrow().is_empty()).await;
        assert_eq!(told.borrow().len(), 10_000);
        assert_eq!(told.borrow()[9_999].name.name(), "s9999");
        let seen = server.seen.borrow();
        let lists: Vec<_> = seen.iter().filter(|seen| !seen.is_watch()).collect();
        assert_eq!(lists.len(), 250);
        for list in lists {
            assert_eq!(list.path, "/api/v1/services");
            assert_eq!(query(list, "limit"), "40");
            assert_eq!(query(list, "fieldSelector"), "spec.type%3DLoadBalancer");
        }
        drop(watch);
    });
}

#[test]
fn a_connection_that_breaks_under_a_write_is_a_failure() {
    run(async |executor| {
        let folder = Folder::new();
        let server = serve(&executor, None, |seen| match seen.method.as_str() {
            "GET" => stored(),
            _ => vec![Step::Close],
        });
        let mut connection = api(&executor, &folder, &server.url(), "").connection();
        let told = update_service(&mut connection, &update("web"), SystemTime::now()).await;
        assert!(matches!(told, ServiceOutcome::Failed(_)), "{told:?}");
    });
}
