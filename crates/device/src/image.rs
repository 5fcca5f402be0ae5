//! An application image: read from an ELF file, a file of hexadecimal records or a raw binary, and checked before it
//! runs.
//!
//! An error is one line that says what was found and what is expected. An [`Image`] that exists
//! fits the application's flash and begins with a vector table the processor can start from.

mod records;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elf::abi::{ELFCLASS32, ELFCLASS64, ELFDATA2LSB, EM_ARM, ET_EXEC, PT_LOAD};
use elf::endian::LittleEndian;
use elf::segment::ProgramHeader;
use elf::{ElfBytes, ParseError};
pub use records::Format;

use crate::memory_map::{self, FLASH, RAM};

/// Most bytes an image may have: all of the application's flash.
pub const MAX_IMAGE: usize = memory_map::length(&FLASH);

/// Fewest bytes that can be an image: initial stack pointer and reset vector.
pub const MIN_IMAGE: usize = 8;

/// Most bytes a file may have: an ELF file carries its debugging information beside the image.
pub const MAX_FILE: u64 = 64 << 20;

/// What erased flash reads as; fills the gaps between an ELF file's segments.
const ERASED: u8 = 0xFF;

/// Usual names of files that contain an image alone.
const KINDS: &str = ".elf, .hex, .srec or .bin";

/// A checked application image. Clones share the flash it lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    flash: Arc<[u8]>,
    /// Bytes of flash that are the image; the rest is erased.
    length: usize,
    digest: [u8; 32],
}

impl Image {
    /// Reads and checks the image in the file at `path`.
    ///
    /// # Errors
    /// [`LoadError`] with the path: the file cannot be read, or what [`Image::parse`] finds wrong in it.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let with_path = |cause| LoadError { path: path.to_owned(), cause };
        read_file(path).and_then(|file| Self::parse(&file)).map_err(with_path)
    }

    /// Checks the image in `file`, the whole content of an ELF file, an Intel HEX file, a file of S-records or a raw
    /// binary.
    ///
    /// # Errors
    /// [`ImageError`]: the first rule of D211 that it breaks, in terms of what to change.
    pub fn parse(file: &[u8]) -> Result<Self, ImageError> {
        match file {
            [] => return Err(ImageError::Empty),
            [0x7F, b'E', b'L', b'F', ..] => return Self::of(flatten(file)?),
            [b'P', b'K', 3, 4, ..] => return Err(ImageError::Bundle),
            _ => {}
        }
        if let Some(format) = records::format(file) {
            return Self::of(flatten_records(format, file)?);
        }
        let raw = without_padding(file);
        check_size(raw.len())?;
        // Nothing else distinguishes a raw image from any other file.
        check_stack(raw)?;
        Self::of(raw.to_vec())
    }

    /// Checks the image in `bytes`, which are the content of flash whatever format they resemble.
    pub(crate) fn raw(bytes: &[u8]) -> Result<Self, ImageError> {
        if bytes.is_empty() { Err(ImageError::Empty) } else { Self::of(bytes.to_vec()) }
    }

    fn of(bytes: Vec<u8>) -> Result<Self, ImageError> {
        check_size(bytes.len())?;
        check_reset(&bytes)?;
        let (digest, length) = (sha256(&bytes), bytes.len());
        Ok(Self { flash: flashed(bytes), length, digest })
    }

    /// The same image with another word at `offset`, which is in it.
    pub(crate) fn with_word(&self, offset: usize, word: u32) -> Self {
        let mut bytes = self.bytes().to_vec();
        bytes[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
        let (digest, length) = (sha256(&bytes), bytes.len());
        Self { flash: flashed(bytes), length, digest }
    }

    /// The image as it lies in flash, from the first byte of application flash on.
    pub fn bytes(&self) -> &[u8] {
        &self.flash[..self.length]
    }

    /// SHA-256 of [`Image::bytes`], as the device sends it to the cloud.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Application flash with this image in it: [`MAX_IMAGE`] bytes, the rest erased. The same memory each time, so
    /// that all devices with this image have it only once.
    pub fn flash(&self) -> Arc<[u8]> {
        self.flash.clone()
    }
}

/// Application flash that begins with these bytes.
fn flashed(mut flash: Vec<u8>) -> Arc<[u8]> {
    flash.resize(MAX_IMAGE, ERASED);
    flash.into()
}

/// The whole content of a file, unless that is more than any image has.
///
/// # Errors
/// [`ImageError::Unreadable`] with the operating system's reason, [`ImageError::FileTooLarge`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    let mut read =
        || -> io::Result<u64> { Ok(File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)? as u64) };
    match read() {
        Err(error) => Err(ImageError::Unreadable(error.to_string())),
        Ok(length) if length > MAX_FILE => Err(ImageError::FileTooLarge),
        Ok(_) => Ok(bytes),
    }
}

/// Lays an ELF file's segments out as they lie in flash.
fn flatten(file: &[u8]) -> Result<Vec<u8>, ImageError> {
    check_header(file)?;
    let elf = ElfBytes::<LittleEndian>::minimal_parse(file).map_err(|error| malformed(&error))?;
    let mut segments = loaded(&elf)?;
    // Some linkers leave load addresses out: then every segment is loaded where it runs.
    let has_addresses = segments.iter().any(|segment| segment.p_paddr != 0);
    let address = |segment: &ProgramHeader| if has_addresses { segment.p_paddr } else { segment.p_vaddr };
    // Some linker scripts write zeros where they only mean to reserve RAM, for a heap or a stack.
    segments.retain(|segment| {
        let end = address(segment).saturating_add(segment.p_filesz);
        let is_ram = u64::from(RAM.start) <= address(segment) && end <= u64::from(RAM.end);
        let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        !(is_ram && elf.segment_data(segment).is_ok_and(is_zero))
    });
    check_apart(segments.iter().map(|segment| (address(segment), segment.p_filesz)))?;
    let mut flash = Vec::new();
    for segment in &segments {
        let at = flash_offset(address(segment), segment.p_filesz)?;
        let bytes = elf.segment_data(segment).map_err(|error| malformed(&error))?;
        put(&mut flash, at, bytes);
    }
    if flash.is_empty() { Err(ImageError::NothingToLoad) } else { Ok(flash) }
}

/// The same for records of hexadecimal digits.
fn flatten_records(format: Format, file: &[u8]) -> Result<Vec<u8>, ImageError> {
    let pieces =
        records::pieces(format, file).map_err(|(record, why)| ImageError::Record { format, record, why })?;
    check_apart(pieces.iter().map(|(address, bytes)| (*address, bytes.len() as u64)))?;
    let mut flash = Vec::new();
    for (address, bytes) in &pieces {
        let at = flash_offset(*address, bytes.len() as u64)?;
        put(&mut flash, at, bytes);
    }
    if flash.is_empty() { Err(ImageError::NothingToLoad) } else { Ok(flash) }
}

fn put(flash: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if flash.len() < at + bytes.len() {
        flash.resize(at + bytes.len(), ERASED);
    }
    flash[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A raw binary without what is erased flash beyond the application's: a dump of a whole chip has that.
fn without_padding(file: &[u8]) -> &[u8] {
    match file.split_at_checked(MAX_IMAGE) {
        Some((image, rest)) if rest.iter().all(|byte| *byte == ERASED) => image,
        _ => file,
    }
}

/// Checks the header's first fields before anything else in the file is trusted.
fn check_header(file: &[u8]) -> Result<(), ImageError> {
    let header = file.get(..20).ok_or(ImageError::Truncated)?;
    let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let (kind, machine) = (half(16), half(18));
    match (header[4], header[5]) {
        (ELFCLASS32, ELFDATA2LSB) => {}
        (class, _) => return Err(ImageError::Format { bits64: class == ELFCLASS64 }),
    }
    if machine != EM_ARM {
        return Err(ImageError::Machine(machine));
    }
    if kind != ET_EXEC {
        return Err(ImageError::NotExecutable(kind));
    }
    Ok(())
}

/// The segments that put bytes into flash; those without bytes only reserve RAM.
fn loaded(elf: &ElfBytes<'_, LittleEndian>) -> Result<Vec<ProgramHeader>, ImageError> {
    let segments = elf.segments().ok_or(ImageError::NothingToLoad)?;
    Ok(segments.iter().filter(|segment| segment.p_type == PT_LOAD && segment.p_filesz > 0).collect())
}

/// No byte of flash is loaded twice. Spans are addresses and lengths.
fn check_apart(spans: impl Iterator<Item = (u64, u64)>) -> Result<(), ImageError> {
    let mut spans: Vec<_> = spans.collect();
    spans.sort_unstable();
    let overlap = spans.windows(2).find(|pair| pair[1].0 < pair[0].0.saturating_add(pair[0].1));
    overlap.map_or(Ok(()), |pair| Err(ImageError::SegmentsOverlap { start: pair[1].0 }))
}

/// Offset in flash of `length` bytes at `start`, which lie wholly inside it.
fn flash_offset(start: u64, length: u64) -> Result<usize, ImageError> {
    let end = start.saturating_add(length);
    if start < u64::from(FLASH.start) || end > u64::from(FLASH.end) {
        return Err(ImageError::OutsideFlash { start, length });
    }
    Ok((start - u64::from(FLASH.start)) as usize)
}

fn malformed(error: &ParseError) -> ImageError {
    match error {
        ParseError::SliceReadError(_) => ImageError::Truncated,
        other => ImageError::Malformed(other.to_string()),
    }
}

fn check_size(length: usize) -> Result<(), ImageError> {
    match length {
        0..MIN_IMAGE => Err(ImageError::TooShort(length)),
        MIN_IMAGE..=MAX_IMAGE => Ok(()),
        _ => Err(ImageError::TooLarge(length)),
    }
}

/// The first word: the initial stack pointer, of which the processor takes bits 1 and 0 as zero. Only a file that says
/// nothing else of itself is judged by it: an application may well set its stack pointer before it uses it.
fn check_stack(bytes: &[u8]) -> Result<(), ImageError> {
    let stack = word(bytes, 0);
    // The stack grows down from its initial pointer, so the end of RAM is in.
    if (RAM.start..=RAM.end).contains(&(stack & !3)) { Ok(()) } else { Err(ImageError::StackPointer(stack)) }
}

/// The second word: the address the processor starts at.
fn check_reset(bytes: &[u8]) -> Result<(), ImageError> {
    let reset = word(bytes, 4);
    if reset & 1 == 0 {
        return Err(ImageError::ResetNotThumb(reset));
    }
    let code = FLASH.start + MIN_IMAGE as u32..FLASH.start + bytes.len() as u32;
    if !code.contains(&(reset & !1)) {
        return Err(ImageError::ResetOutside { reset, end: code.end });
    }
    Ok(())
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 is 32 bytes long")
}

/// Why a file contains no image that this device can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageError {
    /// The file cannot be read; the system's message.
    Unreadable(String),
    /// The file has more than [`MAX_FILE`] bytes.
    FileTooLarge,
    /// The file has no bytes.
    Empty,
    /// The file is a bundle, where an image alone is wanted.
    Bundle,
    /// The file is a bundle that is not taken.
    Refused(Box<bundle::BundleError>),
    /// The image inside a bundle is none.
    InBundle(Box<Self>),
    /// The file is an image alone, where a signed bundle is wanted.
    NotSigned,
    /// An ELF file that is not 32-bit little-endian.
    Format {
        /// The file is a 64-bit one; otherwise a big-endian one.
        bits64: bool,
    },
    /// An ELF file for another processor; its machine number.
    Machine(u16),
    /// An ELF file that is not linked to its final addresses; its type number.
    NotExecutable(u16),
    /// An ELF file that ends before something it points to.
    Truncated,
    /// An ELF file that breaks the format's rules.
    Malformed(String),
    /// A record of hexadecimal digits that breaks the format's rules.
    Record {
        /// The format.
        format: Format,
        /// The record, counted from 1.
        record: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An ELF file or one of records without a byte to load.
    NothingToLoad,
    /// Segments or records that load the same byte of flash.
    SegmentsOverlap {
        /// Load address of the second.
        start: u64,
    },
    /// A segment that does not lie in application flash.
    OutsideFlash {
        /// Load address of the segment.
        start: u64,
        /// Its length in bytes.
        length: u64,
    },
    /// Fewer bytes than the first two words of a vector table.
    TooShort(usize),
    /// More bytes than application flash has.
    TooLarge(usize),
    /// An initial stack pointer outside application RAM.
    StackPointer(u32),
    /// A reset vector without the Thumb bit.
    ResetNotThumb(u32),
    /// A reset vector that points outside the image.
    ResetOutside {
        /// The vector.
        reset: u32,
        /// End of the image in flash.
        end: u32,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Self::Empty => write!(f, "is empty; expected an application image ({KINDS})"),
            Self::FileTooLarge => {
                write!(f, "has more than {MAX_FILE} bytes; expected an application image ({KINDS})")
            }
            Self::Bundle => {
                write!(f, "is a zip bundle; expected the application image inside it ({KINDS})")
            }
            Self::Refused(why) => why.fmt(f),
            Self::InBundle(why) => write!(f, "is a bundle of something that {why}"),
            Self::NotSigned => {
                write!(f, "is not a bundle and has no signature; expected a signed bundle (.zip)")
            }
            Self::Format { bits64: true } => {
                write!(f, "is a 64-bit ELF file; expected a 32-bit one for Arm Cortex-M33")
            }
            Self::Format { bits64: false } => {
                write!(f, "is a big-endian ELF file; expected a little-endian one")
            }
            Self::Machine(number) => {
                write!(f, "is an ELF file for {}; expected Arm (machine {EM_ARM})", machine_name(*number))
            }
            Self::NotExecutable(kind) => {
                write!(
                    f,
                    "is an ELF file of type {kind}; expected an executable linked to fixed addresses (type {ET_EXEC})"
                )
            }
            Self::Truncated => write!(f, "is an ELF file cut short: it ends before something it points to"),
            Self::Malformed(why) => write!(f, "is a damaged ELF file: {why}"),
            Self::Record { format, record, why } => write!(f, "is {format}, but of record {record} {why}"),
            Self::NothingToLoad => write!(f, "has nothing to load into flash"),
            Self::SegmentsOverlap { start } => {
                write!(f, "loads two segments over each other, at {start:#010x}")
            }
            Self::OutsideFlash { start, length } => write!(
                f,
                "loads {length} bytes at {start:#010x}; expected addresses in application flash, {:#010x} to {:#010x}",
                FLASH.start,
                FLASH.end - 1
            ),
            Self::TooShort(length) => {
                write!(f, "has {length} bytes; expected a vector table of at least {MIN_IMAGE} bytes")
            }
            Self::TooLarge(length) => {
                write!(f, "has {length} bytes; expected at most {MAX_IMAGE}, the size of application flash")
            }
            Self::StackPointer(found) => write!(
                f,
                "begins with initial stack pointer {found:#010x}; expected an address in application RAM, {:#010x} to {:#010x}",
                RAM.start, RAM.end
            ),
            Self::ResetNotThumb(found) => {
                write!(f, "has reset vector {found:#010x}; expected an odd address (Thumb code)")
            }
            Self::ResetOutside { reset, end } => write!(
                f,
                "has reset vector {reset:#010x}; expected code inside the image, {:#010x} to {:#010x}",
                FLASH.start + MIN_IMAGE as u32,
                end - 1
            ),
        }
    }
}

impl std::error::Error for ImageError {}

/// The processors that images are most often built for by mistake, by ELF machine number.
fn machine_name(number: u16) -> String {
    let name = match number {
        3 => "Intel 386",
        8 => "MIPS",
        62 => "x86-64",
        94 => "Xtensa",
        183 => "Arm 64-bit (AArch64)",
        243 => "RISC-V",
        _ => return format!("machine {number}"),
    };
    format!("{name} (machine {number})")
}

/// An [`ImageError`] with the file it was found in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub cause: ImageError,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.cause)
    }
}

impl std::error::Error for LoadError {}

#[cfg(test)]
mod tests;
