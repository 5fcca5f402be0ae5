//! `openvisor provision`: a new device's folder.

mod arguments;

use std::io::Write;
use std::path::Path;

use ::cloud::NewDevice;
use ::cloud::store::NewItem;

use crate::operate::settings::{self, Setting};
use crate::operate::stores;
use crate::output::error_text;
use crate::output::exit::Failure;
pub(super) use arguments::ProvisionArguments;

/// Makes the folder, and says which device it is.
pub(super) async fn run(arguments: ProvisionArguments) -> Result<(), Failure> {
    let settings = settings::of_device(&arguments.settings)?;
    check_new(&arguments.out)?;
    let store = stores::named(arguments.store.as_ref())?;
    let items: Vec<_> = settings.into_iter().map(item).collect();
    let device = NewDevice {
        account: arguments.account.as_deref(),
        name: arguments.name.as_deref(),
        items: &items,
        out: &arguments.out,
    };
    let id = ::cloud::provision_into(&arguments.data, store.as_ref(), device)
        .await
        .map_err(error_text::of_provision)?;
    // The device exists by now, whether or not anyone reads its name.
    let _ = writeln!(std::io::stdout(), "{id}");
    Ok(())
}

fn item(setting: Setting) -> NewItem {
    let Setting { store, key, value } = setting;
    let (device_scope, secret) = match store {
        settings::Store::Config => (true, false),
        settings::Store::Secret => (true, true),
        settings::Store::AccountConfig => (false, false),
        settings::Store::AccountSecret => (false, true),
    };
    NewItem { device_scope, secret, key, value }
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
