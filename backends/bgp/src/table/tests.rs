//! Tests of `table`: what a peer hears, and how little of it is needed.

use std::net::IpAddr;

use super::*;
use crate::wire::open::AsWidth;
use crate::wire::update::Relation;
use crate::wire::{self, HEADER};

fn path() -> Path {
    Path {
        relation: Relation::External,
        local_as: 65000,
        as_width: AsWidth::Four,
        prepend: 0,
        local_preference: 100,
        med: None,
        communities: Vec::new(),
        large_communities: Vec::new(),
    }
}

fn told() -> AdjRibOut {
    let v4 = Channel { family: Family::V4, next_hop: NextHop::Classic([10, 0, 0, 1].into()) };
    let hop = NextHop::Multiprotocol("fd00::1".parse().unwrap());
    AdjRibOut::new(path(), vec![v4, Channel { family: Family::V6, next_hop: hop }])
}

fn address(n: u32) -> IpAddr {
    IpAddr::from((0x0a09_0000 + n).to_be_bytes())
}

fn lo() -> LinkName {
    LinkName::new("lo").unwrap()
}

fn table(n: u32) -> Table {
    let mut table = Table::default();
    (0..n).for_each(|n| assert!(table.insert(address(n), &lo())));
    table
}

/// The bodies of all that is to be said now.
fn said(told: &mut AdjRibOut, table: &Table, completeness: Completeness) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut bodies = Vec::new();
    while told.next(table, completeness, &mut bytes).is_some() {
        let frame = wire::frame(&bytes).unwrap().unwrap();
        assert_eq!(frame.length(), bytes.len());
        bodies.push(bytes.split_off(HEADER));
        bytes.clear();
        assert!(bodies.len() < 1000, "it never ends");
    }
    bodies
}

const END_V4: [u8; 4] = [0; 4];

#[test]
fn a_thousand_routes_are_said_once_in_a_few_messages() {
    let (mut told, table) = (told(), table(1000));
    let messages = said(&mut told, &table, Completeness::Partial);
    assert!(messages.len() < 30, "{}", messages.len());
    assert_eq!(told.len(), 1000);
    assert!(said(&mut told, &table, Completeness::Partial).is_empty());
}

#[test]
fn only_the_difference_is_said() {
    let (mut told, mut table) = (told(), table(1000));
    said(&mut told, &table, Completeness::Partial);
    assert!(table.remove(address(7)) && table.insert(address(2000), &lo()));
    assert!(!table.insert(address(2000), &lo()), "a second time is nothing new");
    let messages = said(&mut told, &table, Completeness::Partial);
    assert_eq!(messages[0], [0, 5, 32, 10, 9, 0, 7, 0, 0]);
    assert!(messages[1].ends_with(&[32, 10, 9, 7, 208]));
    assert_eq!(messages.len(), 2);
    assert!(!told.has(address(7)) && told.has(address(2000)));
}

#[test]
fn what_came_and_went_before_a_peer_read_is_never_said() {
    let (mut told, mut table) = (told(), table(0));
    table.insert(address(1), &lo());
    table.remove(address(1));
    assert!(said(&mut told, &table, Completeness::Partial).is_empty());
}

#[test]
fn the_end_is_marked_once_for_each_family_and_not_before_all_is_there() {
    let (mut told, mut table) = (told(), table(1));
    assert_eq!(said(&mut told, &table, Completeness::Partial).len(), 1);
    let ends = said(&mut told, &table, Completeness::Whole);
    assert_eq!((ends.len(), ends[0].as_slice()), (2, END_V4.as_slice()));
    table.insert(address(5), &lo());
    assert_eq!(said(&mut told, &table, Completeness::Whole).len(), 1);
}

#[test]
fn a_refresh_says_all_of_its_family_again() {
    let (mut told, table) = (told(), table(10));
    said(&mut told, &table, Completeness::Partial);
    told.refresh(Family::V6);
    assert!(said(&mut told, &table, Completeness::Partial).is_empty());
    told.refresh(Family::V4);
    let again = said(&mut told, &table, Completeness::Partial);
    assert_eq!(again.len(), 1);
    assert!(again[0].ends_with(&[32, 10, 9, 0, 9]));
}

#[test]
fn other_attributes_are_said_of_all_routes_and_the_same_ones_of_none() {
    let (mut told, table) = (told(), table(10));
    said(&mut told, &table, Completeness::Partial);
    told.change_path(path());
    assert!(said(&mut told, &table, Completeness::Partial).is_empty());
    let communities = vec![crate::wire::update::GRACEFUL_SHUTDOWN];
    told.change_path(Path { communities, ..path() });
    let again = said(&mut told, &table, Completeness::Partial);
    assert!(again[0].windows(7).any(|part| part == [0xc0, 8, 4, 0xff, 0xff, 0, 0]));
}

#[test]
fn a_family_that_the_peer_does_not_take_is_not_said() {
    let (mut told, mut table) = (told(), table(1));
    told.channels.truncate(1);
    let six: IpAddr = "fd00::9".parse().unwrap();
    table.insert(six, &lo());
    assert_eq!(said(&mut told, &table, Completeness::Whole).len(), 2);
    assert!(told.has(address(0)) && !told.has(six));
}
