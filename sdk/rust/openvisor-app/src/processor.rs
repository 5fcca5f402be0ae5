//! The processor's interrupts: masking them, waiting for one, and the controller's registers.

use core::arch::asm;

/// Set-enable registers of the interrupt controller.
const NVIC_ISER: usize = 0xE000_E100;
/// Clear-pending registers.
const NVIC_ICPR: usize = 0xE000_E280;

/// Reads a register.
///
/// # Safety
///
/// The address is that of a register of 32 bits, and reading it has no effect that somebody else relies on.
pub unsafe fn read(address: usize) -> u32 {
    // SAFETY: the caller's condition.
    unsafe { core::ptr::with_exposed_provenance::<u32>(address).read_volatile() }
}

/// Writes a register.
///
/// # Safety
///
/// The address is that of a register of 32 bits, and what the peripheral does on the write breaks no memory in use.
pub unsafe fn write(address: usize, value: u32) {
    // SAFETY: the caller's condition.
    unsafe { core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(value) }
}

/// Forgets an interrupt of a line and enables the line.
pub(crate) fn enable_line(line: u32) {
    let (offset, bit) = (line as usize / 32 * 4, 1 << (line % 32));
    // SAFETY: the interrupt controller; the line has a handler, if only the one that crashes.
    unsafe {
        write(NVIC_ICPR + offset, bit);
        write(NVIC_ISER + offset, bit);
    }
}

/// With interrupts masked, sleeps until one is pending, unless `is_awake` says that there is something to do.
pub(crate) fn sleep_unless(is_awake: impl FnOnce() -> bool) {
    critical_section::with(|_| {
        if !is_awake() {
            // SAFETY: waits; a masked interrupt ends the wait too.
            unsafe { asm!("dsb", "wfi", options(nostack, preserves_flags)) };
        }
    });
}

/// Masks interrupts by PRIMASK, which the hypervisor keeps for the application.
struct Primask;

critical_section::set_impl!(Primask);

// SAFETY: the device has one processor, and no interrupt is taken while PRIMASK is set.
unsafe impl critical_section::Impl for Primask {
    unsafe fn acquire() -> bool {
        let primask: u32;
        // SAFETY: reads and sets PRIMASK; memory accesses stay on their side of it.
        unsafe { asm!("mrs {}, PRIMASK", "cpsid i", out(reg) primask, options(nostack, preserves_flags)) };
        primask & 1 == 0
    }

    unsafe fn release(was_enabled: bool) {
        if was_enabled {
            // SAFETY: interrupts were enabled when the section began. What is pending is taken before the next line.
            unsafe { asm!("cpsie i", "isb", options(nostack, preserves_flags)) };
        }
    }
}
