//! The management API: what public clients of the original, scripts, the command line and a console use.
//!
//! [`Api`] is what the handlers share; [`router`] has every route under `/v1`, [`server`] serves it on a socket, and
//! the operator's commands call the same router in process. `docs/spec/api.md` specifies it. Everything is read from
//! and written to the store, so that it does not matter whether a cloud runs; a running cloud notices changes within a
//! second.
//!
//! Each resource has a file of its own: [`apps`], [`devices`], [`items`], [`keys`], [`accounts`], [`audit`].
//!
//! Terms are defined in `docs/glossary.md`.
#![forbid(unsafe_code)]

mod accounts;
mod apps;
mod audit;
mod authentication;
mod caller;
mod dates;
mod devices;
mod error;
mod failures;
mod form;
mod items;
mod keys;
pub mod limits;
mod links;
mod openapi;
mod page;
mod router;
pub mod server;

use std::sync::Arc;

use cloud::Store;

pub use caller::Caller;
pub use error::{ApiError, ErrorBody, codes};
pub use links::LinkPolicy;
pub use router::{description, router};

use failures::Failures;

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    /// The store, as the first account's view.
    store: Store,
    links: LinkPolicy,
    failures: Arc<Failures>,
}

impl Api {
    /// An API on a store. `links`: how the URLs in responses are made.
    pub fn new(store: Store, links: LinkPolicy) -> Self {
        Self { store, links, failures: Arc::default() }
    }
}
