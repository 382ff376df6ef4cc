//! The benchmark (`scripts/bench`): viplet, and kube-vip where a binary of it is given, in turn,
//! in one lab on the real kube-apiserver.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod figures;
mod machine;
mod many;
mod options;
mod report;
mod rig;
mod scenes;
mod services;

use std::process::ExitCode;

use viplet_lab::{binaries, privilege};

use figures::{Figures, Unit};
use options::Options;
use rig::{Contender, Rig};

fn main() -> ExitCode {
    match Options::read().and_then(|options| measure(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), String> {
    let viplet = binaries::viplet();
    privilege::acquire()?;
    let mut contenders = vec![Contender { name: "viplet", path: viplet }];
    contenders.extend(options.kube_vip.clone().map(|path| Contender { name: "kube-vip", path }));
    let conditions = machine::conditions();
    println!("{}\n", report::heading(&conditions));
    let mut rig = Rig::new()?;
    let mut figures = Figures::default();
    for Contender { name, path } in &contenders {
        let size = path.metadata().map_or(0, |file| file.len());
        figures.note(name, "binary", Unit::Bytes, scenes::as_float(size));
    }
    let scenes = scenes::all();
    let names: Vec<&str> = scenes.iter().map(|scene| scene.name).collect();
    for scene in scenes.iter().filter(|scene| options.wants(scene.name, &names)) {
        let repetitions = scene.repetitions(options);
        for round in 0..repetitions {
            for contender in contenders.iter().filter(|one| scene.who.includes(one)) {
                eprintln!("{} {}/{repetitions}: {}", scene.name, round + 1, contender.name);
                let phase = f64::from(round) / f64::from(repetitions);
                (scene.play)(&mut rig, contender, phase, &mut figures);
            }
        }
    }
    drop(rig);
    println!("{}", report::table(&figures, &contenders));
    report::write(&options.output, &figures, &conditions)
        .map_err(|why| format!("{} cannot be written: {why}", options.output.display()))
}
