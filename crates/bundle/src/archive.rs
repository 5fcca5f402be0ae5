//! The zip archive: reading its entries, and writing it.
//!
//! Nothing is decompressed before everything in the directory has been checked against the limits. So no archive,
//! however it was made, takes more memory than the device has flash.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use rawzip::time::UtcDateTime;
use rawzip::{
    CompressionMethod, ZipArchive, ZipArchiveWriter, ZipFileHeaderRecord, ZipSliceArchive, ZipSliceEntry,
};

use crate::limits::{ENTRIES, LAYER_NAME, MANIFEST, MANIFEST_NAME};
use crate::{BundleError, Capacity, EntryName};

/// Length and first bytes of the zip64 end of central directory locator (APPNOTE 4.3.15).
const LOCATOR_64: usize = 20;
const LOCATOR_64_SIGNATURE: &[u8] = b"PK\x06\x07";

/// Contents by name.
pub(crate) type Entries = BTreeMap<String, Vec<u8>>;

/// An entry that has not been decompressed yet.
struct Packed<'a> {
    name: String,
    /// Offset of its local header.
    start: u64,
    entry: ZipSliceEntry<'a>,
    method: CompressionMethod,
    length: usize,
}

/// All entries of `file`. Each has the manifest's name or a layer's.
pub(crate) fn read(file: &[u8], capacity: Capacity) -> Result<Entries, BundleError> {
    let archive = ZipArchive::from_slice(file).map_err(|_| BundleError::NotZip)?;
    check_frame(file, &archive)?;
    let mut entries = Vec::new();
    for header in archive.entries() {
        let header = header.map_err(|_| BundleError::NotZip)?;
        // Counted while reading, because the number in the directory is a claim.
        if entries.len() == ENTRIES {
            return Err(BundleError::TooManyEntries);
        }
        entries.push(packed(&archive, &header, capacity)?);
    }
    if entries.len() as u64 != archive.entries_hint() {
        return Err(BundleError::EntryCount);
    }
    check_spans(&archive, &entries)?;
    check_contents(&entries, capacity)?;
    entries.iter().map(|packed| Ok((packed.name.clone(), unpacked(packed)?))).collect()
}

/// Checks that the archive ends with the file, and is not zip64.
fn check_frame(file: &[u8], archive: &ZipSliceArchive<&[u8]>) -> Result<(), BundleError> {
    // Bytes behind the archive belong to no entry and are in no hash; another reader might take them for the archive.
    if archive.end_offset() != file.len() as u64 {
        return Err(BundleError::ExtraBytes);
    }
    let before = &file[..archive.eocd_offset() as usize];
    let is_zip64 =
        before.len().checked_sub(LOCATOR_64).is_some_and(|at| before[at..].starts_with(LOCATOR_64_SIGNATURE));
    if is_zip64 { Err(BundleError::Zip64) } else { Ok(()) }
}

fn packed<'a>(
    archive: &'a ZipSliceArchive<&[u8]>,
    header: &ZipFileHeaderRecord<'_>,
    capacity: Capacity,
) -> Result<Packed<'a>, BundleError> {
    let shown = || EntryName::new(header.file_path().as_bytes());
    let name = name(header.file_path().as_bytes()).ok_or_else(|| BundleError::Name(shown()))?;
    // Nothing could decrypt it, and some readers ignore the flag.
    if header.flags().is_encrypted() || header.flags().has_strong_encryption() || header.flags().is_masked() {
        return Err(BundleError::Encrypted(shown()));
    }
    let method = header.compression_method();
    if method != CompressionMethod::STORE && method != CompressionMethod::DEFLATE {
        return Err(BundleError::Method(shown(), method.as_u16()));
    }
    let most = if name == MANIFEST_NAME {
        MANIFEST
    } else {
        capacity.internal_flash.max(capacity.external_flash).into()
    };
    // A claim, which limits what is decompressed below; the checksum then verifies it.
    let length = header.uncompressed_size_hint();
    if length > most {
        return Err(BundleError::TooLarge(shown(), length));
    }
    let entry = archive.get_entry(header.wayfinder()).map_err(|_| BundleError::NotZip)?;
    // Readers differ in which of the two names they believe.
    if entry.local_header().file_path().as_bytes() != name.as_bytes() {
        return Err(BundleError::NameMismatch(shown()));
    }
    Ok(Packed { name, start: header.local_header_offset(), entry, method, length: length as usize })
}

/// The name, if an entry may have it. Paths cannot occur, so nothing can be written outside a folder.
fn name(bytes: &[u8]) -> Option<String> {
    let is_layer = bytes.len() == LAYER_NAME
        && bytes.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
    let is_good = is_layer || bytes == MANIFEST_NAME.as_bytes();
    is_good.then(|| bytes.iter().map(|&byte| char::from(byte)).collect())
}

/// Checks that no two entries overlap, none extends into the directory, and nothing precedes the first. Overlapping
/// entries are how a small archive becomes a decompression bomb.
fn check_spans(archive: &ZipSliceArchive<&[u8]>, entries: &[Packed<'_>]) -> Result<(), BundleError> {
    let mut in_order: Vec<_> = entries.iter().collect();
    in_order.sort_by_key(|packed| packed.start);
    if in_order.first().is_some_and(|packed| packed.start != 0) {
        return Err(BundleError::ExtraBytes);
    }
    let mut end = 0;
    for packed in in_order {
        let (start, until) = (packed.start, packed.entry.compressed_data_range().1);
        if start < end || until > archive.directory_offset() {
            return Err(BundleError::Overlap(EntryName::new(packed.name.as_bytes())));
        }
        end = until;
    }
    Ok(())
}

/// Checks that no name is used twice, and that all contents together fit the device.
fn check_contents(entries: &[Packed<'_>], capacity: Capacity) -> Result<(), BundleError> {
    let mut names: Vec<_> = entries.iter().map(|packed| &packed.name).collect();
    names.sort();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(BundleError::Duplicate(EntryName::new(pair[0].as_bytes())));
    }
    let most = MANIFEST + u64::from(capacity.internal_flash) + u64::from(capacity.external_flash);
    // Each may be as large as a flash, but not all of them together.
    let all = entries.iter().map(|packed| packed.length as u64).sum();
    if all > most { Err(BundleError::TotalTooLarge(all)) } else { Ok(()) }
}

/// The decompressed content, with its length and checksum verified.
fn unpacked(packed: &Packed<'_>) -> Result<Vec<u8>, BundleError> {
    let damaged = || BundleError::Damaged(EntryName::new(packed.name.as_bytes()));
    let data = packed.entry.data();
    let bytes = if packed.method == CompressionMethod::STORE {
        data.to_vec()
    } else {
        miniz_oxide::inflate::decompress_to_vec_with_limit(data, packed.length).map_err(|_| damaged())?
    };
    let mut checked = Vec::with_capacity(bytes.len());
    let read = packed.entry.verifying_reader(bytes.as_slice()).read_to_end(&mut checked);
    read.map_err(|_| damaged())?;
    Ok(checked)
}

/// Compression level: the default of zip programs.
const LEVEL: u8 = 6;

/// The date of every entry, in seconds since 1970: 1980-01-01, the first that the format has. The current date would
/// give another file for the same application each time, and a date field of zero is month 0 and day 0, which some
/// readers reject.
const FIRST_DATE: i64 = 315_532_800;

/// An archive with these entries, in this order, deflated.
pub(crate) fn write(entries: &[(&str, &[u8])]) -> Vec<u8> {
    write_to_memory(entries).expect("writing to memory cannot fail")
}

fn write_to_memory(entries: &[(&str, &[u8])]) -> Result<Vec<u8>, rawzip::Error> {
    let mut archive = ZipArchiveWriter::new(Vec::new());
    for (name, bytes) in entries {
        let file = archive
            .new_file(*name)
            .compression_method(CompressionMethod::DEFLATE)
            .last_modified(UtcDateTime::from_unix(FIRST_DATE));
        let (mut entry, _) = file.start()?;
        entry.write_all(&miniz_oxide::deflate::compress_to_vec(bytes, LEVEL))?;
        let length = bytes.len() as u64;
        entry.finish(rawzip::DataDescriptorOutput::new(rawzip::crc32(bytes), length))?;
    }
    archive.finish()
}
