//! What a bundle may have at most. Whatever is beyond is refused before memory is spent on it.

/// The manifest's name.
pub const MANIFEST_NAME: &str = "manifest";

/// Most bytes of a manifest.
pub const MANIFEST: u64 = 64 << 10;

/// Most layers: one for the internal flash, the rest for the external one.
pub const LAYERS: usize = 16;

/// Most entries of an archive: the layers and the manifest.
pub const ENTRIES: usize = LAYERS + 1;

/// Bytes of an application's name for its layers: a SHA-256 in hexadecimal.
pub const LAYER_NAME: usize = 64;

/// An uncompressed point on P-256: 0x04, X, Y.
pub const POINT: usize = 65;

/// A signature: r and s of 32 bytes each, big-endian.
pub const SIGNATURE: usize = 64;
