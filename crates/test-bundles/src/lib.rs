//! Application bundles for tests: archives and manifests built by hand from the tables of their formats, so that
//! hostile ones can be built too.
//!
//! Terms are defined in `docs/glossary.md`.
#![forbid(unsafe_code)]

/// SHA-256, as ring computes it.
pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().to_vec()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// Bytes of the application's internal flash.
pub const FLASH: usize = 0x10_0000;

/// A protobuf field of wire type 2: bytes, or a message.
pub fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A protobuf field of wire type 0: a number.
pub fn number(number: u8, value: u64) -> Vec<u8> {
    [vec![number << 3], varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A layer of the manifest. `memory` is 1 for the internal flash and 2 for the external one.
#[derive(Clone)]
pub struct Layer {
    /// Which flash memory.
    pub memory: u8,
    /// Start of the region.
    pub start: u64,
    /// Size of the region.
    pub size: u64,
    /// The encryption key; 0 for none.
    pub key: u64,
    /// Hash of the bytes.
    pub fetch: Vec<u8>,
    /// Hash of the whole region.
    pub measured: Vec<u8>,
}

impl Layer {
    /// The application, with the right hashes.
    pub fn image(bytes: &[u8]) -> Self {
        Self::of(1, 0, FLASH, bytes)
    }

    /// A layer with the right hashes.
    pub fn of(memory: u8, start: u64, size: usize, bytes: &[u8]) -> Self {
        let mut padded = bytes.to_vec();
        padded.resize(size.max(bytes.len()), 0xFF);
        let (fetch, measured) = (sha256(bytes), sha256(&padded));
        Self { memory, start, size: size as u64, key: 0, fetch, measured }
    }

    fn encode(&self) -> Vec<u8> {
        let region = [number(1, self.start), number(2, self.size)].concat();
        let key = if self.key == 0 { Vec::new() } else { number(2, self.key) };
        field(
            1,
            &[field(1, &field(self.memory, &region)), key, field(3, &self.fetch), field(4, &self.measured)]
                .concat(),
        )
    }
}

/// A manifest that is not signed; `policies` are encoded fields of its body.
pub fn manifest(layers: &[Layer], policies: &[u8]) -> Vec<u8> {
    let layers: Vec<u8> = layers.iter().flat_map(Layer::encode).collect();
    field(2, &[&layers, policies].concat())
}

/// An entry of an archive, with all fields that a hostile one may set.
#[derive(Clone, Default)]
pub struct File {
    /// The name in the directory.
    pub name: Vec<u8>,
    /// The name in the local header, if it differs.
    pub own_name: Option<Vec<u8>>,
    /// The data as stored.
    pub data: Vec<u8>,
    /// The compression method.
    pub method: u16,
    /// The general purpose flags.
    pub flags: u16,
    /// The announced CRC-32 of the content.
    pub crc: u32,
    /// The announced length after decompression.
    pub length: u32,
    /// The offset in the directory, if it differs.
    pub offset: Option<u32>,
}

impl File {
    /// A valid entry, stored.
    pub fn stored(name: &str, data: &[u8]) -> Self {
        let (crc, length) = (crc32(data), data.len() as u32);
        Self { name: name.into(), data: data.to_vec(), crc, length, ..Self::default() }
    }

    /// A valid entry, deflated.
    pub fn deflated(name: &str, data: &[u8]) -> Self {
        let packed = miniz_oxide::deflate::compress_to_vec(data, 9);
        Self { data: packed, method: 8, ..Self::stored(name, data) }
    }

    /// A valid entry named by its content's hash.
    pub fn layer(data: &[u8]) -> Self {
        Self::stored(&hex(&sha256(data)), data)
    }
}

/// An archive of these entries: headers and data, the directory, its end.
pub fn zip(files: &[File]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for file in files {
        let offset = file.offset.unwrap_or(out.len() as u32);
        let own_name = file.own_name.as_ref().unwrap_or(&file.name);
        let common = |name: &[u8]| {
            let mut bytes = Vec::new();
            for half in [20, file.flags, file.method, 0, 0x21] {
                bytes.extend(half.to_le_bytes()); // version needed, flags, method, time, date
            }
            for word in [file.crc, file.data.len() as u32, file.length] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend(0u16.to_le_bytes()); // extra field
            bytes
        };
        out.extend(b"PK\x03\x04");
        out.extend(common(own_name));
        out.extend(own_name);
        out.extend(&file.data);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(common(&file.name));
        directory.extend([0; 10]); // comment, disk, attributes
        directory.extend(offset.to_le_bytes());
        directory.extend(&file.name);
    }
    let (start, length, count) = (out.len() as u32, directory.len() as u32, files.len() as u16);
    out.extend(directory);
    out.extend(b"PK\x05\x06\x00\x00\x00\x00");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0u16.to_le_bytes()); // comment
    out
}

/// The archive of an application and its manifest.
pub fn bundle(image: &[u8], policies: &[u8]) -> Vec<u8> {
    let manifest = manifest(&[Layer::image(image)], policies);
    zip(&[File::layer(image), File::stored("manifest", &manifest)])
}

/// CRC-32 as in zip, bit by bit.
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
        )
    })
}

/// A hostile archive: its name in this test, its bytes, and a part of the error.
pub type Hostile = (&'static str, Vec<u8>, &'static str);

/// All hostile archives.
pub fn hostile(image: &[u8]) -> Vec<Hostile> {
    let manifest = File::stored("manifest", &manifest(&[Layer::image(image)], &[]));
    let layer = File::layer(image);
    let [frames, names, contents, bombs] =
        [frames, names, contents, bombs].map(|kind| kind(&layer, &manifest));
    [frames, names, contents, bombs].concat()
}

/// Hostile structures of the archive.
fn frames(layer: &File, manifest: &File) -> Vec<Hostile> {
    let good = zip(&[layer.clone(), manifest.clone()]);
    let end = good.len() - 22;
    let mut zip64 = good[..end].to_vec();
    zip64.extend([b"PK\x06\x07".as_slice(), &[0; 16], &good[end..]].concat());
    let mut count = good.clone();
    count[end + 8..end + 12].copy_from_slice(&[0xFF; 4]);
    let many: Vec<File> =
        (0..2000).map(|n: u32| File::stored(&hex(&sha256(&n.to_le_bytes())), b"")).collect();
    vec![
        ("cut", good[..good.len() - 1].to_vec(), "cut short"),
        ("half", good[..good.len() / 2].to_vec(), "cut short"),
        ("trailing", [&good[..], b"more"].concat(), "before or after"),
        ("leading", [b"PK\x03\x04 leading", &good[..]].concat(), "before or after"),
        ("zip64", zip64, "64-bit"),
        ("count", count, "another number of entries"),
        ("many", zip(&many), "more than 17 entries"),
        ("overlap", nested(layer, manifest), "shares bytes"),
        (
            "same",
            zip(&[layer.clone(), File { offset: Some(0), ..layer.clone() }, manifest.clone()]),
            "shares bytes",
        ),
        ("no manifest", zip(std::slice::from_ref(layer)), "no entry `manifest`"),
        ("empty", zip(&[]), "no entry `manifest`"),
    ]
}

/// Hostile names of entries.
fn names(layer: &File, manifest: &File) -> Vec<Hostile> {
    let with = |file: File| zip(&[layer.clone(), manifest.clone(), file]);
    let mut upper = layer.clone();
    upper.name.make_ascii_uppercase();
    let two_names = File { own_name: Some(b"manifest".to_vec()), ..layer.clone() };
    vec![
        ("absolute", with(File::stored("/etc/passwd", b"x")), "\"/etc/passwd\" is neither"),
        ("parent", with(File::stored("../../x", b"x")), "\"../../x\" is neither"),
        ("backslash", with(File::stored("..\\x", b"x")), "is neither"),
        ("folder", with(File::stored("layers/", b"")), "is neither"),
        ("upper case", zip(&[upper, manifest.clone()]), "is neither"),
        ("escape", with(File::stored("\u{1b}[2J\nerror: no", b"x")), "\\u{1b}[2J\\nerror"),
        ("duplicate", with(manifest.clone()), "more than one entry \"manifest\""),
        ("two names", zip(&[two_names, manifest.clone()]), "has another name"),
        ("elsewhere", with(File { offset: Some(0), ..File::layer(b"other") }), "has another name"),
    ]
}

/// Hostile contents of entries.
fn contents(layer: &File, manifest: &File) -> Vec<Hostile> {
    let instead = |change: fn(&mut File)| {
        let mut changed = layer.clone();
        change(&mut changed);
        zip(&[changed, manifest.clone()])
    };
    let other_content = instead(|file| {
        file.data[9] ^= 1;
        file.crc = crc32(&file.data);
    });
    vec![
        ("encrypted", instead(|file| file.flags = 1), "is encrypted"),
        ("strongly encrypted", instead(|file| file.flags = 1 << 6), "is encrypted"),
        ("method", instead(|file| file.method = 12), "method 12"),
        ("checksum", instead(|file| file.crc ^= 1), "does not decompress"),
        ("length", instead(|file| file.length += 1), "does not decompress"),
        ("garbage", instead(|file| file.method = 8), "does not decompress"),
        ("content", other_content, "does not match its name"),
    ]
}

/// Entries that would exhaust memory.
fn bombs(layer: &File, manifest: &File) -> Vec<Hostile> {
    let zeros = vec![0; 32 << 20];
    let packed = miniz_oxide::deflate::compress_to_vec(&zeros, 6);
    let name = hex(&sha256(&zeros)).into();
    let bomb = File { name, data: packed, method: 8, length: zeros.len() as u32, ..File::default() };
    let liar = File { length: 100, crc: crc32(&zeros[..100]), ..bomb.clone() };
    let part = File::deflated("", &zeros[..FLASH]);
    let parts = (0..8u32).map(|n| File { name: hex(&sha256(&n.to_le_bytes())).into(), ..part.clone() });
    let together: Vec<File> = parts.chain([manifest.clone()]).collect();
    let large = File::stored("manifest", &vec![0; 70_000]);
    let with = |file: File| zip(&[layer.clone(), manifest.clone(), file]);
    vec![
        ("bomb", with(bomb), "33554432 bytes, more than"),
        ("lying bomb", with(liar), "does not decompress"),
        ("bombs", zip(&together), "bytes together, more than"),
        ("large manifest", zip(&[layer.clone(), large]), "70000 bytes, more than"),
    ]
}

/// An entry whose data is another entry, header and all, which the directory lists too.
fn nested(layer: &File, manifest: &File) -> Vec<u8> {
    let inner = zip(std::slice::from_ref(layer));
    let local = &inner[..30 + layer.name.len() + layer.data.len()];
    let outer = File::layer(local);
    let at = 30 + outer.name.len() as u32;
    // The second local copy of the layer is not used: the directory points into the first entry.
    zip(&[outer, File { offset: Some(at), ..layer.clone() }, manifest.clone()])
}
