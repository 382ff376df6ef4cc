//! The command line of the benchmark.

use std::path::PathBuf;

/// What to measure, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The rival's binary.
    pub(crate) kube_vip: Option<PathBuf>,
    /// How often each thing is measured, unless it says otherwise.
    pub(crate) repetitions: u32,
    /// The file of all single figures.
    pub(crate) output: PathBuf,
    only: String,
}

const USAGE: &str =
    "usage: bench [KUBE_VIP_BINARY] [--repetitions N] [--quick] [--only TEXT] [--output FILE]";

impl Options {
    /// Reads the arguments, and `KUBE_VIP`.
    ///
    /// # Errors
    /// What is wrong with them, for a person.
    pub(crate) fn read() -> Result<Self, String> {
        let given = std::env::var_os("KUBE_VIP").filter(|path| !path.is_empty());
        let mut options = Self {
            kube_vip: given.map(PathBuf::from),
            repetitions: 5,
            output: PathBuf::from("bench.json"),
            only: String::new(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => options.repetitions = 1,
                "--repetitions" => options.repetitions = count(&value()?)?,
                "--only" => options.only = value()?,
                "--output" => options.output = PathBuf::from(value()?),
                path if !path.starts_with('-') => options.kube_vip = Some(PathBuf::from(path)),
                other => return Err(format!("{other} is not known; {USAGE}")),
            }
        }
        match options.kube_vip.as_ref().filter(|path| !path.is_file()) {
            Some(missing) => Err(format!("there is no kube-vip at {}", missing.display())),
            None => Ok(options),
        }
    }

    /// Whether a scene of this name is asked for: by its name among `all`, else by a part of it.
    pub(crate) fn wants(&self, name: &str, all: &[&str]) -> bool {
        match all.contains(&self.only.as_str()) {
            true => name == self.only,
            false => name.contains(&self.only),
        }
    }
}

fn count(text: &str) -> Result<u32, String> {
    let parsed = text.parse().ok().filter(|count| (1..=100).contains(count));
    parsed.ok_or_else(|| format!("--repetitions {text}: a number from 1 to 100 is accepted"))
}
