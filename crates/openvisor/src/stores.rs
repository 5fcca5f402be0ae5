//! Settings into a device's stores.

use cloud::DeviceId;
use cloud::store::{Scope, Store};

use crate::exit::Failure;
use crate::failures;
use crate::settings::{self, Setting};

/// Sets every entry of `settings` for `device`; one that is there already gets the new value.
pub async fn fill(store: &Store, device: DeviceId, settings: &[Setting]) -> Result<(), Failure> {
    for Setting { store: which, key, value } in settings {
        let scope = Scope::Device(device);
        let set = match which {
            settings::Store::Config => store.set_config(scope, key, value).await,
            settings::Store::Secret => store.set_secret(scope, key, value).await,
        };
        set.map_err(failures::of_store)?;
    }
    Ok(())
}
