//! Which database is the store, and settings into it.

use cloud::DeviceId;
use cloud::store::{Scope, Store};
use cloud::{StoreUrl, StoreUrlError};

use crate::operate::settings::{self, Setting};
use crate::options::StoreUrlOption;
use crate::output::error_text;
use crate::output::exit::Failure;

/// Where the store's URL may stand instead of on the command line, which others on the machine can see.
pub(crate) const VARIABLE: &str = "OPENVISOR_STORE";

/// The store that `--store` or [`VARIABLE`] names, the first before the second; none: the one the data folder has.
pub(crate) fn named(argument: Option<&StoreUrlOption>) -> Result<Option<StoreUrl>, Failure> {
    let variable = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()).map(StoreUrlOption::from);
    let (text, origin) = match argument {
        Some(text) => (Some(text), "--store"),
        None => (variable.as_ref(), VARIABLE),
    };
    let refused = |error: StoreUrlError| {
        Failure::bad_input(format!("{origin}: {error}"))
            .hint("for example postgres://openvisor@db.example.net/openvisor?sslmode=verify-full")
    };
    text.map(|text| text.url().map_err(refused)).transpose()
}

/// Sets every entry of `settings`, those that are not the account's for `device`; one that is there already gets the new value.
pub(crate) async fn fill(store: &Store, device: DeviceId, settings: &[Setting]) -> Result<(), Failure> {
    use settings::Store as Which;
    for Setting { store: which, key, value } in settings {
        let set = match which {
            Which::Config => store.set_config(Scope::Device(device), key, value).await,
            Which::Secret => store.set_secret(Scope::Device(device), key, value).await,
            Which::AccountConfig => store.set_config(Scope::Account, key, value).await,
            Which::AccountSecret => store.set_secret(Scope::Account, key, value).await,
        };
        set.map_err(error_text::of_store)?;
    }
    Ok(())
}
