//! Application bundles: the archives in which applications travel to devices.
//!
//! A bundle is a zip archive. The entry `manifest` is a protobuf message that says which layers there are, where they
//! belong, and how the device is to behave; every other entry is a layer, and its name is the SHA-256 of its content.
//!
//! Reading trusts nothing: everything has a limit ([`limits`]), every hash is checked, and what is not understood is
//! refused with a reason ([`Refusal`]). Nothing here does I/O.
//!
//! Terms are defined in `docs/glossary.md`.

mod archive;
mod hash;
pub mod limits;
mod manifest;
mod policies;
mod refusal;
mod signature;
mod wire;

pub use policies::{Connectivity, Crash, Debug, Policies, Update};
pub use refusal::{Entry, Refusal};
pub use signature::{KeyError, PublicKey, SigningKey};

/// How much room a device has for layers, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The application's part of the internal flash.
    pub internal_flash: u32,
    /// The application's part of the external flash.
    pub external_flash: u32,
}

/// Which memory a layer belongs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The application's part of the internal flash; the layer begins with the vector table.
    InternalFlash,
    /// The application's part of the external flash.
    ExternalFlash,
}

/// Where a layer belongs. What it does not fill is erased (0xFF).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Which memory.
    pub place: Place,
    /// Where the region begins, in bytes from the start of that memory.
    pub start: u32,
    /// Its length in bytes.
    pub size: u32,
}

/// A layer whose content is what the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Where it belongs.
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

/// A bundle that was read and holds together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    image: Layer,
    external: Vec<Layer>,
    policies: Policies,
    seal: signature::Seal,
    manifest_hash: [u8; 32],
}

impl Bundle {
    /// Whether a file begins as a zip archive does.
    pub fn is_likely(file: &[u8]) -> bool {
        file.starts_with(b"PK\x03\x04") || file.starts_with(b"PK\x05\x06")
    }

    /// Reads and checks the bundle in `file`, the whole content of an archive. A signature is not judged here
    /// ([`Bundle::verify`]).
    pub fn read(file: &[u8], room: Room) -> Result<Self, Refusal> {
        let entries = archive::read(file, room)?;
        manifest::read(&entries, room)
    }

    /// Writes a bundle of one layer, the image as it lies in `room.internal_flash`, signed if there is a key.
    pub fn write(
        image: &[u8],
        policies: &Policies,
        room: Room,
        key: Option<&SigningKey>,
    ) -> Result<Vec<u8>, Refusal> {
        let region = Region { place: Place::InternalFlash, start: 0, size: room.internal_flash };
        let layer = Layer { region, bytes: image.to_vec() };
        let manifest = manifest::write(&[&layer], policies, key);
        let file =
            archive::write(&[(&hash::hex(&layer.fetch_hash()), image), (limits::MANIFEST_NAME, &manifest)]);
        // What nobody could read is not written.
        Self::read(&file, room).map(|_| file)
    }

    /// The layer of the internal flash: the application itself.
    pub fn image(&self) -> &Layer {
        &self.image
    }

    /// The layers of the external flash, which do not overlap.
    pub fn external(&self) -> &[Layer] {
        &self.external
    }

    /// How the device is to behave.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The id of the key it is signed with; none if it is not signed. It is a claim until [`Bundle::verify`].
    pub fn signer_id(&self) -> Option<u64> {
        self.seal.signer_id()
    }

    /// SHA-256 of the manifest as it stands in the archive.
    pub fn manifest_hash(&self) -> [u8; 32] {
        self.manifest_hash
    }

    /// Checks that the bundle is signed with the private half of `key`.
    pub fn verify(&self, key: &PublicKey) -> Result<(), Refusal> {
        self.seal.verify(key)
    }
}
