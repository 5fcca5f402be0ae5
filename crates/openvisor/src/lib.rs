//! The command line's parts, as a library so that its tests can hold them one by one.

pub mod address;
pub mod arguments;
pub mod broker;
pub mod exit;
pub mod feed;
pub mod folder;
pub mod script;
pub mod settings;
pub mod signals;
pub mod timeline;
pub mod witness;
