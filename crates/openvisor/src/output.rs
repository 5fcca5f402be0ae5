//! What a user sees: standard streams, timeline, tables, times, the texts of events and errors, the log, and the exit
//! code.

pub(crate) mod error_text;
pub(crate) mod event;
pub(crate) mod exit;
pub(crate) mod junit;
pub(crate) mod lcov;
pub(crate) mod logging;
pub(crate) mod print;
mod queue;
pub(crate) mod table;
pub(crate) mod timeline;
pub(crate) mod timestamp;

pub use queue::finish;
pub(crate) use queue::{OutputQueue, raw_stdout, stderr, stdout};
