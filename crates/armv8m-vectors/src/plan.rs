//! The preparation of a case: registers, memory and code around the instruction.

use crate::case::{Block, Case};
use crate::encode;
use crate::pattern::Fields;
use crate::rng::Rng;
use crate::state::{CODE, DATA, DATA_WORDS, END, END_WORDS, State, StateWord};

/// The register that shows which way a branch went.
const MARK: u32 = 12;

/// A case that a form's plan prepares.
pub struct Plan {
    form: &'static str,
    pattern: &'static str,
    index: u32,
    /// Random numbers for the plan.
    pub rng: Rng,
    /// The instruction's fields; a plan may change them.
    pub fields: Fields,
    /// Code before the instruction.
    pub before: Vec<u16>,
    /// Code after the instruction.
    pub after: Vec<u16>,
    /// Where the code starts.
    pub start: u32,
    more: Vec<Block>,
    initial: State,
    state: State,
}

impl Plan {
    /// A case without preparation.
    pub fn new(form: &'static str, pattern: &'static str, index: u32) -> Self {
        let initial = State::random(&mut Rng::of_case(form, index));
        let mut rng = Rng::of_case(form, index ^ 0x00A5_0000);
        let fields = Fields::random("", &mut rng);
        let (before, after, more) = (Vec::new(), Vec::new(), Vec::new());
        let state = initial.clone();
        Self { form, pattern, index, rng, fields, before, after, start: CODE, more, initial, state }
    }

    /// The finished case.
    pub fn case(self) -> Case {
        let mut halfwords = self.before;
        if !self.pattern.is_empty() {
            halfwords.extend(self.fields.encode(self.pattern));
        }
        halfwords.extend(self.after);
        let mut blocks = vec![Block { address: self.start, halfwords, is_code: true }];
        blocks.extend(self.more);
        let set = self.initial.changes(&self.state);
        Case { form: self.form.to_owned(), index: self.index, blocks, set }
    }

    /// The case's number.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The value of field `letter`.
    pub fn field(&self, letter: char) -> u32 {
        self.fields.of(letter)
    }

    /// The value of register `n` when the case starts.
    pub fn r(&self, n: u32) -> u32 {
        self.state.r[n as usize]
    }

    /// Sets the value of register `n` when the case starts.
    pub fn set_r(&mut self, n: u32, value: u32) {
        self.state.set(StateWord::R(n as u8), value);
    }

    /// Sets any word of the state in which the case starts.
    pub fn set(&mut self, word: StateWord, value: u32) {
        self.state.set(word, value);
    }

    /// The instruction's address, after the code that precedes it.
    pub fn address(&self) -> u32 {
        self.start + 2 * self.before.len() as u32
    }

    /// The value of PC that the instruction reads.
    pub fn pc(&self) -> u32 {
        self.address() + 4
    }

    /// Moves the start to an address that is not a multiple of four, in half of the cases.
    pub fn shift_start(&mut self) {
        self.start += 2 * self.rng.below(2);
    }

    /// An address in a window with room for `size` bytes, a multiple of `align`; often at a window's very end.
    pub fn address_in_window(&mut self, size: u32, align: u32) -> u32 {
        let end = self.rng.one_in(8) && size <= 4 * END_WORDS as u32;
        let (window, length) = if end { (END, 4 * END_WORDS) } else { (DATA, 4 * DATA_WORDS) };
        let room = length as u32 - size;
        let offset = if self.rng.one_in(8) { room } else { self.rng.below(room + 1) };
        window + offset / align * align
    }

    /// Sets base register `n` so that adding `offset` to it gives an address as of [`Plan::address_in_window`], which
    /// it returns.
    pub fn base(&mut self, n: u32, offset: u32, size: u32, align: u32) -> u32 {
        // The stack pointer is a multiple of four, so the address is as misaligned as the offset.
        let address = match n {
            13 if size <= 4 => self.address_in_window(8, 4) + (offset & 3),
            13 => self.address_in_window(size, 4),
            _ => self.address_in_window(size, align),
        };
        self.set_r(n, address.wrapping_sub(offset));
        address
    }

    /// Loads random data at `address`.
    pub fn data(&mut self, address: u32, bytes: u32) {
        let from = address & !1;
        let count = (address + bytes - from).div_ceil(2);
        let halfwords = (0..count).map(|_| self.rng.bits() as u16).collect();
        self.more.push(Block { address: from, halfwords, is_code: false });
    }

    /// Loads a word at `address`, which is even.
    pub fn word(&mut self, address: u32, value: u32) {
        let halfwords = vec![value as u16, (value >> 16) as u16];
        self.more.push(Block { address, halfwords, is_code: false });
    }

    /// Loads a halfword at `address`, which is even.
    pub fn half(&mut self, address: u32, value: u16) {
        self.more.push(Block { address, halfwords: vec![value], is_code: false });
    }

    /// Loads code at `address` that leaves a mark if it is executed.
    pub fn landing(&mut self, address: u32) {
        let halfwords = self.mark();
        self.more.push(Block { address, halfwords, is_code: true });
    }

    /// Leaves a mark if the code after the instruction is executed.
    pub fn mark_after(&mut self) {
        let mark = self.mark();
        self.after.extend(mark);
    }

    fn mark(&mut self) -> Vec<u16> {
        encode::move_wide(MARK, self.rng.bits() as u16).to_vec()
    }

    /// A landing near the code; returns its address.
    pub fn landing_near(&mut self) -> u32 {
        let address = CODE + 0x100 + 2 * self.rng.below(0x100);
        self.landing(address);
        address
    }

    /// Sets the byte at `address` in the window.
    pub fn window_byte(&mut self, address: u32, value: u8) {
        let word = StateWord::Memory(index_of(address));
        let mut bytes = self.state.value(word).to_le_bytes();
        bytes[(address & 3) as usize] = value;
        self.state.set(word, u32::from_le_bytes(bytes));
    }

    /// Sets the word at `address`, a multiple of four, in the window.
    pub fn window_word(&mut self, address: u32, value: u32) {
        self.state.set(StateWord::Memory(index_of(address)), value);
    }
}

/// The index of the windows' word at `address`.
fn index_of(address: u32) -> u8 {
    let index = if address >= END { DATA_WORDS as u32 + (address - END) / 4 } else { (address - DATA) / 4 };
    index as u8
}
