//! The cloud: the server around the relay core.
//!
//! A [`Cloud`] listens for devices on one port. Each connection is admitted by the gateway (TLS 1.3, certificates of the cloud's own
//! authority), then has one task, its session, which owns the relay core and moves bytes between it, the device, the brokers
//! ([`connector`]) and the [`store`], and carries HTTP exchanges (`http`). Everything that lasts is in one data folder ([`data`]); every bound is in [`limits`].
//!
//! What is not here: MQTT (crate `mqtt`), what a request means (`relay`), the link's frames (`link`), the REST interface.
//!
//! Terms are defined in `docs/glossary.md`.
#![forbid(unsafe_code)]

mod account_id;
mod accounts;
pub mod authority;
mod certificate;
pub mod clock;
mod cloud;
pub mod connector;
pub mod data;
pub mod destinations;
mod device_id;
pub mod events;
mod files;
pub mod fuzzing;
mod gateway;
mod http;
pub mod limits;
mod lock;
mod log_intake;
mod memory_limit;
mod metrics;
mod monitor;
mod pipe;
mod presence;
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
pub mod store;
mod store_url;
mod supervisor;
mod throttle;

pub use account_id::AccountId;
pub use authority::Identity;
pub use cloud::{
    Cloud, Config, NewDevice, ProvisionError, StartError, provision, provision_in, provision_into,
};
pub use connector::{AuthoritiesError, Resolve, ResolveError, read_authorities};
pub use destinations::Destinations;
pub use device_id::DeviceId;
pub use events::{Disconnection, Event, EventKind};
pub use files::FileError;
pub use gateway::ALPN;
pub use limits::{LimitError, Limits, LoweredLimit};
pub use relay::TlsPorts;
pub use store::{Scope, Store};
pub use store_url::{StoreUrl, StoreUrlError};
pub use tokio_rustls::rustls::pki_types::CertificateDer;
