//! How to look into a running device.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use device::debug::trace::TraceFilter;

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
    /// Record only these in --trace: names of system calls, with * for any characters (mvMqtt*), or the kinds in the
    /// second column of a trace: application (all calls), interrupts, kernel, link, device
    #[arg(long, value_name = "NAME,...", requires = "trace", value_delimiter = ',', value_parser = trace_filter)]
    pub(crate) trace_only: Vec<TraceFilter>,
    /// Write every repetition in --trace by itself; otherwise calls that only query, calls that are refused, and
    /// interrupts are counted while they repeat
    #[arg(long, requires = "trace")]
    pub(crate) trace_all: bool,
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
    /// What --trace records.
    pub(crate) fn trace_filter(&self) -> TraceFilter {
        match self.trace_only.as_slice() {
            [] => TraceFilter::ALL,
            selected => selected.iter().fold(TraceFilter::NONE, |all, one| all | *one),
        }
    }

    /// The address to listen on for a debugger, if any.
    pub(crate) fn gdb(&self) -> Option<&str> {
        self.gdb.as_deref().or(self.gdb_wait.then_some(DEFAULT_GDB))
    }
}

/// Least similarity of a name that is suggested, from 0 to 1; clap suggests its own options from this on.
const SIMILAR: f64 = 0.7;

/// Parses a name of --trace-only.
fn trace_filter(name: &str) -> Result<TraceFilter, String> {
    TraceFilter::parse(name.trim()).ok_or_else(|| {
        if name.contains('*') {
            return "no system call has such a name".to_owned();
        }
        match similar(name.trim()) {
            Some(similar) => format!("neither a system call nor a kind of entry; did you mean {similar}?"),
            None => "neither a system call, as mv_syscalls.h names it, nor a kind of entry".to_owned(),
        }
    })
}

/// The name that is most similar to `name`.
fn similar(name: &str) -> Option<&'static str> {
    // Names differ in what follows the prefix of all calls, which is easily forgotten.
    let bare = |name: &str| name.to_ascii_lowercase().trim_start_matches("mv").to_owned();
    let scored = TraceFilter::names().map(|known| (strsim::jaro(&bare(name), &bare(known)), known));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(score, _)| *score >= SIMILAR).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D331.
    #[test]
    fn an_unknown_name_of_trace_only_is_refused_with_a_suggestion() {
        assert!(trace_filter("mvMqtt*").is_ok() && trace_filter(" link").is_ok());
        let suggested = |name| trace_filter(name).unwrap_err();
        for (name, meant) in [
            ("mvGetMicrosecond", "mvGetMicroseconds"),
            ("MqttRequestPublish", "mvMqttRequestPublish"),
            ("interupts", "interrupts"),
        ] {
            assert!(suggested(name).contains(&format!("did you mean {meant}?")), "{}", suggested(name));
        }
        assert!(!suggested("zzz").contains("did you mean"), "{}", suggested("zzz"));
        assert!(suggested("mvFoo*").contains("no system call"), "{}", suggested("mvFoo*"));
    }
}
