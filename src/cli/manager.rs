//! `viplet manager`: runs this node's part.

use std::cell::RefCell;
use std::process::ExitCode;

use argh::FromArgs;

use super::surroundings::Surroundings;
use crate::build_info::{BUILD, VERSION};
use crate::config::{self, Loaded, Settings};
use crate::registry::FEATURES;
use crate::shell::{self, logger, node::End, privileges};

/// hold and announce this node's share of the virtual addresses
#[derive(FromArgs, Clone, Copy, Debug, PartialEq, Eq)]
#[argh(subcommand, name = "manager")]
pub struct ManagerCommand {}

impl ManagerCommand {
    /// Loads the settings and runs until a signal or an invalid configuration ends it.
    #[must_use]
    pub fn run(self, surroundings: &Surroundings) -> ExitCode {
        logger::install(0);
        let loaded = match config::load(&surroundings.inputs(), FEATURES) {
            Ok(loaded) => loaded,
            Err(problems) => {
                for problem in &problems {
                    log::error!("{problem}");
                }
                log::error!("not started: the settings are wrong, see above");
                return ExitCode::FAILURE;
            }
        };
        logger::set_threshold(loaded.settings.log.0);
        welcome(&loaded);
        if let Err(error) = privileges::raise() {
            log::warn!("the capabilities that this process may have could not be raised: {error}");
        }
        run(&loaded.settings, surroundings)
    }
}

fn welcome(loaded: &Loaded) {
    log::info!("viplet version={VERSION} build={BUILD} features={}", FEATURES.join(","));
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    let settings = &loaded.settings;
    let plane = settings.core.control_plane.is_some();
    let services = settings.core.services.is_some();
    log::info!(
        "starting node={} mode={} control-plane={plane} services={services}",
        settings.core.node,
        settings.mode.as_str()
    );
}

fn run(settings: &Settings, surroundings: &Surroundings) -> ExitCode {
    let current = RefCell::new(settings.clone());
    match shell::run(settings, &|| read_again(&current, surroundings)) {
        Ok(End::Stopped) => {
            log::info!("stopped");
            ExitCode::SUCCESS
        }
        Ok(End::AtOnce) => {
            log::warn!("ended at once by a second signal; what was held runs out by itself");
            ExitCode::FAILURE
        }
        Err(error) => {
            log::error!("not running: {error}");
            ExitCode::FAILURE
        }
    }
}

/// SIGHUP: the settings' file is read again. The log's level is taken over; the rest of a change
/// is for the next start, and said.
fn read_again(current: &RefCell<Settings>, surroundings: &Surroundings) {
    let loaded = match config::load(&surroundings.inputs(), FEATURES) {
        Ok(loaded) => loaded,
        Err(problems) => {
            for problem in &problems {
                log::error!("{problem}; the settings stay as they were");
            }
            return;
        }
    };
    logger::set_threshold(loaded.settings.log.0);
    let mut current = current.borrow_mut();
    let mut comparable = loaded.settings.clone();
    comparable.log = current.log;
    if comparable != *current {
        log::warn!("settings have changed; all but the log's level count from the next start");
    }
    current.log = loaded.settings.log;
}
