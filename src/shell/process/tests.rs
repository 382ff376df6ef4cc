//! What the kernel says of this process.

use super::*;

#[test]
fn this_process_is_described() {
    let process = Process::now(Process::started());
    assert!(process.resident_bytes.unwrap() > 100_000);
    assert!(process.open_files.unwrap() >= 3);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let age = now - process.started.unwrap();
    assert!((-0.1..86_400.0).contains(&age), "{age}");
}

#[test]
fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
    let stat = "7 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
    assert_eq!(ticks_at_start(stat), Some(4711.0));
    assert_eq!(ticks_at_start("7 (a) S"), None);
}

#[test]
fn resident_memory_is_in_bytes() {
    assert_eq!(resident("Name:\tx\nVmRSS:\t    4096 kB\n"), Some(4_194_304));
    assert_eq!(resident("VmRSS:\tmany kB\n"), None);
}
