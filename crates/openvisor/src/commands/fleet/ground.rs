//! What a fleet stands on: its cloud, and the identities of its devices.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ::cloud::data::DataFolder;
use ::cloud::destinations::Destinations;
use ::cloud::store::Store;
use ::cloud::{Cloud, Config, DeviceId};
use ::device::clock::TimeScale;
use ::device::identity::Identity;
use ::device::transport::Address;

use super::arguments::FleetArguments;
use super::member::Member;
use crate::host::folder::Folder;
use crate::host::outbound::Relayed;
use crate::operate::settings::{self, Setting};
use crate::operate::stores;
use crate::output::error_text;
use crate::output::exit::Failure;

/// Stands for the device's number, from 1, in a value of a setting.
const NUMBER: &str = "{number}";
/// The same for its id.
const DEVICE_ID: &str = "{device-id}";

/// What is to be prepared; checked as far as it can be without making anything.
pub(super) struct Plan {
    count: usize,
    settings: Vec<Setting>,
    place: Place,
}

enum Place {
    /// A cloud in this process.
    Here { folder: Folder, destinations: Destinations, relayed: Relayed, scale: TimeScale },
    /// A cloud elsewhere; the identities are in `identities`, those that are missing are made in the data folder
    /// `provision`.
    Elsewhere { cloud: Address, identities: PathBuf, provision: Option<PathBuf> },
}

/// Reads the arguments.
pub(super) fn plan(arguments: &FleetArguments) -> Result<Plan, Failure> {
    let settings = settings::of_run(&arguments.settings, &arguments.account_settings)?;
    let place = match (&arguments.cloud, &arguments.identities) {
        (Some(cloud), Some(identities)) => elsewhere(arguments, cloud, identities, &settings)?,
        _ => here(arguments)?,
    };
    Ok(Plan { count: arguments.count as usize, settings, place })
}

fn here(arguments: &FleetArguments) -> Result<Place, Failure> {
    let relayed = Relayed::read(&arguments.outbound)?;
    let destinations = error_text::allowing(Destinations::with_loopback(), &arguments.allow.allow)?;
    let folder = Folder::open(arguments.data.as_deref())?;
    Ok(Place::Here { folder, destinations, relayed, scale: arguments.pace.time_scale })
}

fn elsewhere(
    arguments: &FleetArguments,
    cloud: &str,
    identities: &Path,
    settings: &[Setting],
) -> Result<Place, Failure> {
    let cloud = Address::parse(cloud).map_err(|error| {
        Failure::bad_input(format!("--cloud: {error}")).hint("for example --cloud 127.0.0.1:7883")
    })?;
    if let (Some(setting), None) = (settings.first(), &arguments.provision) {
        let option = setting.store.option();
        return Err(Failure::bad_input(format!("{option} fills stores of the cloud, which is elsewhere"))
            .hint("name its data folder with --provision DIR, or use `openvisor configs` beside it"));
    }
    Ok(Place::Elsewhere { cloud, identities: identities.to_owned(), provision: arguments.provision.clone() })
}

/// A cloud that can be reached, and the devices that it knows.
pub(super) struct Ground {
    cloud: Option<Cloud>,
    address: Address,
    members: Vec<Member>,
    /// Kept until everything that uses it has stopped.
    _folder: Option<Folder>,
}

impl Plan {
    /// Makes what is to be made.
    pub(super) async fn prepare(self) -> Result<Ground, Failure> {
        let Self { count, settings, place } = self;
        match place {
            Place::Here { folder, destinations, relayed, scale } => {
                let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let Relayed { resolve, extra_authorities, tls_ports } = relayed;
                let local = Config::local(folder.join("cloud"), listen);
                let mut config = Config { destinations, resolve, extra_authorities, tls_ports, ..local };
                // All devices come from this process.
                config.limits.allow_single_source();
                if scale != TimeScale::ONE {
                    // Kernels hold their applications to the rate by guest time; the cloud would by the wall clock.
                    config.limits.channels_a_second = 0;
                    config.limits.channels_a_second_per_account = 0;
                }
                prepare_here(folder, config, count, &settings).await
            }
            Place::Elsewhere { cloud, identities, provision } => {
                if let Some(data) = provision {
                    make_missing(&data, &identities, count, &settings).await?;
                }
                let members = load(&identities, count)?;
                Ok(Ground { cloud: None, address: cloud, members, _folder: None })
            }
        }
    }
}

async fn prepare_here(
    folder: Folder,
    config: Config,
    count: usize,
    settings: &[Setting],
) -> Result<Ground, Failure> {
    let cloud = Cloud::start(config).await.map_err(error_text::of_start)?;
    let address = Address::parse(&cloud.address().to_string()).expect("a socket address is an address");
    let devices = folder.join("devices");
    for number in 0..count {
        let place = devices.join(name(number));
        if !place.exists() {
            let made = cloud.provision(None).await.map_err(error_text::of_provision)?;
            made.save(&place).map_err(|error| error_text::of_data(&error.into()))?;
        }
    }
    let members = load(&devices, count)?;
    for (member, number) in members.iter().zip(1..) {
        let id = DeviceId::parse(member.device_id()).expect("both rooms have the same rule for ids");
        stores::fill(cloud.store(), id, &settings_of(settings, number, id)?).await?;
    }
    Ok(Ground { cloud: Some(cloud), address, members, _folder: Some(folder) })
}

/// Makes identities until there are `count`, and fills the stores of those it makes.
async fn make_missing(
    data: &Path,
    identities: &Path,
    count: usize,
    settings: &[Setting],
) -> Result<(), Failure> {
    let there = if identities.exists() { folders(identities)? } else { Vec::new() };
    let mut made = Vec::new();
    for place in (0..).map(|number| identities.join(name(number))).filter(|place| !place.exists()) {
        if there.len() + made.len() >= count {
            break;
        }
        let identity = ::cloud::provision(data, None, None).await.map_err(error_text::of_provision)?;
        identity.save(&place).map_err(|error| error_text::of_data(&error.into()))?;
        made.push((there.len() + made.len() + 1, identity.device_id));
    }
    if made.is_empty() || settings.is_empty() {
        return Ok(());
    }
    let folder = DataFolder::open(data).map_err(|error| error_text::of_data(&error))?;
    let store = Store::open(&folder).await.map_err(error_text::of_store)?;
    let mut filled = Ok(());
    for (number, device) in made {
        if filled.is_ok() {
            filled = match settings_of(settings, number, device) {
                Ok(own) => stores::fill(&store, device, &own).await,
                Err(failure) => Err(failure),
            };
        }
    }
    store.close().await;
    filled
}

/// `settings` for the device with this number and id, which stand in a value where their names stand in braces.
fn settings_of(settings: &[Setting], number: usize, id: DeviceId) -> Result<Vec<Setting>, Failure> {
    let own = |setting: &Setting| {
        let value = setting.value.replace(NUMBER, &number.to_string()).replace(DEVICE_ID, id.as_str());
        settings::check_value(setting.store.option(), &setting.key, &value)?;
        Ok(Setting { value, ..setting.clone() })
    };
    settings.iter().map(own).collect()
}

/// The name of a device's folder; its number counts from 1.
fn name(number: usize) -> String {
    format!("device-{:04}", number + 1)
}

/// The first `count` identities in the folders of `parent`, by name.
fn load(parent: &Path, count: usize) -> Result<Vec<Member>, Failure> {
    let folders = folders(parent)?;
    if folders.len() < count {
        let (there, parent) = (folders.len(), parent.display());
        return Err(Failure::bad_input(format!("{count} devices are asked for, and {parent} holds {there}"))
            .hint("name the cloud's data folder with --provision DIR to make the others, or lower --count"));
    }
    folders.iter().take(count).map(|folder| member(folder)).collect()
}

fn member(folder: &Path) -> Result<Member, Failure> {
    let identity = Identity::load(folder).map_err(|error| error_text::of_identity(folder, &error))?;
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Member::new(name, identity))
}

fn folders(parent: &Path) -> Result<Vec<PathBuf>, Failure> {
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

impl Ground {
    /// Where the cloud listens.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Takes the devices.
    pub(super) fn take_members(&mut self) -> Vec<Member> {
        std::mem::take(&mut self.members)
    }

    /// Stops the cloud, if it is ours.
    pub(super) async fn stop(self) {
        if let Some(cloud) = self.cloud {
            cloud.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(value: &str) -> Result<Vec<Setting>, Failure> {
        let setting = Setting { store: settings::Store::Config, key: "k".into(), value: value.into() };
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
