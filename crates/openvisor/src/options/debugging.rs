//! How to look into a running device.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The port that debuggers of the original expect.
const DEFAULT_GDB: &str = "8001";

/// Debugger, trace and symbols.
#[derive(Args, Default)]
#[command(next_help_heading = "Debugging")]
pub(crate) struct DebuggingOptions {
    /// Listen for a debugger (gdb-multiarch, or an editor with an external GDB server) on ADDR: a port of 127.0.0.1, or
    /// HOST:PORT; 8001 if not given, 0 for any free port
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = DEFAULT_GDB)]
    pub(crate) gdb: Option<String>,
    /// Stop the application before its first instruction until a debugger continues it; implies --gdb
    #[arg(long)]
    pub(crate) gdb_wait: bool,
    /// Record system calls with their arguments, interrupts, notifications and link events in FILE; a name that ends in
    /// .json selects the format of Perfetto and Chrome, - is standard output (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Vec<PathBuf>,
    /// Format of --trace, regardless of the file's name
    #[arg(long, value_name = "FORMAT", requires = "trace")]
    pub(crate) trace_format: Option<TraceFormat>,
    /// ELF file with the symbols and lines for backtraces, if the image has none
    #[arg(long, value_name = "FILE")]
    pub(crate) symbols: Option<PathBuf>,
    /// Let --gdb listen on an address that other machines can reach: anyone who connects can read and change all memory
    #[arg(long, requires = "gdb")]
    pub(crate) gdb_exposed: bool,
}

/// Format of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TraceFormat {
    /// One line per event
    Text,
    /// Chrome trace events, for Perfetto and chrome://tracing
    Perfetto,
}

impl DebuggingOptions {
    /// The address to listen on for a debugger, if any.
    pub(crate) fn gdb(&self) -> Option<&str> {
        self.gdb.as_deref().or(self.gdb_wait.then_some(DEFAULT_GDB))
    }
}
