//! A way in for fuzzing: bytes as they might come from the kernel. It panics where something does
//! not hold that must.
#![allow(clippy::panic)]

use std::collections::BTreeSet;
use std::net::IpAddr;

use viplet_backend_api::Tag;

use crate::observed::{Table, TagSupport};
use crate::wire::{Frames, Message, decode};

/// Splits `bytes` into messages and lets a table of links and addresses hear them, one after another.
pub fn messages(bytes: &[u8]) {
    let mut table = Table::new(Tag::DEFAULT, TagSupport::Reported);
    for frame in Frames(bytes).map_while(Result::ok) {
        assert!(frame.payload.len() < bytes.len(), "a message longer than what came in");
        if let Ok(message) = decode(&frame) {
            hear(&mut table, message);
        }
    }
}

/// A link that is gone is not there; no address is told without its link; who keeps a list of our
/// addresses hears of every change of them by the revision.
fn hear(table: &mut Table, message: Message) {
    let gone = match message {
        Message::LinkGone(index) => Some(index),
        _ => None,
    };
    let (before, revision) = (ours(table), table.held_revision());
    table.apply(message, &mut Vec::new());
    assert!(gone.is_none_or(|index| table.name(index).is_none()), "it is gone, and there");
    let told = table.observation();
    let linked = |link| told.links.iter().any(|known| known.name == link);
    assert!(told.addresses.iter().all(|one| linked(one.link.clone())), "an address without link");
    assert!(ours(table) == before || table.held_revision() != revision, "a change unheard");
}

fn ours(table: &Table) -> BTreeSet<(u32, IpAddr)> {
    table.held().collect()
}
