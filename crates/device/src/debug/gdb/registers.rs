//! The registers a debugger sees, and their description.

use std::num::NonZeroUsize;

use armv8m::Register;
use gdbstub::arch::{Arch, RegId, Registers};

/// A Cortex-M33 with its floating-point unit, as the debugger knows it.
pub enum CortexM33 {}

impl Arch for CortexM33 {
    type Usize = u32;
    type Registers = RegisterValues;
    type BreakpointKind = usize;
    type RegId = RegisterId;

    fn target_description_xml() -> Option<&'static str> {
        Some(DESCRIPTION)
    }
}

/// RegisterValues of all registers: R0 to R15, XPSR, S0 to S31, FPSCR, and eight of the system's.
pub(super) const WORDS: usize = 16 + 1 + 32 + 1 + 8;

/// First word of the floating-point registers, which the debugger takes in pairs.
const FIRST_S: usize = 17;
/// Their number in pairs.
const PAIRS: usize = 16;

/// The register in word `at` of the debugger's order, which is that of [`DESCRIPTION`].
pub(super) fn at(at: usize) -> Register {
    match at {
        0..=15 => Register::R(at as u8),
        16 => Register::Xpsr,
        17..=48 => Register::S((at - FIRST_S) as u8),
        49 => Register::Fpscr,
        50 => Register::Msp,
        51 => Register::Psp,
        52 => Register::Primask,
        53 => Register::Basepri,
        54 => Register::Faultmask,
        55 => Register::Control,
        56 => Register::Msplim,
        _ => Register::Psplim,
    }
}

/// The values of all registers, in words.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterValues(pub [u32; WORDS]);

impl Default for RegisterValues {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl Registers for RegisterValues {
    type ProgramCounter = u32;

    fn pc(&self) -> u32 {
        self.0[15]
    }

    fn gdb_serialize(&self, mut write_byte: impl FnMut(Option<u8>)) {
        self.0.iter().flat_map(|word| word.to_le_bytes()).for_each(|byte| write_byte(Some(byte)));
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        if bytes.len() != WORDS * 4 {
            return Err(());
        }
        for (word, four) in self.0.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        }
        Ok(())
    }
}

/// A register by its number in [`DESCRIPTION`], as a range of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterId {
    /// The first word.
    pub first: usize,
    /// How many.
    pub words: usize,
}

impl RegId for RegisterId {
    fn from_raw_id(id: usize) -> Option<(Self, Option<NonZeroUsize>)> {
        let number = match id {
            0..FIRST_S => Self { first: id, words: 1 },
            id if id < FIRST_S + PAIRS => Self { first: FIRST_S + (id - FIRST_S) * 2, words: 2 },
            id => Self { first: id + PAIRS, words: 1 },
        };
        let known = number.first < WORDS;
        known.then_some((number, NonZeroUsize::new(number.words * 4)))
    }

    fn to_raw_id(&self) -> Option<usize> {
        Some(match self.first {
            first if first < FIRST_S => first,
            first if first < FIRST_S + 2 * PAIRS => FIRST_S + (first - FIRST_S) / 2,
            first => first - PAIRS,
        })
    }
}

/// Names and sizes in the debugger's own terms; its standard features bring frames of exceptions and floating point.
pub(super) const DESCRIPTION: &str = r#"<?xml version="1.0"?>
<!DOCTYPE target SYSTEM "gdb-target.dtd">
<target version="1.0">
<architecture>arm</architecture>
<feature name="org.gnu.gdb.arm.m-profile">
<reg name="r0" bitsize="32" regnum="0"/><reg name="r1" bitsize="32"/><reg name="r2" bitsize="32"/><reg name="r3" bitsize="32"/>
<reg name="r4" bitsize="32"/><reg name="r5" bitsize="32"/><reg name="r6" bitsize="32"/><reg name="r7" bitsize="32"/>
<reg name="r8" bitsize="32"/><reg name="r9" bitsize="32"/><reg name="r10" bitsize="32"/><reg name="r11" bitsize="32"/>
<reg name="r12" bitsize="32"/><reg name="sp" bitsize="32" type="data_ptr"/><reg name="lr" bitsize="32"/>
<reg name="pc" bitsize="32" type="code_ptr"/><reg name="xpsr" bitsize="32"/>
</feature>
<feature name="org.gnu.gdb.arm.vfp">
<reg name="d0" bitsize="64" type="ieee_double" regnum="17"/><reg name="d1" bitsize="64" type="ieee_double"/>
<reg name="d2" bitsize="64" type="ieee_double"/><reg name="d3" bitsize="64" type="ieee_double"/>
<reg name="d4" bitsize="64" type="ieee_double"/><reg name="d5" bitsize="64" type="ieee_double"/>
<reg name="d6" bitsize="64" type="ieee_double"/><reg name="d7" bitsize="64" type="ieee_double"/>
<reg name="d8" bitsize="64" type="ieee_double"/><reg name="d9" bitsize="64" type="ieee_double"/>
<reg name="d10" bitsize="64" type="ieee_double"/><reg name="d11" bitsize="64" type="ieee_double"/>
<reg name="d12" bitsize="64" type="ieee_double"/><reg name="d13" bitsize="64" type="ieee_double"/>
<reg name="d14" bitsize="64" type="ieee_double"/><reg name="d15" bitsize="64" type="ieee_double"/>
<reg name="fpscr" bitsize="32" type="int" group="float"/>
</feature>
<feature name="org.gnu.gdb.arm.m-system">
<reg name="msp" bitsize="32" type="data_ptr" group="system" regnum="34"/><reg name="psp" bitsize="32" type="data_ptr" group="system"/>
<reg name="primask" bitsize="32" group="system"/><reg name="basepri" bitsize="32" group="system"/>
<reg name="faultmask" bitsize="32" group="system"/><reg name="control" bitsize="32" group="system"/>
<reg name="msplim" bitsize="32" type="data_ptr" group="system"/><reg name="psplim" bitsize="32" type="data_ptr" group="system"/>
</feature>
</target>"#;
