//! Tests of `viplet version`.

use super::*;

#[test]
fn the_version_is_three_lines_in_kube_vips_form() {
    let text = VersionCommand {}.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "Kube-VIP Release Information");
    assert_eq!(lines[1], format!("Version:  {}", env!("CARGO_PKG_VERSION")));
    assert!(lines[2].strip_prefix("Build:    ").is_some_and(|build| !build.is_empty()));
}
