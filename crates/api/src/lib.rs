//! The management API: what public clients of the original, scripts, the command line and a console use.
//!
//! [`Api`] is what the handlers share; [`router`] has every route under `/v1`, [`server`] serves it on a socket, and
//! the operator's commands call the same router in process. `docs/spec/api.md` specifies it. Everything is read from
//! and written to the store, so that it does not matter whether a cloud runs; a running cloud notices changes within a
//! second.
//!
//! Each resource has a file of its own: `apps`, `devices`, `items`, `keys`, `accounts`, `audit`, `logs`.
//! `streams` has what responses that do not end have in common.
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
mod logs;
mod openapi;
mod page;
mod reference;
mod router;
pub mod server;
mod streams;
mod write_limit;

use std::sync::Arc;

use cloud::Store;

pub use caller::Caller;
pub use error::{ApiError, ErrorBody, codes};
pub use links::LinkPolicy;
pub use router::{description, router};
pub use streams::StreamLimits;

use failures::Failures;
use streams::Streams;

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    /// The store, as the first account's view.
    store: Store,
    links: LinkPolicy,
    failures: Arc<Failures>,
    streams: Arc<Streams>,
}

impl Api {
    /// An API on a store. `links`: how the URLs in responses are made.
    pub fn new(store: Store, links: LinkPolicy) -> Self {
        Self { store, links, failures: Arc::default(), streams: Arc::default() }
    }

    /// The same with other limits of streams.
    #[must_use]
    pub fn with_stream_limits(self, limits: StreamLimits) -> Self {
        Self { streams: Arc::new(Streams::new(limits)), ..self }
    }

    /// Ends all streams with the reason `shutting_down`, and every later one at once. To be called before
    /// [`server::serve`] is stopped, which waits for responses in flight.
    pub fn stop_streams(&self) {
        self.streams.stop();
    }
}
