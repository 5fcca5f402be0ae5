//! Settings into the stores.

use cloud::DeviceId;
use cloud::store::{Scope, Store};

use crate::exit::Failure;
use crate::failures;
use crate::settings::{self, Setting};

/// Sets every entry of `settings`, those that are not the account's for `device`; one that is there already gets the new value.
pub async fn fill(store: &Store, device: DeviceId, settings: &[Setting]) -> Result<(), Failure> {
    use settings::Store as Which;
    for Setting { store: which, key, value } in settings {
        let set = match which {
            Which::Config => store.set_config(Scope::Device(device), key, value).await,
            Which::Secret => store.set_secret(Scope::Device(device), key, value).await,
            Which::AccountConfig => store.set_config(Scope::Account, key, value).await,
            Which::AccountSecret => store.set_secret(Scope::Account, key, value).await,
        };
        set.map_err(failures::of_store)?;
    }
    Ok(())
}
