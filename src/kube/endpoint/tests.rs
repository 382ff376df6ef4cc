//! Every form of a server address, and what is refused.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> String {
    Endpoint::parse(text).map_or_else(|error| error, |endpoint| endpoint.to_string())
}

#[test]
fn every_usual_form_of_a_server_address_is_read() {
    for (text, expected) in [
        ("https://10.0.0.1:6443", "https://10.0.0.1:6443"),
        ("10.0.0.1:6443", "https://10.0.0.1:6443"),
        ("api.example", "https://api.example:443"),
        ("http://127.0.0.1:8001/", "http://127.0.0.1:8001"),
        ("http://localhost", "http://localhost:80"),
        ("https://[fd00::1]:6443", "https://[fd00::1]:6443"),
        ("[fd00::1]:6443", "https://[fd00::1]:6443"),
        ("fd00::1", "https://[fd00::1]:443"),
        ("https://rancher/k8s/clusters/c-1/", "https://rancher:443/k8s/clusters/c-1"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn a_password_in_a_server_address_is_not_repeated() {
    for (text, shown) in [
        ("https://user:s3cret@api:6443", "\"https://********@api:6443\""),
        ("user:s3cret@api", "\"********@api\""),
        ("ftp://user:s3@cret@api:0", "\"ftp://********@api:0\""),
    ] {
        let answer = read(text);
        assert!(answer.starts_with(shown) && !answer.contains("cret"), "{answer}");
    }
}

#[test]
fn what_is_no_server_address_is_refused_with_the_text_and_what_is_accepted() {
    for text in [
        "",
        "ftp://host:1",
        "https://",
        "https://host:0",
        "https://host:99999",
        "host:",
        "https://user@host:6443",
        "https://host:6443?x=1",
        "https://[fd00::zz]:6443",
        "fd00::1:6443:6443:1:2:3:4:5:6",
        "two words",
    ] {
        let error = read(text);
        assert!(error.contains("HOST:PORT"), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_either_read_or_refused(text in ".{0,64}") {
        if let Ok(endpoint) = Endpoint::parse(&text) {
            prop_assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint));
        }
    }
}
