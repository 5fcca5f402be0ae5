//! Prepares a fleet: its cloud, and the identities and settings of its devices.

use std::path::{Path, PathBuf};

use ::cloud::data::DataFolder;
use ::cloud::destinations::Destinations;
use ::cloud::store::Store;
use ::cloud::{Cloud, DeviceId};
use ::device::clock::TimeScale;
use ::device::identity::Identity;
use ::device::transport::Address;

use super::FleetArguments;
use super::member::Member;
use crate::host::address::parse_cloud_address;
use crate::host::folder::Folder;
use crate::host::local_cloud;
use crate::host::outbound::Outbound;
use crate::operate::settings::{self, Setting};
use crate::output::error_text::identity_failure;
use crate::output::exit::Failure;

/// Stands for the number of a device, from 1, in the value of a setting.
const NUMBER: &str = "{number}";
/// Stands for the id of a device.
const DEVICE_ID: &str = "{device-id}";

/// What to prepare, checked as far as possible without creating anything.
pub(super) struct SetupConfig {
    count: usize,
    settings: Vec<Setting>,
    cloud: CloudConfig,
}

enum CloudConfig {
    /// A cloud in this process.
    Local { folder: Folder, outbound: Outbound, time_scale: TimeScale },
    /// A cloud elsewhere. The identities are in `identities`; with `provision`, missing ones are created in that data
    /// folder.
    Remote { address: Address, identities: PathBuf, provision: Option<PathBuf> },
}

impl SetupConfig {
    /// Reads the arguments.
    pub(super) fn read(arguments: &FleetArguments) -> Result<Self, Failure> {
        let settings = settings::parse_all(&arguments.settings, &arguments.account_settings)?;
        let cloud = match (&arguments.cloud, &arguments.identities) {
            (Some(cloud), Some(identities)) => remote(arguments, cloud, identities, &settings)?,
            _ => local(arguments)?,
        };
        Ok(Self { count: arguments.count as usize, settings, cloud })
    }

    /// Starts the cloud if it is a local one, and creates missing devices.
    pub(super) async fn prepare(self) -> Result<Setup, Failure> {
        let Self { count, settings, cloud } = self;
        match cloud {
            CloudConfig::Local { folder, outbound, time_scale } => {
                let cloud = local_cloud::start(&folder, outbound, time_scale).await?;
                prepare_local(folder, cloud, count, &settings).await
            }
            CloudConfig::Remote { address, identities, provision } => {
                if let Some(data) = provision {
                    provision_missing(&data, &identities, count, &settings).await?;
                }
                let members = load_members(&identities, count)?;
                Ok(Setup { cloud: None, address, members, _folder: None })
            }
        }
    }
}

fn local(arguments: &FleetArguments) -> Result<CloudConfig, Failure> {
    let outbound =
        Outbound::read(Destinations::with_loopback(), &arguments.allow.allow, &arguments.outbound)?;
    let folder = Folder::open(arguments.data.as_deref())?;
    Ok(CloudConfig::Local { folder, outbound, time_scale: arguments.pace.time_scale })
}

fn remote(
    arguments: &FleetArguments,
    cloud: &str,
    identities: &Path,
    settings: &[Setting],
) -> Result<CloudConfig, Failure> {
    let address = parse_cloud_address(cloud)?;
    if let (Some(setting), None) = (settings.first(), &arguments.provision) {
        let option = setting.store.option();
        return Err(Failure::bad_input(format!(
            "{option} needs the data folder of the cloud, which is elsewhere"
        ))
        .hint("add --provision DIR with its data folder, or use `openvisor configs` there"));
    }
    let (identities, provision) = (identities.to_owned(), arguments.provision.clone());
    Ok(CloudConfig::Remote { address, identities, provision })
}

/// A cloud that can be reached, and its devices.
pub(super) struct Setup {
    cloud: Option<Cloud>,
    address: Address,
    members: Vec<Member>,
    /// Removed, if it is temporary, after everything that uses it has stopped.
    _folder: Option<Folder>,
}

impl Setup {
    /// The address on which the cloud listens.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Takes the devices.
    pub(super) fn take_members(&mut self) -> Vec<Member> {
        std::mem::take(&mut self.members)
    }

    /// Stops the cloud if it is a local one.
    pub(super) async fn stop(self) {
        if let Some(cloud) = self.cloud {
            cloud.stop().await;
        }
    }
}

async fn prepare_local(
    folder: Folder,
    cloud: Cloud,
    count: usize,
    settings: &[Setting],
) -> Result<Setup, Failure> {
    let devices = folder.join("devices");
    for number in 1..=count {
        let folder = devices.join(folder_name(number));
        let device = local_cloud::device_id(&local_cloud::identity(&cloud, &folder).await?);
        settings::write(cloud.store(), device, &settings_of(settings, number, device)?).await?;
    }
    let members = load_members(&devices, count)?;
    let address = local_cloud::address(&cloud);
    Ok(Setup { cloud: Some(cloud), address, members, _folder: Some(folder) })
}

/// Creates identities until there are `count`, and writes the settings of the new ones.
async fn provision_missing(
    data: &Path,
    identities: &Path,
    count: usize,
    settings: &[Setting],
) -> Result<(), Failure> {
    let existing = if identities.exists() { subfolders(identities)?.len() } else { 0 };
    let mut created = Vec::new();
    for folder in (1..).map(|number| identities.join(folder_name(number))).filter(|folder| !folder.exists()) {
        if existing + created.len() >= count {
            break;
        }
        let identity = ::cloud::provision(data, None, None).await?;
        identity.save(&folder)?;
        created.push((existing + created.len() + 1, identity.device_id));
    }
    if created.is_empty() || settings.is_empty() {
        return Ok(());
    }
    let store = Store::open(&DataFolder::open(data)?).await?;
    let written = write_settings(&store, &created, settings).await;
    store.close().await;
    written
}

async fn write_settings(
    store: &Store,
    devices: &[(usize, DeviceId)],
    settings: &[Setting],
) -> Result<(), Failure> {
    for &(number, device) in devices {
        settings::write(store, device, &settings_of(settings, number, device)?).await?;
    }
    Ok(())
}

/// `settings` with the number and the id of a device in place of [`NUMBER`] and [`DEVICE_ID`].
fn settings_of(settings: &[Setting], number: usize, id: DeviceId) -> Result<Vec<Setting>, Failure> {
    let expand = |setting: &Setting| {
        let value = setting.value.replace(NUMBER, &number.to_string()).replace(DEVICE_ID, id.as_str());
        settings::check_value(setting.store.option(), &setting.key, &value)?;
        Ok(Setting { value, ..setting.clone() })
    };
    settings.iter().map(expand).collect()
}

/// The name of a device's folder. Numbers start at 1.
fn folder_name(number: usize) -> String {
    format!("device-{number:04}")
}

/// Loads the identities of the first `count` folders of `parent`, by name.
fn load_members(parent: &Path, count: usize) -> Result<Vec<Member>, Failure> {
    let folders = subfolders(parent)?;
    if folders.len() < count {
        let (existing, parent) = (folders.len(), parent.display());
        return Err(Failure::bad_input(format!(
            "--count is {count}, but {parent} contains {existing} devices"
        ))
        .hint("add --provision DIR with the cloud's data folder to create the others, or lower --count"));
    }
    folders.iter().take(count).map(|folder| load_member(folder)).collect()
}

fn load_member(folder: &Path) -> Result<Member, Failure> {
    let identity = Identity::load(folder).map_err(|error| identity_failure(folder, &error))?;
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Member::new(name, identity))
}

fn subfolders(parent: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| Failure::bad_input(format!("--identities {}: {error}", parent.display()));
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(parent).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(value: &str) -> Result<Vec<Setting>, Failure> {
        let setting = Setting { store: settings::SettingStore::Config, key: "k".into(), value: value.into() };
        let id = DeviceId::parse("UV0123456789abcdef0123456789abcdef").expect("an id");
        settings_of(&[setting], 7, id)
    }

    #[test]
    fn a_setting_may_name_the_device() {
        let own = own("{number}/{device-id}/{else}").expect("settings");
        assert_eq!(own[0].value, "7/UV0123456789abcdef0123456789abcdef/{else}");
    }

    #[test]
    fn a_value_that_grows_too_long_is_refused() {
        assert!(own(&"{number}".repeat(512)).is_ok());
        assert!(own(&"{device-id}".repeat(372)).is_err());
    }
}
