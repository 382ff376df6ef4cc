//! Tests of `peer_changes`.

use viplet_backend_api::{Address, LinkName, Notice, Usability};

use super::*;

const START: Moment = Moment::from_boot(Duration::from_secs(100));

fn address(n: u8) -> IpAddr {
    IpAddr::from([10, 9, 0, n])
}

fn here(n: u8) -> Notice {
    Notice::Address(Address {
        link: LinkName::new("lo").unwrap(),
        address: address(n),
        prefix_len: 32,
        owner: Owner::Viplet,
        valid_for: Some(Duration::from_secs(9)),
        usability: Usability::Usable,
    })
}

/// Addresses that are here, and what the log says of them.
struct Log {
    changes: PeerChanges,
    observed: Observed,
    now: Moment,
}

impl Log {
    /// So many addresses, of which nobody was told.
    fn of(addresses: u8) -> Self {
        let mut log =
            Self { changes: PeerChanges::default(), observed: Observed::default(), now: START };
        for n in 0..addresses {
            log.reach(n, 0);
            let _ = log.observed.take(here(n), START);
        }
        log
    }

    fn reach(&mut self, n: u8, told: u32) {
        let reach = Reach { address: address(n), told, of: 2 };
        self.changes.note(&reach, &self.observed, self.now);
        let _ = self.observed.take(Notice::Reach(reach), self.now);
    }

    fn said(&mut self) -> Vec<String> {
        if let Some(due) = self.changes.deadline() {
            assert_eq!(self.changes.reports(&self.observed, self.now), [], "it is gathered first");
            self.now = due;
        }
        let reports = self.changes.reports(&self.observed, self.now);
        reports.into_iter().map(|report| report.text).collect()
    }
}

#[test]
fn a_session_that_comes_and_goes_is_one_line_each_for_all_its_addresses() {
    let mut log = Log::of(100);
    assert_eq!(log.said(), [""; 0], "that nobody was told at first is no change");
    (0..100).for_each(|n| log.reach(n, 1));
    let all = "10.9.0.0, 10.9.0.1, 10.9.0.2, 10.9.0.3 and 96 more addresses";
    assert_eq!(log.said(), [format!("{all}: announced to 1 of 2 peers now")]);
    (0..100).for_each(|n| log.reach(n, 2));
    assert_eq!(log.said(), [""; 0], "a second peer is no change for an address");
    (0..100).for_each(|n| log.reach(n, 0));
    let said = log.said();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with(&format!("{all}: held, announced to no peer any more: ")),
        "{said:?}"
    );
}

#[test]
fn what_changes_back_in_a_moment_is_not_said() {
    let mut log = Log::of(1);
    log.reach(0, 1);
    log.reach(0, 0);
    assert_eq!(log.said(), [""; 0]);
    assert_eq!(log.changes.deadline(), None);
}

#[test]
fn an_address_that_is_not_here_is_not_spoken_of() {
    let mut log = Log::of(1);
    log.reach(7, 0);
    log.reach(7, 1);
    assert_eq!(log.said(), [""; 0]);
    log.reach(0, 1);
    let gone = Notice::AddressGone { link: LinkName::new("lo").unwrap(), address: address(0) };
    let _ = log.observed.take(gone, START);
    assert_eq!(log.said(), [""; 0]);
}
