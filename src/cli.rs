//! The command line: one file per sub-command. The settings' own flags come from the settings'
//! table and are taken out of the arguments first; what is left is argh's.

mod ask;
pub mod config;
pub mod kubeadm;
pub mod manager;
pub mod manifest;
mod peers;
pub mod printable;
pub mod replay;
pub mod services;
pub mod status;
pub mod surroundings;
pub mod version;
pub mod why;
mod words;

use std::io::Write as _;
use std::process::ExitCode;

use argh::FromArgs;

use config::ConfigCommand;
use kubeadm::KubeadmCommand;
use manager::ManagerCommand;
use manifest::{ManifestCommand, Printed};
use printable::say;
use replay::ReplayCommand;
use status::StatusCommand;
use surroundings::Surroundings;
use version::VersionCommand;
use why::WhyCommand;

use crate::registry::{MANIFESTS, Manifests};

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
    Manifest(ManifestCommand),
    Kubeadm(KubeadmCommand),
    Replay(ReplayCommand),
    Version(VersionCommand),
}

/// Runs the program with these arguments (the program's name first).
#[must_use]
pub fn run(arguments: Vec<String>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let name = arguments.next().unwrap_or_else(|| "viplet".to_owned());
    let (flags, rest) = crate::config::split_arguments(&arguments.collect::<Vec<_>>());
    let rest = words::tidy(rest);
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let program = name.rsplit('/').next().unwrap_or("viplet").to_owned();
    let viplet = match Viplet::from_args(&[&program], &rest) {
        Ok(viplet) => viplet,
        Err(argh::EarlyExit { output, status: Err(()) }) => {
            return print(Err(words::explained(&output, &program, &rest)));
        }
        Err(early) => return early_exit(&early),
    };
    let surroundings = Surroundings::look(flags);
    match viplet.command {
        None => early_exit(&help(&[&program])),
        Some(Command::Manager(command)) => command.run(&surroundings),
        Some(Command::Config(command)) => print(command.text(&surroundings)),
        Some(Command::Status(command)) => print(command.text()),
        Some(Command::Why(command)) => command.run(),
        Some(Command::Manifest(_) | Command::Kubeadm(_)) if MANIFESTS == Manifests::Absent => {
            print(Err("this build prints no manifests, which needs the feature manifest; print \
                       them with a build that has it (scripts/build TARGET full)"
                .to_owned()))
        }
        Some(Command::Manifest(command)) => {
            deliver(command.printed(&surroundings), &[&program, "manifest"])
        }
        Some(Command::Kubeadm(command)) => {
            deliver(command.printed(&surroundings), &[&program, "kubeadm"])
        }
        Some(Command::Replay(command)) => print(command.text()),
        Some(Command::Version(command)) => print(Ok(command.text())),
    }
}

/// The help of the program, or of a command of it.
fn help(words: &[&str]) -> argh::EarlyExit {
    let (program, words) = words.split_at_checked(1).unwrap_or_default();
    Viplet::from_args(program, &[words, &["--help"]].concat())
        .err()
        .unwrap_or_else(|| argh::EarlyExit { output: String::new(), status: Ok(()) })
}

fn early_exit(early: &argh::EarlyExit) -> ExitCode {
    match early.status {
        Ok(()) => print(Ok(early.output.clone())),
        Err(()) => print(Err(early.output.clone())),
    }
}

/// A manifest to stdout, remarks to stderr; the command's help where nothing was asked for.
fn deliver(printed: Option<Result<Printed, String>>, words: &[&str]) -> ExitCode {
    let Some(printed) = printed else { return early_exit(&help(words)) };
    print(printed.map(|Printed { manifest, remarks }| {
        for remark in remarks {
            let _ = writeln!(std::io::stderr(), "# {remark}");
        }
        manifest
    }))
}

/// Writes what a command has to say.
fn print(outcome: Result<String, String>) -> ExitCode {
    match outcome {
        Ok(text) => {
            say(&mut std::io::stdout(), &text);
            ExitCode::SUCCESS
        }
        Err(text) => {
            say(&mut std::io::stderr(), &format!("{}\n", text.trim_end()));
            ExitCode::FAILURE
        }
    }
}
