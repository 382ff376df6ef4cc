//! Watches: what they deliver, where they begin, how they end.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use serde_json::json;
use viplet_kubeapi::client::Payload;

use crate::bench::{Bench, SOON};
use crate::objects::{config_map, lease, version, with};
use crate::{Case, Wanted};

crate::cases![
    a_watch_from_a_lists_version_delivers_what_happens_after_it,
    a_watch_resumes_after_the_version_it_is_given,
    a_watch_without_a_version_begins_with_what_exists,
    a_watch_of_one_lease_sees_no_other,
    an_object_that_leaves_the_selection_is_deleted_for_the_watch,
    a_deletion_carries_the_last_state_under_a_new_version,
    two_watches_see_the_same,
    a_quiet_watch_gets_a_bookmark_and_ends_when_its_time_is_up,
    a_watch_that_does_not_ask_for_bookmarks_gets_none,
    a_watch_from_a_version_that_is_no_number_is_refused,
];

pub(crate) const FORGETFUL: &[Case] = &[Case {
    name: "a_watch_from_a_forgotten_version_is_told_410_and_a_new_list_helps",
    run: a_watch_from_a_forgotten_version_is_told_410_and_a_new_list_helps,
    server: Wanted::OfItsOwn,
}];

fn from_now(bench: &Bench<'_>, path: &str) -> String {
    let list = bench.get(path).body;
    format!("&resourceVersion={}", version(&list))
}

fn a_watch_from_a_lists_version_delivers_what_happens_after_it(bench: &Bench<'_>) {
    bench.stored(&bench.leases(), &lease("before", "node-1"));
    let mut watch = bench.watch(&bench.leases(), &from_now(bench, &bench.leases()));
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let changed =
        bench.update(&bench.lease("a"), &with(&made, "/spec/holderIdentity", json!("node-2")));
    bench.delete(&bench.lease("a"));
    assert_eq!(bench.change(&mut watch), ("ADDED".to_owned(), made));
    assert_eq!(bench.change(&mut watch), ("MODIFIED".to_owned(), changed.body));
    assert_eq!(bench.change(&mut watch).0, "DELETED");
}

fn a_watch_resumes_after_the_version_it_is_given(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let second =
        bench.update(&bench.lease("a"), &with(&made, "/spec/holderIdentity", json!("node-2"))).body;
    let third = bench
        .update(&bench.lease("a"), &with(&second, "/spec/holderIdentity", json!("node-3")))
        .body;
    let mut watch = bench.watch(&bench.leases(), &format!("&resourceVersion={}", version(&second)));
    assert_eq!(bench.change(&mut watch), ("MODIFIED".to_owned(), third));
}

fn a_watch_without_a_version_begins_with_what_exists(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    for query in ["", "&resourceVersion=0"] {
        let mut watch = bench.watch(&bench.leases(), query);
        assert_eq!(bench.change(&mut watch), ("ADDED".to_owned(), made.clone()), "{query}");
    }
}

fn a_watch_of_one_lease_sees_no_other(bench: &Bench<'_>) {
    let query = format!("{}&fieldSelector=metadata.name%3Da", from_now(bench, &bench.leases()));
    let mut watch = bench.watch(&bench.leases(), &query);
    bench.stored(&bench.leases(), &lease("b", "node-1"));
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    assert_eq!(bench.change(&mut watch), ("ADDED".to_owned(), made));
}

fn an_object_that_leaves_the_selection_is_deleted_for_the_watch(bench: &Bench<'_>) {
    let maps = bench.core("configmaps");
    let query = format!("{}&labelSelector=colour%3Dred", from_now(bench, &maps));
    let mut watch = bench.watch(&maps, &query);
    bench.stored(&maps, &config_map("c", &json!({"colour": "blue"})));
    let colour = |colour: &str| {
        let patch = json!({"metadata": {"labels": {"colour": colour}}});
        bench.call("PATCH", &format!("{maps}/c"), Payload::Merge(&patch)).body
    };
    let red = colour("red");
    let green = colour("green");
    assert_eq!(bench.change(&mut watch), ("ADDED".to_owned(), red));
    let (kind, last) = bench.change(&mut watch);
    assert_eq!((kind.as_str(), version(&last)), ("DELETED", version(&green)));
    assert_eq!(last["metadata"]["labels"]["colour"], "red");
}

fn a_deletion_carries_the_last_state_under_a_new_version(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let mut watch = bench.watch(&bench.leases(), &format!("&resourceVersion={}", version(&made)));
    bench.delete(&bench.lease("a"));
    let (kind, last) = bench.change(&mut watch);
    assert_eq!((kind.as_str(), &last["spec"]), ("DELETED", &made["spec"]));
    assert_ne!(version(&last), version(&made));
}

fn two_watches_see_the_same(bench: &Bench<'_>) {
    let start = from_now(bench, &bench.leases());
    let mut watches = [0, 1].map(|_| bench.watch(&bench.leases(), &start));
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    for watch in &mut watches {
        assert_eq!(bench.change(watch), ("ADDED".to_owned(), made.clone()));
    }
}

fn a_quiet_watch_gets_a_bookmark_and_ends_when_its_time_is_up(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let since = format!("&resourceVersion={}&timeoutSeconds=4", version(&made));
    // The real server sends one about 2 s before the end, and does not promise it.
    for _ in 0..20 {
        let began = Instant::now();
        let mut watch = bench.watch(&bench.leases(), &format!("{since}&allowWatchBookmarks=true"));
        let mut bookmarks = Vec::new();
        while let Some(event) = watch.next(SOON).unwrap() {
            bookmarks.push(event);
        }
        assert!(began.elapsed() >= Duration::from_secs(3), "it ended too early");
        for bookmark in &bookmarks {
            let object = &bookmark["object"];
            assert_eq!((&bookmark["type"], &object["kind"]), (&json!("BOOKMARK"), &json!("Lease")));
            let (at, since) = (version(object), version(&made));
            assert!(at.parse::<u64>().unwrap() >= since.parse().unwrap(), "{at} after {since}");
        }
        if !bookmarks.is_empty() {
            return;
        }
    }
    panic!("no bookmark in twenty watches");
}

fn a_watch_that_does_not_ask_for_bookmarks_gets_none(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let query = format!("&resourceVersion={}&timeoutSeconds=3", version(&made));
    let mut watch = bench.watch(&bench.leases(), &query);
    assert_eq!(watch.next(SOON).unwrap(), None);
}

fn a_watch_from_a_version_that_is_no_number_is_refused(bench: &Bench<'_>) {
    // The real server calls it its own fault: 500.
    let path = format!("{}?watch=true&resourceVersion=yesterday", bench.leases());
    let refused = bench.server.client().get(&path).unwrap();
    assert!(refused.code >= 400, "{}", refused.text);
}

fn a_watch_from_a_forgotten_version_is_told_410_and_a_new_list_helps(bench: &Bench<'_>) {
    let made = bench.stored(&bench.leases(), &lease("a", "node-1"));
    let changed =
        bench.update(&bench.lease("a"), &with(&made, "/spec/holderIdentity", json!("node-2")));
    assert_eq!(changed.code, 200);
    bench.server.forget();
    let mut watch = bench.watch(&bench.leases(), &format!("&resourceVersion={}", version(&made)));
    let (kind, status) = bench.change(&mut watch);
    assert_eq!((kind.as_str(), &status["code"]), ("ERROR", &json!(410)));
    assert_eq!(watch.next_change(SOON).unwrap_err().kind(), ErrorKind::UnexpectedEof);

    let mut watch = bench.watch(&bench.leases(), &from_now(bench, &bench.leases()));
    bench.delete(&bench.lease("a"));
    assert_eq!(bench.change(&mut watch).0, "DELETED");
}
