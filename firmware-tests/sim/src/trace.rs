//! What happened, line by line: the last lines for a failing run, and a hash of all of them.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;

use crate::clock::{Nanos, S};

/// Lines kept for the report of a failing run.
const KEPT: usize = 60;

/// Whether lines are printed as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// Only kept.
    Silent,
    /// To standard output.
    Stdout,
}

/// The lines of a run.
#[derive(Debug)]
pub struct Trace {
    echo: Echo,
    hash: u64,
    lines: u64,
    last: VecDeque<String>,
}

impl Trace {
    /// An empty one.
    #[must_use]
    pub fn new(echo: Echo) -> Self {
        Self { echo, hash: 0xcbf2_9ce4_8422_2325, lines: 0, last: VecDeque::new() }
    }

    /// Adds a line.
    pub fn line(&mut self, now: Nanos, what: fmt::Arguments<'_>) {
        let line = format!("{:>4}.{:06} {what}", now / S, now % S / 1000);
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3); // FNV-1a
        }
        self.lines += 1;
        if self.echo == Echo::Stdout {
            // A reader that has seen enough (`| head`) closes the pipe.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// FNV-1a of all lines: two runs that agree in it did the same.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many lines there were.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The last ones.
    #[must_use]
    pub fn into_last(self) -> Vec<String> {
        self.last.into()
    }
}
