//! From the corpus to a case: one of its messages, changed in a few places.

use crate::rng::Rng;

/// Longest case: a BGP message, and a bit.
const MOST: usize = 4200;
/// Bytes at which decoders turn: limits of lengths, types, signs, separators of text.
const TURNS: &[u8] =
    &[0, 1, 2, 3, 4, 18, 19, 23, 24, 0x7f, 0x80, 0xfe, 0xff, b':', b';', b'=', b',', b'[', b']'];

/// The case that this generator gives.
pub(crate) fn case(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    // Now and then it has nothing to do with the corpus.
    if rng.below(16) == 0 {
        return (0..rng.below(200)).map(|_| rng.byte()).collect();
    }
    let mut bytes = pick(corpus, rng).to_vec();
    for _ in 0..=rng.below(6) {
        change(&mut bytes, corpus, rng);
    }
    bytes.truncate(MOST);
    bytes
}

fn pick<'a>(corpus: &'a [Vec<u8>], rng: &mut Rng) -> &'a [u8] {
    corpus.get(rng.below(corpus.len())).map_or(&[], Vec::as_slice)
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut Rng) {
    let place = rng.below(bytes.len());
    let length = rng.below(12).min(bytes.len() - place);
    match rng.below(9) {
        0 => set(bytes, place, |byte, rng| byte ^ (1 << rng.below(8)), rng),
        1 => set(bytes, place, |_, rng| rng.byte(), rng),
        2 | 3 => set(bytes, place, |_, rng| turn(rng), rng),
        4 => drop(bytes.drain(place..place + length)),
        5 => bytes.truncate(place),
        6 => insert(bytes, place, &(0..length).map(|_| turn(rng)).collect::<Vec<_>>()),
        7 => {
            let copy = bytes.iter().skip(place).take(length).copied().collect::<Vec<_>>();
            insert(bytes, place, &copy);
        }
        _ => {
            let other = pick(corpus, rng);
            let tail = other.get(rng.below(other.len())..).unwrap_or_default();
            bytes.truncate(place);
            bytes.extend_from_slice(tail);
        }
    }
}

fn turn(rng: &mut Rng) -> u8 {
    TURNS.get(rng.below(TURNS.len())).copied().unwrap_or(0)
}

fn set(bytes: &mut [u8], place: usize, new: impl Fn(u8, &mut Rng) -> u8, rng: &mut Rng) {
    if let Some(byte) = bytes.get_mut(place) {
        *byte = new(*byte, rng);
    }
}

fn insert(bytes: &mut Vec<u8>, place: usize, new: &[u8]) {
    bytes.splice(place..place, new.iter().copied());
}
