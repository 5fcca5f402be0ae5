//! `openvisor provision`: creates devices and their folders.

mod arguments;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ::cloud::NewDevice;
use ::cloud::StoreUrl;
use ::cloud::store::NewItem;
use serde_json::json;

use crate::operate::management::target;
use crate::operate::settings::{self, Setting, SettingStore};
use crate::operate::store_url;
use crate::output::exit::Failure;
use crate::output::print::print_result;
pub(super) use arguments::ProvisionArguments;

/// A device to create: its name and its folder.
struct Planned {
    name: Option<String>,
    out: PathBuf,
}

/// Creates the devices, and prints the id of each.
pub(super) async fn run(arguments: ProvisionArguments) -> Result<(), Failure> {
    let settings = settings::parse_device(&arguments.settings)?;
    let store = store_url::from_option_or_environment(arguments.cloud.folder.store.as_ref())?;
    let items: Vec<_> = settings.into_iter().map(item).collect();
    let Some(count) = arguments.count else {
        check_empty(&arguments.out)?;
        let planned = Planned { name: arguments.name.clone(), out: arguments.out.clone() };
        return create(&arguments, store.as_ref(), &items, &planned).await;
    };
    for number in 1..=count {
        let planned = numbered(&arguments, number);
        if planned.out.exists() {
            let _ = writeln!(anstream::stderr(), "{} exists already: left out", planned.out.display());
            continue;
        }
        create(&arguments, store.as_ref(), &items, &planned).await?;
    }
    Ok(())
}

/// Device `number` of `--count`: its folder has the names `openvisor fleet --identities` uses, so that their order is
/// that of the numbers.
fn numbered(arguments: &ProvisionArguments, number: u32) -> Planned {
    let name = arguments.name.as_ref().map(|name| format!("{name}-{number:04}"));
    let folder = match &arguments.name {
        Some(prefix) if !prefix.contains('/') => format!("{prefix}-{number:04}"),
        _ => format!("device-{number:04}"),
    };
    Planned { name, out: arguments.out.join(folder) }
}

async fn create(
    arguments: &ProvisionArguments,
    store: Option<&StoreUrl>,
    items: &[NewItem],
    planned: &Planned,
) -> Result<(), Failure> {
    let (cloud, Planned { name, out }) = (&arguments.cloud, planned);
    let device = NewDevice { account: cloud.account.as_deref(), name: name.as_deref(), items, out };
    let data = target::folder(&cloud.folder)?;
    let added = ::cloud::provision_into(&data, store, device).await?;
    let id = added.device.as_str();
    print_result(
        cloud.json,
        || id.to_owned(),
        || json!({ "id": id, "name": name, "account": added.account, "folder": out.to_string_lossy() }),
    );
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
