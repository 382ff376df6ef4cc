//! Tests of the table of peers.

use std::time::Duration;

use viplet_backend_api::BgpSession;

use super::*;

fn bgp(remote_as: Option<u32>, state: &'static str, bfd: Option<&'static str>) -> BgpSession {
    let (state, bfd) = (state.into(), bfd.map(Into::into));
    BgpSession { remote_as, state, bfd, sent: 5, received: 4, updates: 1 }
}

#[test]
fn a_peer_that_is_down_says_why_beside_one_that_is_up() {
    let up = PeerStatus {
        name: "192.0.2.1".to_owned(),
        session: Session::Up,
        since: Duration::from_secs(90),
        addresses: 3,
        last_error: None,
        established: 1,
        lost: 0,
        bgp: Some(bgp(Some(65001), "Established", Some("Up"))),
    };
    let down = PeerStatus {
        name: "2001:db8::1".to_owned(),
        session: Session::Down,
        addresses: 0,
        bgp: Some(bgp(None, "Active", None)),
        last_error: Some("OPEN: bad peer AS: it is 65009".to_owned()),
        ..up.clone()
    };
    let text = table(&[up, down]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "Peers: 1 of 2 up");
    assert!(
        lines[1].contains("AS 65001  Established for 1 min 30 s, 3 prefixes sent, BFD Up"),
        "{text}"
    );
    assert!(lines[2].contains("AS ?  Active"), "{text}");
    assert!(lines[3].ends_with("last error: OPEN: bad peer AS: it is 65009"), "{text}");
}
