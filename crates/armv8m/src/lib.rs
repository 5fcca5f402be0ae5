//! A Cortex-M33 processor as a library: the Armv8-M Mainline instruction set, exceptions, NVIC, SysTick, MPU.
//!
//! [`Cpu`] owns its RAM, shares its flash, and runs until its budget is used or the host must act; what lies outside is
//! a [`Bus`]. Instructions are decoded once, into a cache with an entry for each halfword, and interpreted.
//!
//! What is not here: the secure state, a debugger's halting, caches, and instruction timing. Every instruction takes
//! one cycle, exception entry and return none.

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
    reason = "the interpreter's hot path is measured; calls there cost a third of its speed"
)]

mod bus;
mod code;
mod config;
mod core;
mod cpu;
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
mod private;
mod scb;
mod systick;

pub use bus::{Bus, BusFault, EmptyBus, Width, Wires};
pub use config::Config;
pub use cpu::{Cpu, Exit, NoVectorTable};
pub use fault::Faults;
pub use host::Register;
