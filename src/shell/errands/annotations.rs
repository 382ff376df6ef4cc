//! The annotations of this node's own Node object, for a backend whose settings are there (BGP-10).

use std::collections::BTreeMap;
use std::time::Duration;

use smol::channel::Sender;

use super::Parts;
use crate::kube::{Event, NodeAnnotations, Pace, Watch, own_node_scope};

/// After an outage the watch is back within this time.
const AGAIN: Duration = Duration::from_secs(5);

/// Sends those that begin with `prefix`, at first and whenever they change.
pub(super) async fn follow(
    parts: Parts,
    (node, prefix): (String, String),
    news: Sender<BTreeMap<String, String>>,
) {
    let api = parts.api().await;
    let pace = Pace { longest_wait: AGAIN, ..Pace::default() };
    let mut known = None;
    let sink = async |event: Event<NodeAnnotations, Box<str>>| {
        let found = match event {
            Event::Replaced(all) => all.into_iter().next().unwrap_or_default(),
            Event::Applied(one) => one,
            Event::Trouble(why) => {
                return log::warn!("annotations of Node {node} are not watched: {why}");
            }
            Event::Recovered => {
                return log::info!("annotations of Node {node} are watched again");
            }
            Event::Deleted(_) | Event::Reached(_) | Event::Rejected(_) => return,
        };
        let mut found = found.annotations;
        found.retain(|key, _| key.starts_with(&prefix));
        if known.as_ref() != Some(&found) {
            known = Some(found.clone());
            let _ = news.send(found).await;
        }
    };
    Watch::new(&api, own_node_scope(&node), pace).run(sink).await;
}
