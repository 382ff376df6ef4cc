//! `fuzz [EXECUTIONS] [--target NAME] [--seed N] [--case N]`: fuzzes every target, or one; with
//! `--case` only that case, and shows its bytes.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use viplet as _;
use viplet_arp as _;
use viplet_backend_api as _;
use viplet_bfd as _;
use viplet_bgp as _;
use viplet_fuzz::{Failure, Target, all, case, run};
use viplet_netlink as _;

/// A case that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

struct Options {
    executions: u64,
    target: Option<String>,
    seed: u64,
    case: Option<u64>,
}

fn options() -> Result<Options, String> {
    let mut options = Options { executions: 1_000_000, target: None, seed: 1, case: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |text: String| text.parse().map_err(|_| format!("{text} is no number"));
        match argument.as_str() {
            "--target" => options.target = Some(value()?),
            "--seed" => options.seed = number(value()?)?,
            "--case" => options.case = Some(number(value()?)?),
            _ => options.executions = number(argument)?,
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}; usage: fuzz [EXECUTIONS] [--target NAME] [--seed N] [--case N]");
            return ExitCode::from(2);
        }
    };
    let wanted = |target: &Target| options.target.as_deref().is_none_or(|name| name == target.name);
    let targets: Vec<_> = all().into_iter().filter(wanted).collect();
    let sound = targets.iter().filter(|target| fuzz(target, &options)).count();
    println!("{sound} of {} targets passed, {} executions each", targets.len(), options.executions);
    if sound == targets.len() && sound > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fuzz(target: &Target, options: &Options) -> bool {
    let numbers = match options.case {
        Some(number) => {
            println!("{}: {}", target.name, hex(&case(target, options.seed, number)));
            number..number.saturating_add(1)
        }
        None => 0..options.executions,
    };
    let current = Arc::new(AtomicU64::new(0));
    watch(target.name, options.seed, Arc::clone(&current));
    let outcome =
        run(target, options.seed, numbers, &mut |number| current.store(number, Ordering::Relaxed));
    current.store(u64::MAX, Ordering::Relaxed);
    let name = target.name;
    match outcome {
        Ok(()) => println!("{name}: no failure"),
        Err(Failure { case, ref bytes, ref why }) => {
            println!("{name}: FAILED: {why}\n{}", hex(bytes));
            println!(
                "repeat it: scripts/fuzz --target {name} --seed {} --case {case}",
                options.seed
            );
        }
    }
    outcome.is_ok()
}

/// Ends the program, with the words that repeat it, when a case does not end.
fn watch(name: &'static str, seed: u64, current: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut seen = u64::MAX;
        loop {
            std::thread::sleep(PATIENCE);
            let now = current.load(Ordering::Relaxed);
            if now == u64::MAX {
                return;
            }
            if now == seen {
                println!("{name}: HANGS: scripts/fuzz --target {name} --seed {seed} --case {now}");
                std::process::exit(1);
            }
            seen = now;
        }
    });
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
