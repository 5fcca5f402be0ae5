//! The mistake behind a fault, where registers and memory show which it was.

use armv8m::{Cpu, Register};

use crate::memory_map::{FLASH, RAM};

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diagnosis {
    /// The stack has grown beyond the beginning of RAM.
    StackOverflow,
    /// A call through a function pointer that is null, made by the instruction before `from`.
    NullFunction {
        /// Where the call would have returned to.
        from: u32,
    },
    /// An exception for which the application has no handler: its vector is zero, or leads to a handler that does
    /// nothing but stop, as the vectors of start-up code do.
    NoHandler {
        /// Number of the exception: 16 and more are interrupts.
        exception: u16,
    },
    /// `main` has returned to the code that runs from reset to it.
    MainReturned,
}

/// Below RAM, how far a stack that has overflowed is looked for; above its beginning, how much a function may have
/// reserved before the access that failed.
const OVERFLOW_BELOW: u32 = 64 * 1024;
const OVERFLOW_ABOVE: u32 = 4 * 1024;
/// Addresses up to here are those of members of a null pointer.
const NULL_PAGE: u32 = 0x100;
/// How far the stack has grown at most, and how long the code is, where `main` is called from.
const RESET_STACK: u32 = 64;
const RESET_CODE: u32 = 512;
/// The exceptions of the processor itself, before the interrupts.
const FIRST_INTERRUPT: u16 = 16;

/// Values of LR from here on are EXC_RETURN.
const EXC_RETURN: u32 = 0xFF00_0000;

const IACCVIOL: u32 = 1 << 0;
const IBUSERR: u32 = 1 << 8;
const PRECISERR: u32 = 1 << 9;
const STKERR: u32 = 1 << 12;
const BFARVALID: u32 = 1 << 15;
const UNDEFINSTR: u32 = 1 << 16;
const INVSTATE: u32 = 1 << 17;

/// What the processor shows after a fault, the entry of the fault's own handler undone.
struct Scene<'a> {
    cpu: &'a Cpu,
    pc: u32,
    lr: u32,
    cfsr: u32,
}

/// The mistake behind the fault at `pc`.
pub(super) fn diagnose(cpu: &Cpu, pc: u32, lr: u32) -> Option<Diagnosis> {
    // Where the application has no fault handlers, the location recorded last is that of their vectors.
    let lr = if lr >= EXC_RETURN { cpu.register(Register::LR) } else { lr };
    let scene = Scene { cpu, pc, lr, cfsr: cpu.fault_status().cfsr };
    scene.stack_overflow().or_else(|| scene.null_function()).or_else(|| scene.stopped())
}

impl Scene<'_> {
    fn stack_overflow(&self) -> Option<Diagnosis> {
        let near = RAM.start - OVERFLOW_BELOW..RAM.start + OVERFLOW_ABOVE;
        let below = RAM.start - OVERFLOW_BELOW..RAM.start;
        let is_near = near.contains(&self.cpu.register(Register::SP));
        let accessed = self.cfsr & (PRECISERR | BFARVALID) == PRECISERR | BFARVALID
            && below.contains(&self.cpu.fault_status().bfar);
        (is_near && (accessed || self.cfsr & STKERR != 0)).then_some(Diagnosis::StackOverflow)
    }

    fn null_function(&self) -> Option<Diagnosis> {
        let is_branch = self.cfsr & (INVSTATE | IBUSERR | IACCVIOL) != 0;
        if !is_branch || self.pc >= NULL_PAGE {
            return None;
        }
        let exception = self.cpu.exception_number();
        if exception != 0 && self.vector(exception)? & !1 == self.pc && !FLASH.contains(&self.lr) {
            return Some(Diagnosis::NoHandler { exception });
        }
        FLASH.contains(&self.lr).then_some(Diagnosis::NullFunction { from: self.lr & !1 })
    }

    /// An undefined instruction that is meant to stop, UDF.
    fn stopped(&self) -> Option<Diagnosis> {
        if self.cfsr & UNDEFINSTR == 0 || self.half(self.pc)? & 0xFF00 != 0xDE00 {
            return None;
        }
        let exception = self.cpu.exception_number();
        if exception != 0 {
            let is_default = self.vector(exception)? & !1 == self.pc;
            return is_default.then_some(Diagnosis::NoHandler { exception });
        }
        let is_near_top = self.vector(0)?.wrapping_sub(self.cpu.register(Register::SP)) <= RESET_STACK;
        let is_after_main = self.is_in_reset_code(self.pc) && self.is_after_call(self.pc);
        let is_default =
            (2..FIRST_INTERRUPT).any(|number| self.vector(number).is_some_and(|at| at == self.pc | 1));
        let from_reset = is_default && self.is_in_reset_code(self.lr & !1);
        (is_near_top && (is_after_main || from_reset || is_default && self.is_after_reset_call()))
            .then_some(Diagnosis::MainReturned)
    }

    /// Whether the reset handler calls something and then branches to the instruction at `pc`.
    fn is_after_reset_call(&self) -> bool {
        let Some(reset) = self.vector(1).map(|address| address & !1) else { return false };
        let is_branch_here = |at: u32| match (self.half(at), self.half(at + 2)) {
            // B, encoding T2: eleven bits of distance in halfwords.
            (Some(first), _) if first & 0xF800 == 0xE000 => {
                let distance = i32::from((first << 5).cast_signed() >> 5) * 2;
                at.wrapping_add(4).wrapping_add_signed(distance) == self.pc
            }
            // B.W, encoding T4, within 4 KiB: J1 and J2 equal to the sign, as they are there.
            (Some(first), Some(second)) if first & 0xF800 == 0xF000 && second & 0xD000 == 0x9000 => {
                let high = i32::from((first << 6).cast_signed() >> 6);
                let distance = (high << 12) | i32::from(second & 0x7FF) << 1;
                at.wrapping_add(4).wrapping_add_signed(distance) == self.pc
            }
            _ => false,
        };
        (reset..reset + RESET_CODE).step_by(2).any(|at| self.is_after_call(at) && is_branch_here(at))
    }

    fn is_in_reset_code(&self, address: u32) -> bool {
        self.vector(1).is_some_and(|reset| (reset & !1..(reset & !1) + RESET_CODE).contains(&address))
    }

    /// Whether the instruction before `address` is a BL.
    fn is_after_call(&self, address: u32) -> bool {
        let (first, second) = (self.half(address.wrapping_sub(4)), self.half(address.wrapping_sub(2)));
        first.is_some_and(|half| half & 0xF800 == 0xF000)
            && second.is_some_and(|half| half & 0xD000 == 0xD000)
    }

    fn vector(&self, number: u16) -> Option<u32> {
        let mut word = [0; 4];
        let at = self.cpu.vector_table().wrapping_add(4 * u32::from(number));
        self.cpu.read_memory(at, &mut word).then(|| u32::from_le_bytes(word))
    }

    fn half(&self, address: u32) -> Option<u16> {
        let mut half = [0; 2];
        self.cpu.read_memory(address, &mut half).then(|| u16::from_le_bytes(half))
    }
}

/// An exception as text.
fn exception_name(exception: u16) -> String {
    match exception {
        2 => "NMI".into(),
        3 => "HardFault".into(),
        4 => "MemManage".into(),
        5 => "BusFault".into(),
        6 => "UsageFault".into(),
        7 => "SecureFault".into(),
        11 => "SVCall".into(),
        12 => "DebugMonitor".into(),
        14 => "PendSV".into(),
        15 => "SysTick".into(),
        number => format!("interrupt {}", number.saturating_sub(FIRST_INTERRUPT)),
    }
}

impl std::fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StackOverflow => {
                f.write_str("stack overflow: the stack has grown beyond the beginning of RAM")
            }
            Self::NullFunction { from } => {
                write!(f, "call through a null function pointer, from the instruction before {from:#010x}")
            }
            Self::NoHandler { exception } => {
                write!(f, "no handler for {} (exception {exception})", exception_name(*exception))
            }
            Self::MainReturned => f.write_str("main returned"),
        }
    }
}
