//! Tests of the image's name.

use super::*;

#[test]
fn an_image_without_a_tag_is_this_release() {
    assert_eq!(image(None), Ok(format!("{IMAGE}:{VERSION}")));
    assert_eq!(image(Some("host:5000/a/b")), Ok(format!("host:5000/a/b:{VERSION}")));
    for complete in ["a:1", "host:5000/a:latest", "a@sha256:00ff", "a:1@sha256:00ff"] {
        assert_eq!(image(Some(complete)), Ok(complete.to_owned()));
    }
}

#[test]
fn what_cannot_be_an_image_is_refused_with_what_is_accepted() {
    for wrong in ["", "a b", "a\nb: c", "-a", "a:", "ä"] {
        let why = image(Some(wrong)).expect_err(wrong);
        assert!(why.starts_with("--image=") && why.contains("accepted"), "{why}");
    }
}
