//! Tests of the table of peers.

use std::time::Duration;

use super::*;

#[test]
fn a_peer_that_is_down_says_why_beside_one_that_is_up() {
    let up = PeerStatus {
        name: "192.0.2.1".to_owned(),
        remote_as: Some(65001),
        session: Session::Up,
        state: "Established".into(),
        since: Duration::from_secs(90),
        prefixes: 3,
        bfd: Some("Up".into()),
        last_error: None,
        established: 1,
        lost: 0,
        messages: (5, 4),
        updates: 1,
    };
    let down = PeerStatus {
        name: "2001:db8::1".to_owned(),
        remote_as: None,
        session: Session::Down,
        state: "Active".into(),
        prefixes: 0,
        bfd: None,
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
