//! The model API server as a program: `model-apiserver --listen ADDRESS:PORT [--tls FOLDER]
//! [--log-bound CHANGES]`. It prints its URL on one line when it listens, and runs until it is killed.

use std::process::ExitCode;

use viplet_kubeapi::http::{LOG_BOUND, ModelOptions, ModelServer};

const USAGE: &str =
    "usage: model-apiserver --listen ADDRESS:PORT [--tls FOLDER] [--log-bound CHANGES]";

fn main() -> ExitCode {
    let started = options(std::env::args().skip(1)).and_then(|options| {
        ModelServer::start_with(&options)
            .map_err(|error| format!("cannot serve at {}: {error}", options.listen))
    });
    match started {
        Ok(server) => {
            println!("{}", server.url());
            server.wait();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("model-apiserver: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: impl Iterator<Item = String>) -> Result<ModelOptions, String> {
    let (mut listen, mut tls, mut log_bound) = (None, None, LOG_BOUND);
    let mut arguments = arguments;
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value; {USAGE}"))?;
        let bad = |wanted: &str| format!("{name} is {value:?}: {wanted} is wanted");
        match name.as_str() {
            "--listen" => {
                listen = Some(value.parse().map_err(|_| bad("an address such as 127.0.0.1:8080"))?);
            }
            "--tls" => tls = Some(value.into()),
            "--log-bound" => log_bound = value.parse().map_err(|_| bad("a number of changes"))?,
            _ => return Err(format!("{name} is not known; {USAGE}")),
        }
    }
    let listen = listen.ok_or_else(|| format!("--listen is missing; {USAGE}"))?;
    Ok(ModelOptions { listen, tls, log_bound })
}
