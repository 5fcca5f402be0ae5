//! What can prevent an instruction from completing, and the fault status bits that it sets (Arm ARM: CFSR, HFSR).

use crate::debug::HaltCause;
use crate::nvic::number;

/// Bits of the Configurable Fault Status Register.
pub(crate) mod cfsr {
    pub(crate) const IACCVIOL: u32 = 1 << 0;
    pub(crate) const DACCVIOL: u32 = 1 << 1;
    pub(crate) const MUNSTKERR: u32 = 1 << 3;
    pub(crate) const MSTKERR: u32 = 1 << 4;
    pub(crate) const MLSPERR: u32 = 1 << 5;
    pub(crate) const MMARVALID: u32 = 1 << 7;
    pub(crate) const IBUSERR: u32 = 1 << 8;
    pub(crate) const PRECISERR: u32 = 1 << 9;
    pub(crate) const UNSTKERR: u32 = 1 << 11;
    pub(crate) const STKERR: u32 = 1 << 12;
    pub(crate) const LSPERR: u32 = 1 << 13;
    pub(crate) const BFARVALID: u32 = 1 << 15;
    pub(crate) const UNDEFINSTR: u32 = 1 << 16;
    pub(crate) const INVSTATE: u32 = 1 << 17;
    pub(crate) const INVPC: u32 = 1 << 18;
    pub(crate) const NOCP: u32 = 1 << 19;
    pub(crate) const STKOF: u32 = 1 << 20;
    pub(crate) const UNALIGNED: u32 = 1 << 24;
    pub(crate) const DIVBYZERO: u32 = 1 << 25;
}

/// Bits of the HardFault Status Register.
pub(crate) mod hfsr {
    pub(crate) const VECTTBL: u32 = 1 << 1;
    pub(crate) const FORCED: u32 = 1 << 30;
    pub(crate) const DEBUGEVT: u32 = 1 << 31;
}

/// A synchronous fault: the exception it raises and the status bits it sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub exception: u16,
    pub cfsr: u32,
    /// Written to MMFAR or BFAR if `cfsr` contains MMARVALID or BFARVALID.
    pub address: u32,
}

impl Fault {
    pub(crate) const fn usage(cfsr: u32) -> Self {
        Self { exception: number::USAGE_FAULT, cfsr, address: 0 }
    }
    pub(crate) const fn memory(cfsr: u32, address: u32) -> Self {
        Self { exception: number::MEM_MANAGE, cfsr, address }
    }
    pub(crate) const fn bus(cfsr: u32, address: u32) -> Self {
        Self { exception: number::BUS_FAULT, cfsr, address }
    }
}

/// Why an instruction was not simply followed by the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Fault(Fault),
    /// SVC.
    SupervisorCall,
    /// BKPT with its immediate.
    Breakpoint(u8),
    /// A branch to an EXC_RETURN value in handler mode.
    ExceptionReturn(u32),
    /// A breakpoint or a watchpoint halts the processor before this instruction.
    Halt(HaltCause),
    /// This instruction is not decoded yet.
    Undecoded,
}

impl Event {
    pub(crate) const UNDEFINED: Self = Self::usage(cfsr::UNDEFINSTR);
    pub(crate) const STACK_OVERFLOW: Self = Self::usage(cfsr::STKOF);
    pub(crate) const UNALIGNED: Self = Self::usage(cfsr::UNALIGNED);

    pub(crate) const fn usage(bits: u32) -> Self {
        Self::Fault(Fault::usage(bits))
    }
    /// A data access the bus refused.
    pub(crate) const fn precise_bus_fault(address: u32) -> Self {
        Self::Fault(Fault::bus(cfsr::PRECISERR | cfsr::BFARVALID, address))
    }
    /// A data access the MPU or the memory map refused.
    pub(crate) const fn data_violation(address: u32) -> Self {
        Self::Fault(Fault::memory(cfsr::DACCVIOL | cfsr::MMARVALID, address))
    }
}

/// The fault status registers, and where the last fault happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultStatus {
    /// Configurable Fault Status Register.
    pub cfsr: u32,
    /// HardFault Status Register.
    pub hfsr: u32,
    /// MemManage Fault Address Register; valid if CFSR bit 7 is set.
    pub mmfar: u32,
    /// BusFault Address Register; valid if CFSR bit 15 is set.
    pub bfar: u32,
    /// Address of the instruction that raised the last fault.
    pub pc: u32,
    /// LR at that instruction.
    pub lr: u32,
}
