//! The check of the API server on this node, again and again (CP-8).

use super::TaskContext;
use crate::config::HealthCheck;
use crate::core::Input;
use crate::kube::Probe;

/// Checks at once and then every period; each outcome goes to the loop.
pub(super) async fn follow(context: TaskContext, check: HealthCheck) {
    let mut probe = None;
    loop {
        let next = smol::Timer::after(check.every);
        let opened = match probe.take() {
            Some(probe) => Ok(probe),
            None => Probe::new(&check.url, check.authority.as_deref(), &context.executor),
        };
        let outcome = match opened {
            Ok(mut opened) => {
                let outcome = opened.check(check.within).await;
                // A file of authorities may be renewed: it is read again after a failure.
                probe = outcome.is_ok().then_some(opened);
                outcome
            }
            Err(why) => Err(why),
        };
        let _ = context.inbox.send(Input::ControlPlaneChecked(outcome)).await;
        next.await;
    }
}
