//! Where the program's effects go: the backend, the tasks for the API server, the log.

use log::{Level as LogLevel, log};
use viplet_backend_api::{Command, Refusal};

use crate::core::carry::Sink;
use crate::core::input::KubernetesRequest;
use crate::core::report::{Level, Report};
use crate::shell::api_tasks::ApiTasks;
use crate::shell::shared::Shared;

/// The addressees of this process.
pub(super) struct Addressees<'a> {
    shared: &'a Shared,
    api_tasks: &'a ApiTasks,
}

impl<'a> Addressees<'a> {
    /// The backend that is open in `shared`, and these tasks.
    pub(super) const fn new(shared: &'a Shared, api_tasks: &'a ApiTasks) -> Self {
        Self { shared, api_tasks }
    }
}

impl Sink for Addressees<'_> {
    fn addresses(&mut self, commands: &[Command]) -> Vec<Result<(), Refusal>> {
        self.shared.backend.borrow_mut().apply_all(commands)
    }

    fn kubernetes(&mut self, request: KubernetesRequest) {
        self.api_tasks.request(request);
    }

    fn resolve(&mut self, name: String) {
        self.api_tasks.resolve(name);
    }

    fn report(&mut self, report: Report) {
        let level = match report.level {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
        };
        log!(level, "{}", report.text);
    }
}
