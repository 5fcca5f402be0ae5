//! The properties of a processor that are fixed when it is created.

use std::ops::Range;

/// The fixed properties of one processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Address of the first flash byte.
    pub flash_base: u32,
    /// Address of the first RAM byte.
    pub ram_base: u32,
    /// Bytes of RAM.
    pub ram_size: usize,
    /// Number of external interrupts, at most [`Config::MAX_INTERRUPTS`].
    pub interrupts: u16,
    /// Implemented bits of a priority, 3 to 8; the lower ones read as zero.
    pub priority_bits: u8,
    /// Reset value of VTOR, a multiple of 128.
    pub vtor: u32,
    /// Branching into this range exits with [`Exit::Trap`](crate::Exit::Trap); empty for no trap. It may lie anywhere,
    /// also where there is no memory.
    pub trap: Range<u32>,
    /// Processor cycles for each tick of SysTick's reference clock (SYST_CSR.CLKSOURCE = 0); at least 1.
    pub systick_reference_divider: u32,
    /// The value of SYST_CALIB.
    pub systick_calibration: u32,
    /// BKPT exits with [`Exit::Breakpoint`](crate::Exit::Breakpoint), as with a debugger attached. Otherwise it is a
    /// DebugMonitor exception or a HardFault, as without one.
    pub halt_on_breakpoint: bool,
    /// A HardFault exits with [`Exit::HardFault`](crate::Exit::HardFault) before its handler runs.
    pub halt_on_hard_fault: bool,
    /// A busy loop that has no effect and cannot end before the next exception exits with
    /// [`Exit::Spin`](crate::Exit::Spin).
    pub halt_on_spin: bool,
}

impl Config {
    /// The most external interrupts the architecture allows.
    pub const MAX_INTERRUPTS: u16 = 480;
}

impl Default for Config {
    /// An STM32U585: 768 KiB of RAM at 0x20000000, flash at 0x08000000, 126 interrupts with 4 priority bits, and
    /// SysTick's reference clock at an eighth of the processor's. Nothing traps and nothing halts.
    fn default() -> Self {
        Self {
            flash_base: 0x0800_0000,
            ram_base: 0x2000_0000,
            ram_size: 768 << 10,
            interrupts: 126,
            priority_bits: 4,
            vtor: 0x0800_0000,
            trap: 0..0,
            systick_reference_divider: 8,
            systick_calibration: 0,
            halt_on_breakpoint: false,
            halt_on_hard_fault: false,
            halt_on_spin: false,
        }
    }
}
