//! The sections of an ELF file that names and lines are read from, unpacked once.

use std::collections::BTreeMap;
use std::ops::Range;

use object::read::elf::ElfFile32;
use object::{CompressionFormat, Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind};

/// Most bytes that the compressed sections of a file may have unpacked.
const MAX_UNPACKED: u64 = 256 << 20;

/// An ELF file and its sections of debug information.
pub(super) struct Sections {
    file: Vec<u8>,
    sections: BTreeMap<String, Data>,
}

/// Where a section's bytes are.
enum Data {
    File(Range<usize>),
    Unpacked(Vec<u8>),
}

impl Sections {
    /// Reads an ELF file for 32-bit processors. Debug information that cannot be read is reported in `notes`.
    pub(super) fn read(file: Vec<u8>, notes: &mut Vec<String>) -> Option<Self> {
        let (mut sections, mut left) = (BTreeMap::new(), MAX_UNPACKED);
        let elf = parsed(&file)?;
        for section in elf.sections() {
            let Some(name) = section.name().ok().and_then(debug_name) else { continue };
            match data(&section, &mut left) {
                Ok(data) => {
                    sections.insert(name, data);
                }
                Err(why) => notes.push(format!("debug information: section {name} cannot be read: {why}")),
            }
        }
        Some(Self { file, sections })
    }

    /// The bytes of the section called `name`, `.debug_…`; empty if it is not there.
    pub(super) fn get(&self, name: &str) -> &[u8] {
        match self.sections.get(name) {
            Some(Data::File(range)) => self.file.get(range.clone()).unwrap_or_default(),
            Some(Data::Unpacked(bytes)) => bytes,
            None => &[],
        }
    }

    /// Whether there is a symbol in the file's table.
    pub(super) fn has_symbols(&self) -> bool {
        parsed(&self.file).is_some_and(|elf| elf.symbols().next().is_some())
    }

    /// Whether the program's code is in the file: it is not where everything but debug information was removed.
    pub(super) fn has_code(&self) -> bool {
        let Some(elf) = parsed(&self.file) else { return false };
        elf.section_by_name(".text")
            .is_some_and(|text| text.file_range().is_some_and(|(_, length)| length > 0))
    }

    /// The file of debug information that `.gnu_debuglink` names, never a path, and its CRC-32.
    pub(super) fn link(&self) -> Option<(String, u32)> {
        let (name, checksum) = parsed(&self.file)?.gnu_debuglink().ok()??;
        let name = std::str::from_utf8(name).ok()?;
        let is_name = !name.is_empty() && !name.contains(['/', '\\']) && name != "." && name != "..";
        is_name.then(|| (name.to_owned(), checksum))
    }

    /// The function that contains `address`.
    pub(super) fn function(&self, address: u32) -> Option<String> {
        let elf = parsed(&self.file)?;
        let functions = elf.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
        let at = |symbol: &object::read::elf::ElfSymbol32<'_, '_>| symbol.address() & !1;
        let contains = |symbol: &object::read::elf::ElfSymbol32<'_, '_>| {
            let end = at(symbol).saturating_add(symbol.size().max(1));
            (at(symbol)..end).contains(&u64::from(address))
        };
        let found = functions.filter(contains).max_by_key(at)?;
        found.name().ok().map(str::to_owned)
    }
}

fn parsed(file: &[u8]) -> Option<ElfFile32<'_>> {
    ElfFile32::parse(file).ok().filter(|elf| elf.endianness() == Endianness::Little)
}

/// The name that a section of debug information has uncompressed; none of any other section.
fn debug_name(name: &str) -> Option<String> {
    // `.zdebug_…` is how compressed ones were marked once.
    let name = name.strip_prefix(".zdebug_").map_or_else(|| name.to_owned(), |rest| format!(".debug_{rest}"));
    (name.starts_with(".debug_") || name == ".eh_frame").then_some(name)
}

fn data(
    section: &object::read::elf::ElfSection32<'_, '_, Endianness>,
    left: &mut u64,
) -> Result<Data, String> {
    let packed = section.compressed_data().map_err(|error| error.to_string())?;
    if packed.format == CompressionFormat::None {
        let (from, length) =
            section.compressed_file_range().map_or((0, 0), |range| (range.offset, packed.data.len()));
        let from = from as usize;
        return Ok(Data::File(from..from.saturating_add(length)));
    }
    if packed.uncompressed_size > *left {
        return Err(format!("it would have {} bytes unpacked", packed.uncompressed_size));
    }
    *left -= packed.uncompressed_size;
    let unpacked = packed.decompress().map_err(|error| error.to_string())?;
    Ok(Data::Unpacked(unpacked.into_owned()))
}
