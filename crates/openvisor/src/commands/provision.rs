//! `openvisor provision`: creates a device and its folder.

mod arguments;

use std::io::Write;
use std::path::Path;

use ::cloud::NewDevice;
use ::cloud::store::NewItem;

use crate::operate::settings::{self, Setting, SettingStore};
use crate::operate::store_url;
use crate::output::exit::Failure;
pub(super) use arguments::ProvisionArguments;

/// Creates the device, and prints its id.
pub(super) async fn run(arguments: ProvisionArguments) -> Result<(), Failure> {
    let settings = settings::parse_device(&arguments.settings)?;
    check_empty(&arguments.out)?;
    let store = store_url::from_option_or_environment(arguments.store.as_ref())?;
    let items: Vec<_> = settings.into_iter().map(item).collect();
    let device = NewDevice {
        account: arguments.account.as_deref(),
        name: arguments.name.as_deref(),
        items: &items,
        out: &arguments.out,
    };
    let id = ::cloud::provision_into(&arguments.data, store.as_ref(), device).await?;
    // The device exists, so that a closed standard output is no failure.
    let _ = writeln!(std::io::stdout(), "{id}");
    Ok(())
}

fn item(setting: Setting) -> NewItem {
    let Setting { store, key, value } = setting;
    let (device_scope, secret) = match store {
        SettingStore::Config => (true, false),
        SettingStore::Secret => (true, true),
        SettingStore::AccountConfig => (false, false),
        SettingStore::AccountSecret => (false, true),
    };
    NewItem { device_scope, secret, key, value }
}

/// Refuses a folder that is not empty: it may contain the only key of another device.
fn check_empty(out: &Path) -> Result<(), Failure> {
    let has_entries = match std::fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Failure::bad_input(format!("--out {}: {error}", out.display()))),
    };
    if has_entries {
        return Err(Failure::bad_input(format!("--out {}: the folder is not empty", out.display()))
            .hint("use a folder that does not exist; the key of a device is never overwritten"));
    }
    Ok(())
}
