//! The page on its way through JSON.

use super::*;

#[test]
fn the_page_survives_the_way_through_json() {
    let source = fixture::holding();
    *source.api.borrow_mut() = ApiHealth::unreachable(Duration::from_secs(3), "connection refused");
    let page = StatusPage::of(&source);
    let json = serde_json::to_string(&page).unwrap();
    assert_eq!(serde_json::from_str::<StatusPage>(&json).unwrap(), page);
}

#[test]
fn spans_are_plain_seconds_in_json() {
    let json = serde_json::to_value(StatusPage::of(&fixture::holding())).unwrap();
    assert_eq!(json["leases"][0]["held_for"], 12.5);
    assert_eq!(json["node"], "node-a");
    assert_eq!(json["addresses"][0]["state"], "held");
}
