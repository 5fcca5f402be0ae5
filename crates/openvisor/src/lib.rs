//! The command line's parts, as a library so that its tests can hold them one by one.

pub mod arguments;
pub mod broker;
pub mod exit;
pub mod settings;
pub mod timeline;
