//! The entry object: `sdk/lib/mv_entries.o`, a relocatable object that holds nothing but one absolute Thumb
//! function symbol a call. An application links it, and the linker reaches the page by its own veneers.

use object::write::{Object, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, FileFlags, SymbolFlags, SymbolKind, SymbolScope, elf};

use super::GeneratedFile;
use super::model::Model;

/// Bytes of an entry.
const ENTRY_SIZE: u64 = 8;
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
    for call in &model.facts.calls {
        let address = model.facts.memory.entry_page + call.slot;
        object.add_symbol(entry(&call.name, address | THUMB));
    }
    let bytes = object.write().map_err(|error| format!("entry object: {error}"))?;
    Ok(GeneratedFile { path: "sdk/lib/mv_entries.o".into(), bytes })
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
