//! The cloud: the server around the relay core.
//!
//! A [`Cloud`] listens for devices on one port. The gateway authenticates each connection (TLS 1.3, certificates of the
//! cloud's own authority). Then the connection has one task, its session, which owns the relay core and moves bytes
//! between it, the device, the brokers ([`connector`]) and the [`store`], and performs HTTP exchanges (`http`).
//! Everything persistent is in one data folder ([`data`]) and the store; every limit is in [`limits`].
//!
//! What is not here: MQTT (crate `mqtt`), the meaning of requests (`relay`), the link's frames (`link`), the REST
//! interface.
//!
//! Terms are defined in `docs/glossary.md`.
#![forbid(unsafe_code)]

mod accounts;
pub mod authority;
mod background;
mod certificate;
pub mod clock;
mod cloud;
mod cloud_config;
pub mod connector;
mod credential;
pub mod data;
#[cfg(test)]
mod debug_output_tests;
pub mod destinations;
pub mod events;
mod files;
pub mod fuzzing;
mod gateway;
mod http;
mod id;
pub mod limits;
mod lock;
pub mod log_gaps;
mod log_intake;
mod memory_limit;
mod metrics;
mod monitor;
mod pipe;
mod presence;
mod provisioning;
mod quota;
mod random;
mod rate;
mod refusal_cache;
mod registry;
mod revocation;
mod seal;
mod session;
mod shared;
mod slots;
mod sources;
mod start_error;
pub mod store;
mod store_url;
mod supervisor;
mod throttle;

pub use authority::Identity;
pub use cloud::Cloud;
pub use cloud_config::Config;
pub use connector::{AuthoritiesError, Resolve, ResolveError, read_authorities};
pub use credential::{ApiSecret, SecretKind};
pub use destinations::Destinations;
pub use events::{Disconnection, Event, EventKind};
pub use files::FileError;
pub use gateway::ALPN;
pub use id::{AccountId, ApiKeyId, AppId, DeviceId};
pub use limits::{LimitError, Limits, LoweredLimit};
pub use provisioning::{NewDevice, ProvisionError, Provisioned, provision, provision_in, provision_into};
pub use relay::TlsPorts;
pub use start_error::StartError;
pub use store::{Scope, Store};
pub use store_url::{StoreUrl, StoreUrlError};
pub use tokio_rustls::rustls::pki_types::CertificateDer;
