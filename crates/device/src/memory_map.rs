//! The application's address space, and the rates of the device's clocks.

use std::ops::Range;

use abi::memory;
use armv8m::Cycles;

/// Application flash: the image begins here, and so does its vector table.
pub const FLASH: Range<u32> = span(memory::APPLICATION_FLASH_START, memory::APPLICATION_FLASH_LENGTH);

/// Application RAM.
pub const RAM: Range<u32> = span(memory::APPLICATION_RAM_START, memory::APPLICATION_RAM_LENGTH);

/// The page of entry points. A branch into it is a system call.
pub const ENTRY_PAGE: Range<u32> = span(memory::ENTRY_PAGE, 0x2000);

/// Peripherals as the application sees them: the non-secure half of the peripheral region.
pub const PERIPHERALS: Range<u32> = 0x4000_0000..0x5000_0000;

/// Every bus clock of the device, in hertz. There is one, so that calls, clock registers and timers agree (D72).
pub const CLOCK_HZ: u32 = 160_000_000;

/// Processor cycles in a microsecond.
pub const CYCLES_PER_MICRO: Cycles = CLOCK_HZ as u64 / 1_000_000;

/// External interrupt lines of the STM32U585.
pub const INTERRUPTS: u16 = 126;

/// Priority bits the processor implements.
pub const PRIORITY_BITS: u8 = 4;

const fn span(start: u32, length: u32) -> Range<u32> {
    start..start + length
}

/// Length of a span in bytes.
pub const fn length(span: &Range<u32>) -> usize {
    (span.end - span.start) as usize
}
