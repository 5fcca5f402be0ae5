//! The command line's parts, as a library so that its tests can hold them one by one.
//!
//! Terms are defined in `docs/glossary.md`.

pub mod address;
pub mod application;
pub mod arguments;
pub use demo_broker as broker;
mod commands;
pub mod continuity;
pub mod debugging;
mod descriptors;
pub mod exit;
pub mod factory_test;
mod failures;
pub mod feed;
pub mod folder;
mod listing;
pub mod logging;
mod moment;
mod operator;
pub mod output;
pub mod platform;
mod process;
pub mod relayed;
pub mod script;
pub mod serial_lines;
mod settings;
pub mod signals;
pub mod stores;
pub mod timeline;
pub mod watched;
pub mod wired;
pub mod witness;

pub use commands::run;
