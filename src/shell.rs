//! The shell: the only part of viplet that touches the world.
//!
//! [`run`] puts the parts of one node together: the loop of [`node`], its [`api_tasks`], the
//! listeners of [`http`], all on one thread.

pub mod api_seen;
pub mod api_tasks;
pub mod clock;
pub mod dump;
pub mod http;
pub mod logger;
pub mod metrics;
pub mod node;
pub mod opening;
pub mod pipe;
pub mod privileges;
pub mod process;
pub mod resolver;
pub mod shared;
pub mod signals;
pub mod source;

use std::fmt;
use std::rc::Rc;

use smol::LocalExecutor;
use smol::channel::bounded;
use viplet_backend_api::Tag;

use crate::config::Settings;
use crate::core::Core;
use crate::core::settings::PlaneElection;
use crate::recording::{self, Recorder};
use crate::registry::{RECORDING, Recording};
use api_tasks::{ApiTasks, LazyApi};
use dump::Dump;
use node::{End, INBOX, Node, Orders};
use opening::Opening;
use shared::Shared;
use source::{Source as _, StatusPage};

/// Why a node could not be started, or could not go on.
#[derive(Debug)]
pub enum RunError {
    /// A timer, a signal handler: without them nothing can be relied on.
    Kernel(std::io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => write!(f, "the kernel refused a timer or a signal: {error}"),
        }
    }
}

impl std::error::Error for RunError {}

impl From<std::io::Error> for RunError {
    fn from(error: std::io::Error) -> Self {
        Self::Kernel(error)
    }
}

/// Runs a node until it is told to stop. `read_again` is called on SIGHUP.
///
/// # Errors
/// When it cannot start, or cannot go on.
pub fn run(settings: &Settings, read_again: &dyn Fn()) -> Result<End, RunError> {
    let tag = Tag::of_instance(&settings.instance);
    let own = settings.backend.clone();
    let open = move || own.open(tag);
    let backend = Box::new(Opening::new(Box::new(open)));
    let (timer, signals) = (clock::Timer::new()?, signals::Signals::new()?);
    let mut core = settings.core.clone();
    core.seed = fastrand::u64(..);
    let elected = core.control_plane.iter().filter(|p| p.election == PlaneElection::ByLease);
    let leases: Vec<_> = elected.map(|plane| plane.lease.clone()).collect();

    let executor = Rc::new(LocalExecutor::new());
    let started = clock::now();
    let recorder = settings.record_file.as_ref().filter(|_| RECORDING == Recording::Possible);
    let recorder = recorder.map(|_| Recorder::new(&core, started, recording::LIMIT));
    let shared = Shared::new(Core::new(core, started), backend);
    *shared.recorder.borrow_mut() = recorder;
    let lazy_api = LazyApi::new(settings.access.clone(), &executor);
    let (inbox, inputs) = bounded(INBOX);
    let api_tasks = ApiTasks::start(&executor, &lazy_api, &shared, &inbox, &leases);
    if let Some(check) = &settings.health_check {
        api_tasks.check_health(check.clone());
    }
    for listen in settings.listeners() {
        executor.spawn(http::serve(listen, shared.clone())).detach();
    }
    let node = Node::new(shared.clone(), api_tasks, inputs, (timer, signals));
    let orders = Console { settings, shared: &shared, lazy_api: &lazy_api, read_again };
    let end = smol::block_on(executor.run(node.run(&orders)))?;
    Ok(end)
}

/// Carries out what signals ask for beside a stop.
struct Console<'a> {
    settings: &'a Settings,
    shared: &'a Rc<Shared>,
    lazy_api: &'a Rc<LazyApi>,
    read_again: &'a dyn Fn(),
}

impl Console<'_> {
    fn write_recording(&self) {
        let recorder = self.shared.recorder.borrow();
        let (Some(file), Some(recorder)) = (&self.settings.record_file, &*recorder) else { return };
        match recording::file::write(file, &recorder.text()) {
            Ok(()) => log::info!("the last inputs are written to {}", file.display()),
            Err(error) => log::warn!(
                "the last inputs could not be written to {} (record_file): {error}; name a file \
                 in a folder that this process may write to, on a disk with room for it",
                file.display()
            ),
        }
    }
}

impl Orders for Console<'_> {
    fn dump(&self) {
        let page = StatusPage::of(&**self.shared);
        let core = self.shared.core.borrow();
        let text = Dump {
            settings: core.settings(),
            port: self.settings.access.port,
            mode: self.settings.mode,
            backend: self.settings.backend.lines(),
            page: &page,
            counters: &self.shared.counters(),
            now: std::time::SystemTime::now(),
            process: std::process::id(),
            metrics_at: &self
                .settings
                .metrics
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
            health_port: self.settings.health_port.unwrap_or(0),
        }
        .text();
        log::info!("SIGUSR1: the state is written to stdout");
        if let Err(error) = pipe::offer(std::io::stdout(), text.as_bytes()) {
            log::warn!("the state could not be written: {error}");
        }
        self.write_recording();
    }

    fn reload(&self) {
        log::info!("SIGHUP: files are read again");
        self.lazy_api.reload();
        (self.read_again)();
    }
}
