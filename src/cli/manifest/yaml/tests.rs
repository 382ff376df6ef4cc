//! Tests of text as YAML.

use super::*;
use proptest::prelude::*;

#[test]
fn what_yaml_would_take_for_something_else_is_quoted() {
    for text in ["", "true", "No", "~", "1e3", "0x1f", ".5", "- a", "a: b", "#", "a #b", "::", "*"]
    {
        assert!(scalar(text).starts_with('"'), "{text}");
    }
    for text in [
        "eth0",
        "kube-system",
        "kube-system/lock",
        "/etc/kubernetes/admin.conf",
        "192.0.2.10",
        "0.1.0",
    ] {
        assert_eq!(scalar(text), text);
    }
}

proptest! {
    #[test]
    fn any_text_reads_back_as_it_was(text in any::<String>()) {
        let read: serde_yaml_ng::Value = serde_yaml_ng::from_str(&scalar(&text)).expect("YAML");
        prop_assert_eq!(read, serde_yaml_ng::Value::String(text));
    }
}
