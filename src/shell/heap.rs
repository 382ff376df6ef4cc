//! Gives memory that a burst needed back to the kernel. glibc keeps what was freed between pieces
//! that are still in use: after a list of a thousand Services or a takeover that is a third of what
//! is resident. musl gives it back by itself.
//!
//! This is the one module of the program with unsafe code: `malloc_trim` is not in `std`, and no
//! crate that wraps it does more than this.

#![allow(unsafe_code)]

use std::time::Duration;

use smol::Timer;

/// After the lists of the start.
const FIRST: Duration = Duration::from_secs(10);
/// Then; a walk over a heap of 3 MB takes a tenth of a millisecond.
const EVERY: Duration = Duration::from_secs(60);

/// Gives back what is not needed, again and again, where that needs doing.
pub async fn keep_small() {
    if !cfg!(target_env = "gnu") {
        return;
    }
    Timer::after(FIRST).await;
    loop {
        give_back();
        Timer::after(EVERY).await;
    }
}

#[cfg(target_env = "gnu")]
fn give_back() {
    unsafe extern "C" {
        /// malloc(3): releases free memory; the argument is what to leave at the top of the heap.
        safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    malloc_trim(0);
}

#[cfg(not(target_env = "gnu"))]
const fn give_back() {}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;
    use crate::shell::process;

    #[test]
    fn what_was_freed_between_pieces_in_use_goes_back_to_the_kernel() {
        let pieces: Vec<Vec<u8>> = (0..40_000).map(|_| vec![1; 1_000]).collect();
        let kept: Vec<Vec<u8>> =
            pieces.into_iter().enumerate().filter(|(n, _)| n % 100 == 0).map(|(_, p)| p).collect();
        let resident = || process::Process::now(None).resident_bytes.unwrap();
        let before = resident();
        give_back();
        let after = resident();
        assert!(after + 20_000_000 < before, "{before} then {after}, {} kept", kept.len());
    }
}
