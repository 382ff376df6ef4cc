//! Ctrl-C: noticed, not obeyed at once, so that the terminal and the lab are left clean.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use async_signal::{Signal, Signals};
use futures_lite::{StreamExt, future::block_on};

/// Whether somebody asked the demo to end.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes SIGINT, SIGTERM and SIGHUP over from now on.
    pub(super) fn listen() -> Self {
        let interrupt = Self::default();
        let seen = Arc::clone(&interrupt.0);
        let mut signals = Signals::new([Signal::Int, Signal::Term, Signal::Hup]).expect("signals");
        thread::spawn(move || {
            while block_on(signals.next()).is_some() {
                seen.store(true, Ordering::Relaxed);
            }
        });
        interrupt
    }

    /// Whether one came.
    pub(super) fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
