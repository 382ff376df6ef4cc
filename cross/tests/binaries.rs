//! A binary that is not what `targets.toml` asks is refused, with figures; a good one is not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use viplet_cross::elf::{self, Binary};
use viplet_cross::facts::{Facts, Target};
use viplet_cross::verdict::faults;

const X86_64: u16 = 62;
const AARCH64: u16 = 183;
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;
const STACK: u32 = 0x6474_e551;
const RELRO: u32 = 0x6474_e552;
const RUN: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;

/// A little-endian 64-bit ELF file of these segments: kind, flags and content.
fn file(machine: u16, segments: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend(2u16.to_le_bytes());
    file.extend(machine.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend([0; 8]);
    file.extend(64u64.to_le_bytes());
    file.extend([0; 8 + 4]);
    for half in [64, 56, segments.len() as u16, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut content: Vec<u8> = Vec::new();
    for (kind, flags, bytes) in segments {
        let offset = (64 + segments.len() * 56 + content.len()) as u64;
        content.extend(*bytes);
        file.extend(kind.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for word in [offset, offset, offset, bytes.len() as u64, bytes.len() as u64, 8] {
            file.extend(word.to_le_bytes());
        }
    }
    file.extend(content);
    file
}

const GOOD: [(u32, u32, &[u8]); 3] =
    [(LOAD, READ | RUN, b"code"), (RELRO, READ, b"data"), (STACK, READ | WRITE, b"")];

fn target() -> Target {
    let mut facts = Facts::parse(include_str!("../targets.toml")).unwrap();
    facts.target.remove("x86_64-unknown-linux-musl").unwrap()
}

/// The only fault of a good file with one more segment.
fn fault_with(segment: (u32, u32, &[u8])) -> String {
    let mut segments = GOOD.to_vec();
    segments.push(segment);
    let found = faults(&elf::read(&file(X86_64, &segments)).unwrap(), &target(), "arp");
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

#[test]
fn a_static_hardened_stripped_binary_has_no_fault() {
    let binary = elf::read(&file(X86_64, &GOOD)).unwrap();
    assert_eq!(faults(&binary, &target(), "arp"), Vec::<String>::new());
}

#[test]
fn a_binary_for_another_machine_is_refused() {
    let binary = elf::read(&file(AARCH64, &GOOD)).unwrap();
    let found = faults(&binary, &target(), "arp");
    assert!(found[0].contains("machine 183") && found[0].contains("linux/amd64"), "{found:?}");
}

#[test]
fn a_binary_over_its_ceiling_is_refused_with_the_figures() {
    let mut target = target();
    let binary = elf::read(&file(X86_64, &GOOD)).unwrap();
    target.ceiling.insert("arp".into(), binary.size - 3);
    let text =
        format!("too large: {} bytes, 3 over the ceiling of {}", binary.size, binary.size - 3);
    assert_eq!(faults(&binary, &target, "arp"), [text]);
    target.ceiling.insert("arp".into(), binary.size);
    assert_eq!(faults(&binary, &target, "arp"), Vec::<String>::new());
}

#[test]
fn a_binary_that_needs_a_dynamic_linker_is_refused() {
    assert!(fault_with((INTERPRETER, READ, b"/lib/ld.so\0")).contains("linker /lib/ld.so"));
}

#[test]
fn a_binary_that_needs_a_shared_library_is_refused() {
    let needed: Vec<u8> = [1u64, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    assert!(fault_with((DYNAMIC, READ, &needed)).starts_with("shared libraries that it needs: 1"));
}

#[test]
fn text_relocations_are_refused_by_either_of_their_marks() {
    for (tag, value) in [(22u64, 0u64), (30, 4)] {
        let marks: Vec<u8> =
            [tag, value, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
        assert!(fault_with((DYNAMIC, READ, &marks)).starts_with("marks of text relocations: 1"));
    }
}

#[test]
fn a_segment_to_write_and_execute_is_refused() {
    assert!(
        fault_with((LOAD, READ | WRITE | RUN, b"x")).starts_with("segments to write and execute")
    );
}

#[test]
fn a_stack_to_execute_and_one_without_a_word_are_refused() {
    for segments in
        [vec![GOOD[0], GOOD[1], (STACK, READ | WRITE | RUN, &b""[..])], GOOD[..2].to_vec()]
    {
        let found = faults(&elf::read(&file(X86_64, &segments)).unwrap(), &target(), "arp");
        assert!(found[0].starts_with("segments to write and execute"), "{found:?}");
    }
}

#[test]
fn a_binary_without_relro_is_refused() {
    let binary = elf::read(&file(X86_64, &[GOOD[0], GOOD[2]])).unwrap();
    assert_eq!(faults(&binary, &target(), "arp"), ["no RELRO segment"]);
}

#[test]
fn this_test_itself_is_neither_static_nor_stripped_nor_small() {
    let itself = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let Binary { libraries, interpreter, symbol_tables, .. } = elf::read(&itself).unwrap();
    assert!(symbol_tables > 0);
    assert_eq!(libraries > 0, interpreter.is_some());
}

#[test]
fn what_is_no_elf_file_or_cut_off_is_refused_not_a_panic() {
    assert!(elf::read(b"#!/bin/sh\n").is_err());
    let whole = file(X86_64, &GOOD);
    for end in 0..64 + 3 * 56 {
        assert!(elf::read(&whole[..end]).is_err(), "{end}");
    }
}
