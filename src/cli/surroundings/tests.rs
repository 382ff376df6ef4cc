//! Tests of reading the settings file.

use super::*;

#[test]
fn a_settings_file_without_an_end_is_refused_and_a_missing_one_named() {
    let read = |path: &str| read_file(Path::new(path)).unwrap_err();
    assert!(read("/dev/zero").contains("too long"));
    assert_eq!(read("/nowhere/at/all.yaml"), "config file does not exist");
}
