//! What is wrong with a binary, in words and figures.

use object::elf;

use crate::elf::Binary;
use crate::facts::{Hardening, Machine, Target};

/// Everything in which `binary` is not what `target` asks of it; `set` chooses the ceiling.
#[must_use]
pub fn faults(binary: &Binary, target: &Target, set: &str) -> Vec<String> {
    let mut faults = Vec::new();
    faults.extend(wrong_machine(binary, target));
    faults.extend(too_large(binary, target.ceiling.get(set).copied()));
    faults.extend(target.hardening.iter().filter_map(|asked| lacks(binary, *asked)));
    faults
}

/// Why this binary does not run on the target's machines, if it does not.
#[must_use]
pub fn wrong_machine(binary: &Binary, target: &Target) -> Option<String> {
    let (number, flags) = (number(target.machine), target.flags);
    let fits =
        binary.machine == number && binary.bits == target.bits && binary.flags & flags == flags;
    (!fits).then(|| {
        format!(
            "the wrong machine: it is for ELF machine {} with {} bits and flags {:#x}; {} is machine {number} with {} bits and flags {flags:#x}",
            binary.machine, binary.bits, binary.flags, target.platform, target.bits,
        )
    })
}

fn number(machine: Machine) -> u16 {
    match machine {
        Machine::X86_64 => elf::EM_X86_64.0,
        Machine::Aarch64 => elf::EM_AARCH64.0,
        Machine::Arm => elf::EM_ARM.0,
        Machine::Riscv => elf::EM_RISCV.0,
    }
}

fn too_large(binary: &Binary, ceiling: Option<u64>) -> Option<String> {
    let (size, ceiling) = (binary.size, ceiling?);
    let over = size.checked_sub(ceiling).filter(|over| *over > 0)?;
    Some(format!("too large: {size} bytes, {over} over the ceiling of {ceiling}"))
}

fn lacks(binary: &Binary, asked: Hardening) -> Option<String> {
    let count = |number: usize, what: &str| (number > 0).then(|| format!("{what}: {number}"));
    match asked {
        Hardening::Static => count(binary.libraries, "shared libraries that it needs"),
        Hardening::NoInterpreter => {
            binary.interpreter.as_ref().map(|path| format!("it needs the dynamic linker {path}"))
        }
        Hardening::Relro => (binary.relro == 0).then(|| "no RELRO segment".to_owned()),
        Hardening::Nx => {
            count(binary.writable_code, "segments to write and execute, the stack among them")
        }
        Hardening::NoTextRelocations => count(binary.text_relocations, "marks of text relocations"),
        Hardening::Stripped => {
            count(binary.symbol_tables, "sections of symbols or debugging information")
        }
    }
}
