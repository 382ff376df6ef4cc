//! A speaker by the text of its settings, and by the node's annotations where they hold some of it.

use std::collections::BTreeMap;
use std::time::Duration;

use viplet_backend_api::{Class, Given, PeerStatus, Refusal, Session, Tag, Unacceptable};

use super::Bgp;
use crate::machine::Moment;
use crate::settings::{
    Attributes, GracefulRestart, Listen, Reading, RouterId, Settings, from_disk, read,
};

/// The text of the settings, for when the node's annotations change.
#[derive(Debug)]
pub(super) struct Text {
    given: Given,
    /// Without a slash at its end; empty: annotations do not matter.
    prefix: String,
    /// Why the annotations cannot be used, and since when.
    waiting: Option<(String, Moment)>,
}

impl Text {
    pub(super) fn prefix(&self) -> Option<&str> {
        (!self.prefix.is_empty()).then_some(self.prefix.as_str())
    }

    /// What `viplet status` shows while there are no peers yet, or other ones are wanted.
    pub(super) fn status(&self, now: Moment) -> Option<PeerStatus> {
        let (why, since) = self.waiting.as_ref()?;
        Some(PeerStatus {
            name: format!("annotation:{}", self.prefix),
            remote_as: None,
            session: Session::Down,
            state: "Idle".into(),
            since: now.saturating_sub(*since),
            prefixes: 0,
            bfd: None,
            last_error: Some(why.clone()),
            established: 0,
            lost: 0,
            messages: (0, 0),
            updates: 0,
        })
    }
}

impl Bgp {
    /// As [`Bgp::open`], from the text of the settings. Where they say that peers are in the
    /// node's annotations (`annotation`), it waits for them without any peer.
    ///
    /// # Errors
    /// When the kernel refuses a netlink socket, or a setting cannot be taken (`Misconfigured`).
    pub fn from_given(tag: Tag, given: Given) -> Result<Self, Refusal> {
        let reading = read(&given, None, &from_disk).map_err(|wrong| Refusal {
            class: Class::Misconfigured,
            reason: format!("the settings of BGP cannot be taken: {}", listed(&wrong)),
        })?;
        let prefix = given.text("annotation").trim().trim_end_matches('/').to_owned();
        let mut text = Text { given, prefix, waiting: None };
        let settings = match reading {
            Reading::Ready(settings) => *settings,
            Reading::Waiting(missing) => {
                text.waiting = Some((awaited(&missing), Moment::ZERO));
                without_peers()
            }
        };
        let mut bgp = Self::open(tag, settings)?;
        bgp.text = Some(text);
        Ok(bgp)
    }

    /// Takes what the node's annotations say now. While they cannot be used, all stays as it is.
    pub(super) fn read_annotations(&mut self, annotations: &BTreeMap<String, String>) {
        let now = self.now();
        let Some(text) = &mut self.text else { return };
        let waiting = match read(&text.given, Some(annotations), &from_disk) {
            Ok(Reading::Ready(settings)) => {
                text.waiting = None;
                if *settings != self.settings {
                    self.reconfigure(*settings);
                }
                return;
            }
            Ok(Reading::Waiting(missing)) => awaited(&missing),
            Err(wrong) => listed(&wrong),
        };
        if text.waiting.as_ref().is_none_or(|(before, _)| *before != waiting) {
            log::warn!("BGP: {waiting}");
            text.waiting = Some((waiting, now));
        }
    }
}

fn awaited(missing: &[String]) -> String {
    format!("waiting for these annotations on this node: {}", missing.join(", "))
}

fn listed(wrong: &[Unacceptable]) -> String {
    let each = wrong.iter().map(|one| format!("{}: {}", one.setting, one.why));
    each.collect::<Vec<_>>().join("; ")
}

/// Nobody is spoken to by these.
fn without_peers() -> Settings {
    Settings {
        local_as: 0,
        router_id: RouterId::Automatic,
        attributes: Attributes::default(),
        graceful_restart: GracefulRestart::Off,
        graceful_shutdown: Duration::ZERO,
        listen: Listen::No,
        peers: Vec::new(),
    }
}
