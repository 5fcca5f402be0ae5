//! Options for looking into the device.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The port debuggers of the original expect.
const DEFAULT_GDB: &str = "8001";

/// How one looks into the device while it runs.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Debugging")]
pub struct Debugging {
    /// Let a debugger connect (gdb-multiarch, or an editor with an external GDB server), at 127.0.0.1:8001 unless ADDR says
    /// otherwise; a bare port is one of 127.0.0.1, and port 0 takes a free one
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = DEFAULT_GDB)]
    pub gdb: Option<String>,
    /// Hold the application before its first instruction until a debugger lets it go; with it --gdb may be left out
    #[arg(long)]
    pub gdb_wait: bool,
    /// Record system calls with their arguments, interrupts, notifications and the link in FILE; a name that ends in .json
    /// makes it a trace for Perfetto or Chrome, - is standard output (repeatable)
    #[arg(long, value_name = "FILE")]
    pub trace: Vec<PathBuf>,
    /// How --trace writes, whatever the file's name
    #[arg(long, value_name = "FORMAT", requires = "trace")]
    pub trace_format: Option<TraceFormat>,
    /// The ELF file with the names and lines for crashes, where the image itself has none
    #[arg(long, value_name = "FILE")]
    pub symbols: Option<PathBuf>,
    /// Let --gdb name an address that other machines reach: whoever connects can read and change all memory
    #[arg(long, requires = "gdb")]
    pub gdb_exposed: bool,
}

/// How a trace is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceFormat {
    /// A line for each thing, for people
    Text,
    /// Chrome's trace events, for Perfetto and chrome://tracing
    Perfetto,
}

impl Debugging {
    /// Where to listen for a debugger, if anywhere.
    pub fn gdb(&self) -> Option<&str> {
        self.gdb.as_deref().or(self.gdb_wait.then_some(DEFAULT_GDB))
    }
}
