//! The check of an API server by its URL, and the annotations of a node's own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use smol::channel::bounded;
use viplet::config::HealthCheck;
use viplet::core::Input;
use viplet::core::settings::EndpointSource;
use viplet::kube::Probe;

use super::api_tasks::{cluster, node, nothing_else, services};
use super::server::{Step, answer, serve, until};
use super::setup::{Authority, Folder, run};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn two_hundred_is_healthy_and_everything_else_is_not() {
    run(async |executor| {
        let status = Rc::new(Cell::new(200));
        let now = Rc::clone(&status);
        let server = serve(&executor, None, move |_| answer(now.get(), "ok"));
        let url = format!("{}/livez?verbose", server.url());
        let mut probe = Probe::new(&url, None, &executor).unwrap();
        probe.check(SOON).await.unwrap();
        for (given, expected) in [(204, "204"), (500, "500"), (401, "401"), (302, "302")] {
            status.set(given);
            let why = probe.check(SOON).await.unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
        let seen = server.seen.borrow();
        assert!(seen.iter().all(|seen| seen.path == "/livez" && seen.query == "verbose"));
        assert!(seen.iter().all(|seen| seen.header("authorization").is_empty()));
    });
}

#[test]
fn a_server_that_does_not_answer_in_time_or_is_not_there_is_not_healthy() {
    run(async |executor| {
        let server = serve(&executor, None, |_| vec![Step::Hang]);
        let mut probe = Probe::new(&server.url(), None, &executor).unwrap();
        probe.check(Duration::from_millis(50)).await.unwrap_err();
        let mut probe = Probe::new("http://127.0.0.1:1/livez", None, &executor).unwrap();
        let why = probe.check(SOON).await.unwrap_err();
        assert!(why.contains("refused"), "{why}");
    });
}

#[test]
fn the_authority_that_is_named_is_believed_and_no_other() {
    run(async |executor| {
        let folder = Folder::new();
        let (ours, other) = (Authority::new(), Authority::new());
        let acceptor = Authority::acceptor(&ours.sign(&["127.0.0.1"]), None);
        let server = serve(&executor, Some(acceptor), |_| answer(200, "ok"));
        let url = format!("https://{}/livez", server.address);
        let (good, bad) = (folder.write("ca", &ours.pem()), folder.write("other", &other.pem()));
        Probe::new(&url, Some(&good), &executor).unwrap().check(SOON).await.unwrap();
        Probe::new(&url, Some(&bad), &executor).unwrap().check(SOON).await.unwrap_err();
        let why = Probe::new(&url, Some(&good.with_extension("none")), &executor).unwrap_err();
        assert!(why.contains("control_plane_health_check_ca_path"), "{why}");
    });
}

#[test]
fn the_loop_is_told_of_every_check() {
    run(async |executor| {
        let settings = services(None, EndpointSource::Slices);
        let node = node(&executor, settings, cluster(|_| answer(200, "ok")));
        node.api_tasks.check_health(HealthCheck {
            url: format!("{}/livez", node.server.url()),
            every: Duration::from_millis(10),
            within: SOON,
            authority: None,
        });
        let healthy = |input: &Input| *input == Input::ControlPlaneChecked(Ok(()));
        until("three checks", || node.count(healthy) >= 3).await;
    });
}

#[test]
fn annotations_of_this_node_that_begin_with_the_prefix_are_told() {
    run(async |executor| {
        let mut all = cluster(nothing_else);
        let settings = services(None, EndpointSource::Slices);
        let node = node(&executor, settings, move |seen| match seen.path.as_str() {
            "/api/v1/nodes/node-1" => {
                let annotations = json!({"bgp.example/node-asn": "6", "other": "x"});
                answer(200, &json!({"metadata": {"annotations": annotations}}).to_string())
            }
            _ => all(seen),
        });
        let (news, told) = bounded(4);
        node.api_tasks.follow_annotations("bgp.example/".to_owned(), news);
        let wanted = BTreeMap::from([("bgp.example/node-asn".to_owned(), "6".to_owned())]);
        assert_eq!(told.recv().await.unwrap(), wanted);
    });
}
