//! Names and lines of an image, from its ELF file and the files that go with it: what a backtrace is written with.

mod line_table;
mod names;
mod sections;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use addr2line::{LookupContinuation, LookupResult, SplitDwarfLoad};
use gimli::{Dwarf, DwarfPackage, EndianSlice, LittleEndian, SectionId};
pub use line_table::LineRange;
use names::demangled;
use sections::Sections;

use crate::image::{Image, read_file};

/// Where the flash with the program begins.
const FLASH_START: u32 = 0x0800_0000;

/// The bytes of a section.
pub(crate) type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// Most names for one address: inlined functions.
const MAX_INLINED: usize = 8;

/// Most files of split debug information, and most bytes of them together.
const MAX_SPLIT: usize = 1024;
const MAX_SPLIT_BYTES: usize = 256 << 20;

/// An ELF file with names.
#[derive(Clone)]
pub struct Symbols(Arc<Files>);

/// The ELF file, and what belongs to it.
struct Files {
    main: Sections,
    /// What `.gnu_debuglink` names.
    linked: Option<Sections>,
    /// Split debug information (`.dwo`), by the path that the ELF file has for it.
    split: BTreeMap<PathBuf, Sections>,
    /// The same, put together (`.dwp`).
    package: Option<Sections>,
    /// What could not be read.
    notes: Vec<String>,
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symbols").field("notes", &self.0.notes).finish_non_exhaustive()
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
    /// The names in the file at `path` and in the files of debug information it names; none if it is no ELF file or has
    /// no names.
    pub fn load(path: &Path) -> Option<Self> {
        Self::load_for(path, None)
    }

    /// The same, with a note if the file has the code of another program than `image`.
    pub fn load_for(path: &Path, image: Option<&Image>) -> Option<Self> {
        let file = read_file(path).ok()?;
        let own = image.and_then(|image| Some((image, Image::parse(&file).ok()?)));
        let is_other = own.is_some_and(|(image, own)| image.bytes() != own.bytes());
        let mut files = Files::of(file)?;
        if is_other && files.main.has_symbols() && files.main.has_code() {
            files.notes.push(format!(
                "debug information: the code in {} is not that of the image, so names and lines are wrong",
                path.display()
            ));
        }
        files.follow_link(path);
        files.follow_split(path);
        files.named()
    }

    /// The names in an ELF file's bytes.
    pub fn of(file: Vec<u8>) -> Option<Self> {
        Files::of(file)?.named()
    }

    /// What of the debug information cannot be read, and why: one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    /// What is known of the instruction at `address`: the innermost function first, then those it was put into.
    pub fn sites(&self, address: u32) -> Vec<Site> {
        let lines = self.0.lines(address).unwrap_or_default();
        if lines.iter().any(|site| site.function.is_some()) {
            return lines;
        }
        let line = lines.into_iter().find_map(|site| site.line);
        vec![Site { function: self.0.function(address), line }]
    }

    /// The bytes of a section; empty if it is not there, or cannot be read.
    pub(crate) fn section(&self, id: SectionId) -> Bytes<'_> {
        self.0.section(id)
    }
}

impl Files {
    fn of(file: Vec<u8>) -> Option<Self> {
        let mut notes = Vec::new();
        let main = Sections::read(file, &mut notes)?;
        Some(Self { main, linked: None, split: BTreeMap::new(), package: None, notes })
    }

    fn named(mut self) -> Option<Symbols> {
        let unreadable = addr2line::Context::from_dwarf(self.dwarf()).err();
        self.notes.extend(unreadable.map(|error| format!("debug information: it cannot be read: {error}")));
        // A file without names that says where they are is worth a note.
        let is_useful = self.both().any(Sections::has_symbols) || !self.notes.is_empty();
        is_useful.then(|| Symbols(Arc::new(self)))
    }

    fn both(&self) -> impl Iterator<Item = &Sections> {
        [&self.main].into_iter().chain(&self.linked)
    }

    fn section(&self, id: SectionId) -> Bytes<'_> {
        let found = self.both().map(|file| file.get(id.name())).find(|bytes| !bytes.is_empty());
        EndianSlice::new(found.unwrap_or_default(), LittleEndian)
    }

    /// Reads the file that `.gnu_debuglink` names, where debuggers search for it: beside the ELF file, or in `.debug`
    /// there.
    fn follow_link(&mut self, path: &Path) {
        let Some((name, checksum)) = self.main.link() else { return };
        let folder = path.parent().unwrap_or(Path::new(""));
        let candidates = [folder.join(&name), folder.join(".debug").join(&name)];
        let is_other = |candidate: &&PathBuf| candidate.canonicalize().ok() != path.canonicalize().ok();
        match candidates.iter().filter(is_other).find_map(|candidate| regular_file(candidate)) {
            Some(file) if crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&file) != checksum => {
                self.notes.push(format!("debug information: {name} is not the one of this image"));
            }
            Some(file) => self.linked = Sections::read(file, &mut self.notes),
            None => {
                self.notes
                    .push(format!("debug information: {name}, where names and lines are, is not there"));
            }
        }
    }

    /// Reads split debug information: a package beside the ELF file, or what each compilation unit names.
    fn follow_split(&mut self, path: &Path) {
        let mut wanted = self.split_names();
        if wanted.is_empty() {
            return;
        }
        let packages = [with_suffix(path, ".dwp"), path.with_extension("dwp")];
        if let Some(file) = packages.iter().find_map(|candidate| regular_file(candidate)) {
            self.package = Sections::read(file, &mut self.notes);
            return;
        }
        wanted.truncate(MAX_SPLIT);
        let (mut left, mut missing) = (MAX_SPLIT_BYTES, Vec::new());
        for named in wanted {
            let file = split_candidates(path, &named).iter().find_map(|candidate| regular_file(candidate));
            match file.filter(|file| file.len() <= left) {
                Some(file) => {
                    left -= file.len();
                    self.split
                        .extend(Sections::read(file, &mut self.notes).map(|sections| (named, sections)));
                }
                None => missing.push(named),
            }
        }
        self.notes.extend(missing_note(&missing));
    }

    /// The paths of split debug information, as the compilation units have them.
    fn split_names(&self) -> Vec<PathBuf> {
        let dwarf = self.dwarf();
        let mut names = Vec::new();
        let mut units = dwarf.units();
        while let Ok(Some(header)) = units.next() {
            let Ok(unit) = dwarf.unit(header) else { continue };
            let Ok(Some(name)) = unit.dwo_name() else { continue };
            let Ok(name) = dwarf.attr_string(&unit, name) else { continue };
            names.push(split_path(unit.comp_dir, name));
        }
        names.sort();
        names.dedup();
        names
    }

    fn dwarf(&self) -> Dwarf<Bytes<'_>> {
        let load = |id| Ok::<_, gimli::Error>(self.section(id));
        Dwarf::load(load).unwrap_or_default()
    }

    /// From the debugging information.
    fn lines(&self, address: u32) -> Option<Vec<Site>> {
        // Linkers leave the lines of functions that they removed at address 0, where no program is.
        if address < FLASH_START {
            return None;
        }
        let context = addr2line::Context::from_dwarf(self.dwarf()).ok()?;
        let mut lookup = context.find_frames(u64::from(address));
        let mut frames = loop {
            match lookup {
                LookupResult::Output(frames) => break frames.ok()?,
                LookupResult::Load { load, continuation } => {
                    lookup = continuation.resume(self.split_of(&load));
                }
            }
        };
        let mut sites = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.as_ref().and_then(|name| name.raw_name().ok());
            let location =
                frame.location.and_then(|candidate| Some((shortened(candidate.file?), candidate.line?)));
            sites.push(Site { function: name.map(|name| demangled(&name)), line: location });
            if sites.len() == MAX_INLINED {
                break;
            }
        }
        Some(sites)
    }

    /// The split debug information of one compilation unit.
    fn split_of<'a>(&'a self, load: &SplitDwarfLoad<Bytes<'a>>) -> Option<Arc<Dwarf<Bytes<'a>>>> {
        let of = |file: &'a Sections| {
            move |id: SectionId| {
                let bytes = id.dwo_name().map(|name| file.get(name)).unwrap_or_default();
                Ok::<_, gimli::Error>(EndianSlice::new(bytes, LittleEndian))
            }
        };
        if let Some(package) = &self.package {
            let package = DwarfPackage::load(of(package), EndianSlice::new(&[], LittleEndian)).ok()?;
            return package.find_cu(load.dwo_id, &load.parent).ok()?.map(Arc::new);
        }
        let path = split_path(load.comp_dir, load.path?);
        let mut dwarf = Dwarf::load(of(self.split.get(&path)?)).ok()?;
        dwarf.make_dwo(&load.parent);
        Some(Arc::new(dwarf))
    }

    /// From the table of symbols.
    fn function(&self, address: u32) -> Option<String> {
        self.both().find_map(|file| file.function(address)).map(|name| demangled(&name))
    }
}

/// The content of a regular file of an image's size. Names come from the ELF file: a pipe or a device would block the
/// reader it.
fn regular_file(path: &Path) -> Option<Vec<u8>> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    read_file(path).ok()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn split_path(folder: Option<Bytes<'_>>, name: Bytes<'_>) -> PathBuf {
    let text = |bytes: Bytes<'_>| bytes.to_string_lossy().into_owned();
    folder.map(|folder| PathBuf::from(text(folder))).unwrap_or_default().join(text(name))
}

/// Where a file of split debug information may be: where the compiler put it, or beside the ELF file.
fn split_candidates(image: &Path, named: &Path) -> Vec<PathBuf> {
    let folder = image.parent().unwrap_or(Path::new(""));
    [Some(named.to_owned()), named.file_name().map(|name| folder.join(name))].into_iter().flatten().collect()
}

fn missing_note(missing: &[PathBuf]) -> Option<String> {
    let first = missing.first()?.display();
    let others = match missing.len() {
        1 => String::new(),
        count => format!(" and {} more files", count - 1),
    };
    Some(format!("debug information: {first}{others}, where lines are, cannot be read"))
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

#[cfg(test)]
mod tests;
