//! What an operator does to a cloud's data: its store, the settings in it, its devices and their log lines.

pub(crate) mod log_gaps;
pub(crate) mod operator;
pub(crate) mod settings;
pub(crate) mod stores;
