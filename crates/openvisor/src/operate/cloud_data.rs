//! A cloud's data, for the commands of its operator. A cloud may be running on it.

use std::path::Path;

use cloud::data::DataFolder;
use cloud::store::{Account, Actor, Device, Scope, Store};
use serde_json::Value;

use super::management::target;
use super::store_url;
use crate::options::CloudFolderOptions;
use crate::output::exit::Failure;
use crate::output::timeline::printable;

/// Longest user name that is recorded, in bytes.
const MAX_USER: usize = 32;

/// An existing data folder and its store.
pub(crate) struct CloudData {
    folder: DataFolder,
    store: Store,
}

impl CloudData {
    /// Opens the folder for the account with this id or name, or for the oldest one. Never creates a folder.
    pub(crate) async fn open(options: &CloudFolderOptions, account: Option<&str>) -> Result<Self, Failure> {
        let data = target::folder(options)?;
        let url = store_url::from_option_or_environment(options.store.as_ref())?;
        let folder = DataFolder::open_existing(&data)?;
        let store = Store::open_at(&folder, url.as_ref()).await?;
        let store = match account {
            Some(id_or_name) => store.of_account(find_account(&store, &data, id_or_name).await?.id),
            None => store,
        };
        // Changes by commands are recorded with the user who made them.
        Ok(Self { folder, store: store.acting_as(command_actor()) })
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether a cloud is running on the folder.
    pub(crate) fn is_cloud_running(&self) -> Result<bool, Failure> {
        Ok(self.folder.is_in_use()?)
    }

    /// The device with this id or name.
    pub(crate) async fn find_device(&self, id_or_name: &str) -> Result<Device, Failure> {
        if let Some(device) = self.store.device_named(id_or_name).await? {
            return Ok(device);
        }
        let owners = self.store.accounts_with_device(id_or_name).await?;
        let name = printable(id_or_name);
        Err(match owners.first() {
            Some(owner) => {
                let owner = owner.name.as_deref().map_or_else(|| owner.id.to_string(), printable);
                Failure::bad_input(format!("the device `{name}` belongs to the account `{owner}`"))
                    .hint(format!("add: --account {owner}"))
            }
            None => Failure::bad_input(format!("there is no device `{name}`, in any account")).hint(format!(
                "list the devices with: openvisor devices list --all-accounts --data {}",
                self.folder.path().display()
            )),
        })
    }

    /// The scope that `--device` selects, and its owner: the account's without that option.
    pub(crate) async fn scope(&self, device: Option<&str>) -> Result<(Scope, ItemOwner), Failure> {
        let Some(id_or_name) = device else { return Ok((Scope::Account, ItemOwner(None))) };
        let device = self.find_device(id_or_name).await?;
        Ok((Scope::Device(device.id), ItemOwner(Some(device))))
    }

    /// Closes the database.
    pub(crate) async fn close(self) {
        self.store.close().await;
    }
}

/// The user who runs the command, as changes are recorded.
pub(crate) fn command_actor() -> Actor {
    let named = std::env::var("USER").ok().filter(|name| !name.is_empty() && name.len() <= MAX_USER);
    // Services often have no USER.
    let number = || format!("uid {}", rustix::process::getuid().as_raw());
    Actor::command(&named.unwrap_or_else(number))
}

/// The account with this id or name.
pub(crate) async fn find_account(store: &Store, data: &Path, id_or_name: &str) -> Result<Account, Failure> {
    let account = store.account_named(id_or_name).await?;
    account.ok_or_else(|| {
        Failure::bad_input(format!("there is no account `{}`", printable(id_or_name)))
            .hint(format!("list the accounts with: openvisor accounts list --data {}", data.display()))
    })
}

/// Whom a configuration item or secret belongs to: a device, or the account.
pub(crate) struct ItemOwner(Option<Device>);

impl ItemOwner {
    /// `the account`, or the device by name and id.
    pub(crate) fn name(&self) -> String {
        self.0.as_ref().map_or_else(|| "the account".to_owned(), device_title)
    }

    /// The device's id; null for the account.
    pub(crate) fn id(&self) -> Value {
        self.0.as_ref().map_or(Value::Null, |device| device.id.as_str().into())
    }
}

/// A device's name, if it has one, and id.
pub(crate) fn device_title(device: &Device) -> String {
    match &device.name {
        Some(name) => format!("{} ({})", printable(name), device.id),
        None => device.id.to_string(),
    }
}
