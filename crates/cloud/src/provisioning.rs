//! Provisioning of devices: issuing an identity and adding the device to the store, with or without a running cloud.

use std::path::Path;

use crate::authority::Identity;
use crate::data::{DataError, DataFolder};
use crate::id::DeviceId;
use crate::store::{NewItem, Store, StoreError};
use crate::store_url::StoreUrl;

/// Why a device was not provisioned.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The data folder cannot be used, or the identity cannot be written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A device to be provisioned into a folder.
#[derive(Debug, Clone, Copy)]
pub struct NewDevice<'a> {
    /// Id or name of its account; `None`: the first.
    pub account: Option<&'a str>,
    /// Its unique name.
    pub name: Option<&'a str>,
    /// Its initial configuration items and secrets, and those of its account.
    pub items: &'a [NewItem],
    /// The folder for its identity, which does not exist or is empty.
    pub out: &'a Path,
}

/// A device that was provisioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioned {
    /// Its id.
    pub device: DeviceId,
    /// Id of its account.
    pub account: String,
}

/// Provisions a device in the first account. A cloud may be running on the data folder. `store` is as in
/// [`crate::Config`].
///
/// # Errors
/// A name that is taken or invalid; errors of the data folder and the store.
pub async fn provision(
    data: &Path,
    store: Option<&StoreUrl>,
    name: Option<&str>,
) -> Result<Identity, ProvisionError> {
    provision_in(data, store, None, name).await
}

/// Provisions a device in the account with this id or name; `None`: the first.
///
/// # Errors
/// As [`provision`], and [`StoreError::NoAccount`].
pub async fn provision_in(
    data: &Path,
    store: Option<&StoreUrl>,
    account: Option<&str>,
    name: Option<&str>,
) -> Result<Identity, ProvisionError> {
    let (folder, store) = open(data, store).await?;
    let issued = async { issue(&folder, &in_account(&store, account).await?, name).await };
    let issued = issued.await;
    store.close().await;
    issued
}

/// Provisions a device and writes its identity, both or neither: a device without its key could never connect (D163).
/// `store` is as in [`crate::Config`].
///
/// # Errors
/// As [`provision_in`]; the files cannot be written; an item is invalid.
pub async fn provision_into(
    data: &Path,
    store: Option<&StoreUrl>,
    device: NewDevice<'_>,
) -> Result<Provisioned, ProvisionError> {
    let (folder, store) = open(data, store).await?;
    let added = issue_into(&folder, &store, device).await;
    store.close().await;
    added
}

/// Issues an identity and adds its device to the store.
pub(crate) async fn issue(
    folder: &DataFolder,
    store: &Store,
    name: Option<&str>,
) -> Result<Identity, ProvisionError> {
    let identity = folder.authority()?.issue_device(DeviceId::random());
    store.add_device(identity.device_id, name, identity.fingerprint()).await?;
    Ok(identity)
}

/// Writes the files first: they are easier to remove than a device in a database, and worthless without its row.
async fn issue_into(
    folder: &DataFolder,
    store: &Store,
    device: NewDevice<'_>,
) -> Result<Provisioned, ProvisionError> {
    let NewDevice { account, name, items, out } = device;
    let store = in_account(store, account).await?;
    let identity = folder.authority()?.issue_device(DeviceId::random());
    let is_new = !out.exists();
    identity.save(out).map_err(DataError::File)?;
    let added = store.add_device_with(identity.device_id, name, identity.fingerprint(), items).await;
    if let Err(error) = added {
        // A commit whose confirmation was lost may have succeeded, and then the device exists as a whole.
        if !matches!(store.device(identity.device_id).await, Ok(Some(_))) {
            Identity::remove_files(out, is_new);
            return Err(error.into());
        }
    }
    Ok(Provisioned { device: identity.device_id, account: store.account().to_owned() })
}

async fn open(data: &Path, store: Option<&StoreUrl>) -> Result<(DataFolder, Store), ProvisionError> {
    let folder = DataFolder::open(data)?;
    let store = Store::open_at(&folder, store).await?;
    Ok((folder, store))
}

/// The view of the account with this id or name; `None`: of the first.
async fn in_account(store: &Store, account: Option<&str>) -> Result<Store, StoreError> {
    let Some(account) = account else { return Ok(store.clone()) };
    let found = store.account_named(account).await?;
    Ok(store.of_account(found.ok_or_else(|| StoreError::NoAccount(account.to_owned()))?.id))
}

#[cfg(test)]
mod tests;
