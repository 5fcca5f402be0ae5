//! What the other rooms' errors mean to a user: which exit code, and what to do.

use std::path::Path;

use cloud::data::DataError;
use cloud::destinations::{Destinations, Range};
use cloud::store::StoreError;
use cloud::{ProvisionError, StartError};
use device::identity::IdentityError;
use device::image::LoadError;

use crate::exit::Failure;

/// A cloud that does not start.
pub fn of_start(error: StartError) -> Failure {
    match error {
        StartError::AddressInUse(_) => {
            Failure::environment(error.to_string()).hint("choose another port, or port 0 for any free one")
        }
        StartError::Listen(..) => Failure::environment(error.to_string()),
        StartError::Data(error) => of_data(&error),
        StartError::Store(error) => of_store(error),
        StartError::Authority(_) | StartError::ExtraAuthority(_) => Failure::bad_input(error.to_string()),
    }
}

/// A device that is not made.
pub fn of_provision(error: ProvisionError) -> Failure {
    match error {
        ProvisionError::Data(error) => of_data(&error),
        ProvisionError::Store(error) => of_store(error),
    }
}

/// A data folder that cannot be used.
pub fn of_data(error: &DataError) -> Failure {
    let failure = Failure::environment(error.to_string());
    match error {
        DataError::InUse(_) => failure.hint("stop the other one, or name another folder"),
        DataError::OtherFormat { .. } => {
            failure.hint("use the openvisor that made it, or name another folder")
        }
        DataError::Missing(folder) => of_missing(folder),
        _ => failure,
    }
}

/// A folder where no cloud keeps its data, though one was named.
fn of_missing(folder: &Path) -> Failure {
    let inner = folder.join("cloud");
    let failure = Failure::bad_input(format!("--data {}: this is no cloud's data folder", folder.display()));
    if inner.join("VERSION").exists() {
        return failure
            .hint(format!("the cloud of `run` or `demo` is one deeper: --data {}", inner.display()));
    }
    failure.hint("name the folder that was given to `openvisor cloud --data`")
}

/// A store that refuses.
pub fn of_store(error: StoreError) -> Failure {
    match error {
        StoreError::Data(error) => of_data(&error),
        StoreError::Key
        | StoreError::Value
        | StoreError::Name
        | StoreError::NameTaken(_)
        | StoreError::AccountName
        | StoreError::AccountNameTaken(_)
        | StoreError::NoAccount(_) => Failure::bad_input(error.to_string()),
        StoreError::AccountInUse(_) => Failure::not_happened(error.to_string()),
        _ => Failure::environment(error.to_string()),
    }
}

/// A file that is no application image.
pub fn of_image(error: &LoadError) -> Failure {
    Failure::bad_input(error.to_string())
        .hint("an application image is an ELF file for a Cortex-M33 (.elf), or the bytes of its flash (.bin)")
}

/// A folder that is no device's.
pub fn of_identity(folder: &Path, error: &IdentityError) -> Failure {
    let folder = folder.display();
    Failure::bad_input(format!("{folder} holds no usable device: {error}"))
        .hint(format!("make one with: openvisor provision --data CLOUD-FOLDER --out {folder}"))
}

/// `base` and the ranges of `--allow`.
pub fn allowing(base: Destinations, ranges: &[String]) -> Result<Destinations, Failure> {
    ranges.iter().try_fold(base, |destinations, text| {
        let range: Range = text.parse().map_err(|error| Failure::bad_input(format!("--allow: {error}")))?;
        Ok(destinations.allow(range))
    })
}
