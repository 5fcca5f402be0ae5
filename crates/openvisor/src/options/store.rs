//! URLs of databases, which may contain a password.

use cloud::store::CopyEnd;
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

/// The value of `--from` and `--to` of `openvisor store copy`: a URL, or a data folder.
#[derive(Clone)]
pub(crate) struct StoreEndOption(Result<CopyEnd, StoreUrlError>);

impl StoreEndOption {
    /// The end, if it is one.
    pub(crate) fn end(&self) -> Result<CopyEnd, StoreUrlError> {
        self.0.clone()
    }
}

impl From<String> for StoreEndOption {
    fn from(text: String) -> Self {
        if text.contains("://") {
            return Self(text.parse().map(CopyEnd::Server));
        }
        Self(Ok(CopyEnd::Folder(text.into())))
    }
}
