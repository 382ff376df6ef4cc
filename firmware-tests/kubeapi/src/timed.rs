//! How long a test took, in the form that `scripts/test` reads for its list of the slowest.

use std::time::Instant;

/// Runs a test's body. A line of standard output says how long it took, also when it panics.
pub fn timed<R>(test: &str, body: impl FnOnce() -> R) -> R {
    let _stopwatch = Stopwatch { test, started: Instant::now() };
    body()
}

struct Stopwatch<'a> {
    test: &'a str,
    started: Instant,
}

impl Drop for Stopwatch<'_> {
    fn drop(&mut self) {
        println!("TOOK {:.3} s: {}", self.started.elapsed().as_secs_f64(), self.test);
    }
}
