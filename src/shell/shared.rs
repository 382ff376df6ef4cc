//! What the loop owns and the listeners may look at: the core, and how the API server is.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use viplet_backend_api::{Backend, PeerStatus};

use super::api_seen::{ApiSeen, Asker};
use super::clock;
use super::source::{ApiHealth, Source};
use crate::core::cluster::record::ServiceName;
use crate::core::status::Why;
use crate::core::{Core, Counters, Effect, Input, Moment, Status};
use crate::recording::Recorder;
use crate::registry;

/// A loop that is so late with a deadline does not turn.
const STALL: Duration = Duration::from_secs(5);

/// What the listeners may look at, while the loop owns it.
pub struct Shared {
    /// The core.
    pub core: RefCell<Core>,
    /// What makes addresses present and known.
    pub backend: RefCell<Box<dyn Backend>>,
    /// How the API server is; the API tasks keep it up to date.
    pub api: RefCell<ApiSeen>,
    turned: Cell<Moment>,
    /// The last inputs, where the settings say that they are kept.
    pub recorder: RefCell<Option<Recorder>>,
}

impl Shared {
    /// Around a core and the backend that it commands.
    #[must_use]
    pub fn new(core: Core, backend: Box<dyn Backend>) -> Rc<Self> {
        let (core, api) = (RefCell::new(core), RefCell::default());
        let (backend, recorder) = (RefCell::new(backend), RefCell::new(None));
        Rc::new(Self { core, backend, api, turned: Cell::new(clock::now()), recorder })
    }

    /// Gives the core an input; what it decides about it.
    pub fn decide(&self, input: Input, now: Moment) -> Vec<Effect> {
        let turn = |input| {
            let mut effects = Vec::new();
            self.core.borrow_mut().handle(input, now, &mut effects);
            effects
        };
        match (registry::RECORDING, &mut *self.recorder.borrow_mut()) {
            (registry::Recording::Possible, Some(recorder)) => recorder.around(input, now, turn),
            _ => turn(input),
        }
    }

    /// The loop turns.
    pub fn turns_at(&self, now: Moment) {
        self.turned.set(now);
    }

    /// The API server answered `asker`, or did not and why.
    pub fn api_said(&self, asker: Asker, outcome: Result<(), String>) {
        self.api.borrow_mut().learn(asker, outcome, clock::now());
    }
}

impl Source for Shared {
    fn status(&self) -> Status {
        self.core.borrow().status(clock::now())
    }

    fn why(&self, service: &ServiceName) -> Option<Why> {
        let mut why = self.core.borrow().why(service, clock::now())?;
        if let ApiHealth::Unreachable { seconds, reason } = self.api() {
            why.because.push(format!(
                "for {} the API server has been unreachable for {seconds} s, so this is what it knew \
                 before: {reason}",
                self.core.borrow().settings().node
            ));
        }
        Some(why)
    }

    fn counters(&self) -> Counters {
        self.core.borrow().counters()
    }

    fn peers(&self) -> Vec<PeerStatus> {
        self.backend.borrow_mut().peers().map(|peers| peers.statuses()).unwrap_or_default()
    }

    fn api(&self) -> ApiHealth {
        self.api.borrow().health(clock::now())
    }

    fn health(&self) -> Result<(), String> {
        let (now, turned) = (clock::now(), self.turned.get());
        let due = self.core.borrow().next_deadline(turned);
        match due {
            Some((at, why)) if now > at + STALL => Err(format!(
                "the main loop has not turned for {} s; due since {} s: {why}",
                now.since(turned).as_secs(),
                now.since(at).as_secs()
            )),
            _ => Ok(()),
        }
    }
}
