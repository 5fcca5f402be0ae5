//! Which database a cloud uses: `--store`, or an environment variable.

use cloud::{StoreUrl, StoreUrlError};

use crate::options::StoreUrlOption;
use crate::output::exit::Failure;

/// The alternative to `--store`, which other users of the machine can see.
const VARIABLE: &str = "OPENVISOR_STORE";

/// The URL of `--store`, or else of [`VARIABLE`]; `None` means the database that the data folder remembers.
pub(crate) fn from_option_or_environment(
    option: Option<&StoreUrlOption>,
) -> Result<Option<StoreUrl>, Failure> {
    let variable = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()).map(StoreUrlOption::from);
    let (store, origin) = match option {
        Some(option) => (Some(option), "--store"),
        None => (variable.as_ref(), VARIABLE),
    };
    let invalid = |error: StoreUrlError| {
        Failure::bad_input(format!("{origin}: {error}"))
            .hint("for example postgres://openvisor@db.example.net/openvisor?sslmode=verify-full")
    };
    store.map(|store| store.url().map_err(invalid)).transpose()
}
