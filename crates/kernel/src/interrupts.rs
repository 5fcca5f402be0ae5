//! Fast interrupts: lines whose handlers may pre-empt the hypervisor.
//!
//! The kernel records which lines are fast and which of them are enabled; the controller gets what follows from both
//! and from the mask for all lines.

use abi::Status;

use crate::limits::{IRQS, LAST_IRQ, SECURE_IRQS};
use crate::memory::{MemoryFault, Span, read_u32};
use crate::notifications::Notifications;
use crate::port::{FastLines, Port};

/// Exceptions of the processor before the first external line in a vector table (Armv8-M, B3.30).
const SYSTEM_EXCEPTIONS: u32 = 16;

/// The fast lines.
pub(crate) struct FastInterrupts {
    lines: IrqSet,
    /// Lines that were enabled one by one.
    enabled: IrqSet,
    /// Whether all fast lines are masked.
    is_masked: bool,
}

/// A set of interrupts.
#[derive(Clone, Copy)]
struct IrqSet([u32; IRQS.div_ceil(32)]);

impl IrqSet {
    const EMPTY: Self = Self([0; IRQS.div_ceil(32)]);

    fn contains(self, irq: u16) -> bool {
        self.0.get(usize::from(irq / 32)).is_some_and(|word| word >> (irq % 32) & 1 == 1)
    }

    fn set(&mut self, irq: u16, member: bool) {
        if let Some(word) = self.0.get_mut(usize::from(irq / 32)) {
            *word = *word & !(1 << (irq % 32)) | u32::from(member) << (irq % 32);
        }
    }

    fn iter(self) -> impl Iterator<Item = u16> {
        (0..IRQS as u16).filter(move |irq| self.contains(*irq))
    }
}

impl FastInterrupts {
    pub(crate) const fn new() -> Self {
        Self { lines: IrqSet::EMPTY, enabled: IrqSet::EMPTY, is_masked: false }
    }

    /// Whether the line is fast.
    pub(crate) fn contains(&self, irq: u32) -> bool {
        u16::try_from(irq).is_ok_and(|irq| self.lines.contains(irq))
    }

    /// The application restarts with ordinary lines only: it has not set up handlers for fast ones yet.
    pub(crate) fn reset(&mut self, port: &mut Port<'_>) {
        if let Some(lines) = port.interrupts.fast_lines() {
            self.lines.iter().for_each(|irq| make_ordinary(lines, irq));
        }
        *self = Self::new();
    }

    fn require(&self, irq: u32) -> Result<u16, Status> {
        if self.contains(irq) { Ok(irq as u16) } else { Err(Status::InvalidInterrupt) }
    }
}

fn make_ordinary(lines: &mut dyn FastLines, irq: u16) {
    lines.set_enabled(irq, false);
    lines.set_fast(irq, false);
}

/// `INVALIDINTERRUPT` for a line that the processor does not have or that belongs to the secure world (D15).
pub(crate) fn usable_irq(irq: u32) -> Result<u16, Status> {
    if irq > LAST_IRQ || SECURE_IRQS.contains(&irq) {
        return Err(Status::InvalidInterrupt);
    }
    Ok(irq as u16)
}

/// `mvSetFastInterrupt`. The line is disabled until it is enabled by call, so that no handler runs before the
/// application is ready for it; a line that is fast already is unchanged (D108).
pub(crate) fn set(
    fast: &mut FastInterrupts,
    notifications: &Notifications,
    port: &mut Port<'_>,
    irq: u32,
) -> Result<(), Status> {
    let irq = usable_irq(irq)?;
    if notifications.uses_irq(irq) {
        return Err(Status::InvalidInterrupt);
    }
    let table = fast_lines(port)?.vector_table();
    check_vector(port, table, irq).map_err(|MemoryFault| Status::InvalidVector)?;
    if fast.lines.contains(irq) {
        return Ok(());
    }
    fast.lines.set(irq, true);
    let lines = fast_lines(port)?;
    lines.set_enabled(irq, false);
    lines.set_fast(irq, true);
    Ok(())
}

/// `mvClearFastInterrupt`: an ordinary line again, and disabled.
pub(crate) fn clear(fast: &mut FastInterrupts, port: &mut Port<'_>, irq: u32) -> Result<(), Status> {
    let irq = fast.require(irq)?;
    make_ordinary(fast_lines(port)?, irq);
    fast.lines.set(irq, false);
    fast.enabled.set(irq, false);
    Ok(())
}

/// `mvEnableFastInterrupt`. While all fast lines are masked it takes effect when they are unmasked (D108).
pub(crate) fn enable(fast: &mut FastInterrupts, port: &mut Port<'_>, irq: u32) -> Result<(), Status> {
    let irq = fast.require(irq)?;
    fast_lines(port)?.set_enabled(irq, !fast.is_masked);
    fast.enabled.set(irq, true);
    Ok(())
}

/// `mvDisableFastInterrupt`.
pub(crate) fn disable(fast: &mut FastInterrupts, port: &mut Port<'_>, irq: u32) -> Result<(), Status> {
    let irq = fast.require(irq)?;
    fast_lines(port)?.set_enabled(irq, false);
    fast.enabled.set(irq, false);
    Ok(())
}

/// `mvEnableAllFastInterrupts` and `mvDisableAllFastInterrupts`: masks all fast lines or none. Which lines are enabled
/// one by one is remembered. The calls have no errors, because they name no line that could be wrong (D108).
#[expect(clippy::unnecessary_wraps, reason = "the dispatch treats all calls alike")]
pub(crate) fn mask_all(fast: &mut FastInterrupts, port: &mut Port<'_>, masked: bool) -> Result<(), Status> {
    fast.is_masked = masked;
    if let Some(lines) = port.interrupts.fast_lines() {
        fast.enabled.iter().for_each(|irq| lines.set_enabled(irq, !masked));
    }
    Ok(())
}

fn fast_lines<'a>(port: &'a mut Port<'_>) -> Result<&'a mut dyn FastLines, Status> {
    port.interrupts.fast_lines().ok_or(Status::Unavailable)
}

/// Checks that the vector table and the handler it names are in the application's memory, and that the handler is Thumb
/// code. The handler runs above the hypervisor's threads, where a fault would be the hypervisor's (D108).
fn check_vector(port: &Port<'_>, table: u32, irq: u16) -> Result<(), MemoryFault> {
    let offset = 4 * (SYSTEM_EXCEPTIONS + u32::from(irq));
    let handler = read_u32(port.memory, table.checked_add(offset).ok_or(MemoryFault)?)?;
    // Bit 0 says Thumb code, the only code this processor executes.
    if handler & 1 == 0 {
        return Err(MemoryFault);
    }
    Span::readable(handler & !1, 2)?;
    Ok(())
}
