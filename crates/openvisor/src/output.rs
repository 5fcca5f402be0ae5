//! What a user sees: standard streams, timeline, tables, times, the texts of events and errors, the log, and the exit code.

pub(crate) mod error_text;
pub mod event_output;
pub mod exit;
pub mod logging;
mod queue;
pub(crate) mod table;
pub mod timeline;
pub(crate) mod timestamp;

pub use queue::{DropNotice, FLUSH_TIMEOUT, Output, QUEUE_BYTES, finish, raw_stdout, stderr, stdout};
