//! Application bundles: archives with an application for a device, and policies for it.
//!
//! A bundle is a zip archive. The entry `manifest` is a protobuf message that lists the layers with their region in
//! flash, and contains the policies. Every other entry is a layer, named by the SHA-256 of its content.
//!
//! Bundles come from outside, so reading them trusts nothing: everything has a limit ([`limits`]), every hash is
//! checked, and what is not supported is an error with a reason ([`BundleError`]). Nothing here does I/O.
//!
//! Terms are defined in `docs/glossary.md`.

mod archive;
mod error;
mod hash;
pub mod limits;
mod manifest;
mod policies;
mod signature;
mod wire;

pub use error::{BundleError, EntryName};
pub use policies::{ConnectivityPolicy, CrashPolicy, DebugPolicy, Policies, UpdatePolicy};
pub use signature::{KeyError, PublicKey, SigningKey};

/// A device's memory for layers, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// The application's part of the internal flash.
    pub internal_flash: u32,
    /// The application's part of the external flash.
    pub external_flash: u32,
}

/// The memory of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlashMemory {
    /// The application's part of the internal flash; the layer begins with the vector table.
    Internal,
    /// The application's part of the external flash.
    External,
}

/// The part of flash that a layer is written to. What the layer does not fill is erased (0xFF).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// The memory.
    pub memory: FlashMemory,
    /// The region's start, in bytes from the start of that memory.
    pub start: u32,
    /// Its length in bytes.
    pub size: u32,
}

/// A layer, whose hashes have been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Where it is written to.
    pub region: Region,
    /// Its content, no longer than the region.
    pub bytes: Vec<u8>,
}

impl Layer {
    /// SHA-256 of the content, which is also the entry's name in hexadecimal.
    pub fn fetch_hash(&self) -> [u8; 32] {
        hash::sha256(&self.bytes)
    }

    /// SHA-256 of the region with the layer in it.
    pub fn measurement_hash(&self) -> [u8; 32] {
        hash::padded(&self.bytes, self.region.size)
    }
}

/// A valid bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    image: Layer,
    external: Vec<Layer>,
    policies: Policies,
    signed_body: signature::SignedBody,
    manifest: Vec<u8>,
    manifest_hash: [u8; 32],
}

impl Bundle {
    /// Whether a file begins with the signature of a zip archive.
    pub fn has_zip_signature(file: &[u8]) -> bool {
        file.starts_with(b"PK\x03\x04") || file.starts_with(b"PK\x05\x06")
    }

    /// Reads and checks the bundle in `file`, the whole content of an archive. The signature is not checked here,
    /// because that needs a key: see [`Bundle::verify`].
    ///
    /// # Errors
    /// [`BundleError`] for the first rule of D151 or D152, or of the archive, that it breaks.
    pub fn read(file: &[u8], capacity: Capacity) -> Result<Self, BundleError> {
        let entries = archive::read(file, capacity)?;
        manifest::read(&entries, capacity)
    }

    /// Writes a bundle with one layer, the image at the start of the internal flash, signed if there is a key.
    ///
    /// # Errors
    /// [`BundleError`]: what [`Bundle::read`] would find wrong in it.
    pub fn write(
        image: &[u8],
        policies: &Policies,
        capacity: Capacity,
        key: Option<&SigningKey>,
    ) -> Result<Vec<u8>, BundleError> {
        let region = Region { memory: FlashMemory::Internal, start: 0, size: capacity.internal_flash };
        let layer = Layer { region, bytes: image.to_vec() };
        let manifest = manifest::write(&[&layer], policies, key);
        let file =
            archive::write(&[(&hash::hex(&layer.fetch_hash()), image), (limits::MANIFEST_NAME, &manifest)]);
        // An image or policies that a device would not accept are an error now, not on the device.
        Self::read(&file, capacity).map(|_| file)
    }

    /// The layer for the internal flash: the application itself.
    pub fn image(&self) -> &Layer {
        &self.image
    }

    /// The layers for the external flash, which do not overlap.
    pub fn external(&self) -> &[Layer] {
        &self.external
    }

    /// The policies for the device.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The id of the key it is signed with; none if it is not signed. Only [`Bundle::verify`] shows that this is true.
    pub fn signer_id(&self) -> Option<u64> {
        self.signed_body.signer_id()
    }

    /// The manifest's bytes in the archive, which a signature covers in part.
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// SHA-256 of the manifest's bytes in the archive.
    pub fn manifest_hash(&self) -> [u8; 32] {
        self.manifest_hash
    }

    /// Checks that the bundle is signed with the private half of `key`.
    ///
    /// # Errors
    /// [`BundleError`]: it is not signed, or by another key.
    pub fn verify(&self, key: &PublicKey) -> Result<(), BundleError> {
        self.signed_body.verify(key)
    }
}
