//! A Cortex-M33 processor as a library: the Armv8-M Mainline instruction set, exceptions, NVIC, SysTick, MPU.
//!
//! [`Cpu`] owns its RAM, shares its flash, and runs until its budget is used or the host must act; what lies outside is
//! a [`Bus`]. Instructions are decoded once, into a cache with an entry for each halfword, and interpreted.
//!
//! ```
//! use armv8m::{Config, Cpu, EmptyBus, Exit, Register};
//!
//! // A vector table (stack, reset), then: movs r0, #6; movs r1, #7; muls r0, r1; wfi.
//! let flash = [0x2000_1000u32, 0x0800_0009, 0x2107_2006, 0xBF30_4348].map(u32::to_le_bytes).concat();
//! let mut cpu = Cpu::new(Config::default(), flash.into());
//! cpu.reset().unwrap();
//! assert_eq!(cpu.run(&mut EmptyBus, 1000), Exit::WaitForInterrupt);
//! assert_eq!(cpu.register(Register::R(0)), 42);
//! ```
//!
//! "Arm ARM" is the Armv8-M Architecture Reference Manual (DDI 0553); names such as `AddWithCarry` are its own.
//!
//! What is not here: the secure state, caches, and instruction timing. Every
//! instruction takes one cycle, exception entry and return none. Memory attributes (MAIR) are kept and not used.
//! Encodings the manual calls UNPREDICTABLE are mostly undefined instructions.
//!
//! Terms are defined in `docs/glossary.md`.

#![forbid(unsafe_code)]
#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "registers are 32 bits that instructions read as signed or unsigned in turn"
)]
#![allow(
    clippy::precedence,
    reason = "shifts and masks are written as the architecture's field diagrams read"
)]
#![allow(
    clippy::struct_excessive_bools,
    clippy::fn_params_excessive_bools,
    reason = "the architecture's state is single bits with names of their own"
)]
#![allow(
    clippy::inline_always,
    reason = "the interpreter's loop is one function by design: what it touches on every instruction stays in registers"
)]

mod bus;
mod code;
mod config;
mod cpu;
mod debug;
mod decode;
mod exception;
mod exec;
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
pub use config::Config;
pub use cpu::{Cpu, Exit, NoVectorTable};
pub use debug::{ExceptionEvent, HaltCause, MAX_EXCEPTION_EVENTS, Watchpoint};
pub use fault::FaultStatus;
pub use host::Register;
pub use trial::ExternalActivity;

/// Processor cycles since the processor was created: the one unit of guest time. An instruction takes one cycle, and the
/// host skips cycles while the processor sleeps. A reset does not set the count back, so it never decreases.
///
/// The same type counts a number of cycles, such as the budget of [`Cpu::run`].
pub type Cycles = u64;
