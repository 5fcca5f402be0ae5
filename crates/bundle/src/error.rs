//! Why a file is not accepted as a bundle, in one line each.

use std::fmt;

use crate::FlashMemory;
use crate::limits;

/// Most characters of an entry's name that are shown.
const SHOWN: usize = 80;

/// The name of an archive's entry in a form that is safe to show: shortened, and without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName(String);

impl EntryName {
    /// The entry with this name, which may be any bytes.
    pub fn new(name: &[u8]) -> Self {
        let text: String = String::from_utf8_lossy(name).escape_debug().collect();
        let cut = text.char_indices().nth(SHOWN).map(|(at, _)| format!("{}…", &text[..at]));
        Self(cut.unwrap_or(text))
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// Why a file is not accepted as a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleError {
    /// The archive's directory cannot be read.
    NotZip,
    /// Bytes before the first entry or after the end of the archive.
    ExtraBytes,
    /// The archive has a 64-bit directory, which no bundle needs.
    Zip64,
    /// More entries than [`limits::ENTRIES`].
    TooManyEntries,
    /// The directory has another number of entries than it announces.
    EntryCount,
    /// An entry that has neither the manifest's name nor that of a layer.
    Name(EntryName),
    /// An entry has another name in its local header than in the directory.
    NameMismatch(EntryName),
    /// Two entries of the same name.
    Duplicate(EntryName),
    /// Entries share bytes of the archive.
    Overlap(EntryName),
    /// An encrypted entry.
    Encrypted(EntryName),
    /// An entry that is neither stored nor deflated, and the method's number.
    Method(EntryName, u16),
    /// An entry that is larger than the device's memory for it, and its size.
    TooLarge(EntryName, u64),
    /// Entries that are together larger than the device's memory, and their size.
    TotalTooLarge(u64),
    /// An entry that cannot be decompressed, or whose length or checksum does not match the directory.
    Damaged(EntryName),
    /// No manifest.
    NoManifest,
    /// The manifest cannot be decoded.
    Manifest(String),
    /// The manifest has no body.
    NoBody,
    /// A signature that is not 64 bytes long, or one without a signer.
    Signature,
    /// A number of layers for the internal flash other than one.
    ImageLayers(usize),
    /// More layers than [`limits::LAYERS`].
    TooManyLayers,
    /// A layer without a region.
    NoRegion,
    /// An encrypted layer, and the key's id.
    EncryptedLayer(u64),
    /// A hash that is not 32 bytes long.
    HashLength(usize),
    /// A layer without an entry in the archive.
    MissingLayer(EntryName),
    /// An entry without a layer in the manifest.
    UnusedLayer(EntryName),
    /// An entry whose content does not have the hash that is its name.
    FetchHash(EntryName),
    /// A region whose content does not have the hash in the manifest.
    MeasurementHash(EntryName),
    /// A region outside the device's flash.
    OutsideFlash {
        /// Which memory.
        memory: FlashMemory,
        /// Its start.
        start: u32,
        /// Its length.
        size: u32,
        /// The memory's size.
        capacity: u32,
    },
    /// An image that does not begin at the start of the flash, where the vector table has to be.
    ImageStart(u32),
    /// Two regions share bytes of the external flash.
    RegionsOverlap,
    /// A layer longer than its region.
    LayerTooLong {
        /// Bytes of the layer.
        length: usize,
        /// Bytes of its region.
        size: u32,
    },
    /// A public key that is not a point on P-256, and its length.
    DebugKey(usize),
    /// The minimum restart pause is longer than the maximum.
    RestartOrder {
        /// The minimum, in milliseconds.
        minimum: u32,
        /// The maximum, in milliseconds.
        maximum: u32,
    },
    /// A signature is required, and there is none.
    Unsigned,
    /// It is signed with another key.
    WrongSigner {
        /// The id in the manifest.
        found: u64,
        /// The id of the required key.
        expected: u64,
    },
    /// The signature is wrong: the manifest was changed after it was signed.
    BadSignature,
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not a valid bundle: ")?;
        match self {
            Self::NoManifest
            | Self::Manifest(_)
            | Self::NoBody
            | Self::Signature
            | Self::ImageLayers(_)
            | Self::TooManyLayers
            | Self::NoRegion
            | Self::EncryptedLayer(_)
            | Self::HashLength(_)
            | Self::OutsideFlash { .. }
            | Self::ImageStart(_)
            | Self::RegionsOverlap
            | Self::LayerTooLong { .. }
            | Self::DebugKey(_)
            | Self::RestartOrder { .. } => self.of_manifest(f),
            Self::Unsigned | Self::WrongSigner { .. } | Self::BadSignature => self.of_signature(f),
            _ => self.of_archive(f),
        }
    }
}

impl BundleError {
    fn of_archive(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotZip => write!(f, "the zip archive is cut short or damaged"),
            Self::ExtraBytes => write!(f, "there are bytes before or after the zip archive"),
            Self::Zip64 => write!(f, "its zip directory is in the 64-bit format, which is not supported"),
            Self::TooManyEntries => write!(f, "it has more than {} entries", limits::ENTRIES),
            Self::EntryCount => write!(f, "its directory announces another number of entries than it has"),
            Self::Name(name) => {
                write!(
                    f,
                    "the entry {name} is neither `manifest` nor named by a SHA-256 in lowercase hexadecimal"
                )
            }
            Self::NameMismatch(name) => write!(f, "the entry {name} has another name in its own header"),
            Self::Duplicate(name) => write!(f, "it has more than one entry {name}"),
            Self::Overlap(name) => write!(f, "the entry {name} shares bytes with another"),
            Self::Encrypted(name) => write!(f, "the entry {name} is encrypted"),
            Self::Method(name, method) => {
                write!(
                    f,
                    "the entry {name} is compressed by method {method}; expected 0 (stored) or 8 (deflated)"
                )
            }
            Self::TooLarge(name, size) => {
                write!(f, "the entry {name} has {size} bytes, more than the device's memory")
            }
            Self::TotalTooLarge(size) => {
                write!(f, "its entries have {size} bytes together, more than the device's memory")
            }
            Self::Damaged(name) => {
                write!(f, "the entry {name} does not decompress to the announced length and checksum")
            }
            Self::MissingLayer(name) => {
                write!(f, "the layer {name} in its manifest is not in the archive")
            }
            Self::UnusedLayer(name) => write!(f, "the entry {name} is not a layer in its manifest"),
            Self::FetchHash(name) => write!(f, "the SHA-256 of the entry {name} does not match its name"),
            Self::MeasurementHash(name) => {
                write!(f, "the SHA-256 of the region with the layer {name} does not match the manifest")
            }
            _ => Ok(()),
        }
    }

    fn of_manifest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoManifest => write!(f, "it has no entry `manifest`"),
            Self::Manifest(why) => write!(f, "its manifest cannot be decoded: {why}"),
            Self::NoBody => write!(f, "its manifest is empty"),
            Self::Signature => write!(f, "its signature is incomplete"),
            Self::ImageLayers(found) => {
                write!(f, "it has {found} layers for the internal flash; expected one, the application")
            }
            Self::TooManyLayers => write!(f, "it has more than {} layers", limits::LAYERS),
            Self::NoRegion => write!(f, "a layer has no region"),
            Self::EncryptedLayer(key) => {
                write!(f, "a layer is encrypted with key {key:016x}; encrypted layers are not supported")
            }
            Self::HashLength(length) => write!(f, "a layer's hash has {length} bytes; expected 32"),
            Self::OutsideFlash { memory, start, size, capacity } => write!(
                f,
                "a layer's region, {size:#x} bytes at {start:#x}, is outside the {} flash of {capacity:#x} bytes",
                match memory {
                    FlashMemory::Internal => "application's internal",
                    FlashMemory::External => "application's external",
                }
            ),
            Self::ImageStart(start) => {
                write!(
                    f,
                    "the application begins at {start:#x} of the internal flash; expected 0, for the vector table"
                )
            }
            Self::RegionsOverlap => write!(f, "two layers overlap in the external flash"),
            Self::LayerTooLong { length, size } => {
                write!(f, "a layer of {length} bytes does not fit its region of {size}")
            }
            Self::DebugKey(length) => write!(
                f,
                "its debugging key of {length} bytes is not an uncompressed point on P-256 ({} bytes)",
                limits::POINT
            ),
            Self::RestartOrder { minimum, maximum } => {
                write!(f, "its minimum restart pause, {minimum} ms, is longer than its maximum, {maximum} ms")
            }
            _ => Ok(()),
        }
    }

    fn of_signature(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => write!(f, "it is not signed, but a signer is required"),
            Self::WrongSigner { found, expected } => {
                write!(f, "it is signed with key {found:016x}; expected key {expected:016x}")
            }
            _ => write!(f, "its signature does not match the manifest"),
        }
    }
}

impl std::error::Error for BundleError {}
