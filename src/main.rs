//! The binary: parse, validate, run.

use std::process::ExitCode;

fn main() -> ExitCode {
    let lossy = |argument: std::ffi::OsString| argument.to_string_lossy().into_owned();
    viplet::cli::run(std::env::args_os().map(lossy).collect())
}
