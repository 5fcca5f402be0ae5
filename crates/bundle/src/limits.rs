//! The limits of a bundle. What exceeds them is an error before memory is allocated for it.

/// Name of the manifest's entry.
pub const MANIFEST_NAME: &str = "manifest";

/// Most bytes of a manifest: far more than [`LAYERS`] layers and all policies need.
pub const MANIFEST: u64 = 64 << 10;

/// Most layers: one for the internal flash, the rest for the external one.
pub const LAYERS: usize = 16;

/// Most entries of an archive: the layers and the manifest.
pub const ENTRIES: usize = LAYERS + 1;

/// Length of a layer's name: a SHA-256 in hexadecimal.
pub const LAYER_NAME: usize = 64;

/// Length of an uncompressed point on P-256: 0x04, X, Y.
pub const POINT: usize = 65;

/// Length of a signature: r and s of 32 bytes each, big-endian.
pub const SIGNATURE: usize = 64;
