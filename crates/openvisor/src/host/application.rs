//! The application that was named on the command line, and the keys that were.

use std::path::Path;

use bundle::{KeyError, PublicKey, SigningKey};
use device::application::Application;

use crate::output::error_text;
use crate::output::exit::Failure;

/// The application in the file at `image`; only a bundle signed with the key in the file `signer`, if one is named.
pub(crate) fn load(image: &Path, signer: Option<&Path>) -> Result<Application, Failure> {
    let signer = signer.map(|path| public_key("--signer", path)).transpose()?;
    Application::load(image, signer.as_ref()).map_err(|error| error_text::of_image(&error))
}

/// What is to be said of a bundle's signature: nothing if there is none.
pub(crate) fn of_signature(application: &Application, was_checked: bool) -> Option<String> {
    let how = if was_checked { "checked" } else { "not checked, because no --signer was named" };
    application.signer_id.map(|key| format!("bundle signed with key {key:016x}, {how}"))
}

/// The public key in the file that `option` names.
pub(crate) fn public_key(option: &str, path: &Path) -> Result<PublicKey, Failure> {
    PublicKey::from_pem(&key_file(option, path)?).map_err(|error| of_key(option, path, error))
}

/// The private key in the file that `option` names.
pub(crate) fn signing_key(option: &str, path: &Path) -> Result<SigningKey, Failure> {
    SigningKey::from_pem(&key_file(option, path)?).map_err(|error| of_key(option, path, error))
}

fn key_file(option: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable =
        |error| Failure::bad_input(format!("{option}: {} cannot be read: {error}", path.display()));
    std::fs::read(path).map_err(unreadable)
}

fn of_key(option: &str, path: &Path, error: KeyError) -> Failure {
    Failure::bad_input(format!("{option}: {} {error}", path.display()))
}
