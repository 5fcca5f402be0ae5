//! An application as it was handed over: an image alone, or a bundle, which also says how the device is to behave.

use std::path::Path;

use bundle::{Bundle, Capacity, Layer, Policies, PublicKey};
use kernel::Policy;

use crate::image::{Image, ImageError, LoadError, MAX_IMAGE, read_file};
use crate::machine::RestartPolicy;
use crate::storage;

/// What a device has room for.
pub const CAPACITY: Capacity = Capacity { internal_flash: MAX_IMAGE as u32, external_flash: storage::SIZE };

/// An application, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// What runs.
    pub image: Image,
    /// What its bundle says of the network: how often it checks in while it is offline on purpose (N16), and for how
    /// long a link that is released stays up (D24).
    pub policy: Policy,
    /// How soon it restarts after a fault, as its bundle says: the pause doubles with each fault, since each of them
    /// sends a report to the cloud (D73).
    pub restart: RestartPolicy,
    /// What its bundle has for the external flash.
    pub layers: Vec<Layer>,
    /// The id of the key its bundle is signed with; a claim unless a signer was named.
    pub signer_id: Option<u64>,
}

impl From<Image> for Application {
    /// An image alone: everything else is as in a bundle that says nothing.
    fn from(image: Image) -> Self {
        Self {
            image,
            policy: Policy::default(),
            restart: RestartPolicy::default(),
            layers: Vec::new(),
            signer_id: None,
        }
    }
}

impl Application {
    /// Reads and checks what is in the file at `path`. When there is a `signer`, only a bundle signed with its private
    /// half will do.
    ///
    /// # Errors
    /// [`LoadError`] with the path: the file cannot be read, or what [`Application::parse`] finds wrong in it.
    pub fn load(path: &Path, signer: Option<&PublicKey>) -> Result<Self, LoadError> {
        let parsed = read_file(path).and_then(|file| Self::parse(&file, signer));
        parsed.map_err(|cause| LoadError { path: path.to_owned(), cause })
    }

    /// Checks what is in `file`, the whole content of a bundle, an ELF file or a raw binary.
    ///
    /// # Errors
    /// [`ImageError`]: with a `signer`, anything but a bundle that it signed; otherwise no bundle or image that a
    /// device accepts (D151, D152, D211).
    pub fn parse(file: &[u8], signer: Option<&PublicKey>) -> Result<Self, ImageError> {
        if Bundle::has_zip_signature(file) {
            return of_bundle(file, signer);
        }
        match signer {
            Some(_) => Err(ImageError::NotSigned),
            None => Image::parse(file).map(Self::from),
        }
    }
}

fn of_bundle(file: &[u8], signer: Option<&PublicKey>) -> Result<Application, ImageError> {
    let refused = |why| ImageError::Refused(Box::new(why));
    let bundle = Bundle::read(file, CAPACITY).map_err(refused)?;
    signer.map_or(Ok(()), |key| bundle.verify(key)).map_err(refused)?;
    let image = Image::raw(&bundle.image().bytes).map_err(|why| ImageError::InBundle(Box::new(why)))?;
    let connectivity = bundle.policies().connectivity;
    Ok(Application {
        image,
        policy: Policy {
            minimum_check_in_time_sec: connectivity.minimum_check_in_time_sec,
            connection_grace_time_sec: connectivity.connection_grace_time_sec,
        },
        restart: restart(bundle.policies()),
        layers: bundle.external().to_vec(),
        signer_id: bundle.signer_id(),
    })
}

/// The pauses the bundle says; where it says none, the default, as far as that agrees with what it does say.
fn restart(policies: &Policies) -> RestartPolicy {
    let default = RestartPolicy::default();
    let (minimum, maximum) = (policies.crash.minimum_restart_ms, policies.crash.maximum_restart_ms);
    let (minimum, maximum) = (u64::from(minimum), u64::from(maximum));
    match (minimum, maximum) {
        (0, 0) => default,
        (0, maximum_ms) => RestartPolicy { minimum_ms: default.minimum_ms.min(maximum_ms), maximum_ms },
        (minimum_ms, 0) => RestartPolicy { minimum_ms, maximum_ms: default.maximum_ms.max(minimum_ms) },
        (minimum_ms, maximum_ms) => RestartPolicy { minimum_ms, maximum_ms },
    }
}

#[cfg(test)]
mod tests;
