//! Kubeconfigs of every kind, whole and broken.

use proptest::prelude::*;

use super::*;

const WHOLE: &str = "current-context: a\ncontexts:\n- name: a\n  context: {cluster: c, user: u}\n\
    clusters:\n- name: c\n  cluster:\n    server: https://10.0.0.1:6443\n    \
    certificate-authority-data: QUJD\nusers:\n- name: u\n  user:\n    token: secret\n";

fn read(text: &str) -> Result<Access, AccessError> {
    parse(text, Path::new("/k"))
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,300}") {
        if let Err(error) = read(&text) {
            prop_assert!(error.to_string().starts_with("/k: "), "{error}");
        }
    }

    #[test]
    fn a_kubeconfig_with_a_part_replaced_is_read_or_refused_with_the_files_name(
        at in 0..WHOLE.len(), length in 0usize..40, with in "[-a-z0-9:{}\\[\\]&*!|> \n\"]{0,20}",
    ) {
        let end = (at + length).min(WHOLE.len());
        let (before, after) = (WHOLE.split_at(at).0, WHOLE.split_at(end).1);
        let text = format!("{before}{with}{after}");
        if let Err(error) = read(&text) {
            prop_assert!(error.to_string().starts_with("/k: "), "{error}");
        }
    }
}

#[test]
fn aliases_that_multiply_without_end_are_not_expanded() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (this, last) in ('b'..='m').zip('a'..) {
        text += &format!("{this}: &{this} [{}]\n", vec![format!("*{last}"); 9].join(", "));
    }
    assert!(read(&format!("{text}{WHOLE}")).is_ok());
    assert!(read(&format!("{text}users: *m\n")).is_err());
}
