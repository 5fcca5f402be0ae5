//! Values in the fields of events.

use std::fmt;

use serde::{Serialize, Serializer};

/// A number of 32 bits, written as `0x` and eight digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) u32);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A number with one decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tenths(i64);

impl Tenths {
    /// Rounds.
    #[expect(clippy::cast_possible_truncation, reason = "figures for display")]
    pub(crate) fn of(value: f64) -> Self {
        Self((value * 10.0).round() as i64)
    }

    /// The number.
    #[expect(clippy::cast_precision_loss, reason = "figures for display")]
    pub(crate) fn value(self) -> f64 {
        self.0 as f64 / 10.0
    }
}

impl Serialize for Tenths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.value())
    }
}

/// A fault status register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StatusRegister {
    /// Its value.
    pub(crate) value: Hex,
    /// The bits that are set, by the names of the architecture's manual.
    pub(crate) bits: Vec<&'static str>,
}

/// A call of a backtrace, the innermost first; several with one address where functions were inlined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Call {
    /// Address of the instruction, or of the one after the call.
    pub(crate) address: Hex,
    /// The function, if symbols name it.
    pub(crate) function: Option<String>,
    /// The source file, if the debug information names it.
    pub(crate) file: Option<String>,
    /// The line in it.
    pub(crate) line: Option<u32>,
    /// False: found by scanning the stack, and maybe a leftover.
    pub(crate) certain: bool,
}

/// Registers and backtrace of a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CrashReport {
    /// What happened, in one line.
    pub(crate) detail: String,
    /// Configurable Fault Status Register.
    pub(crate) cfsr: StatusRegister,
    /// HardFault Status Register.
    pub(crate) hfsr: StatusRegister,
    /// MemManage Fault Address Register, where it is valid.
    pub(crate) mmfar: Option<Hex>,
    /// BusFault Address Register, where it is valid.
    pub(crate) bfar: Option<Hex>,
    /// R0 to R12, SP, LR and PC at the instruction.
    pub(crate) registers: [Hex; 16],
    /// The program status registers together.
    pub(crate) xpsr: Hex,
    /// Main stack pointer.
    pub(crate) msp: Hex,
    /// Process stack pointer.
    pub(crate) psp: Hex,
    /// The calls that led there.
    pub(crate) backtrace: Vec<Call>,
    /// The report as lines of text.
    #[serde(skip)]
    pub(crate) lines: Vec<String>,
}

/// A limit that was lowered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct LoweredLimit {
    /// Its name, as `--limit` takes it.
    pub(crate) name: &'static str,
    /// The configured value.
    pub(crate) from: usize,
    /// The lowered value.
    pub(crate) to: usize,
}

/// The state of a fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FleetProgress {
    /// Devices connected.
    pub(crate) connected: u64,
    /// Devices connecting.
    pub(crate) connecting: u64,
    /// Devices neither connected nor connecting.
    pub(crate) without_link: u64,
    /// Devices not started yet.
    pub(crate) waiting: u64,
    /// Devices that have ended.
    pub(crate) ended: u64,
    /// Publishes a second since the line before.
    pub(crate) publishes_per_second: Tenths,
    /// Messages received a second since the line before.
    pub(crate) messages_per_second: Tenths,
    /// Log lines a second since the line before.
    pub(crate) log_lines_per_second: Tenths,
    /// Accepted publishes so far.
    pub(crate) publishes: u64,
    /// Messages received so far.
    pub(crate) messages: u64,
    /// Log lines so far.
    pub(crate) log_lines: u64,
    /// Crashes of applications so far.
    pub(crate) faults: u64,
    /// Restarts of applications so far.
    pub(crate) restarts: u64,
    /// Connections to the cloud lost so far.
    pub(crate) lost_links: u64,
    /// Processor time of this process, in per cent of one core; null if the system does not report it.
    pub(crate) cpu_percent: Option<Tenths>,
    /// Memory of this process in KiB; null if the system does not report it.
    pub(crate) resident_kib: Option<u64>,
}

#[cfg(test)]
mod schema {
    //! Those whose JSON is not what their type suggests.

    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Hex, Tenths};

    impl JsonSchema for Hex {
        fn schema_name() -> Cow<'static, str> {
            "Hex".into()
        }

        fn inline_schema() -> bool {
            true
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string", "pattern": "^0x[0-9a-f]{8}$" })
        }
    }

    impl JsonSchema for Tenths {
        fn schema_name() -> Cow<'static, str> {
            "Tenths".into()
        }

        fn inline_schema() -> bool {
            true
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "number" })
        }
    }
}
