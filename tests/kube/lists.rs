//! Lists that are long, and objects that are large.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;

use serde_json::Value;
use viplet::kube::{EndpointSlice, Event, Pace, Scope, Watch, Watched};

use super::server::{Seen, Step, Steps, answer, chunked, serve, until};
use super::setup::{Folder, api, run};
use super::store::query;

/// A page of slices, from as many as there are.
fn page_of_slices(seen: &Seen, all: usize) -> Steps {
    if seen.is_watch() {
        return chunked(vec![Step::Hang]);
    }
    let limit: usize = query(seen, "limit").parse().unwrap();
    let from: usize = query(seen, "continue").parse().unwrap_or(0);
    let until = all.min(from + limit);
    let mut items = String::new();
    for number in from..until {
        let comma = if number > from { "," } else { "" };
        write!(
            items,
            r#"{comma}{{"metadata":{{"namespace":"shop","name":"s-{number}","resourceVersion":"7",
            "labels":{{"kubernetes.io/service-name":"s"}}}},"addressType":"IPv4",
            "endpoints":[{{"addresses":["10.0.0.1"],"conditions":{{"ready":true}},"nodeName":"n"}}]}}"#
        )
        .unwrap();
    }
    let next = if until < all { until.to_string() } else { String::new() };
    let head = format!(r#"{{"resourceVersion":"9","continue":"{next}"}}"#);
    answer(200, &format!(r#"{{"metadata":{head},"items":[{items}]}}"#))
}

#[test]
fn a_list_of_more_than_twenty_thousand_slices_is_read_to_its_end() {
    const ALL: usize = 21_000;
    run(async |executor| {
        let folder = Folder::new();
        let server = serve(&executor, None, |seen| page_of_slices(seen, ALL));
        let scope = EndpointSlice::scope(None);
        let pages = ALL.div_ceil(usize::try_from(scope.page).unwrap());
        let watch = Watch::new(&api(&executor, &folder, &server.url(), ""), scope, Pace::default());
        let told = Rc::new(RefCell::new(String::new()));
        let log = Rc::clone(&told);
        let _watch = executor.spawn(watch.run(async move |event: Event<EndpointSlice, _>| {
            *log.borrow_mut() = match event {
                Event::Replaced(all) => format!("{} slices", all.len()),
                Event::Trouble(why) => why,
                _ => return,
            };
        }));
        until("the list", || !told.borrow().is_empty()).await;
        assert_eq!(*told.borrow(), format!("{ALL} slices"));
        assert_eq!(server.count(|seen| !seen.is_watch()), pages, "one page after the other");
    });
}

/// An object of any size.
struct Large(String);

impl Watched for Large {
    type Key = String;

    fn read(json: &str) -> Result<Option<Self>, String> {
        Self::key(json).map(|key| key.map(Self))
    }

    fn key(json: &str) -> Result<Option<String>, String> {
        let object: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Ok(object["name"].as_str().map(str::to_owned))
    }
}

#[test]
fn objects_that_are_too_large_for_a_page_come_in_smaller_pages() {
    run(async |executor| {
        let folder = Folder::new();
        let server = serve(&executor, None, |seen| {
            if seen.is_watch() {
                return chunked(vec![Step::Hang]);
            }
            let limit: usize = query(seen, "limit").parse().unwrap();
            let from: usize = query(seen, "continue").parse().unwrap_or(0);
            let until = (from + limit).min(5);
            let blob = "x".repeat(3 << 20);
            let items: Vec<String> =
                (from..until).map(|n| format!(r#"{{"name":"{n}","blob":"{blob}"}}"#)).collect();
            let next = if until < 5 { until.to_string() } else { String::new() };
            let head = format!(r#"{{"resourceVersion":"9","continue":"{next}"}}"#);
            answer(200, &format!(r#"{{"metadata":{head},"items":[{}]}}"#, items.join(",")))
        });
        let scope = Scope { path: "/api/v1/larges".into(), fields: None, labels: None, page: 4 };
        let watch = Watch::new(&api(&executor, &folder, &server.url(), ""), scope, Pace::default());
        let told = Rc::new(RefCell::new(String::new()));
        let log = Rc::clone(&told);
        let _watch = executor.spawn(watch.run(async move |event: Event<Large, String>| {
            *log.borrow_mut() = match event {
                Event::Replaced(all) => all.into_iter().map(|Large(name)| name).collect(),
                Event::Trouble(why) => why,
                _ => return,
            };
        }));
        until("the list", || !told.borrow().is_empty()).await;
        assert_eq!(*told.borrow(), "01234");
    });
}
