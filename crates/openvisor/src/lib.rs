//! The command line, as a library: its one binary is `main.rs`.
//!
//! Layers, each knowing those before it: `output` and `options`, `operate`, `host`, `demo`, `scripted`, `commands`.

mod commands;
mod demo;
mod host;
mod operate;
mod options;
mod output;
mod scripted;

pub use commands::{Arguments, complete_for_shell, run};
pub use output::exit::{Exit, Failure, report};
pub use output::finish as flush_output;
