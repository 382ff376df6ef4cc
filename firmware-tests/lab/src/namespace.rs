//! One network namespace: a thread that lives in it and runs what it is sent. Sockets that it
//! opens stay in the namespace, threads and processes that it starts inherit it.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustix::thread::UnshareFlags;

use crate::raw;

type Job = Box<dyn FnOnce() + Send>;

/// A network (and mount) namespace, gone when this value and the processes in it are.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    jobs: Sender<Job>,
    file: File,
}

impl Namespace {
    /// Makes one, with `lo` down and without duplicate address detection.
    pub fn new(name: &str) -> Self {
        let (jobs, inbox) = channel::<Job>();
        let (ready, made) = channel();
        thread::Builder::new()
            .name(format!("netns {name}"))
            .spawn(move || {
                ready.send(enter()).expect("the maker waits");
                for job in inbox {
                    job();
                }
            })
            .expect("a thread");
        let file = made.recv().expect("the thread answers").unwrap_or_else(|why| {
            panic!("namespace {name} cannot be made: {why}");
        });
        Self { name: name.to_owned(), jobs, file }
    }

    /// Its name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace as a file, to move links into it.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Runs `work` inside and hands back what it returns; a panic in it is passed on.
    pub fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> R {
        let (answer, result) = channel();
        let job: Job = Box::new(move || {
            // The receiver waits below; it cannot be gone.
            let _ = answer.send(catch_unwind(AssertUnwindSafe(work)));
        });
        self.jobs.send(job).expect("the namespace's thread lives as long as this value");
        match result.recv().expect("the namespace's thread answers") {
            Ok(result) => result,
            Err(panic) => resume_unwind(panic),
        }
    }
}

fn enter() -> std::io::Result<File> {
    raw::unshare(UnshareFlags::NEWNET | UnshareFlags::NEWNS)?;
    for scope in ["all", "default"] {
        // Read-only in some containers: IPv6 tests then wait a second longer for link-local addresses.
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/accept_dad"), "0");
    }
    File::open("/proc/thread-self/ns/net")
}
