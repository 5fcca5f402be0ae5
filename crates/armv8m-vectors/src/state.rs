//! The processor's state before and after a case.

use crate::rng::Rng;

/// Where a case branches at its end.
pub const EXIT: u32 = 0x8000_0000;
/// Where the code of most cases starts.
pub const CODE: u32 = 0x8000_2000;
/// The first window of memory that is filled before a case and compared after it.
pub const DATA: u32 = 0x8000_4000;
/// Words of the window at [`DATA`].
pub const DATA_WORDS: usize = 64;
/// The second window: the last 16 bytes of RAM.
pub const END: u32 = 0x80FF_FFF0;
/// Words of the window at [`END`].
pub const END_WORDS: usize = 4;
/// The stack pointer at the start of a case, unless the case sets it: the middle of the window at [`DATA`].
pub const STACK: u32 = DATA + 0x80;

/// Everything a case can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// R0 to R14.
    pub r: [u32; 15],
    /// N, Z, C, V, Q and GE; the rest is zero.
    pub apsr: u32,
    /// Floating-point status and control.
    pub fpscr: u32,
    /// S0 to S31.
    pub s: [u32; 32],
    /// The window at [`DATA`], then the one at [`END`].
    pub memory: [u32; DATA_WORDS + END_WORDS],
}

/// One 32-bit word of a [`State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateWord {
    /// R0 to R14.
    R(u8),
    /// S0 to S31.
    S(u8),
    /// The flags.
    Apsr,
    /// Floating-point status and control.
    Fpscr,
    /// A word of the windows of memory.
    Memory(u8),
}

impl State {
    /// A random state, with many edge values.
    pub fn random(rng: &mut Rng) -> Self {
        let mut state = Self {
            r: [0; 15],
            apsr: rng.bits() & 0xF80F_0000,
            fpscr: fpscr(rng),
            s: [0; 32],
            memory: [0; DATA_WORDS + END_WORDS],
        };
        state.r.fill_with(|| integer(rng));
        state.r[13] = STACK;
        let mut previous = 0x3F80_0000;
        state.s.fill_with(|| {
            previous = float(rng, previous);
            previous
        });
        state.memory.fill_with(|| rng.bits());
        state
    }

    /// All words, in the order of the recorded files.
    pub fn words() -> impl Iterator<Item = StateWord> {
        let r = (0..15).map(StateWord::R);
        let s = (0..32).map(StateWord::S);
        let memory = (0..(DATA_WORDS + END_WORDS) as u8).map(StateWord::Memory);
        r.chain([StateWord::Apsr, StateWord::Fpscr]).chain(s).chain(memory)
    }

    /// The value of a word.
    pub fn value(&self, word: StateWord) -> u32 {
        match word {
            StateWord::R(n) => self.r[n as usize],
            StateWord::S(n) => self.s[n as usize],
            StateWord::Apsr => self.apsr,
            StateWord::Fpscr => self.fpscr,
            StateWord::Memory(n) => self.memory[n as usize],
        }
    }

    /// Changes a word.
    pub fn set(&mut self, word: StateWord, value: u32) {
        match word {
            StateWord::R(n) => self.r[n as usize] = value,
            StateWord::S(n) => self.s[n as usize] = value,
            StateWord::Apsr => self.apsr = value,
            StateWord::Fpscr => self.fpscr = value,
            StateWord::Memory(n) => self.memory[n as usize] = value,
        }
    }

    /// The words in which `after` differs, with their values there.
    pub fn changes(&self, after: &Self) -> Vec<(StateWord, u32)> {
        let changed = Self::words().filter(|&word| self.value(word) != after.value(word));
        changed.map(|word| (word, after.value(word))).collect()
    }
}

/// The address of word `index` of the windows.
pub fn memory_address(index: u8) -> u32 {
    let index = u32::from(index);
    let data = DATA_WORDS as u32;
    if index < data { DATA + index * 4 } else { END + (index - data) * 4 }
}

/// Rounding mode, flush-to-zero, default NaN and alternative half precision in every combination; the cumulative flags
/// mostly clear, so that setting them shows.
fn fpscr(rng: &mut Rng) -> u32 {
    let flags = rng.bits() & 0xF000_0000;
    let cumulative = if rng.one_in(4) { rng.bits() & 0x9F } else { 0 };
    let plain = rng.one_in(3);
    let modes = if plain { 0 } else { rng.bits() & 0x07C0_0000 & (rng.bits() | 0x00C0_0000) };
    flags | modes | cumulative
}

const INTEGERS: [u32; 16] = [
    0,
    1,
    2,
    31,
    32,
    33,
    0x7FFF_FFFF,
    0x8000_0000,
    0x8000_0001,
    0xFFFF_FFFF,
    0xFFFF_FFFE,
    0x7FFF_8000,
    0x8000_7FFF,
    0x8000_8000,
    0x7F80_017F,
    0x00FF_FF00,
];
const HALVES: [u16; 8] = [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0x00FF, 0x0100];
const BYTES: [u8; 6] = [0, 1, 0x7F, 0x80, 0x81, 0xFF];

/// A number for a core register.
pub fn integer(rng: &mut Rng) -> u32 {
    match rng.below(8) {
        0 => rng.pick(&INTEGERS),
        1 => rng.below(64),
        2 => rng.below(300).wrapping_neg(),
        3 => u32::from(rng.pick(&HALVES)) << 16 | u32::from(rng.pick(&HALVES)),
        4 => u32::from_le_bytes([0; 4].map(|_: u8| rng.pick(&BYTES))),
        5 => rng.bits() >> rng.below(32),
        _ => rng.bits(),
    }
}

const FLOATS: [u32; 28] = [
    0x0000_0000, // zero
    0x0000_0001, // smallest denormal
    0x0000_0002,
    0x007F_FFFF, // largest denormal
    0x0080_0000, // smallest normal
    0x0080_0001,
    0x0100_0000,
    0x3F00_0000, // 0.5
    0x3F7F_FFFF, // just below 1
    0x3F80_0000, // 1
    0x3F80_0001,
    0x3FC0_0000, // 1.5
    0x4020_0000, // 2.5
    0x4040_0000, // 3
    0x4B00_0000, // 2^23
    0x4AFF_FFFF,
    0x4EFF_FFFF, // just below 2^31
    0x4F00_0000, // 2^31
    0x4F7F_FFFF, // just below 2^32
    0x4F80_0000, // 2^32
    0x7F7F_FFFF, // largest finite
    0x7F00_0000,
    0x7F80_0000, // infinity
    0x7F80_0001, // signaling NaN
    0x7FBF_FFFF, // signaling NaN
    0x7FC0_0000, // the default NaN
    0x7FC1_2345, // quiet NaN
    0x7FFF_FFFF, // quiet NaN
];
const HALF_FLOATS: [u16; 14] =
    [0, 1, 0x03FF, 0x0400, 0x3800, 0x3C00, 0x3C01, 0x7BFF, 0x7C00, 0x7C01, 0x7DFF, 0x7E00, 0x7E55, 0x7FFF];

/// A number for a floating-point register; `previous` is another one, to which it may be close.
pub fn float(rng: &mut Rng, previous: u32) -> u32 {
    let sign = rng.bits() & 0x8000_0000;
    match rng.below(12) {
        0..=2 => sign | rng.pick(&FLOATS),
        3 => rng.bits(),
        4 => sign | rng.bits() & 0x00FF_FFFF,
        5 => u32::from(half(rng)) << 16 | u32::from(half(rng)),
        6 => sign | f32::from(rng.below(2001) as u16).to_bits(),
        7 => sign ^ previous.wrapping_add(rng.below(5)).wrapping_sub(2),
        8 => sign | (160 - rng.below(70)) << 23 | rng.bits() & 0x007F_FFFF,
        9 => sign | (150 - rng.below(50)) << 23 | rng.bits() & 0x0070_0000,
        10 => sign | (130 - rng.below(6)) << 23 | rng.bits() & 0x007F_FFFF,
        _ => sign | (previous & 0x7F80_0000) | rng.bits() & 0x007F_FFFF,
    }
}

fn half(rng: &mut Rng) -> u16 {
    let sign = rng.bits() as u16 & 0x8000;
    if rng.one_in(2) { sign | rng.pick(&HALF_FLOATS) } else { rng.bits() as u16 }
}
