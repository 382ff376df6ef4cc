//! What an ELF file says about itself: as much of it as a loader acts on.

use object::elf;
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _, SectionHeader as _};
use object::{Endianness, FileKind};

/// What was found in a binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// The length of the file.
    pub size: u64,
    /// The machine's number, `EM_...`.
    pub machine: u16,
    /// 32 or 64.
    pub bits: u8,
    /// The header's flags.
    pub flags: u32,
    /// The program that has to start this one.
    pub interpreter: Option<String>,
    /// How many shared libraries it needs.
    pub libraries: usize,
    /// How many bytes become read-only after relocation.
    pub relro: u64,
    /// How many segments can be written and executed; an unmarked stack is one.
    pub writable_code: usize,
    /// How many marks say that code is relocated.
    pub text_relocations: usize,
    /// How many sections have symbols or debugging information.
    pub symbol_tables: usize,
}

/// Reads a binary.
///
/// # Errors
/// When it is not an ELF file, or a part of it lies outside of it.
pub fn read(data: &[u8]) -> Result<Binary, String> {
    match FileKind::parse(data).map_err(|_| "not an ELF file".to_owned())? {
        FileKind::Elf32 => read_as::<elf::FileHeader32<Endianness>>(data, 32),
        FileKind::Elf64 => read_as::<elf::FileHeader64<Endianness>>(data, 64),
        _ => Err("not an ELF file".to_owned()),
    }
    .map_err(|error| format!("not a sound ELF file: {error}"))
}

fn read_as<Elf: FileHeader<Endian = Endianness>>(data: &[u8], bits: u8) -> Result<Binary, String> {
    let header = Elf::parse(data).map_err(text)?;
    let endian = header.endian().map_err(text)?;
    let mut binary = Binary {
        size: data.len() as u64,
        machine: header.e_machine(endian).0,
        bits,
        flags: header.e_flags(endian).0,
        interpreter: None,
        libraries: 0,
        relro: 0,
        writable_code: 1, // the stack, until a segment says otherwise
        text_relocations: 0,
        symbol_tables: 0,
    };
    for segment in header.program_headers(endian, data).map_err(text)? {
        segment_into::<Elf>(&mut binary, segment, endian, data)?;
    }
    let sections = header.sections(endian, data).map_err(text)?;
    for section in sections.iter() {
        let name = sections.section_name(endian, section).map_err(text)?;
        if section.sh_type(endian) == elf::SHT_SYMTAB || name.starts_with(b".debug") {
            binary.symbol_tables += 1;
        }
    }
    Ok(binary)
}

fn segment_into<Elf: FileHeader<Endian = Endianness>>(
    binary: &mut Binary,
    segment: &Elf::ProgramHeader,
    endian: Endianness,
    data: &[u8],
) -> Result<(), String> {
    let flags = segment.p_flags(endian);
    let can_run = flags.0 & elf::PF_X.0 != 0;
    match segment.p_type(endian) {
        elf::PT_INTERP => {
            let path = segment.data(endian, data).map_err(|()| "the interpreter lies outside")?;
            binary.interpreter = Some(String::from_utf8_lossy(path).trim_end_matches('\0').into());
        }
        elf::PT_GNU_RELRO => binary.relro += segment.p_memsz(endian).into(),
        elf::PT_GNU_STACK if !can_run => binary.writable_code -= 1,
        elf::PT_LOAD if can_run && flags.0 & elf::PF_W.0 != 0 => binary.writable_code += 1,
        elf::PT_DYNAMIC => {
            let entries = segment.dynamic(endian, data).map_err(text)?;
            for entry in entries.into_iter().flatten() {
                let (tag, value): (_, u64) = (entry.d_tag(endian), entry.d_val(endian).into());
                let marks = tag == elf::DT_TEXTREL
                    || tag == elf::DT_FLAGS && value & elf::DF_TEXTREL.0 != 0;
                binary.text_relocations += usize::from(marks);
                binary.libraries += usize::from(tag == elf::DT_NEEDED);
            }
        }
        _ => {}
    }
    Ok(())
}

fn text(error: object::read::Error) -> String {
    error.to_string()
}
