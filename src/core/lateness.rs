//! Commands that were too late to be carried out: they are decided anew, and that is said.

use std::time::Duration;

use viplet_backend_api::Command;

use super::report::{Level, Report};
use super::{Core, Effect, Moment};

/// Lateness is not told of more often.
const AGAIN: Duration = Duration::from_secs(10);

/// When lateness was last told of.
#[derive(Clone, Debug, Default)]
pub(super) struct Lateness {
    told: Option<Moment>,
}

impl Lateness {
    fn report(&mut self, commands: usize, by: Duration, now: Moment) -> Option<Report> {
        if self.told.is_some_and(|told| now.since(told) <= AGAIN) {
            return None;
        }
        self.told = Some(now);
        let text = format!(
            "{commands} commands about addresses were {:.1} s late and are decided anew: this node \
             is short of processor time, or the process was stopped for that long",
            by.as_secs_f64()
        );
        Some(Report { level: Level::Warn, text })
    }
}

impl Core {
    /// Nobody carried these commands out, `by` after they were decided.
    pub(super) fn late(
        &mut self,
        commands: &[Command],
        by: Duration,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) {
        for command in commands {
            self.counters.late += 1;
            match (&mut self.control_plane, &mut self.rooms) {
                (Some(group), _) if group.claims.contains_key(&command.address()) => {
                    group.late(command, now);
                }
                (_, Some(rooms)) => rooms.addresses.late(command, now),
                _ => {}
            }
        }
        effects.extend(self.lateness.report(commands.len(), by, now).map(Effect::Report));
    }
}
