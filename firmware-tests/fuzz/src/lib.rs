//! A small fuzzer of our own, for stable Rust and any machine: messages from a corpus, mutated by
//! a seeded generator. A case depends on its target, seed and number alone, so that each can be
//! tried again.
//!
//! - `rng`: the generator.
//! - `mutate`: from the corpus to a case.
//! - `targets`: what is fuzzed, and what must hold.
//! - `bfd`: a BFD session driven by bytes.
//! - `settings`: all settings, as environment, flags and file.

#![cfg_attr(not(test), deny(unused_crate_dependencies))]

mod bfd;
mod mutate;
mod rng;
mod settings;
mod targets;

pub use targets::{Target, all};

use std::cell::Cell;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use rng::Rng;

/// A case that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The number of the case.
    pub case: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What the panic said.
    pub why: String,
}

/// The bytes of a case.
#[must_use]
pub fn case(target: &Target, seed: u64, number: u64) -> Vec<u8> {
    mutate::case(&target.corpus, &mut Rng::new(seed, number))
}

/// Tries the cases of these numbers, one after another; `before` hears of each.
///
/// # Errors
/// The first case that panicked.
pub fn run(
    target: &Target,
    seed: u64,
    numbers: Range<u64>,
    before: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    for number in numbers {
        before(number);
        let bytes = case(target, seed, number);
        if let Err(why) = quietly(|| (target.run)(&bytes)) {
            return Err(Failure { case: number, bytes, why });
        }
    }
    Ok(())
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs it without the words of a panic on standard error; they come back as the error.
fn quietly(run: impl FnOnce()) -> Result<(), String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    QUIET.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    QUIET.set(false);
    outcome.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: u64 = 20_000;
    /// Where a case takes a thousand times as long as one of a decoder.
    const FEW: u64 = 3_000;

    fn fuzz(name: &str, cases: u64) {
        let target = all().into_iter().find(|target| target.name == name).unwrap();
        let outcome = run(&target, 1, 0..cases, &mut |_| {});
        assert_eq!(outcome, Ok(()), "scripts/fuzz --target {name} --seed 1 --case N repeats it");
    }

    #[test]
    fn no_bytes_make_the_decoders_of_bgp_panic() {
        fuzz("bgp-messages", SHORT);
    }

    #[test]
    fn no_bytes_break_a_session_of_bgp() {
        fuzz("bgp-session", SHORT);
    }

    #[test]
    fn no_bytes_make_the_decoder_of_bfd_panic() {
        fuzz("bfd-packet", SHORT);
    }

    #[test]
    fn no_bytes_break_a_session_of_bfd() {
        fuzz("bfd-session", SHORT);
    }

    #[test]
    fn no_text_makes_the_reader_of_bgps_settings_panic() {
        fuzz("bgp-settings", SHORT);
    }

    #[test]
    fn no_frame_breaks_the_decoders_of_arp_and_ndp() {
        fuzz("arp-ndp", SHORT);
    }

    #[test]
    fn no_message_breaks_the_table_of_links_and_addresses() {
        fuzz("netlink", SHORT);
    }

    #[test]
    fn no_object_of_an_api_server_makes_its_reader_panic() {
        fuzz("objects", FEW);
    }

    #[test]
    fn the_lines_of_a_watch_are_the_same_however_it_is_cut() {
        fuzz("watch", SHORT);
    }

    #[test]
    fn no_text_makes_the_reader_of_kubeconfigs_panic() {
        fuzz("kubeconfig", SHORT);
    }

    #[test]
    fn no_environment_flags_and_file_make_the_reader_of_settings_panic() {
        fuzz("settings", FEW);
    }

    #[test]
    fn every_target_has_a_corpus_and_a_name_of_its_own() {
        let mut names: Vec<_> = all().iter().map(|target| target.name).collect();
        names.dedup();
        assert_eq!(names.len(), 11, "each has its test above");
        assert!(all().iter().all(|target| target.corpus.len() >= 3));
    }

    #[test]
    fn a_planted_fault_is_found_and_its_case_is_the_same_again() {
        let corpus = vec![vec![0; 24], vec![7; 10]];
        let planted = |bytes: &[u8]| assert_ne!(bytes.get(3), Some(&0xff), "planted");
        let target = Target { name: "planted", corpus, run: planted };
        let found = run(&target, 5, 0..100_000, &mut |_| {}).unwrap_err();
        assert!(found.why.contains("planted"), "{}", found.why);
        assert_eq!(case(&target, 5, found.case), found.bytes);
        let again = run(&target, 5, found.case..found.case + 1, &mut |_| {});
        assert_eq!(again, Err(found));
    }
}
