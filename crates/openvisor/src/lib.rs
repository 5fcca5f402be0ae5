//! The command line's parts, as a library so that its tests can hold them one by one.
//!
//! Terms are defined in `docs/glossary.md`.

pub mod arguments;
mod commands;
pub mod demo;
pub mod host;
pub mod operate;
pub mod output;

pub use commands::run;
pub use demo_broker as broker;
