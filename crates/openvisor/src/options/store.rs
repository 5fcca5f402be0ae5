//! The URL of `--store`, which may contain a password.

use cloud::{StoreUrl, StoreUrlError};

/// The value of `--store`, not yet checked: an error of the argument parser would print the URL with its password.
#[derive(Clone)]
pub(crate) struct StoreUrlOption(Result<StoreUrl, StoreUrlError>);

impl StoreUrlOption {
    /// The URL, if it is one.
    pub(crate) fn url(&self) -> Result<StoreUrl, StoreUrlError> {
        self.0.clone()
    }
}

impl From<String> for StoreUrlOption {
    fn from(text: String) -> Self {
        Self(text.parse())
    }
}
