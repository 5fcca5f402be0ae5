//! Looking into a device from outside: a debugger, and what is told of a crash.

pub mod backtrace;
pub mod crash;
pub mod gdb;
pub mod refused_call;
pub mod symbols;
pub mod trace;

/// Who looks into a device.
#[derive(Debug, Default)]
pub struct Debugging {
    /// Where a debugger may connect.
    pub gdb: Option<gdb::Server>,
    /// The application stands before its first instruction until a debugger lets it go.
    pub wait: bool,
    /// The application's names and lines.
    pub symbols: Option<symbols::Symbols>,
    /// Who is told of everything the application does.
    pub tracer: Option<trace::Tracer>,
}
