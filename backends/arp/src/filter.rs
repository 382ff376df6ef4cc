//! Classic BPF (bpf(4)) for the receiving sockets: only claims of our own addresses wake us.
//! Pure. Offsets count from the network header, as the sockets are `SOCK_DGRAM`; the kernel
//! selects the ethertype already, as each socket is bound to one.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::{Ipv4Addr, Ipv6Addr};

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) jump_true: u8,
    pub(crate) jump_false: u8,
    pub(crate) operand: u32,
}

/// The longest program: the kernel has room for 20 KiB (`net.core.optmem_max` of older ones), and
/// an instruction takes 8 bytes.
const MOST: usize = 2000;
/// So many ranges always fit.
const MOST_RANGES: usize = (MOST - FRAME_OF_PROGRAM) / 3;
/// Instructions before and after those of the ranges.
const FRAME_OF_PROGRAM: usize = 4;
/// IPv6 addresses beyond which all claims are let through and looked at here: an address takes
/// nine instructions.
pub(crate) const MOST_V6: usize = 200;

/// `ret 0`: drop.
const DROP: Instruction = ret(0);
/// `ret 0xffff`: pass the frame, all of it.
const PASS: Instruction = ret(0xffff);

const fn ret(length: u32) -> Instruction {
    Instruction { code: 0x06, jump_true: 0, jump_false: 0, operand: length }
}

/// `ldb [offset]`.
const fn load_byte(offset: u32) -> Instruction {
    Instruction { code: 0x30, jump_true: 0, jump_false: 0, operand: offset }
}

/// `ld [offset]`.
const fn load_word(offset: u32) -> Instruction {
    Instruction { code: 0x20, jump_true: 0, jump_false: 0, operand: offset }
}

/// `ld [x + offset]`.
const fn load_word_at_x(offset: u32) -> Instruction {
    Instruction { code: 0x40, jump_true: 0, jump_false: 0, operand: offset }
}

/// `tax`.
const MOVE_TO_X: Instruction = Instruction { code: 0x07, jump_true: 0, jump_false: 0, operand: 0 };

/// `jeq value`: equal goes on, otherwise `skip` instructions are left out.
const fn equal_or_skip(value: u32, skip: u8) -> Instruction {
    Instruction { code: 0x15, jump_true: 0, jump_false: skip, operand: value }
}

/// `jge value`: less leaves `skip` instructions out.
const fn at_least_or_skip(value: u32, skip: u8) -> Instruction {
    Instruction { code: 0x35, jump_true: 0, jump_false: skip, operand: value }
}

/// `jgt value`: more leaves `skip` instructions out.
const fn at_most_or_skip(value: u32, skip: u8) -> Instruction {
    Instruction { code: 0x25, jump_true: skip, jump_false: 0, operand: value }
}

/// Passes ARP whose sender protocol address is one of `vips`, which are in order; none at all:
/// nothing. Neighbouring addresses are one range. If there are too many ranges, the closest ones
/// are joined: claims of strangers in between pass as well and are looked at here.
pub(crate) fn arp_claims(vips: &[Ipv4Addr]) -> Vec<Instruction> {
    // The sender's protocol address follows 8 fixed bytes and a hardware address of [4] bytes.
    let mut program = vec![load_byte(4), MOVE_TO_X, load_word_at_x(8)];
    let exact = ranges(vips, 1);
    if exact.iter().map(instructions).sum::<usize>() + FRAME_OF_PROGRAM <= MOST {
        program.extend(exact.iter().flat_map(passing));
    } else {
        program.extend(ranges(vips, widest_gap_to_join(vips)).iter().flat_map(passing));
    }
    program.push(DROP);
    program
}

/// The first and the last address of each range; within one, an address and the next are at most
/// `gap` apart.
fn ranges(vips: &[Ipv4Addr], gap: u32) -> Vec<(u32, u32)> {
    let near = |a: &Ipv4Addr, b: &Ipv4Addr| distance(*a, *b) <= gap;
    let ends = |range: &[Ipv4Addr]| Some((range.first()?.to_bits(), range.last()?.to_bits()));
    vips.chunk_by(near).filter_map(ends).collect()
}

/// The least gap that leaves at most [`MOST_RANGES`].
fn widest_gap_to_join(vips: &[Ipv4Addr]) -> u32 {
    let next = vips.iter().skip(1);
    let mut gaps: Vec<u32> = vips.iter().zip(next).map(|(a, b)| distance(*a, *b)).collect();
    gaps.sort_unstable_by(|a, b| b.cmp(a));
    gaps.get(MOST_RANGES - 1).copied().unwrap_or(1)
}

fn distance(a: Ipv4Addr, b: Ipv4Addr) -> u32 {
    b.to_bits().saturating_sub(a.to_bits())
}

const fn instructions((first, last): &(u32, u32)) -> usize {
    if *first == *last { 2 } else { 3 }
}

fn passing((first, last): &(u32, u32)) -> Vec<Instruction> {
    if first == last {
        vec![equal_or_skip(*first, 1), PASS]
    } else {
        vec![at_least_or_skip(*first, 2), at_most_or_skip(*last, 1), PASS]
    }
}

/// Passes neighbour advertisements whose target is one of `vips`; none at all: nothing.
pub(crate) fn advertisements(vips: &[Ipv6Addr]) -> Vec<Instruction> {
    const NEXT_HEADER: u32 = 6;
    const ICMPV6: u32 = 58;
    const TYPE: u32 = 40;
    const NEIGHBOUR_ADVERTISEMENT: u32 = 136;
    const TARGET: [u32; 4] = [48, 52, 56, 60];
    let mut program = vec![
        load_byte(NEXT_HEADER),
        equal_or_skip(ICMPV6, 2),
        load_byte(TYPE),
        Instruction { jump_true: 1, ..equal_or_skip(NEIGHBOUR_ADVERTISEMENT, 0) },
        DROP,
    ];
    if vips.len() > MOST_V6 {
        program.push(PASS);
        return program;
    }
    for vip in vips {
        let bits = vip.to_bits();
        let words = [bits >> 96, bits >> 64, bits >> 32, bits];
        for ((offset, word), skip) in TARGET.into_iter().zip(words).zip([7, 5, 3, 1]) {
            let value = u32::try_from(word & u128::from(u32::MAX)).unwrap_or(0);
            program.extend([load_word(offset), equal_or_skip(value, skip)]);
        }
        program.push(PASS);
    }
    program.push(DROP);
    program
}

#[cfg(test)]
mod tests;
