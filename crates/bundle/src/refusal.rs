//! Why a file is no bundle this project takes, in one line each.

use std::fmt;

use crate::Place;
use crate::limits;

/// Most characters of an entry's name that are shown.
const SHOWN: usize = 80;

/// The name of an archive's entry, as it may be shown: cut if it is long, nothing in it that a terminal would obey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry(String);

impl Entry {
    /// The entry called `name`, whatever bytes that is.
    pub fn new(name: &[u8]) -> Self {
        let text: String = String::from_utf8_lossy(name).escape_debug().collect();
        let cut = text.char_indices().nth(SHOWN).map(|(at, _)| format!("{}…", &text[..at]));
        Self(cut.unwrap_or(text))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// Why a file is refused as a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The archive's directory cannot be read.
    NotZip,
    /// Bytes before the first entry or after the end of the archive.
    Surplus,
    /// The archive has a 64-bit directory, which no bundle needs.
    Zip64,
    /// More entries than [`limits::ENTRIES`].
    TooManyEntries,
    /// The directory holds another number of entries than it says.
    EntryCount,
    /// An entry that is neither the manifest nor named as a layer is.
    Name(Entry),
    /// The directory and the entry itself name it differently.
    NamedTwice(Entry),
    /// Two entries of the same name.
    Duplicate(Entry),
    /// Entries share bytes of the archive.
    Overlap(Entry),
    /// An encrypted entry.
    Encrypted(Entry),
    /// An entry neither stored nor deflated; the method's number.
    Method(Entry, u16),
    /// An entry of more bytes than the device has room for.
    TooLarge(Entry, u64),
    /// Entries of more bytes together than the device has room for.
    TooLargeTogether(u64),
    /// An entry that cannot be unpacked, or unpacks to another length or checksum than it says.
    Damaged(Entry),
    /// No manifest.
    NoManifest,
    /// The manifest is no message of the expected kind.
    Manifest(String),
    /// The manifest says nothing that is signed.
    NoBody,
    /// A signature that is not 64 bytes long, or one without a signer.
    Signature,
    /// Another number of layers than one for the internal flash and the rest for the external one.
    ImageLayers(usize),
    /// More layers than [`limits::LAYERS`].
    TooManyLayers,
    /// A layer without a place.
    NoPlace,
    /// A layer that is encrypted; the key's id.
    EncryptedLayer(u64),
    /// A hash that is not 32 bytes long.
    HashLength(usize),
    /// A layer whose file is not in the archive.
    MissingLayer(Entry),
    /// A file that no layer needs.
    UnusedLayer(Entry),
    /// A file whose content has not the hash that is its name.
    FetchHash(Entry),
    /// A region whose content has not the hash the manifest says.
    MeasurementHash(Entry),
    /// A region outside the device's flash.
    OutsideFlash {
        /// Which memory.
        place: Place,
        /// Its start.
        start: u32,
        /// Its length.
        size: u32,
        /// Bytes that memory has.
        room: u32,
    },
    /// An image that does not begin where the vector table is looked for.
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
    /// A public key that is no point on P-256.
    DebugKey(usize),
    /// The shortest pause is longer than the longest.
    RestartOrder {
        /// The shortest, in milliseconds.
        minimum: u32,
        /// The longest, in milliseconds.
        maximum: u32,
    },
    /// It is to be signed, and is not.
    Unsigned,
    /// It is signed with another key.
    OtherSigner {
        /// The id it names.
        found: u64,
        /// The id of the key it was to be signed with.
        expected: u64,
    },
    /// The signature is wrong: the manifest was changed after it was signed.
    BadSignature,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no bundle that can be used: ")?;
        match self {
            Self::NoManifest
            | Self::Manifest(_)
            | Self::NoBody
            | Self::Signature
            | Self::ImageLayers(_)
            | Self::TooManyLayers
            | Self::NoPlace
            | Self::EncryptedLayer(_)
            | Self::HashLength(_)
            | Self::OutsideFlash { .. }
            | Self::ImageStart(_)
            | Self::RegionsOverlap
            | Self::LayerTooLong { .. }
            | Self::DebugKey(_)
            | Self::RestartOrder { .. } => self.of_manifest(f),
            Self::Unsigned | Self::OtherSigner { .. } | Self::BadSignature => self.of_signature(f),
            _ => self.of_archive(f),
        }
    }
}

impl Refusal {
    fn of_archive(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotZip => write!(f, "the zip archive is cut short or damaged"),
            Self::Surplus => write!(f, "there are bytes before or after the zip archive"),
            Self::Zip64 => write!(f, "its directory is of the 64-bit kind, which no bundle needs"),
            Self::TooManyEntries => write!(f, "it has more than {} entries", limits::ENTRIES),
            Self::EntryCount => write!(f, "its directory says another number of entries than it has"),
            Self::Name(name) => {
                write!(
                    f,
                    "the entry {name} is neither `manifest` nor named by a SHA-256 in lowercase hexadecimal"
                )
            }
            Self::NamedTwice(name) => write!(f, "the entry {name} is called otherwise in the directory"),
            Self::Duplicate(name) => write!(f, "it has more than one entry {name}"),
            Self::Overlap(name) => write!(f, "the entry {name} shares bytes with another"),
            Self::Encrypted(name) => write!(f, "the entry {name} is encrypted"),
            Self::Method(name, method) => {
                write!(
                    f,
                    "the entry {name} is packed by method {method}; expected 0 (stored) or 8 (deflated)"
                )
            }
            Self::TooLarge(name, size) => {
                write!(f, "the entry {name} says it has {size} bytes, more than there is room for")
            }
            Self::TooLargeTogether(size) => {
                write!(f, "its entries say they have {size} bytes together, more than there is room for")
            }
            Self::Damaged(name) => {
                write!(f, "the entry {name} does not unpack to the length and checksum it says")
            }
            Self::MissingLayer(name) => {
                write!(f, "the layer {name} of its manifest is not in the archive")
            }
            Self::UnusedLayer(name) => write!(f, "its manifest has no layer {name}"),
            Self::FetchHash(name) => write!(f, "the content of {name} has another SHA-256 than its name"),
            Self::MeasurementHash(name) => {
                write!(f, "the layer {name} in its region has another SHA-256 than the manifest says")
            }
            _ => Ok(()),
        }
    }

    fn of_manifest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoManifest => write!(f, "it has no entry `manifest`"),
            Self::Manifest(why) => write!(f, "its manifest cannot be read: {why}"),
            Self::NoBody => write!(f, "its manifest is empty"),
            Self::Signature => write!(f, "its signature is incomplete"),
            Self::ImageLayers(found) => {
                write!(f, "it has {found} layers for the internal flash; expected one, the application")
            }
            Self::TooManyLayers => write!(f, "it has more than {} layers", limits::LAYERS),
            Self::NoPlace => write!(f, "a layer does not say where it belongs"),
            Self::EncryptedLayer(key) => {
                write!(f, "a layer is encrypted with key {key:016x}, which nobody has here")
            }
            Self::HashLength(length) => write!(f, "a layer's hash has {length} bytes; expected 32"),
            Self::OutsideFlash { place, start, size, room } => write!(
                f,
                "a layer's region, {size:#x} bytes at {start:#x}, is outside the {} flash of {room:#x} bytes",
                match place {
                    Place::InternalFlash => "application's internal",
                    Place::ExternalFlash => "application's external",
                }
            ),
            Self::ImageStart(start) => {
                write!(
                    f,
                    "the application begins at {start:#x} of its flash; expected 0, where the vector table is"
                )
            }
            Self::RegionsOverlap => write!(f, "two layers share a part of the external flash"),
            Self::LayerTooLong { length, size } => {
                write!(f, "a layer of {length} bytes does not fit its region of {size}")
            }
            Self::DebugKey(length) => write!(
                f,
                "its debugging key of {length} bytes is no uncompressed point on P-256 ({} bytes)",
                limits::POINT
            ),
            Self::RestartOrder { minimum, maximum } => {
                write!(
                    f,
                    "its shortest pause after a crash, {minimum} ms, is longer than its longest, {maximum} ms"
                )
            }
            _ => Ok(()),
        }
    }

    fn of_signature(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => write!(f, "it is not signed, and a signer was named"),
            Self::OtherSigner { found, expected } => {
                write!(f, "it is signed with key {found:016x}, not with {expected:016x}, which was named")
            }
            _ => write!(f, "its signature is wrong: the manifest is not the one that was signed"),
        }
    }
}

impl std::error::Error for Refusal {}
