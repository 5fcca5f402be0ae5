//! From the registers of a moment to the calls that led there.
//!
//! Frames are followed by the call frame information of `.debug_frame` or `.eh_frame`, through exceptions by what the
//! processor stacked. Where there is none, the stack is searched for likely return addresses, and what is found
//! so is marked as uncertain.

use gimli::{
    BaseAddresses, CfaRule, DebugFrame, EhFrame, Register, RegisterRule, SectionId, UnwindContext,
    UnwindSection,
};

use super::symbols::{Site, Symbols};
use crate::memory_map::{ENTRY_PAGE, FLASH, RAM};

/// Most frames of one backtrace.
pub const MAX_FRAMES: usize = 32;

/// Most words of the stack that are searched for return addresses, and most addresses that are reported.
const SEARCHED_WORDS: u32 = 1024;
const MAX_GUESSES: usize = 12;

const SP: usize = 13;
const LR: usize = 14;
const PC: usize = 15;

/// Values from here on are EXC_RETURN, or LR after a reset.
const EXC_RETURN: u32 = 0xFF00_0000;
const LR_AT_RESET: u32 = 0xFFFF_FFFF;
/// EXC_RETURN: a frame without floating-point registers; on the process stack; back to thread mode.
const STANDARD_FRAME: u32 = 1 << 4;
const PROCESS_STACK: u32 = 1 << 2;
const THREAD_MODE: u32 = 1 << 3;
/// XPSR of a stacked frame: the stack pointer was moved by a word to align it.
const REALIGNED: u32 = 1 << 9;

/// The registers a backtrace begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Registers {
    /// R0 to R15.
    pub r: [u32; 16],
    /// Main stack pointer.
    pub msp: u32,
    /// Process stack pointer.
    pub psp: u32,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Address of the instruction: the one that is next, or the return address after the call.
    pub address: u32,
    /// What is known of it; several where functions were put into each other.
    pub sites: Vec<Site>,
    /// It was found by looking, not by following: it may be a leftover.
    pub uncertain: bool,
}

/// Reads a word of the application's memory.
type Memory<'a> = &'a dyn Fn(u32) -> Option<u32>;

/// The calls that led to `registers`, the innermost first.
pub fn backtrace(symbols: Option<&Symbols>, registers: &Registers, memory: Memory<'_>) -> Vec<Frame> {
    let mut walk = Walk { symbols, registers: *registers, memory, frames: Vec::new(), call: false };
    walk.run();
    walk.frames
}

struct Walk<'a> {
    symbols: Option<&'a Symbols>,
    registers: Registers,
    memory: Memory<'a>,
    frames: Vec<Frame>,
    /// The program counter is a return address: the call is before it.
    call: bool,
}

/// What became of one step outwards.
enum Step {
    /// The registers are those of the caller.
    Out,
    /// There is no caller.
    End,
    /// Unknown.
    Unknown,
}

impl Walk<'_> {
    fn run(&mut self) {
        while self.frames.len() < MAX_FRAMES {
            self.note();
            let before = self.registers;
            match self.step() {
                Step::Out if self.registers != before => {}
                Step::Out | Step::End => return,
                Step::Unknown => return self.guess(),
            }
        }
    }

    fn note(&mut self) {
        let address = self.registers.r[PC];
        self.frames.push(frame(self.symbols, address, self.call, false));
    }

    fn step(&mut self) -> Step {
        let outwards = match self.caller() {
            Some(step) => step,
            // A call of the kernel, or a branch to nowhere: LR is the caller's, and nothing is on the stack.
            None if self.frames.len() == 1 && !FLASH.contains(&self.registers.r[PC]) => {
                self.go_to(self.registers.r[LR])
            }
            None => Step::Unknown,
        };
        match outwards {
            Step::Out if self.registers.r[PC] >= EXC_RETURN => self.leave_exception(),
            other => other,
        }
    }

    fn go_to(&mut self, address: u32) -> Step {
        if address == LR_AT_RESET {
            return Step::End;
        }
        self.registers.r[PC] = if address >= EXC_RETURN { address } else { address & !1 };
        self.call = true;
        Step::Out
    }

    /// Follows the call frame information, if there is any for the program counter.
    fn caller(&mut self) -> Option<Step> {
        let symbols = self.symbols?;
        let at = u64::from(self.registers.r[PC].saturating_sub(u32::from(self.call)));
        let rules = debug_frame(symbols, at).or_else(|| eh_frame(symbols, at))?;
        let base = self.registers.r.get(usize::from(rules.base.0))?;
        let cfa = base.wrapping_add_signed(rules.offset as i32);
        let mut outer = self.registers;
        outer.r[SP] = cfa;
        for (register, rule) in &rules.registers {
            let value = match rule {
                RegisterRule::Offset(offset) => (self.memory)(cfa.wrapping_add_signed(*offset as i32))?,
                RegisterRule::ValOffset(offset) => cfa.wrapping_add_signed(*offset as i32),
                RegisterRule::Register(other) => *self.registers.r.get(usize::from(other.0))?,
                RegisterRule::Undefined if usize::from(register.0) == LR => return Some(Step::End),
                _ => continue,
            };
            if let Some(slot) = outer.r.get_mut(usize::from(register.0)) {
                *slot = value;
            }
        }
        let stack = if self.registers.r[SP] == self.registers.psp { &mut outer.psp } else { &mut outer.msp };
        *stack = cfa;
        let address = outer.r[LR];
        self.registers = outer;
        Some(self.go_to(address))
    }

    /// Takes back what the processor stacked when it entered the exception.
    fn leave_exception(&mut self) -> Step {
        let value = self.registers.r[PC];
        let on_psp = value & PROCESS_STACK != 0 && value & THREAD_MODE != 0;
        let frame = if on_psp { self.registers.psp } else { self.registers.r[SP] };
        let word = |at: u32| (self.memory)(frame.wrapping_add(4 * at));
        let words: Option<Vec<u32>> = (0..8).map(word).collect();
        let Some(words) = words else { return Step::Unknown };
        let length = if value & STANDARD_FRAME != 0 { 0x20 } else { 0x68 };
        let padding = if words[7] & REALIGNED != 0 { 4 } else { 0 };
        let sp = frame.wrapping_add(length + padding);
        let r = &mut self.registers.r;
        r[..4].copy_from_slice(&words[..4]);
        (r[12], r[LR], r[PC], r[SP]) = (words[4], words[5], words[6], sp);
        let stack = if on_psp { &mut self.registers.psp } else { &mut self.registers.msp };
        *stack = sp;
        self.call = false;
        Step::Out
    }

    /// Looks on the stack for addresses after calls.
    fn guess(&mut self) {
        let mut addresses = Vec::new();
        // In a function that has not called another yet, LR is the best guess.
        if self.frames.len() == 1 {
            addresses.push(self.registers.r[LR]);
        }
        let sp = self.registers.r[SP] & !3;
        let slots = (0..SEARCHED_WORDS).map(|word| sp.wrapping_add(4 * word));
        addresses.extend(slots.take_while(|slot| RAM.contains(slot)).filter_map(self.memory));
        let room = MAX_GUESSES.min(MAX_FRAMES - self.frames.len());
        let found: Vec<u32> =
            addresses.into_iter().filter(|address| self.is_after_call(*address)).take(room).collect();
        let frames = found.into_iter().map(|address| frame(self.symbols, address & !1, true, true));
        self.frames.extend(frames);
    }

    /// Whether `address` is Thumb code in flash with a BL or BLX before it.
    fn is_after_call(&self, address: u32) -> bool {
        if address & 1 == 0 || !FLASH.contains(&(address.wrapping_sub(5))) {
            return false;
        }
        let half = |at: u32| {
            (self.memory)(at & !3).map(|word| if at & 2 == 0 { word as u16 } else { (word >> 16) as u16 })
        };
        let (first, second) = (half(address - 5), half(address - 3));
        let linked = first.is_some_and(|half| half & 0xF800 == 0xF000)
            && second.is_some_and(|half| half & 0xD000 == 0xD000);
        linked || second.is_some_and(|half| half & 0xFF87 == 0x4780)
    }
}

fn frame(symbols: Option<&Symbols>, address: u32, call: bool, uncertain: bool) -> Frame {
    let sites = match symbols {
        _ if ENTRY_PAGE.contains(&address) => vec![Site { function: entry_name(address), line: None }],
        Some(symbols) => symbols.sites(address.saturating_sub(u32::from(call))),
        None => vec![Site::default()],
    };
    Frame { address, sites, uncertain }
}

/// The system call entered at `address`.
fn entry_name(address: u32) -> Option<String> {
    abi::Call::from_slot((address - ENTRY_PAGE.start) & !7).map(|call| call.name().to_owned())
}

/// How the caller's registers come from a function's.
struct Rules {
    base: Register,
    offset: i64,
    registers: Vec<(Register, RegisterRule<usize>)>,
}

fn debug_frame(symbols: &Symbols, at: u64) -> Option<Rules> {
    let mut section = DebugFrame::from(symbols.section(SectionId::DebugFrame));
    section.set_address_size(4);
    rules(&section, at, DebugFrame::cie_from_offset)
}

fn eh_frame(symbols: &Symbols, at: u64) -> Option<Rules> {
    let mut section = EhFrame::from(symbols.section(SectionId::EhFrame));
    section.set_address_size(4);
    rules(&section, at, EhFrame::cie_from_offset)
}

fn rules<'a, S: UnwindSection<super::symbols::Bytes<'a>>>(
    section: &S,
    at: u64,
    cie: impl FnMut(
        &S,
        &BaseAddresses,
        S::Offset,
    ) -> gimli::Result<gimli::CommonInformationEntry<super::symbols::Bytes<'a>>>,
) -> Option<Rules> {
    let mut context = UnwindContext::new();
    let bases = BaseAddresses::default();
    let row = section.unwind_info_for_address(&bases, &mut context, at, cie).ok()?;
    let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else { return None };
    let registers = row.registers().map(|(register, rule)| (*register, rule.clone())).collect();
    Some(Rules { base: register, offset, registers })
}

#[cfg(test)]
mod tests;
