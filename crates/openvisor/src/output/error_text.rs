//! What the other rooms' errors mean to a user: which exit code, and what to do.

use std::path::Path;

use cloud::data::DataError;
use cloud::destinations::{Destinations, Range};
use cloud::store::StoreError;
use cloud::{FileError, ProvisionError, StartError};
use device::identity::IdentityError;
use device::image::{ImageError, LoadError};

use crate::output::exit::Failure;

/// A cloud that does not start.
pub(crate) fn of_start(error: StartError) -> Failure {
    match error {
        StartError::AddressInUse(_) => {
            Failure::environment(error.to_string()).hint("choose another port, or port 0 for any free one")
        }
        StartError::Listen(..) => Failure::environment(error.to_string()),
        StartError::Data(error) => of_data(&error),
        StartError::Store(error) => of_store(error),
        StartError::Authority(_) | StartError::ExtraAuthority(_) | StartError::NoAccount(_) => {
            Failure::bad_input(error.to_string())
        }
    }
}

/// A device that is not made.
pub(crate) fn of_provision(error: ProvisionError) -> Failure {
    match error {
        ProvisionError::Data(error) => of_data(&error),
        ProvisionError::Store(error) => of_store(error),
    }
}

/// A data folder that cannot be used.
pub(crate) fn of_data(error: &DataError) -> Failure {
    let failure = Failure::environment(error.to_string());
    match error {
        DataError::InUse(_) => failure.hint("stop the other one, or name another folder"),
        DataError::OtherFormat { .. } => {
            failure.hint("use the openvisor that made it, or name another folder")
        }
        DataError::Missing(folder) => of_missing(folder),
        DataError::ExposedFolder(folder) => failure.hint(format!("chmod 700 {}", folder.display())),
        DataError::File(FileError::Exposed(file)) => failure.hint(format!("chmod 600 {}", file.display())),
        DataError::DatabaseMissing(_) | DataError::DatabaseEmpty(_) | DataError::Incomplete(_) => failure.hint(
            "restore all of the data folder from a backup, or name another folder to begin anew without these devices",
        ),
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
pub(crate) fn of_store(error: StoreError) -> Failure {
    match error {
        StoreError::Data(error) => of_data(&error),
        StoreError::InvalidKey
        | StoreError::ValueTooLong
        | StoreError::InvalidName
        | StoreError::NameTaken(_)
        | StoreError::InvalidAccountName
        | StoreError::AccountNameTaken(_)
        | StoreError::NoAccount(_) => Failure::bad_input(error.to_string()),
        StoreError::AccountInUse(_) => Failure::not_happened(error.to_string()),
        error => Failure::environment(error.to_string()).hint_maybe(store_hint(&error)),
    }
}

/// What to do about a database that cannot be used.
fn store_hint(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::Unreachable { .. } => Some("is it running, and may this machine connect to it?"),
        StoreError::Refused { .. } => Some(
            "make the user and the database with createuser and createdb; if the password has changed, start `openvisor cloud` once with the new URL",
        ),
        StoreError::Newer { .. } => Some("use that newer Openvisor, or name another database"),
        StoreError::InUse(_) => Some("stop the other cloud, or name another database"),
        StoreError::SecretKey(_) => {
            Some("use the data folder this database was made with, or name an empty database")
        }
        StoreError::Elsewhere { .. } => {
            Some("leave --store and OPENVISOR_STORE out to use them, or name a new data folder to begin anew")
        }
        _ => None,
    }
}

/// A file that is no application. What is wrong with a bundle speaks for itself.
pub(crate) fn of_image(error: &LoadError) -> Failure {
    let failure = Failure::bad_input(error.to_string());
    if let ImageError::Refused(_) | ImageError::InBundle(_) | ImageError::NotSigned = error.cause {
        return failure;
    }
    failure.hint(
        "an application is an ELF file for a Cortex-M33 (.elf), hexadecimal records (.hex, .srec), the bytes of its flash (.bin), or a bundle (.zip)",
    )
}

/// A folder that is no device's.
pub(crate) fn of_identity(folder: &Path, error: &IdentityError) -> Failure {
    let folder = folder.display();
    Failure::bad_input(format!("{folder} holds no usable device: {error}"))
        .hint(format!("make one with: openvisor provision --data CLOUD-FOLDER --out {folder}"))
}

/// `base` and the ranges of `--allow`.
pub(crate) fn allowing(base: Destinations, ranges: &[String]) -> Result<Destinations, Failure> {
    ranges.iter().try_fold(base, |destinations, text| {
        let range: Range = text.parse().map_err(|error| Failure::bad_input(format!("--allow: {error}")))?;
        Ok(destinations.allow(range))
    })
}

/// A line that says which addresses applications may reach.
pub(crate) fn open_to_applications(destinations: &Destinations) -> String {
    let allowed: Vec<String> = destinations.allowed().iter().map(ToString::to_string).collect();
    if allowed.is_empty() {
        return "applications may reach public addresses only, none of this machine's own".to_owned();
    }
    format!("applications may reach public addresses and {}", allowed.join(", "))
}
