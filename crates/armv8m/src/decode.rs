//! From halfwords to [`Inst`]: one file for each encoding group of the T32 instruction set.

mod branch;
mod fp;
mod narrow;
mod narrow_memory;
mod wide;
mod wide_memory;
mod wide_register;

use crate::op::Inst;

/// What the decoding of an instruction depends on besides its bits.
#[derive(Clone, Copy)]
pub(crate) struct DecodeContext {
    /// Address of its first halfword.
    pub address: u32,
    /// True inside an IT block: most 16-bit instructions then leave the flags alone.
    pub in_it: bool,
}

impl DecodeContext {
    /// The value of PC that the instruction reads: its address plus four.
    pub(crate) fn pc(self) -> u32 {
        self.address.wrapping_add(4)
    }
    /// PC rounded down to a word, the base of literals.
    pub(crate) fn literal_base(self) -> u32 {
        self.pc() & !3
    }
}

/// True when `first` starts a 32-bit instruction.
pub(crate) fn is_wide(first: u16) -> bool {
    first >= 0xE800
}

/// Decodes one instruction; `second` is used only if `first` is the start of a 32-bit instruction.
pub(crate) fn decode(context: DecodeContext, first: u16, second: u16) -> Inst {
    if is_wide(first) {
        wide::decode(context, u32::from(first), u32::from(second)).wide()
    } else {
        narrow::decode(context, u32::from(first))
    }
}

/// Bits `high..=low` of `word`.
fn bits(word: u32, high: u32, low: u32) -> u32 {
    (word >> low) & ((2u32 << (high - low)) - 1)
}

/// Whether bit `at` of `word` is set.
fn bit(word: u32, at: u32) -> bool {
    (word >> at) & 1 != 0
}

/// Sign-extends the low `width` bits of `value`.
fn sign_extend(value: u32, width: u32) -> u32 {
    let spare = 32 - width;
    (((value << spare) as i32) >> spare) as u32
}
