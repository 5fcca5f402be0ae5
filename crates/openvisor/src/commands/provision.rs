//! `openvisor provision`: a new device's folder.

use std::io::Write;
use std::path::Path;

use ::cloud::DeviceId;
use ::cloud::data::DataFolder;
use ::cloud::store::Store;

use crate::arguments;
use crate::exit::Failure;
use crate::failures;
use crate::settings::{self, Setting};
use crate::stores;

/// Makes the folder, and says which device it is.
pub async fn provision(arguments: arguments::Provision) -> Result<(), Failure> {
    let settings = settings::of_device(&arguments.settings)?;
    check_new(&arguments.out)?;
    let store = stores::named(arguments.store.as_ref())?;
    let (account, name) = (arguments.account.as_deref(), arguments.name.as_deref());
    let identity = ::cloud::provision_in(&arguments.data, store.as_ref(), account, name)
        .await
        .map_err(failures::of_provision)?;
    identity.save(&arguments.out).map_err(|error| failures::of_data(&error))?;
    fill(&arguments.data, identity.device_id, &settings).await?;
    // The device exists by now, whether or not anyone reads its name.
    let _ = writeln!(std::io::stdout(), "{}", identity.device_id);
    Ok(())
}

/// A folder with something in it may hold another device's only key.
fn check_new(out: &Path) -> Result<(), Failure> {
    let entries = match std::fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Failure::bad_input(format!("--out {}: {error}", out.display()))),
    };
    if entries {
        return Err(Failure::bad_input(format!("--out {}: the folder is not empty", out.display()))
            .hint("name a folder that does not exist yet; a device's key is never overwritten"));
    }
    Ok(())
}

async fn fill(data: &Path, device: DeviceId, settings: &[Setting]) -> Result<(), Failure> {
    if settings.is_empty() {
        return Ok(());
    }
    let folder = DataFolder::open(data).map_err(|error| failures::of_data(&error))?;
    let store = Store::open(&folder).await.map_err(failures::of_store)?;
    let filled = match store.of_device(device).await {
        Ok(own) => stores::fill(&own, device, settings).await,
        Err(error) => Err(failures::of_store(error)),
    };
    store.close().await;
    filled
}
