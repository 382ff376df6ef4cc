//! Tests of `viplet why`.

use std::net::{Ipv4Addr, TcpListener};

use super::*;
use crate::cli::ask::answering::Answering;
use crate::shell::source::fixture::service;

fn why(state: ServiceState, because: &[&str]) -> Why {
    let because = because.iter().map(|text| (*text).to_owned()).collect();
    Why { status: service("default/web", state), because }
}

fn asked(answer: String) -> Said {
    let viplet = Answering::once("/why?service=default/web", answer);
    let server = Some(viplet.server());
    WhyCommand { service: "default/web".into(), server, json: false }.ask()
}

fn told(why: &Why) -> Said {
    asked(format!("HTTP/1.1 200 OK\r\n\r\n{}", serde_json::to_string(why).unwrap()))
}

#[test]
fn the_verdict_comes_first_and_then_its_causes_in_order() {
    let causes = ["the annotation asks for 192.0.2.20", "node-b holds\nthe lease"];
    assert_eq!(
        told(&why(ServiceState::Elsewhere, &causes)),
        Said::Served(
            "default/web: held by node-b, 192.0.2.20\n  1. the annotation asks for 192.0.2.20\n  \
             2. node-b holds the lease\n"
                .into()
        )
    );
    assert_eq!(
        told(&why(ServiceState::Held, &[])),
        Said::Served(
            "default/web: held by node-b (this node), 192.0.2.20\n  1. as it should be\n".into()
        )
    );
}

#[test]
fn what_nobody_holds_is_told_apart_from_what_is_held() {
    for (state, verdict) in [
        (ServiceState::Pending, "default/web: PENDING, should be here"),
        (ServiceState::Waiting, "default/web: waiting, no node can hold it"),
        (ServiceState::Refused, "default/web: REFUSED, it asks for what cannot be"),
        (ServiceState::Ignored, "default/web: ignored, it is not viplet's"),
    ] {
        match told(&why(state, &["x"])) {
            Said::Unserved(text) => assert!(text.starts_with(verdict), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn json_is_passed_on_and_judged_all_the_same() {
    let json = serde_json::to_string(&why(ServiceState::Waiting, &[])).unwrap();
    let answer = format!("HTTP/1.1 200 OK\r\n\r\n{json}");
    let viplet = Answering::once("/why?service=default/web", answer);
    let server = Some(viplet.server());
    let command = WhyCommand { service: "default/web".into(), server, json: true };
    assert_eq!(command.ask(), Said::Unserved(json));
}

#[test]
fn an_unknown_service_is_an_answer_and_another_404_is_none() {
    let unknown = "default/web: no such Service\n";
    let answer = format!("HTTP/1.1 404 Not Found\r\n\r\n{unknown}");
    assert_eq!(asked(answer), Said::Unknown(unknown.into()));
    for answer in ["HTTP/1.1 404 Not Found\r\n\r\n<html>", "HTTP/1.1 200 OK\r\n\r\n{}"] {
        assert!(matches!(asked(answer.into()), Said::NotAsked(_)), "{answer}");
    }
}

#[test]
fn what_cannot_be_asked_says_so() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let ask = |service: &str| {
        let server = Some(free.to_string());
        WhyCommand { service: service.into(), server, json: false }.ask()
    };
    let Said::NotAsked(text) = ask("default/web") else { panic!("asked") };
    assert!(text.contains("Is viplet running on this node?"), "{text}");
    for service in ["web", "a/b/c", "/web", "a/", "a/b c", "a/b\r\nX: y", "A/b", "a/%62"] {
        let Said::NotAsked(text) = ask(service) else { panic!("{service} is asked for") };
        assert!(text.contains("accepted: NAMESPACE/NAME"), "{text}");
    }
}
