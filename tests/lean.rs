//! A build without the feature `manifest`, for constrained nodes.
#![cfg(not(feature = "manifest"))]
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::process::Command;

#[test]
fn a_build_that_prints_no_manifests_says_what_to_take() {
    for words in [&["manifest", "rbac"][..], &["kubeadm", "init"]] {
        let program = Command::new(env!("CARGO_BIN_EXE_viplet")).args(words).output().unwrap();
        let said = String::from_utf8(program.stderr).unwrap();
        assert_eq!(program.status.code(), Some(1), "{said}");
        assert!(program.stdout.is_empty(), "{words:?}");
        assert!(said.contains("needs the feature manifest"), "{said}");
    }
}
