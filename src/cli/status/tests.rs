//! Tests of `viplet status`.

use std::net::{Ipv4Addr, TcpListener};

use proptest::prelude::*;

use super::*;
use crate::cli::ask::answering::Answering;
use crate::shell::source::StatusPage;
use crate::shell::source::fixture::holding;

fn command(server: String) -> StatusCommand {
    StatusCommand { server: Some(server), json: false, all: false }
}

fn page() -> StatusPage {
    StatusPage::of(&holding())
}

#[test]
fn what_a_viplet_says_is_printed_with_holder_until_and_why() {
    let json = serde_json::to_string(&page()).unwrap();
    let viplet = Answering::once("/status", format!("HTTP/1.1 200 OK\r\nX: y\r\n\r\n{json}"));
    let text = command(viplet.server()).text().unwrap();
    for expected in [
        "on node node-a\n",
        "API server: answers, for 1 min 0 s\n",
        "Ready: yes\n",
        "192.0.2.10 on eth0\n  state:  held",
        "  why:    this node holds the lease\n",
        "  holder: node-a (this node)\n",
        "  until:  12.5 s from now",
        "  lease:  kube-system/plndr-cp-lock, renewed 1.5 s ago, 3 transitions\n",
        "2001:db8::10 on eth0\n  state:  PENDING",
        "  why:    link eth0 is down\n",
        "link eth0: up\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in\n{text}");
    }
}

#[test]
fn trouble_is_printed_in_full() {
    let mut page = page();
    page.api = ApiHealth::unreachable(Duration::from_secs(90_061), "connection refused");
    page.unhealthy = Some("the loop has not turned for 12 s".into());
    page.status.not_ready = vec!["first".into(), "second".into()];
    page.status.leases[0].holder.clear();
    page.status.leases[0].held_for = None;
    let text = for_a_person(&page, Listing::Troubled);
    assert!(text.contains("UNREACHABLE for 1 d 1 h: connection refused\n"), "{text}");
    assert!(text.contains("Unhealthy: the loop has not turned for 12 s\n"), "{text}");
    assert!(text.contains("Ready: NO\n  first\n  second\n"), "{text}");
    assert!(text.contains("holder: nobody\n") && !text.contains("until:"), "{text}");
}

#[test]
fn json_is_passed_on_as_it_is() {
    let viplet = Answering::once("/status", "HTTP/1.1 200 OK\r\n\r\n{\"a\": 1}\n".into());
    let command = StatusCommand { json: true, ..command(viplet.server()) };
    assert_eq!(command.text(), Ok("{\"a\": 1}\n".into()));
}

#[test]
fn when_nothing_listens_it_says_what_to_look_at() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let why = command(free.to_string()).text().unwrap_err();
    assert!(why.contains(&free.to_string()) && why.contains("refused"), "{why}");
    assert!(why.contains("Is viplet running on this node?"), "{why}");
    assert!(why.contains("prometheus_server"), "{why}");
}

#[test]
fn something_else_on_the_port_is_recognised() {
    for (answer, expected) in [
        ("SSH-2.0-x\r\n\r\n", "does not speak HTTP"),
        ("HTTP/1.1 404 Not Found\r\n\r\nnothing", "not viplet: it has no /status"),
        ("HTTP/1.1 403 Forbidden\r\n\r\nnothing", "not viplet: \"HTTP/1.1 403 Forbidden\""),
        ("HTTP/1.1 200 OK\r\n\r\n<html>", "not viplet's status"),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "too busy"),
    ] {
        let viplet = Answering::once("/status", answer.into());
        let why = command(viplet.server()).text().unwrap_err();
        assert!(why.contains(expected), "{why}");
    }
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(
        answer in "(HTTP/1\\.1 (200|503|4[0-9]{2})? ?.{0,9}\r\n\r\n)?.{0,40}|\\PC*",
    ) {
        if let Ok(Answer::Found(body)) = ask::answer_in(&answer) {
            let _ = serde_json::from_str::<StatusPage>(&body).map(|page| {
                for_a_person(&page, Listing::All)
            });
        }
    }
}

#[test]
fn spans_read_well() {
    for (millis, expected) in [
        (0, "0 s"),
        (40, "0 s"),
        (1_500, "1.5 s"),
        (59_000, "59 s"),
        (185_000, "3 min 5 s"),
        (7_800_000, "2 h 10 min"),
        (356_400_000, "4 d 3 h"),
    ] {
        assert_eq!(span(Duration::from_millis(millis)), expected);
    }
}
