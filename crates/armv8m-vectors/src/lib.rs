//! Recorded instruction tests: random instructions with the results of a reference processor, to test `armv8m` against.
//!
//! A [`Form`](form::Form) is one instruction encoding as a pattern of bits. A form and a number give a
//! [`Case`](case::Case): the instruction with random fields, and a random [`State`](state::State) to execute it in.
//! The recorder (`cargo xtask vectors`) runs the cases on QEMU's Cortex-M33 and writes, for each, the code and what
//! changed to `recorded/*.txt`; `crates/armv8m/tests/recorded.rs` reads those files and needs neither the forms nor
//! QEMU.
//!
//! What no case covers, and why, is in `recorded/README.md`.
//!
//! Terms are defined in `docs/glossary.md`.

#![forbid(unsafe_code)]
#![allow(
    clippy::precedence,
    reason = "shifts and masks follow the order of the architecture's field diagrams"
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
