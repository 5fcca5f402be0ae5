//! Loads the application and the keys named on the command line.

use std::path::Path;

use bundle::{KeyError, PublicKey, SigningKey};
use device::application::Application;

use crate::output::event::Event;
use crate::output::exit::Failure;

/// Loads the application from the file `image`; with `signer`, only from a bundle signed with the key in that file.
pub(crate) fn load(image: &Path, signer: Option<&Path>) -> Result<Application, Failure> {
    let signer = signer.map(|path| public_key("--signer", path)).transpose()?;
    Ok(Application::load(image, signer.as_ref())?)
}

/// The bundle's signature, if there is one.
pub(crate) fn signature(application: &Application, verified: bool) -> Option<Event> {
    application.signer_id.map(|key| Event::BundleSigned { signer_id: format!("{key:016x}"), verified })
}

/// Reads the public key in the file that `option` names.
pub(crate) fn public_key(option: &str, path: &Path) -> Result<PublicKey, Failure> {
    PublicKey::from_pem(&read_key_file(option, path)?).map_err(|error| invalid_key(option, path, error))
}

/// Reads the private key in the file that `option` names.
pub(crate) fn signing_key(option: &str, path: &Path) -> Result<SigningKey, Failure> {
    SigningKey::from_pem(&read_key_file(option, path)?).map_err(|error| invalid_key(option, path, error))
}

fn read_key_file(option: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::bad_input(format!("{option}: cannot read {}: {error}", path.display()));
    std::fs::read(path).map_err(unreadable)
}

fn invalid_key(option: &str, path: &Path, error: KeyError) -> Failure {
    Failure::bad_input(format!("{option}: {} {error}", path.display()))
}
