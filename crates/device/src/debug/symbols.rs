//! Names and lines of an image, from its ELF file: what a backtrace is written with.

use std::path::Path;
use std::sync::Arc;

use elf::ElfBytes;
use elf::abi::{SHF_COMPRESSED, STT_FUNC};
use elf::endian::LittleEndian as ElfOrder;
use gimli::{EndianSlice, LittleEndian, SectionId};

/// The bytes of a section.
pub(crate) type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// Most names told for one address: functions that were put into each other.
const MOST_INLINED: usize = 8;

/// An ELF file with names.
#[derive(Clone)]
pub struct Symbols {
    file: Arc<[u8]>,
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symbols").field("bytes", &self.file.len()).finish()
    }
}

/// What is known of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// The function it is in.
    pub function: Option<String>,
    /// The file and the line.
    pub line: Option<(String, u32)>,
}

impl Symbols {
    /// The names in the file at `path`; none if it is no ELF file or has no names.
    pub fn load(path: &Path) -> Option<Symbols> {
        Symbols::of(std::fs::read(path).ok()?)
    }

    /// The names in an ELF file's bytes.
    pub fn of(file: Vec<u8>) -> Option<Symbols> {
        let symbols = Symbols { file: file.into() };
        let named = symbols.elf()?.symbol_table().ok()?.is_some_and(|(table, _)| !table.is_empty());
        named.then_some(symbols)
    }

    /// What is known of the instruction at `address`: the innermost function first, then those it was put into.
    pub fn sites(&self, address: u32) -> Vec<Site> {
        let lines = self.lines(address).unwrap_or_default();
        if lines.iter().any(|site| site.function.is_some()) {
            return lines;
        }
        let line = lines.into_iter().find_map(|site| site.line);
        vec![Site { function: self.function(address), line }]
    }

    /// From the debugging information.
    fn lines(&self, address: u32) -> Option<Vec<Site>> {
        let load = |id| Ok::<_, gimli::Error>(self.section(id));
        let context = addr2line::Context::from_dwarf(gimli::Dwarf::load(load).ok()?).ok()?;
        let mut frames = context.find_frames(u64::from(address)).skip_all_loads().ok()?;
        let mut sites = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.as_ref().and_then(|name| name.raw_name().ok());
            let location = frame.location.and_then(|place| Some((shortened(place.file?), place.line?)));
            sites.push(Site { function: name.map(std::borrow::Cow::into_owned), line: location });
            if sites.len() == MOST_INLINED {
                break;
            }
        }
        Some(sites)
    }

    /// From the table of symbols: the function that holds `address`, or the last one before it that has no size.
    fn function(&self, address: u32) -> Option<String> {
        let (table, names) = self.elf()?.symbol_table().ok()??;
        let functions = table.iter().filter(|symbol| symbol.st_symtype() == STT_FUNC);
        let at = |symbol: &elf::symbol::Symbol| symbol.st_value & !1;
        let holds = |symbol: &elf::symbol::Symbol| {
            let end = at(symbol).saturating_add(symbol.st_size.max(1));
            (at(symbol)..end).contains(&u64::from(address))
        };
        let found = functions.filter(holds).max_by_key(at)?;
        names.get(found.st_name as usize).ok().map(str::to_owned)
    }

    /// The bytes of a section; empty if it is not there, or compressed.
    pub(crate) fn section(&self, id: SectionId) -> Bytes<'_> {
        EndianSlice::new(self.named_section(id.name()).unwrap_or_default(), LittleEndian)
    }

    fn named_section(&self, name: &str) -> Option<&[u8]> {
        let elf = self.elf()?;
        let header = elf.section_header_by_name(name).ok()??;
        if header.sh_flags & u64::from(SHF_COMPRESSED) != 0 {
            return None;
        }
        elf.section_data(&header).ok().map(|(bytes, _)| bytes)
    }

    fn elf(&self) -> Option<ElfBytes<'_, ElfOrder>> {
        ElfBytes::minimal_parse(&self.file).ok()
    }
}

/// A file's name with the folders above left out where they only go up and down.
fn shortened(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split(['/', '\\']) {
        match part {
            "." => {}
            ".." if parts.last().is_some_and(|last| !last.is_empty() && *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
