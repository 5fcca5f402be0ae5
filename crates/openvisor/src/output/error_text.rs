//! What the errors of cloud and device mean to a user: the exit code, the message, and what to do.

use std::path::Path;

use cloud::data::DataError;
use cloud::store::{CopyError, StoreError};
use cloud::{FileError, ProvisionError, StartError};
use device::identity::IdentityError;
use device::image::{ImageError, LoadError};

use crate::output::exit::Failure;

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::AddressInUse(_) => {
                Self::environment(error.to_string()).hint("choose another port, or port 0 for any free one")
            }
            StartError::Listen(..) => Self::environment(error.to_string()),
            StartError::Data(error) => error.into(),
            StartError::Store(error) => error.into(),
            StartError::Authority(_) | StartError::ExtraAuthority(_) | StartError::NoAccount(_) => {
                Self::bad_input(error.to_string())
            }
        }
    }
}

impl From<ProvisionError> for Failure {
    fn from(error: ProvisionError) -> Self {
        match error {
            ProvisionError::Data(error) => error.into(),
            ProvisionError::Store(error) => error.into(),
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        let failure = Self::environment(error.to_string());
        match &error {
            DataError::InUse(_) => failure.hint("stop the other process, or use another folder"),
            DataError::OtherFormat { .. } => {
                failure.hint("use the version of openvisor that created it, or use another folder")
            }
            DataError::Missing(folder) => no_data_folder(folder),
            DataError::ExposedFolder(folder) => failure.hint(format!("chmod 700 {}", folder.display())),
            DataError::File(FileError::Exposed(file)) => failure.hint(format!("chmod 600 {}", file.display())),
            DataError::DatabaseMissing(_) | DataError::DatabaseEmpty(_) | DataError::Incomplete(_) => failure
                .hint(
                    "restore the whole data folder from a backup, or use another folder to start without these devices",
                ),
            _ => failure,
        }
    }
}

/// The folder exists, but no cloud has its data in it.
fn no_data_folder(folder: &Path) -> Failure {
    let inner = folder.join("cloud");
    let failure = Failure::bad_input(format!("--data {}: not a cloud's data folder", folder.display()));
    if inner.join("VERSION").exists() {
        return failure
            .hint(format!("the cloud of `run` or `demo` is in a subfolder: --data {}", inner.display()));
    }
    failure.hint("use the folder given to `openvisor cloud --data`")
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        DataError::from(error).into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Data(error) => error.into(),
            StoreError::InvalidKey
            | StoreError::ValueTooLong
            | StoreError::InvalidName
            | StoreError::NameTaken(_)
            | StoreError::InvalidAccountName
            | StoreError::AccountNameTaken(_)
            | StoreError::NoAccount(_) => Self::bad_input(error.to_string()),
            StoreError::AccountInUse(_) => Self::failed(error.to_string()),
            error => Self::environment(error.to_string()).hint_if(store_hint(&error)),
        }
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        let message = error.to_string();
        match error {
            CopyError::Store(StoreError::Data(DataError::Missing(folder))) => {
                Self::bad_input(format!("{} is not a cloud's data folder", folder.display()))
                    .hint("a database needs the keys of its data folder: name that folder, or a copy of it")
            }
            CopyError::Store(StoreError::Data(DataError::InUse(_)) | StoreError::InUse(_)) => {
                Self::environment(message).hint("stop the cloud, so that the copy is complete")
            }
            CopyError::Store(error) => error.into(),
            CopyError::NoSource(_) => {
                Self::bad_input(message).hint("name the data folder or the database that a cloud has used")
            }
            CopyError::Same(_) => Self::bad_input(message),
            CopyError::NotEmpty { .. } => Self::bad_input(message)
                .hint("name an empty database, or add --replace to delete all of that"),
            CopyError::OtherKey { .. } => Self::bad_input(message)
                .hint("use the data folder with which this database was created, or a copy of it"),
            CopyError::Busy(_) => Self::environment(message).hint("end it, and repeat the command"),
            CopyError::Differs(_) => {
                Self::failed(message).hint("the target is as it was before; something else changed its rows")
            }
        }
    }
}

/// What to do about a database that cannot be used.
fn store_hint(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::Unreachable { .. } => {
            Some("is it running, and does it accept connections from this machine?")
        }
        StoreError::Refused { .. } => Some(
            "create the user and the database with createuser and createdb; if the password has changed, start `openvisor cloud` once with the new URL",
        ),
        StoreError::Newer { .. } => Some("use that newer version of openvisor, or another database"),
        StoreError::InUse(_) => Some("stop the other cloud, or use another database"),
        StoreError::SecretKey(_) => {
            Some("use the data folder with which this database was created, or an empty database")
        }
        StoreError::Elsewhere { .. } => Some(
            "omit --store and OPENVISOR_STORE to use them, move them with `openvisor store copy`, or use a new data folder to start without them",
        ),
        _ => None,
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let failure = Self::bad_input(error.to_string());
        // These say themselves what is wrong with the bundle.
        if let ImageError::Refused(_) | ImageError::InBundle(_) | ImageError::NotSigned = error.cause {
            return failure;
        }
        failure.hint(
            "an application is an ELF file for a Cortex-M33 (.elf), hexadecimal records (.hex, .srec), the contents of its flash (.bin), or a bundle (.zip)",
        )
    }
}

/// `folder` does not contain a device's identity.
pub(crate) fn identity_failure(folder: &Path, error: &IdentityError) -> Failure {
    let folder = folder.display();
    Failure::bad_input(format!("{folder} does not contain a usable device identity: {error}"))
        .hint(format!("create one with: openvisor provision --data CLOUD-FOLDER --out {folder}"))
}
