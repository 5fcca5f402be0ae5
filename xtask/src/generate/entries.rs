//! The entry object: `sdk/lib/mv_entries.o`, a relocatable object that holds nothing but one absolute Thumb
//! function symbol a call. An application links it, and the linker reaches the page by its own veneers.
//!
//! A debugger takes absolute symbols for constants, so `break mvNoOp` would not find the function. Therefore each
//! call is named a second time, by a local symbol in a section without content that `app.ld` places on the page.
//! Linking never uses these, so that the object works with any other linker script as well. GNU ld reads local
//! symbols only of objects from which a section with content gets into the program: the note is that section. It
//! takes no memory.

use object::write::{Object, SectionId, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, FileFlags, SectionFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope, elf,
};

use super::GeneratedFile;
use super::model::Model;

/// Bytes of an entry.
const ENTRY_SIZE: u64 = 8;
/// The section of the names for debuggers; `linker.rs` places it.
const SECTION: &str = ".mv_entries";
/// A section with content, not loaded.
const NOTE: (&str, &[u8]) = (".mv_entries_note", b"mv\0");
/// Set in the address of a Thumb function.
const THUMB: u32 = 1;

/// The entry object.
pub(super) fn file(model: &Model) -> Result<GeneratedFile, String> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Arm, Endianness::Little);
    object.flags = FileFlags::Elf {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_flags: elf::EF_ARM_EABI_VER5 | elf::EF_ARM_ABI_FLOAT_SOFT,
    };
    add_note(&mut object);
    let section = named_section(&mut object, model);
    for call in &model.facts.calls {
        let address = model.facts.memory.entry_page + call.slot;
        object.add_symbol(entry(&call.name, address | THUMB));
        object.add_symbol(Symbol {
            scope: SymbolScope::Compilation,
            section: SymbolSection::Section(section),
            ..entry(&call.name, call.slot | THUMB)
        });
    }
    let bytes = object.write().map_err(|error| format!("entry object: {error}"))?;
    Ok(GeneratedFile { path: "sdk/lib/mv_entries.o".into(), bytes })
}

fn add_note(object: &mut Object<'_>) {
    let (name, content) = NOTE;
    let section = object.add_section(Vec::new(), name.into(), SectionKind::Other);
    object.set_section_data(section, content, 1);
}

/// The section from the page's start to the end of the last entry.
fn named_section(object: &mut Object<'_>, model: &Model) -> SectionId {
    let last = model.facts.calls.iter().map(|call| call.slot).max().unwrap_or_default();
    let section = object.add_section(Vec::new(), SECTION.into(), SectionKind::UninitializedData);
    object.section_mut(section).flags =
        SectionFlags::Elf { sh_flags: u64::from(elf::SHF_ALLOC | elf::SHF_EXECINSTR) };
    object.append_section_bss(section, u64::from(last) + ENTRY_SIZE, ENTRY_SIZE);
    section
}

fn entry(name: &str, value: u32) -> Symbol {
    Symbol {
        name: name.as_bytes().to_vec(),
        value: u64::from(value),
        size: ENTRY_SIZE,
        kind: SymbolKind::Text,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Absolute,
        flags: SymbolFlags::None,
    }
}
