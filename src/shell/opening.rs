//! A backend that is opened as late as the kernel lets it: a missing capability is no reason to
//! end (design law 5), it is waited for and said.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use smol::Timer;
use viplet_backend_api::{
    Backend, Class, Command, NodeSettings, Notice, Observation, Peers, Refusal,
};

/// Between two tries.
const AGAIN: Duration = Duration::from_secs(5);

/// How a backend is opened.
pub type Open = dyn Fn() -> Result<Box<dyn Backend>, Refusal>;

/// A backend that may not be open yet.
pub struct Opening {
    open: Box<Open>,
    backend: Option<Box<dyn Backend>>,
    timer: Timer,
    /// What was said last.
    reason: String,
}

impl Opening {
    /// Opens it at the first [`Backend::observe`], or later.
    #[must_use]
    pub fn new(open: Box<Open>) -> Self {
        Self { open, backend: None, timer: Timer::after(AGAIN), reason: String::new() }
    }

    fn try_open(&mut self) -> Result<Observation, Refusal> {
        let mut backend = (self.open)().inspect_err(|refusal| {
            self.timer = Timer::after(AGAIN);
            self.reason.clone_from(&refusal.reason);
        })?;
        let observation = backend.observe();
        self.backend = Some(backend);
        observation
    }
}

impl Backend for Opening {
    fn name(&self) -> &'static str {
        self.backend.as_ref().map_or("not open", |backend| backend.name())
    }

    fn observe(&mut self) -> Result<Observation, Refusal> {
        match &mut self.backend {
            Some(backend) => backend.observe(),
            None => self.try_open(),
        }
    }

    fn apply_all(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        let refused = || Err(Refusal { class: Class::Forbidden, reason: self.reason.clone() });
        match &mut self.backend {
            Some(backend) => backend.apply_all(commands),
            None => commands.iter().map(|_| refused()).collect(),
        }
    }

    fn peers(&mut self) -> Option<&mut dyn Peers> {
        self.backend.as_mut()?.peers()
    }

    fn node_settings(&mut self) -> Option<&mut dyn NodeSettings> {
        self.backend.as_mut()?.node_settings()
    }

    fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<Notice> {
        loop {
            if let Some(backend) = &mut self.backend {
                return backend.poll_notice(cx);
            }
            if Pin::new(&mut self.timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            let said = self.reason.clone();
            match self.try_open() {
                Ok(observation) => return Poll::Ready(Notice::Snapshot(observation)),
                Err(refusal) if refusal.reason != said => {
                    return Poll::Ready(Notice::Blind(refusal));
                }
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
