//! Runs many seeds and says what was simulated: `sim SEEDS`, or one seed: `sim --seed N --trace`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use viplet_sim::plant::Plant;
use viplet_sim::run::{Outcome, Services, run_kept};
use viplet_sim::trace::Echo;
use viplet_sim::world::Keep;

const USAGE: &str = "usage: sim SEEDS [--first N]     run that many seeds, from N (0)
       sim --seed N [--trace]      run one seed, and print what happens
       --record FOLDER             write what each node heard, for viplet replay
       --services, --no-services   in every cluster, in none (else: as the seed has it)
       --routed                    Services, and nodes announce to routers instead of a segment
       --namesakes                 no Services, and two nodes have one name
       --plant skip-margin|take-over-early|forget-withdraw|ignore-policy|keep-services|
               ignore-health|delete-and-add|outlive-lease
                                with a fault of the program itself";

/// What the command line asks for.
struct Asked {
    first: u64,
    count: u64,
    echo: Echo,
    plant: Plant,
    services: Services,
    /// The folder for recordings.
    record: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = match read(&arguments) {
        Ok(asked) => asked,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut total = Total::default();
    for seed in asked.first..asked.first + asked.count {
        let keep = asked.record.as_ref().map_or(Keep::Nothing, |_| Keep::Recordings);
        let outcome = run_kept(seed, asked.services, asked.plant, (asked.echo, keep));
        if let Some(Err(why)) = asked.record.as_ref().map(|folder| write(folder, &outcome)) {
            eprintln!("the recordings could not be written: {why}");
            return ExitCode::FAILURE;
        }
        if outcome.breach.is_some() {
            println!("{}\n", outcome.report());
        }
        total.add(outcome);
    }
    total.print();
    if total.breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A file for every life of every node, in a folder that is made if there is none.
fn write(folder: &Path, outcome: &Outcome) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, recorded) in &outcome.recordings {
        let file = folder.join(format!("seed-{}-{name}.jsonl", outcome.seed));
        std::fs::write(file, recorded.text())?;
    }
    Ok(())
}

fn read(arguments: &[String]) -> Result<Asked, String> {
    let (echo, plant, services) = (Echo::Silent, Plant::None, Services::AsDrawn);
    let mut asked = Asked { first: 0, count: 0, echo, plant, services, record: None };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let number = |text: Option<&String>| {
            let text = text.ok_or_else(|| format!("{argument} wants a number"))?;
            text.parse::<u64>().map_err(|_| format!("{text:?} is not a number"))
        };
        match argument.as_str() {
            "--trace" => asked.echo = Echo::Stdout,
            "--services" => asked.services = Services::Always,
            "--routed" => asked.services = Services::Routed,
            "--namesakes" => asked.services = Services::Namesakes,
            "--no-services" => asked.services = Services::Never,
            "--record" => {
                let folder = rest.next().ok_or("--record wants a folder")?;
                asked.record = Some(folder.into());
            }
            "--first" => asked.first = number(rest.next())?,
            "--seed" => (asked.first, asked.count) = (number(rest.next())?, 1),
            "--plant" => {
                asked.plant = match rest.next().map(String::as_str) {
                    Some("skip-margin") => Plant::SkipMargin,
                    Some("take-over-early") => Plant::TakeOverEarly,
                    Some("forget-withdraw") => Plant::ForgetWithdraw,
                    Some("ignore-policy") => Plant::IgnorePolicy,
                    Some("keep-services") => Plant::KeepServices,
                    Some("outlive-lease") => Plant::OutliveLease,
                    Some("ignore-health") => Plant::IgnoreHealth,
                    Some("delete-and-add") => Plant::DeleteAndAdd,
                    other => return Err(format!("no such plant: {other:?}")),
                }
            }
            _ => asked.count = number(Some(argument))?,
        }
    }
    if asked.count == 0 { Err("how many seeds?".to_owned()) } else { Ok(asked) }
}

#[derive(Default)]
struct Total {
    seeds: u64,
    lines: u64,
    clusters: Duration,
    nodes: Duration,
    faults: BTreeMap<&'static str, u64>,
    breaches: Vec<String>,
}

impl Total {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.lines += outcome.lines;
        self.clusters += outcome.simulated;
        self.nodes += outcome.simulated * u32::try_from(outcome.nodes).unwrap_or(1);
        for (kind, count) in outcome.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        if let Some(breach) = outcome.breach {
            self.breaches.push(format!("seed {}: {breach}", outcome.seed));
        }
    }

    fn print(&self) {
        let days = |span: Duration| span.as_secs_f64() / 86_400.0;
        let mut text = format!("{} faults:\n", self.faults.values().sum::<u64>());
        for (kind, count) in &self.faults {
            text.push_str(&format!("  {count:>8}  {kind}\n"));
        }
        text.push_str(&format!(
            "{} seeds, {:.3} cluster-days ({:.3} node-days), {} things happened, {} breaches\n",
            self.seeds,
            days(self.clusters),
            days(self.nodes),
            self.lines,
            self.breaches.len()
        ));
        for breach in &self.breaches {
            text.push_str(&format!("  {breach}\n"));
        }
        // A reader that has seen enough (`| head`) closes the pipe.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
}
