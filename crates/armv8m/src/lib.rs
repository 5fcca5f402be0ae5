#![doc = include_str!("../README.md")]
//!
//! ## Inside
//!
//! `cpu` is the run loop; `decode` turns halfwords into `op`'s instructions, which `code` caches and `exec` executes on
//! `state`; `exception` and `nvic` take exceptions; `memory` routes data accesses to RAM, to `ppb` (`scb`, `systick`,
//! `mpu`, `fpu`) or to the [`Bus`]. `spin` and `trial` find loops without effect. Terms are defined in
//! `docs/glossary.md`.

#![forbid(unsafe_code)]
#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "registers are 32 bits, which some instructions read as signed and others as unsigned"
)]
#![allow(
    clippy::precedence,
    reason = "shifts and masks follow the order of the architecture's field diagrams"
)]
#![allow(
    clippy::struct_excessive_bools,
    clippy::fn_params_excessive_bools,
    reason = "the architecture's state is single bits, each with its own name"
)]
#![allow(
    clippy::inline_always,
    reason = "the interpreter's loop is one function by design, so that its state stays in registers"
)]

mod bus;
mod code;
mod cpu;
mod cpu_config;
mod debug;
mod decode;
mod exception;
mod exec;
mod exit;
mod fault;
mod float;
mod fpu;
mod host;
mod memory;
mod mpu;
mod nvic;
mod op;
mod ppb;
mod scb;
mod spin;
mod state;
mod systick;
mod trial;

pub use bus::{Bus, BusFault, EmptyBus, Signals, Width};
pub use cpu::Cpu;
pub use cpu_config::Config;
pub use debug::{ExceptionEvent, HaltCause, MAX_EXCEPTION_EVENTS, Watchpoint};
pub use exit::{Exit, NoVectorTable};
pub use fault::FaultStatus;
pub use host::Register;
pub use trial::ExternalActivity;

/// Processor cycles since the processor was created: the one unit of guest time. An instruction takes one cycle, and
/// the host skips cycles while the processor sleeps. A reset does not set the count back, so it never decreases.
///
/// The same type counts a number of cycles, such as the budget of [`Cpu::run`].
pub type Cycles = u64;
