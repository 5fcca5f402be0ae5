//! A bundle: a hostile archive, or a correct archive around a hostile manifest.

use std::fmt::Write as _;
use std::io::Write as _;

use bundle::{Bundle, Capacity, FlashMemory};

use crate::source::Source;

/// Small, so that regions soon reach its end.
const CAPACITY: Capacity = Capacity { internal_flash: 0x1000, external_flash: 0x2000 };

pub(crate) fn run(bytes: &[u8]) {
    match bytes {
        [b'P', b'K', ..] => check(bytes),
        _ => check(&archive_with(&mut Source::new(bytes))),
    }
}

/// An accepted bundle fits, and no two layers of the external flash overlap.
fn check(file: &[u8]) {
    let Ok(bundle) = Bundle::read(file, CAPACITY) else { return };
    assert!(bundle.image().region.start == 0 && bundle.image().bytes.len() <= 0x1000);
    let mut used = vec![false; CAPACITY.external_flash as usize];
    for layer in bundle.external() {
        assert_eq!(layer.region.memory, FlashMemory::External);
        let (start, size) = (layer.region.start as usize, layer.region.size as usize);
        assert!(layer.bytes.len() <= size);
        for byte in &mut used[start..start + size] {
            assert!(!std::mem::replace(byte, true), "two layers overlap");
        }
    }
}

/// An archive of a layer, whose length comes first, and the rest as the manifest.
fn archive_with(source: &mut Source<'_>) -> Vec<u8> {
    let layer = source.run();
    let digest = ring::digest::digest(&ring::digest::SHA256, layer);
    let mut name = String::new();
    digest.as_ref().iter().for_each(|byte| write!(name, "{byte:02x}").expect("memory"));
    let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
    for (name, content) in [(name.as_str(), layer), ("manifest", source.bytes(usize::MAX))] {
        let (mut entry, config) = archive.new_file(name).start().expect("an entry");
        let mut writer = config.wrap(&mut entry);
        writer.write_all(content).expect("memory");
        let (_, output) = writer.finish().expect("memory");
        entry.finish(output).expect("memory");
    }
    archive.finish().expect("memory")
}
