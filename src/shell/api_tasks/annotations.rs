//! The annotations of this node's own Node object, for a backend whose settings are there (BGP-10).
//! They hardly ever change: reading them now and then costs less than another watch.

use std::collections::BTreeMap;
use std::time::Duration;

use smol::channel::Sender;

use super::TaskContext;
use crate::kube::read_annotations;

/// Time between two readings.
const EVERY: Duration = Duration::from_secs(10);

/// Sends those that begin with `prefix`, at first and whenever they have changed.
pub(super) async fn follow(
    context: TaskContext,
    (node, prefix): (String, String),
    news: Sender<BTreeMap<String, String>>,
) {
    let mut connection = context.api().await.connection();
    let (mut known, mut trouble) = (None, String::new());
    loop {
        match read_annotations(&mut connection, &node).await {
            Ok(mut found) => {
                found.retain(|key, _| key.starts_with(&prefix));
                trouble.clear();
                if known.as_ref() != Some(&found) {
                    known = Some(found.clone());
                    let _ = news.send(found).await;
                }
            }
            Err(error) => {
                let why = error.to_string();
                if why != trouble {
                    log::warn!("settings in annotations of Node {node} are not read: {why}");
                }
                trouble = why;
            }
        }
        smol::Timer::after(EVERY).await;
    }
}
