//! Settings as a person gave them: text, and for some the node's annotations (BGP-10).

use std::collections::BTreeMap;

use viplet_backend_api::{Class, Given, Refusal, Tag};

use super::Bgp;
use crate::settings::{Reading, Settings, from_disk, read};

impl Bgp {
    /// Opens a speaker with settings that are text yet. Those that the node's annotations hold
    /// are waited for: until then there are no peers.
    ///
    /// # Errors
    /// `Misconfigured` for settings that cannot be taken, and as [`Bgp::open`].
    pub fn open_as_given(tag: Tag, given: &Given) -> Result<Self, Refusal> {
        let settings = match reading(given, None)? {
            Reading::Ready(settings) => *settings,
            Reading::Waiting(_) => Settings::without_peers(),
        };
        let mut bgp = Self::open(tag, settings)?;
        bgp.given = given.clone();
        Ok(bgp)
    }

    /// Follows the node's annotations; what cannot be taken leaves everything as it is.
    pub(super) fn follow(&mut self, annotations: &BTreeMap<String, String>) {
        match reading(&self.given, Some(annotations)) {
            Ok(Reading::Ready(settings)) if *settings == self.settings => {}
            Ok(Reading::Ready(settings)) => {
                log::info!("{} peers by the node's annotations", settings.peers.len());
                self.reconfigure(*settings);
            }
            Ok(Reading::Waiting(missing)) => {
                log::warn!("BGP waits for annotations of this node: {}", missing.join(", "));
            }
            Err(refusal) => log::error!("the node's annotations are not used: {refusal}"),
        }
    }
}

fn reading(
    given: &Given,
    annotations: Option<&BTreeMap<String, String>>,
) -> Result<Reading, Refusal> {
    read(given, annotations, &from_disk).map_err(|wrong| {
        let lines = wrong.into_iter().map(|one| format!("{}: {}", one.setting, one.why));
        let reason = lines.collect::<Vec<_>>().join("; ");
        Refusal { class: Class::Misconfigured, reason }
    })
}
