//! Under which conditions a run took place.

use std::fs;

use serde_json::{Value, json};

/// Processor, kernel, memory, load, date and commit.
pub(crate) fn conditions() -> Value {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    json!({
        "processor": field("/proc/cpuinfo", "model name"),
        "cores": cores,
        "memory": field("/proc/meminfo", "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "architecture": std::env::consts::ARCH,
        "load_before": read("/proc/loadavg"),
        "date": variable("BENCH_DATE"),
        "commit": variable("BENCH_COMMIT"),
    })
}

/// The load averages now.
pub(crate) fn load() -> String {
    read("/proc/loadavg")
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default().trim().to_owned()
}

fn field(file: &str, name: &str) -> String {
    let text = read(file);
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim()).to_owned()
}
