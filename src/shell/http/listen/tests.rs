//! Which addresses are bound.

use std::net::TcpStream;

use proptest::prelude::*;

use super::*;

#[test]
fn the_forms_of_gos_net_listen_are_read() {
    assert_eq!(Listen::parse(""), Ok(None));
    assert_eq!(Listen::parse(":2112"), Ok(Some(Listen::Everywhere(2112))));
    assert_eq!(Listen::parse("[::]:2112"), Ok(Some(Listen::Everywhere(2112))));
    for text in ["0.0.0.0:80", "127.0.0.1:2112", "[::1]:2112", "[fe80::1%3]:1"] {
        assert_eq!(Listen::parse(text), Ok(Some(Listen::At(text.parse().unwrap()))));
    }
    let loopback = Listen::At("127.0.0.1:9".parse().unwrap());
    assert_eq!(Listen::parse("localhost:9"), Ok(Some(loopback)));
    let named = Listen::Named("node-a.example".into(), 9);
    assert_eq!(Listen::parse("node-a.example:9"), Ok(Some(named)));
}

#[test]
fn what_cannot_be_listened_at_is_refused_with_the_value() {
    for text in
        ["2112", ":", ":0", ":65536", ":+1", ":http", "::1:2112", "a b:1", "10.0.0.300:1", "256:1"]
    {
        let why = Listen::parse(text).unwrap_err();
        assert!(why.starts_with(&format!("{text:?}")), "{why}");
    }
}

proptest! {
    #[test]
    fn what_is_read_is_written_back_to_the_same_place(text in "[0-9a-z.:%\\[\\]-]{0,24}|.*") {
        if let Ok(Some(listen)) = Listen::parse(&text) {
            prop_assert_eq!(Listen::parse(&listen.to_string()), Ok(Some(listen)));
        }
    }
}

#[test]
fn everywhere_is_both_families() {
    let listener = smol::block_on(Listen::Everywhere(0).bind()).unwrap();
    let port = listener.get_ref().local_addr().unwrap().port();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    if std::path::Path::new("/proc/net/if_inet6").exists() {
        TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
    }
}

#[test]
fn a_name_is_resolved() {
    let listener = smol::block_on(Listen::Named("localhost".into(), 0).bind()).unwrap();
    assert!(listener.get_ref().local_addr().unwrap().ip().is_loopback());
}
