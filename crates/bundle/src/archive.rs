//! The archive: entries out of a file, and a file out of entries.
//!
//! Nothing is unpacked before everything the directory says was found to be within limits, so the most an archive can
//! make anybody spend is what the device has room for.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use rawzip::time::UtcDateTime;
use rawzip::{
    CompressionMethod, ZipArchive, ZipArchiveWriter, ZipFileHeaderRecord, ZipSliceArchive, ZipSliceEntry,
};

use crate::limits::{ENTRIES, LAYER_NAME, MANIFEST, MANIFEST_NAME};
use crate::{Entry, Refusal, Room};

/// Length of the record that announces a 64-bit directory, and its first bytes (APPNOTE 4.3.15).
const LOCATOR_64: usize = 20;
const LOCATOR_64_SIGNATURE: &[u8] = b"PK\x06\x07";

/// Contents by name.
pub(crate) type Entries = BTreeMap<String, Vec<u8>>;

/// What is packed, and where.
struct Packed<'a> {
    name: String,
    /// Where its header begins.
    start: u64,
    entry: ZipSliceEntry<'a>,
    method: CompressionMethod,
    length: usize,
}

/// All entries of `file`. Each is the manifest or named as a layer is.
pub(crate) fn read(file: &[u8], room: Room) -> Result<Entries, Refusal> {
    let archive = ZipArchive::from_slice(file).map_err(|_| Refusal::NotZip)?;
    check_frame(file, &archive)?;
    let mut entries = Vec::new();
    for header in archive.entries() {
        let header = header.map_err(|_| Refusal::NotZip)?;
        if entries.len() == ENTRIES {
            return Err(Refusal::TooManyEntries);
        }
        entries.push(packed(&archive, &header, room)?);
    }
    if entries.len() as u64 != archive.entries_hint() {
        return Err(Refusal::EntryCount);
    }
    check_spans(&archive, &entries)?;
    check_contents(&entries, room)?;
    entries.iter().map(|packed| Ok((packed.name.clone(), unpacked(packed)?))).collect()
}

/// The archive is all of the file, and of the plain kind.
fn check_frame(file: &[u8], archive: &ZipSliceArchive<&[u8]>) -> Result<(), Refusal> {
    if archive.end_offset() != file.len() as u64 {
        return Err(Refusal::Surplus);
    }
    let before = &file[..archive.eocd_offset() as usize];
    let is_zip64 =
        before.len().checked_sub(LOCATOR_64).is_some_and(|at| before[at..].starts_with(LOCATOR_64_SIGNATURE));
    if is_zip64 { Err(Refusal::Zip64) } else { Ok(()) }
}

fn packed<'a>(
    archive: &'a ZipSliceArchive<&[u8]>,
    header: &ZipFileHeaderRecord<'_>,
    room: Room,
) -> Result<Packed<'a>, Refusal> {
    let shown = || Entry::new(header.file_path().as_bytes());
    let name = name(header.file_path().as_bytes()).ok_or_else(|| Refusal::Name(shown()))?;
    if header.flags().is_encrypted() || header.flags().has_strong_encryption() || header.flags().is_masked() {
        return Err(Refusal::Encrypted(shown()));
    }
    let method = header.compression_method();
    if method != CompressionMethod::STORE && method != CompressionMethod::DEFLATE {
        return Err(Refusal::Method(shown(), method.as_u16()));
    }
    let most =
        if name == MANIFEST_NAME { MANIFEST } else { room.internal_flash.max(room.external_flash).into() };
    let length = header.uncompressed_size_hint();
    if length > most {
        return Err(Refusal::TooLarge(shown(), length));
    }
    let entry = archive.get_entry(header.wayfinder()).map_err(|_| Refusal::NotZip)?;
    if entry.local_header().file_path().as_bytes() != name.as_bytes() {
        return Err(Refusal::NamedTwice(shown()));
    }
    Ok(Packed { name, start: header.local_header_offset(), entry, method, length: length as usize })
}

/// The name, if it is one an entry may have: never a path.
fn name(bytes: &[u8]) -> Option<String> {
    let is_layer = bytes.len() == LAYER_NAME
        && bytes.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
    let is_good = is_layer || bytes == MANIFEST_NAME.as_bytes();
    is_good.then(|| bytes.iter().map(|&byte| char::from(byte)).collect())
}

/// No two entries share a byte, none reaches into the directory, and nothing stands before the first.
fn check_spans(archive: &ZipSliceArchive<&[u8]>, entries: &[Packed<'_>]) -> Result<(), Refusal> {
    let mut in_order: Vec<_> = entries.iter().collect();
    in_order.sort_by_key(|packed| packed.start);
    if in_order.first().is_some_and(|packed| packed.start != 0) {
        return Err(Refusal::Surplus);
    }
    let mut end = 0;
    for packed in in_order {
        let (start, until) = (packed.start, packed.entry.compressed_data_range().1);
        if start < end || until > archive.directory_offset() {
            return Err(Refusal::Overlap(Entry::new(packed.name.as_bytes())));
        }
        end = until;
    }
    Ok(())
}

/// No name comes twice, and all contents together fit the device.
fn check_contents(entries: &[Packed<'_>], room: Room) -> Result<(), Refusal> {
    let mut names: Vec<_> = entries.iter().map(|packed| &packed.name).collect();
    names.sort();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Refusal::Duplicate(Entry::new(pair[0].as_bytes())));
    }
    let most = MANIFEST + u64::from(room.internal_flash) + u64::from(room.external_flash);
    let all = entries.iter().map(|packed| packed.length as u64).sum();
    if all > most { Err(Refusal::TooLargeTogether(all)) } else { Ok(()) }
}

/// The content, which has the length and the checksum the directory says.
fn unpacked(packed: &Packed<'_>) -> Result<Vec<u8>, Refusal> {
    let damaged = || Refusal::Damaged(Entry::new(packed.name.as_bytes()));
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

/// How hard entries are packed: as zip programs do unless told otherwise.
const LEVEL: u8 = 6;

/// The date of every entry, in seconds since 1970: 1980-01-01, the first that the format has. Its date field left at
/// zero would be month 0 and day 0, which readers refuse or make something of; the present would make another file of
/// the same application.
const FIRST_DATE: i64 = 315_532_800;

/// An archive of these entries, in this order, deflated.
pub(crate) fn write(entries: &[(&str, &[u8])]) -> Vec<u8> {
    write_to_memory(entries).expect("memory takes what is written")
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
