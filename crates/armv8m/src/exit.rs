//! Why a run ended.

use crate::debug::HaltCause;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The budget is used up.
    Budget,
    /// The program counter is in [`Config::trap`](crate::Config::trap); the instruction there, if any, was not
    /// executed. This is how a host offers functions to the application without code in flash: the application calls an
    /// address of the trap range, the host takes the arguments from R0 to R3 and answers with
    /// [`Cpu::return_from_trap`](crate::Cpu::return_from_trap).
    Trap {
        /// The program counter.
        address: u32,
    },
    /// WFI, or sleep on exit: nothing runs until an interrupt is pending. Until then, every run exits like this again.
    WaitForInterrupt,
    /// WFE: as [`Exit::WaitForInterrupt`], but an event ends it too.
    WaitForEvent,
    /// BKPT, with [`Config::halt_on_breakpoint`](crate::Config::halt_on_breakpoint). The program counter is on the
    /// instruction.
    Breakpoint {
        /// Address of the BKPT.
        address: u32,
        /// Its immediate.
        comment: u8,
    },
    /// A breakpoint or a watchpoint. The program counter is on the instruction, which has not been executed.
    Halted {
        /// Which of the two.
        cause: HaltCause,
    },
    /// HardFault was entered, with [`Config::halt_on_hard_fault`](crate::Config::halt_on_hard_fault): its frame is
    /// stacked, and none of its handler has run. [`Cpu::fault_status`](crate::Cpu::fault_status) says why. The next run
    /// executes the handler.
    HardFault {
        /// Address of the instruction that faulted.
        pc: u32,
    },
    /// The application wrote AIRCR.SYSRESETREQ. The reset is left to the host, which calls
    /// [`Cpu::reset`](crate::Cpu::reset), because the request resets the peripherals as well.
    Reset,
    /// Lockup: a fault at a priority at which it cannot be handled. Only a reset ends it.
    Lockup {
        /// Address of the instruction that faulted.
        pc: u32,
    },
    /// A [`Bus`](crate::Bus) called [`Signals::request_yield`](crate::Signals::request_yield).
    Yield,
    /// A busy loop without effect, with [`Config::halt_on_spin`](crate::Config::halt_on_spin): the processor repeats
    /// exactly the same states until an exception becomes pending or the host changes something. Until then, every run
    /// exits like this again, and the host may skip cycles as after [`Exit::WaitForInterrupt`].
    Spin,
}

/// The vector table cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVectorTable;

impl std::fmt::Display for NoVectorTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the vector table is not in memory")
    }
}

impl std::error::Error for NoVectorTable {}
