//! List, then watch: pages, resumption, 410, broken streams, endless lists.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use smol::LocalExecutor;
use viplet::kube::{Event, Pace, Scope, Watch, Watched, read_json};

use super::server::{Seen, Server, Step, Steps, answer, chunked, serve, until};
use super::setup::{Folder, api, run};
use super::store::{query, status};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Thing {
    metadata: Meta,
    weight: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Meta {
    name: String,
}

impl Watched for Thing {
    type Key = Meta;

    fn read(json: &str) -> Result<Option<Self>, String> {
        let thing: Self = read_json(json)?;
        Ok((thing.weight != UNCOUNTED).then_some(thing))
    }

    fn key(json: &str) -> Result<Option<Meta>, String> {
        #[derive(Deserialize)]
        struct Named {
            metadata: Meta,
        }
        read_json::<Named>(json).map(|named| Some(named.metadata))
    }
}

/// Things that are so heavy do not count.
const UNCOUNTED: u32 = 999;

fn thing(name: &str, version: u32) -> String {
    json!({"metadata": {"name": name, "resourceVersion": version.to_string()}, "weight": version})
        .to_string()
}

fn event(kind: &str, object: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

fn bookmark(version: u32) -> String {
    let metadata = json!({"resourceVersion": version.to_string()});
    event(
        "BOOKMARK",
        &json!({"kind": "Thing", "apiVersion": "v1", "metadata": metadata}).to_string(),
    )
}

fn expired() -> String {
    let object = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
    event("ERROR", &object.to_string())
}

fn list(version: u32, items: &[String]) -> Steps {
    page(version, items, "")
}

fn page(version: u32, items: &[String], next: &str) -> Steps {
    let items = items.join(",");
    answer(
        200,
        &format!(
            r#"{{"metadata":{{"resourceVersion":"{version}","continue":"{next}"}},"items":[{items}]}}"#
        ),
    )
}

/// Sends `text` in one chunk and leaves the stream open.
fn open(text: &str) -> Steps {
    chunked(vec![Step::Chunk(text.as_bytes().to_vec()), Step::Hang])
}

fn idle() -> Steps {
    chunked(vec![Step::Hang])
}

/// A watch's story in short: `=a1,b2` replaced, `+a3` applied, `-a4` deleted, `!…` trouble.
struct Followed {
    server: Server,
    told: Rc<RefCell<Vec<String>>>,
    _folder: Folder,
    _watch: smol::Task<()>,
}

impl Followed {
    fn story(&self) -> String {
        self.told.borrow().join(" ")
    }

    async fn until(&self, expected: &str) {
        until(expected, || {
            let story = self.story();
            assert!(story.len() < 10_000, "{story}");
            story == expected
        })
        .await;
    }

    /// The versions that watches were asked to start from.
    fn resumed(&self) -> Vec<String> {
        let seen = self.server.seen.borrow();
        let watches = seen.iter().filter(|seen| seen.is_watch());
        watches.map(|seen| query(seen, "resourceVersion")).collect()
    }

    fn lists(&self) -> usize {
        self.server.count(|seen| !seen.is_watch())
    }
}

fn quick() -> Pace {
    Pace {
        answer: Duration::from_secs(5),
        stream: Duration::from_secs(60),
        slack: Duration::from_secs(5),
        silence: Duration::from_secs(60),
        first_wait: Duration::from_millis(2),
        longest_wait: Duration::from_secs(3),
    }
}

fn follow(
    executor: &Rc<LocalExecutor<'static>>,
    pace: Pace,
    handler: impl FnMut(&Seen) -> Steps + 'static,
) -> Followed {
    let folder = Folder::new();
    let server = serve(executor, None, handler);
    let told = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&told);
    let short = |thing: &Thing| format!("{}{}", thing.metadata.name, thing.weight);
    let scope = Scope {
        path: "/api/v1/things".into(),
        fields: Some("a=b".into()),
        labels: None,
        page: 500,
    };
    let watch = Watch::new(&api(executor, &folder, &server.url(), ""), scope, pace);
    let watch = executor.spawn(watch.run(async move |event: Event<Thing, Meta>| {
        let text = match event {
            Event::Replaced(all) => {
                format!("={}", all.iter().map(short).collect::<Vec<_>>().join(","))
            }
            Event::ReplacedExcept(all, except) => {
                let except = except.iter().map(|one| &*one.reason).collect::<Vec<_>>().join(",");
                format!("={} except({except})", all.iter().map(short).collect::<Vec<_>>().join(","))
            }
            Event::Applied(thing) => format!("+{}", short(&thing)),
            Event::Unreadable(one) => format!("unreadable({})", one.reason),
            Event::Deleted(meta) => format!("-{}", meta.name),
            Event::Rejected(reason) => format!("rejected({reason})"),
            Event::Trouble(reason) => {
                let reason = reason.split(": ").skip(1).collect::<Vec<_>>().join(": ");
                format!("trouble({reason})")
            }
            Event::Recovered => "recovered".to_owned(),
            Event::Reached(_) => return,
        };
        log.borrow_mut().push(text);
    }));
    Followed { server, told, _folder: folder, _watch: watch }
}

/// The n-th answer for the n-th list and watch; the last one again when they run out.
fn script(mut lists: Vec<Steps>, mut watches: Vec<Steps>) -> impl FnMut(&Seen) -> Steps {
    lists.reverse();
    watches.reverse();
    move |seen| {
        let source = if seen.is_watch() { &mut watches } else { &mut lists };
        source.pop().unwrap_or_else(idle)
    }
}

#[test]
fn all_pages_of_a_list_are_one_replacement_and_the_watch_starts_at_its_version() {
    run(async |executor| {
        let pages = vec![
            page(5, &[thing("a", 1), thing("b", 2)], "next+/="),
            page(5, &[thing("c", 3)], ""),
        ];
        let watch = open(&(event("ADDED", &thing("d", 6)) + &event("DELETED", &thing("a", 7))));
        let followed = follow(&executor, quick(), script(pages, vec![watch]));
        followed.until("=a1,b2,c3 +d6 -a").await;
        let seen = followed.server.seen.borrow();
        assert_eq!(query(&seen[0], "limit"), "500");
        assert_eq!(query(&seen[0], "fieldSelector"), "a%3Db");
        assert_eq!(query(&seen[1], "continue"), "next%2B%2F%3D");
        assert_eq!(query(&seen[2], "resourceVersion"), "5");
        assert_eq!(query(&seen[2], "allowWatchBookmarks"), "true");
        let seconds: u64 = query(&seen[2], "timeoutSeconds").parse().unwrap();
        assert!((48..=60).contains(&seconds), "{seconds}");
    });
}

#[test]
fn a_dropped_stream_goes_on_from_the_last_version_bookmarks_included_without_a_new_list() {
    run(async |executor| {
        let drop = |text: String| chunked(vec![Step::Chunk(text.into_bytes()), Step::Close]);
        let watches = vec![
            drop(event("ADDED", &thing("b", 6))),
            drop(bookmark(9)),
            chunked(vec![Step::Chunk(bookmark(12).into_bytes()), Step::End]),
            open(&event("MODIFIED", &thing("b", 13))),
        ];
        let lists = vec![list(5, &[thing("a", 1)])];
        let followed = follow(&executor, quick(), script(lists, watches));
        until("the last event", || followed.story().ends_with("+b13")).await;
        assert_eq!(followed.resumed(), ["5", "6", "9", "12"]);
        assert_eq!(followed.lists(), 1);
        let story = followed.story();
        assert!(story.starts_with("=a1 +b6 trouble(unreachable: "), "{story}");
        assert!(!story.contains("-b") && story.contains("recovered"), "{story}");
    });
}

#[test]
fn events_cut_into_single_bytes_are_put_together() {
    run(async |executor| {
        let text = event("ADDED", &thing("b", 6)) + &event("ADDED", &thing("c", 7));
        let bytes = text.bytes().map(|byte| Step::Chunk(vec![byte])).chain([Step::Hang]);
        let watches = vec![chunked(bytes.collect())];
        let followed = follow(&executor, quick(), script(vec![list(5, &[])], watches));
        followed.until("= +b6 +c7").await;
    });
}

#[test]
fn a_version_that_is_too_old_leads_to_a_new_list_that_replaces_all() {
    for answered in [status(410, "Expired"), open(&expired())] {
        run(async move |executor| {
            let lists = vec![list(5, &[thing("a", 1), thing("b", 2)]), list(50, &[thing("b", 40)])];
            let followed = follow(&executor, quick(), script(lists, vec![answered, idle()]));
            followed.until("=a1,b2 =b40").await;
            until("the second watch", || followed.resumed() == ["5", "50"]).await;
        });
    }
}

#[test]
fn a_list_whose_version_expires_between_pages_is_started_again() {
    run(async |executor| {
        let lists = vec![
            page(5, &[thing("a", 1)], "next"),
            status(410, "Expired"),
            page(8, &[thing("a", 7)], ""),
        ];
        let followed = follow(&executor, quick(), script(lists, vec![idle()]));
        followed.until("=a7").await;
        assert_eq!(query(&followed.server.seen.borrow()[2], "continue"), "");
    });
}

#[test]
fn a_storm_of_410_is_answered_more_and_more_slowly_and_for_ever() {
    run(async |executor| {
        let slow = Pace {
            first_wait: Duration::from_millis(20),
            longest_wait: Duration::from_secs(9),
            ..quick()
        };
        let answers = |seen: &Seen| match seen.is_watch() {
            true => status(410, "Expired"),
            false => list(5, &[]),
        };
        let followed = follow(&executor, slow, answers);
        until("four rounds", || followed.resumed().len() == 4).await;
        let started = std::time::Instant::now();
        until("a fifth", || followed.resumed().len() == 5).await;
        assert!(started.elapsed() >= Duration::from_millis(70), "{:?}", started.elapsed());
    });
}

#[test]
fn a_truncated_event_is_trouble_and_the_stream_resumes_before_it() {
    run(async |executor| {
        let whole = event("ADDED", &thing("b", 6));
        let cut = event("ADDED", &thing("c", 7));
        let (cut, _) = cut.split_at(20);
        let first = chunked(vec![Step::Chunk(format!("{whole}{cut}").into_bytes()), Step::End]);
        let broken = open(&format!("{cut}\n"));
        let watches = vec![first, broken, open(&event("ADDED", &thing("c", 7)))];
        let followed = follow(&executor, quick(), script(vec![list(5, &[])], watches));
        until("the event that was cut", || followed.story().ends_with("+c7")).await;
        assert_eq!(followed.resumed(), ["5", "6", "6"]);
        let story = followed.story();
        assert!(
            story.contains("trouble(the answer makes no sense: the stream ended within"),
            "{story}"
        );
        assert!(story.contains("trouble(the answer makes no sense: an event: "), "{story}");
    });
}

#[test]
fn a_version_from_which_nothing_comes_but_errors_is_given_up_for_a_new_list() {
    run(async |executor| {
        let mut watches = vec![open("{broken\n"), open("{broken\n"), open("{broken\n")];
        watches.push(open(&event("ADDED", &thing("a", 9))));
        let lists = vec![list(5, &[]), list(8, &[])];
        let followed = follow(&executor, quick(), script(lists, watches));
        until("the event", || followed.story().ends_with("recovered +a9")).await;
        assert_eq!(followed.resumed(), ["5", "5", "5", "8"]);
        let story = followed.story();
        assert_eq!(story.matches("trouble").count(), 1, "said once: {story}");
    });
}

#[test]
fn an_object_that_makes_no_sense_is_left_out_and_named_and_the_others_are_kept() {
    run(async |executor| {
        let odd =
            |name: &str, version: u32| thing(name, version).replace("\"weight\":", "\"mass\":");
        let lists = vec![list(5, &[thing("a", 1), odd("b", 2), thing("c", 3)])];
        let text = event("ADDED", &odd("d", 6)) + &event("MODIFIED", &thing("a", 7));
        let watches = vec![open(&text)];
        let followed = follow(&executor, quick(), script(lists, watches));
        until("the event after", || followed.story().ends_with("+a7")).await;
        assert_eq!(
            followed.story(),
            "=a1,c3 except(b: missing field `weight`) unreadable(d: missing field `weight`) +a7"
        );
    });
}

#[test]
fn an_event_without_end_is_refused_within_bounded_memory() {
    run(async |executor| {
        let endless = || (0..80).map(|_| Step::Chunk(vec![b'x'; 64 << 10])).chain([Step::Hang]);
        let watches = vec![chunked(endless().collect()), open(&event("ADDED", &thing("b", 6)))];
        let followed = follow(&executor, quick(), script(vec![list(5, &[])], watches));
        followed.until("= trouble(the answer is larger than 4194304) recovered +b6").await;
    });
}

#[test]
fn a_list_whose_pages_go_round_in_a_circle_is_refused() {
    run(async |executor| {
        let mut requests = 0;
        let followed = follow(&executor, quick(), move |_| {
            requests += 1;
            match requests {
                1..=2 => page(5, &[thing("a", 1)], "more"),
                3 => list(5, &[thing("a", 1)]),
                _ => idle(),
            }
        });
        followed
            .until(
                "trouble(the answer makes no sense: a list whose next page is the same again) =a1 \
                 recovered",
            )
            .await;
    });
}

#[test]
fn lists_that_are_no_lists_are_trouble_until_they_are() {
    run(async |executor| {
        let lists = vec![
            answer(200, "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[{\"metadata\""),
            answer(200, "[]"),
            answer(200, "{\"metadata\":{},\"items\":[]}"),
            answer(200, "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":7}"),
            answer(200, "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":null}"),
        ];
        let followed = follow(&executor, quick(), script(lists, vec![idle()]));
        until("the good one", || followed.story().ends_with("= recovered")).await;
        assert_eq!(followed.story().matches("trouble").count(), 4, "{}", followed.story());
    });
}

#[test]
fn trouble_is_told_once_for_each_reason_and_its_end_when_the_watch_works_again() {
    run(async |executor| {
        let refuse = || status(403, "Forbidden");
        let fail = || status(503, "Unavailable");
        let lists = vec![refuse(), refuse(), refuse(), fail(), fail(), list(5, &[])];
        let followed = follow(&executor, quick(), script(lists, vec![refuse(), idle()]));
        followed
            .until(
                "trouble(403, not allowed: told so: Forbidden) \
                 trouble(503, the server failed: told so: Unavailable) = \
                 trouble(403, not allowed: told so: Forbidden) recovered",
            )
            .await;
    });
}

#[test]
fn a_stream_that_lives_on_is_the_end_of_trouble_though_nothing_happens() {
    run(async |executor| {
        let pace = Pace { longest_wait: Duration::from_millis(40), ..quick() };
        let watches = vec![open("not JSON\n"), open("not JSON\n"), idle()];
        let followed = follow(&executor, pace, script(vec![list(5, &[])], watches));
        until("the end of it", || followed.story().ends_with("recovered")).await;
        assert_eq!(followed.server.count(Seen::is_watch), 3, "{}", followed.story());
    });
}

#[test]
fn a_stream_that_the_server_forgets_to_end_is_given_up() {
    run(async |executor| {
        let brief =
            Pace { stream: Duration::from_millis(50), slack: Duration::from_millis(50), ..quick() };
        let watches = vec![idle(), open(&event("ADDED", &thing("b", 6)))];
        let followed = follow(&executor, brief, script(vec![list(5, &[])], watches));
        until("the event", || followed.story().contains("+b6")).await;
        assert!(followed.story().starts_with("= trouble(no answer within"), "{}", followed.story());
    });
}

#[test]
fn a_stream_that_goes_silent_is_opened_anew_from_the_last_version_and_is_no_trouble() {
    run(async |executor| {
        let pace = Pace { silence: Duration::from_millis(50), ..quick() };
        let watches = vec![
            open(&event("ADDED", &thing("b", 6))),
            open(&bookmark(9)),
            open(&event("MODIFIED", &thing("b", 10))),
        ];
        let followed = follow(&executor, pace, script(vec![list(5, &[])], watches));
        until("the last event", || followed.story().ends_with("+b10")).await;
        assert_eq!(followed.story(), "= +b6 +b10");
        assert_eq!(followed.resumed()[..3], ["5", "6", "9"]);
        assert_eq!(followed.lists(), 1);
    });
}

#[test]
fn what_is_watched_is_asked_for_again_after_every_reconnection() {
    run(async |executor| {
        let watches = vec![
            chunked(vec![Step::Close]),
            status(410, "Expired"),
            status(500, "Oops"),
            open(&event("ADDED", &thing("b", 60))),
        ];
        let lists = vec![list(5, &[thing("a", 1)]), list(50, &[]), list(55, &[])];
        let followed = follow(&executor, quick(), script(lists, watches));
        until("the event", || followed.story().ends_with("+b60")).await;
        let seen = followed.server.seen.borrow();
        assert!(seen.len() >= 6, "{}", seen.len());
        assert!(seen.iter().all(|seen| query(seen, "fieldSelector") == "a%3Db"));
    });
}

#[test]
fn what_was_deleted_while_nobody_watched_is_not_in_the_replacement() {
    run(async |executor| {
        let watches = vec![open(&expired()), idle()];
        let lists = vec![
            list(5, &[thing("a", 1), thing("b", 2), thing("c", 3)]),
            list(50, &[thing("a", 1), thing("c", 30)]),
        ];
        let followed = follow(&executor, quick(), script(lists, watches));
        followed.until("=a1,b2,c3 =a1,c30").await;
    });
}

#[test]
fn one_that_makes_no_sense_any_more_can_still_be_deleted() {
    run(async |executor| {
        let odd = thing("a", 7).replace("\"weight\":", "\"mass\":");
        let text = event("MODIFIED", &odd) + &event("DELETED", &odd);
        let followed =
            follow(&executor, quick(), script(vec![list(5, &[thing("a", 1)])], vec![open(&text)]));
        followed.until("=a1 unreadable(a: missing field `weight`) -a").await;
    });
}

#[test]
fn one_that_does_not_count_is_left_out_and_nothing_is_said() {
    run(async |executor| {
        let text = event("ADDED", &thing("x", UNCOUNTED)) + &event("ADDED", &thing("b", 1_000));
        let items = [thing("a", 1), thing("y", UNCOUNTED)];
        let followed = follow(&executor, quick(), script(vec![list(5, &items)], vec![open(&text)]));
        followed.until("=a1 +b1000").await;
    });
}

#[test]
fn an_item_that_is_nothing_or_of_a_wrong_type_does_not_cost_the_list() {
    run(async |executor| {
        let items = ["null", "7", "[]", "\"x\"", "{\"metadata\":7}"].map(str::to_owned);
        let items: Vec<_> = items.into_iter().chain([thing("a", 1)]).collect();
        let followed = follow(&executor, quick(), script(vec![list(5, &items)], vec![idle()]));
        until("the list", || followed.story().ends_with("=a1")).await;
        assert_eq!(followed.story().matches("rejected(").count(), 5, "{}", followed.story());
    });
}
