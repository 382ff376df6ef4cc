//! Programs under test: started inside a namespace, their log kept, killed with the test.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use rustix::thread::CapabilitySet;

use crate::namespace::Namespace;
use crate::raw;
use crate::wait::wait_for;

/// What to start: a binary, arguments, and an environment that holds nothing else.
#[derive(Clone, Debug)]
pub struct Program {
    /// The binary.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// Capabilities that it starts without.
    pub without: CapabilitySet,
}

impl Program {
    /// `path` without arguments, with an empty environment and all capabilities.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            without: CapabilitySet::empty(),
        }
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// With a variable set; a later value replaces an earlier one.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without these capabilities.
    #[must_use]
    pub fn without(mut self, capabilities: CapabilitySet) -> Self {
        self.without = capabilities;
        self
    }

    /// Starts it inside `namespace`.
    pub fn start(&self, name: &str, namespace: &Namespace) -> Process {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).env_clear().envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stderr(writer.try_clone().expect("a pipe")).stdout(writer);
        raw::prepare_child(&mut command, self.without);
        let path = self.path.display().to_string();
        let started = Instant::now();
        let child = namespace
            .run(move || command.spawn())
            .unwrap_or_else(|why| panic!("{path} cannot be started: {why}"));
        let log: Log = Arc::default();
        let shared = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
                let text = String::from_utf8_lossy(&line).into_owned();
                shared.lock().unwrap().push((Instant::now(), text));
            }
        });
        Process { name: name.to_owned(), child, log, started }
    }
}

type Log = Arc<Mutex<Vec<(Instant, String)>>>;

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Log,
    /// When it was started.
    pub started: Instant,
}

impl Process {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("a pid")
    }

    /// From now on the kernel gives it no more than so much address space, in bytes.
    pub fn limit_address_space(&self, bytes: u64) {
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        prlimit(Some(self.pid()), Resource::As, limit).expect("a limit");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal)
            .unwrap_or_else(|why| panic!("{}: {signal:?}: {why}", self.name));
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; how it ended, and after how long.
    #[track_caller]
    pub fn wait(&mut self, timeout: Duration) -> (ExitStatus, Duration) {
        let what = format!("{} ends", self.name);
        wait_for(&what, timeout, || self.child.try_wait().expect("a child"))
    }

    /// What it has written.
    pub fn log(&self) -> String {
        let log = self.log.lock().unwrap();
        log.iter().map(|(_, line)| format!("{line}\n")).collect()
    }

    /// Whether a line of its log contains all `parts`.
    pub fn said(&self, parts: &[&str]) -> bool {
        let log = self.log.lock().unwrap();
        log.iter().any(|(_, line)| parts.iter().all(|part| line.contains(part)))
    }

    /// The log with the time since `origin` before each line, for a failed test.
    pub fn annotated_log(&self, origin: Instant) -> String {
        let mut text = format!("---- log of {} ----\n", self.name);
        for (at, line) in self.log.lock().unwrap().iter() {
            let seconds = at.saturating_duration_since(origin).as_secs_f64();
            let _ = writeln!(text, "{seconds:8.3} {line}");
        }
        text
    }

    /// A field of `/proc/PID/status` as a number (`VmRSS` in KiB, `Threads`).
    pub fn status_field(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("no {field} in /proc/PID/status"))
    }

    /// Processor time used so far, from `/proc/PID/stat` (clock ticks are 10 ms on Linux).
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        let after_name = stat.rsplit_once(") ").expect("a stat line").1;
        let fields: Vec<&str> = after_name.split(' ').collect();
        let ticks: u64 = [11, 12].iter().map(|place| fields[*place].parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }

    /// Times that its threads gave up the processor of their own accord: wake-ups.
    pub fn wake_ups(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok())
            .filter_map(|status| {
                let line = status
                    .lines()
                    .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
                line.trim().parse::<u64>().ok()
            })
            .sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
