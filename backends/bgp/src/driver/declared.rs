//! A speaker of what was declared, and of the node's annotations where they hold some of it.

use std::collections::BTreeMap;
use std::time::Duration;

use viplet_backend_api::{
    BgpSession, Class, NodeSettings, PeerStatus, Refusal, Session, Tag, Unacceptable,
};

use super::Bgp;
use crate::machine::Moment;
use crate::settings::{
    Attributes, Declared, GracefulRestart, Listen, Reading, RouterId, Settings, from_disk,
};

/// What was declared, for when the node's annotations change.
#[derive(Debug)]
pub(super) struct Source {
    declared: Declared,
    /// Why the annotations cannot be used, and since when.
    waiting: Option<(String, Moment)>,
}

impl Source {
    pub(super) fn prefix(&self) -> Option<&str> {
        self.declared.annotation_prefix()
    }

    /// What `viplet status` shows while there are no peers yet, or other ones are wanted.
    pub(super) fn status(&self, now: Moment) -> Option<PeerStatus> {
        let (why, since) = self.waiting.as_ref()?;
        Some(PeerStatus {
            name: format!("annotation:{}", self.prefix().unwrap_or_default()),
            session: Session::Down,
            since: now.saturating_sub(*since),
            addresses: 0,
            last_error: Some(why.clone()),
            established: 0,
            lost: 0,
            bgp: Some(BgpSession {
                remote_as: None,
                state: "Idle".into(),
                bfd: None,
                sent: 0,
                received: 0,
                updates: 0,
            }),
        })
    }
}

impl Bgp {
    /// As [`Bgp::open`], of what was declared. Where peers are in the node's annotations
    /// (`annotation`), it waits for them without any peer.
    ///
    /// # Errors
    /// When the kernel refuses a netlink socket, or a file of passwords cannot be taken
    /// (`Misconfigured`).
    pub fn from_declared(tag: Tag, declared: Declared) -> Result<Self, Refusal> {
        let reading = declared.resolve(None, &from_disk).map_err(|wrong| Refusal {
            class: Class::Misconfigured,
            reason: format!("the settings of BGP cannot be taken: {}", listed(&wrong)),
        })?;
        let mut waiting = None;
        let settings = match reading {
            Reading::Ready(settings) => *settings,
            Reading::Waiting(missing) => {
                waiting = Some((awaited(&missing), Moment::ZERO));
                without_peers()
            }
        };
        let mut bgp = Self::open(tag, settings)?;
        if let Some((why, _)) = &waiting {
            log::warn!("BGP: {why}");
        }
        bgp.source = Some(Source { declared, waiting });
        Ok(bgp)
    }
}

impl NodeSettings for Bgp {
    fn prefix(&self) -> &str {
        self.source.as_ref().and_then(Source::prefix).unwrap_or_default()
    }

    /// While the annotations cannot be used, all stays as it is.
    fn annotated(&mut self, annotations: &BTreeMap<String, String>) {
        let now = self.now();
        let Some(source) = &mut self.source else { return };
        let waiting = match source.declared.resolve(Some(annotations), &from_disk) {
            Ok(Reading::Ready(settings)) => {
                source.waiting = None;
                if *settings != self.settings {
                    self.reconfigure(*settings);
                }
                return;
            }
            Ok(Reading::Waiting(missing)) => awaited(&missing),
            Err(wrong) => listed(&wrong),
        };
        if source.waiting.as_ref().is_none_or(|(before, _)| *before != waiting) {
            log::warn!("BGP: {waiting}");
            source.waiting = Some((waiting, now));
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
