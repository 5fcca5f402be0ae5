//! Debugging a device: GDB, traces, symbols, and reports of crashes and refused calls.

pub mod backtrace;
pub mod crash;
pub mod gdb;
pub mod refused_call;
pub mod symbols;
pub mod trace;

/// How a device is debugged.
#[derive(Debug, Default)]
pub struct Debugging {
    /// Where a debugger may connect.
    pub gdb: Option<gdb::Server>,
    /// The application is halted before its first instruction until a debugger resumes it.
    pub wait: bool,
    /// The application's names and lines.
    pub symbols: Option<symbols::Symbols>,
    /// Writes a trace of everything the application does.
    pub tracer: Option<trace::Tracer>,
}
