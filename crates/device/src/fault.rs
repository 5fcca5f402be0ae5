//! Why an application was stopped, as text.

mod diagnosis;

use std::fmt;

use armv8m::{Cpu, Register};

pub use diagnosis::Diagnosis;

use crate::memory_map::{ENTRY_PAGE, FLASH, RAM};

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A fault the application's own handlers may not handle; what the fault registers say.
    Hard,
    /// A fault inside a fault handler: the processor locked up.
    Lockup,
    /// A branch into the entry page where no call is: there is nothing that could return a status (D07).
    NoSuchCall {
        /// Where it went.
        address: u32,
    },
    /// A handler of a fast interrupt did not return in time, and nothing but the kernel can interrupt it (D146).
    HungHandler,
}

/// Milliseconds after which a handler of a fast interrupt counts as hung.
pub const HUNG_MS: u64 = 1000;

/// A fault: what happened, where, and the registers then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What kind of end it was.
    pub kind: FaultKind,
    /// Address of the instruction that faulted; for [`FaultKind::NoSuchCall`] where it would have returned to,
    /// for [`FaultKind::HungHandler`] where it was.
    pub pc: u32,
    /// Link register then.
    pub lr: u32,
    /// Stack pointer when the fault was noticed.
    pub sp: u32,
    /// Configurable Fault Status Register.
    pub cfsr: u32,
    /// HardFault Status Register.
    pub hfsr: u32,
    /// MemManage Fault Address Register; means something when CFSR bit 7 is set.
    pub mmfar: u32,
    /// BusFault Address Register; means something when CFSR bit 15 is set.
    pub bfar: u32,
    /// The mistake behind it, where it is known.
    pub diagnosis: Option<Diagnosis>,
}

impl Fault {
    /// Reads the fault from the processor it happened on.
    pub fn of(cpu: &Cpu, kind: FaultKind) -> Self {
        let state = cpu.fault_status();
        let (pc, lr) = match kind {
            FaultKind::NoSuchCall { .. } => (cpu.register(Register::LR) & !1, cpu.register(Register::LR)),
            FaultKind::HungHandler => (cpu.register(Register::PC), cpu.register(Register::LR)),
            FaultKind::Hard | FaultKind::Lockup => (state.pc, state.lr),
        };
        let is_hard = kind == FaultKind::Hard;
        let diagnosis = if is_hard { diagnosis::diagnose(cpu, pc, lr) } else { None };
        Self {
            kind,
            pc,
            lr,
            sp: cpu.register(Register::SP),
            cfsr: state.cfsr,
            hfsr: state.hfsr,
            mmfar: state.mmfar,
            bfar: state.bfar,
            diagnosis,
        }
    }

    fn cause(&self) -> String {
        if let FaultKind::NoSuchCall { address } = self.kind {
            return format!("branch to {address:#010x}, which is not a system call");
        }
        if self.kind == FaultKind::HungHandler {
            return format!("handler of a fast interrupt that did not return within {HUNG_MS} ms");
        }
        if let Some(diagnosis) = self.diagnosis {
            return diagnosis.to_string();
        }
        let named = CAUSES.iter().find(|(bit, _)| self.cfsr & bit != 0).map(|(_, words)| (*words).to_owned());
        let cause = named.unwrap_or_else(|| self.cause_without_status().to_owned());
        match self.address() {
            Some(address) => format!("{cause}: {}", access_text(address)),
            None => cause,
        }
    }

    fn cause_without_status(&self) -> &'static str {
        match self.hfsr {
            hfsr if hfsr & HFSR_DEBUGEVT != 0 => "breakpoint without a debugger",
            hfsr if hfsr & HFSR_VECTTBL != 0 => "unreadable vector table",
            _ => "unknown fault",
        }
    }

    /// The address a refused access went to, when the processor knows it.
    fn address(&self) -> Option<u32> {
        match self.cfsr {
            cfsr if cfsr & MMARVALID != 0 => Some(self.mmfar),
            cfsr if cfsr & BFARVALID != 0 => Some(self.bfar),
            _ => None,
        }
    }
}

const MMARVALID: u32 = 1 << 7;
const BFARVALID: u32 = 1 << 15;
const HFSR_VECTTBL: u32 = 1 << 1;
const HFSR_DEBUGEVT: u32 = 1 << 31;

/// Bits of the Configurable Fault Status Register (Arm ARM D1.2.7) as text, the most specific first.
const CAUSES: [(u32, &str); 17] = [
    (1 << 20, "stack overflow"),
    (1 << 25, "division by zero"),
    (1 << 24, "unaligned access"),
    (1 << 16, "undefined instruction"),
    (1 << 17, "branch to an even address (bit 0 of a function pointer has to be 1)"),
    (1 << 18, "invalid exception return"),
    (1 << 19, "floating-point instruction while the unit is off"),
    (1 << 9, "bus error"),
    (1 << 1, "access violation"),
    (1 << 0, "branch to memory that is not executable"),
    (1 << 8, "branch to an address without memory"),
    (1 << 12, "bus error while stacking for an exception"),
    (1 << 4, "access violation while stacking for an exception"),
    (1 << 11, "bus error while unstacking from an exception"),
    (1 << 3, "access violation while unstacking from an exception"),
    (1 << 10, "imprecise bus error"),
    (1 << 5, "floating-point state that could not be saved"),
];

/// A refused access, for a reader of the message.
fn access_text(address: u32) -> String {
    match address {
        0..=0xFFF => format!("read or write at {address:#010x}, through a null pointer"),
        address if FLASH.contains(&address) => format!("write at {address:#010x}, which is flash"),
        address if RAM.contains(&address) => format!("read or write at {address:#010x}, which is RAM"),
        address if ENTRY_PAGE.contains(&address) => {
            format!("read or write at {address:#010x}, where system calls are")
        }
        0x2008_0000..=0x2FFF_FFFF => format!("read or write at {address:#010x}, beyond the end of RAM"),
        0x5000_0000..=0x5FFF_FFFF => format!("read or write at {address:#010x}, a secure peripheral"),
        _ => format!("read or write at {address:#010x}, where there is no memory"),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = if self.kind == FaultKind::Lockup { ", in a fault handler" } else { "" };
        write!(f, "{}{after} (pc {:#010x})", self.cause(), self.pc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: Fault = Fault {
        kind: FaultKind::Hard,
        pc: 0x0800_0124,
        lr: 0x0800_0101,
        sp: 0x2007_FF00,
        cfsr: 0,
        hfsr: 1 << 30,
        mmfar: 0,
        bfar: 0,
        diagnosis: None,
    };

    #[test]
    fn a_fault_is_reported_in_one_line() {
        for (fault, text) in [
            (
                Fault { cfsr: 1 << 15 | 1 << 9, bfar: 0x14, ..FAULT },
                "bus error: read or write at 0x00000014, through a null pointer (pc 0x08000124)",
            ),
            (Fault { cfsr: 1 << 20, ..FAULT }, "stack overflow (pc 0x08000124)"),
            (
                Fault { kind: FaultKind::Lockup, cfsr: 1 << 16, ..FAULT },
                "undefined instruction, in a fault handler (pc 0x08000124)",
            ),
            (
                Fault { kind: FaultKind::NoSuchCall { address: 0x0C1F_E0A0 }, ..FAULT },
                "branch to 0x0c1fe0a0, which is not a system call (pc 0x08000124)",
            ),
            (Fault { hfsr: 1 << 31, ..FAULT }, "breakpoint without a debugger (pc 0x08000124)"),
        ] {
            assert_eq!(fault.to_string(), text);
        }
    }

    #[test]
    fn every_status_bit_of_the_manual_has_words() {
        let documented = 0b0000_0011_0001_1111_0001_1111_0011_1011u32 & !(1 << 10) | 1 << 10;
        let named = CAUSES.iter().fold(0, |all, (bit, _)| all | bit);
        assert_eq!(named & documented, documented & !(1 << 13));
    }
}
