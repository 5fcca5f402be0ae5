//! Looking into a device from outside: a debugger.

pub mod gdb;

/// Who looks into a device.
#[derive(Debug, Default)]
pub struct Debugging {
    /// Where a debugger may connect.
    pub gdb: Option<gdb::Server>,
    /// The application stands before its first instruction until a debugger lets it go.
    pub wait: bool,
}
