//! Recorded instruction tests: what a reference processor made of random instructions, for `armv8m` to be held against.
//!
//! A [`Form`](form::Form) is one instruction encoding as a pattern of bits. From a form and a number comes a
//! [`Case`](case::Case): the instruction with random fields, and a random [`State`](state::State) to run it in.
//! The recorder (`cargo xtask vectors`) runs the cases on QEMU's Cortex-M33 and writes, for each, the code and what
//! changed to `recorded/*.txt`; `crates/armv8m/tests/recorded.rs` reads those files and needs neither the forms nor
//! QEMU.
//!
//! What no case does, and why, is in `recorded/README.md`.
//!
//! Terms are defined in `docs/glossary.md`.

#![forbid(unsafe_code)]
#![allow(
    clippy::precedence,
    reason = "shifts and masks are written as the architecture's field diagrams read"
)]

pub mod case;
pub mod encode;
pub mod form;
pub mod forms;
pub mod pattern;
pub mod plan;
pub mod recorder;
pub mod rng;
pub mod state;
pub mod text;
