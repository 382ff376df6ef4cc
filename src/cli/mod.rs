//! The command line: one file per sub-command. The settings' own flags come from the settings'
//! table and are taken out of the arguments first; what is left is argh's.

mod ask;
pub mod config;
pub mod manager;
pub mod services;
pub mod status;
pub mod surroundings;
pub mod version;
pub mod why;

use std::io::Write as _;
use std::process::ExitCode;

use argh::FromArgs;

use config::ConfigCommand;
use manager::ManagerCommand;
use status::StatusCommand;
use surroundings::Surroundings;
use version::VersionCommand;
use why::WhyCommand;

/// viplet holds and announces virtual addresses of a Kubernetes cluster. Settings come from the
/// environment, from flags (--interface eth0) and from a file (--config-file); viplet config
/// --reference lists them all
#[derive(FromArgs, Clone, Debug)]
struct Viplet {
    #[argh(subcommand)]
    command: Option<Command>,
}

#[derive(FromArgs, Clone, Debug)]
#[argh(subcommand)]
enum Command {
    Manager(ManagerCommand),
    Config(ConfigCommand),
    Status(StatusCommand),
    Why(WhyCommand),
    Version(VersionCommand),
}

/// Runs the program with these arguments (the program's name first).
#[must_use]
pub fn run(arguments: Vec<String>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let name = arguments.next().unwrap_or_else(|| "viplet".to_owned());
    let (flags, rest) = crate::config::split_arguments(&arguments.collect::<Vec<_>>());
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let program = name.rsplit('/').next().unwrap_or("viplet").to_owned();
    let viplet = match Viplet::from_args(&[&program], &rest) {
        Ok(viplet) => viplet,
        Err(early) => return early_exit(&early),
    };
    let surroundings = Surroundings::look(flags);
    match viplet.command {
        None => early_exit(&help(&program)),
        Some(Command::Manager(command)) => command.run(&surroundings),
        Some(Command::Config(command)) => print(command.text(&surroundings)),
        Some(Command::Status(command)) => print(command.text()),
        Some(Command::Why(command)) => command.run(),
        Some(Command::Version(command)) => print(Ok(command.text())),
    }
}

fn help(program: &str) -> argh::EarlyExit {
    Viplet::from_args(&[program], &["--help"])
        .err()
        .unwrap_or_else(|| argh::EarlyExit { output: String::new(), status: Ok(()) })
}

fn early_exit(early: &argh::EarlyExit) -> ExitCode {
    match early.status {
        Ok(()) => print(Ok(early.output.clone())),
        Err(()) => print(Err(early.output.clone())),
    }
}

/// Writes what a command has to say; a closed pipe is not worth a word.
fn print(outcome: Result<String, String>) -> ExitCode {
    match outcome {
        Ok(text) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(text) => {
            let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
            ExitCode::FAILURE
        }
    }
}
