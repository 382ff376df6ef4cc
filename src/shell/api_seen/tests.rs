//! Answers and failures of several askers.

use super::*;

fn at(seconds: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(seconds))
}

fn services() -> Asker {
    Asker::Watch("Services".to_owned())
}

fn failed(why: &str) -> Result<(), String> {
    Err(why.to_owned())
}

#[test]
fn a_watch_that_was_answered_is_enough_to_know_that_the_server_answers() {
    let mut seen = ApiSeen::default();
    assert_eq!(seen.health(at(1)), ApiHealth::Unknown);
    seen.learn(services(), Ok(()), at(1));
    seen.learn(Asker::Leases, Ok(()), at(3));
    assert_eq!(seen.health(at(5)), ApiHealth::Reachable { seconds: 4 });
}

#[test]
fn a_failing_watch_is_not_hidden_by_requests_that_are_answered() {
    let mut seen = ApiSeen::default();
    seen.learn(Asker::Leases, Ok(()), at(1));
    seen.learn(services(), failed("403"), at(2));
    seen.learn(Asker::Leases, Ok(()), at(500));
    let reason = "403".to_owned();
    assert_eq!(seen.health(at(502)), ApiHealth::Unreachable { seconds: 500, reason });
    seen.learn(services(), Ok(()), at(503));
    assert_eq!(seen.health(at(504)), ApiHealth::Reachable { seconds: 1 });
}

#[test]
fn the_same_failure_again_keeps_its_beginning_and_tells_its_latest_reason() {
    let mut seen = ApiSeen::default();
    seen.learn(Asker::Leases, failed("refused"), at(1));
    seen.learn(Asker::Leases, failed("no answer"), at(9));
    let reason = "no answer".to_owned();
    assert_eq!(seen.health(at(11)), ApiHealth::Unreachable { seconds: 10, reason });
}

#[test]
fn a_request_that_is_not_made_again_does_not_count_as_failing_for_ever() {
    let mut seen = ApiSeen::default();
    seen.learn(Asker::Services, failed("timeout"), at(1));
    seen.learn(Asker::Leases, Ok(()), at(2));
    assert!(matches!(seen.health(at(3)), ApiHealth::Unreachable { .. }));
    seen.learn(Asker::Leases, Ok(()), at(200));
    assert_eq!(seen.health(at(200)), ApiHealth::Reachable { seconds: 0 });
}

#[test]
fn credentials_that_were_found_are_no_failure_once_anybody_is_answered() {
    let mut seen = ApiSeen::default();
    seen.learn(Asker::Credentials, failed("no file"), at(1));
    seen.learn(services(), Ok(()), at(2));
    assert_eq!(seen.health(at(2)), ApiHealth::Reachable { seconds: 0 });
}
