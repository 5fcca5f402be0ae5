//! Fast interrupts: lines whose handlers may pre-empt the hypervisor.
//!
//! The kernel keeps which lines are fast and which of them are enabled; the controller is told what follows from both
//! and from the one switch for all.

use abi::Status;

use crate::Kernel;
use crate::limits::{IRQS, LAST_IRQ, SECURE_IRQS};
use crate::memory::{MemoryFault, Span, word};
use crate::port::{FastLines, Port};

/// Exceptions of the processor before the first external line in a vector table (Armv8-M, B3.30).
const SYSTEM_EXCEPTIONS: u32 = 16;

/// All fast lines.
pub(crate) struct FastInterrupts {
    fast: LineSet,
    /// Those enabled one by one.
    enabled: LineSet,
    /// Whether all are held back.
    held_back: bool,
}

/// A set of lines.
#[derive(Clone, Copy)]
struct LineSet([u32; IRQS.div_ceil(32)]);

impl LineSet {
    const EMPTY: Self = Self([0; IRQS.div_ceil(32)]);

    fn has(self, irq: u16) -> bool {
        self.0.get(usize::from(irq / 32)).is_some_and(|word| word >> (irq % 32) & 1 == 1)
    }

    fn set(&mut self, irq: u16, member: bool) {
        if let Some(word) = self.0.get_mut(usize::from(irq / 32)) {
            *word = *word & !(1 << (irq % 32)) | u32::from(member) << (irq % 32);
        }
    }

    fn lines(self) -> impl Iterator<Item = u16> {
        (0..IRQS as u16).filter(move |irq| self.has(*irq))
    }
}

impl FastInterrupts {
    pub(crate) const fn new() -> Self {
        Self { fast: LineSet::EMPTY, enabled: LineSet::EMPTY, held_back: false }
    }

    /// Whether the line is a fast one.
    pub(crate) fn has(&self, irq: u32) -> bool {
        u16::try_from(irq).is_ok_and(|irq| self.fast.has(irq))
    }

    /// The application starts anew, with ordinary lines only.
    pub(crate) fn give_back(&mut self, port: &mut Port<'_>) {
        if let Some(lines) = port.interrupts.fast_lines() {
            self.fast.lines().for_each(|irq| make_ordinary(lines, irq));
        }
        *self = Self::new();
    }

    fn hold_back(&mut self, port: &mut Port<'_>, held_back: bool) {
        self.held_back = held_back;
        if let Some(lines) = port.interrupts.fast_lines() {
            self.enabled.lines().for_each(|irq| lines.set_enabled(irq, !held_back));
        }
    }
}

fn make_ordinary(lines: &mut dyn FastLines, irq: u16) {
    lines.set_enabled(irq, false);
    lines.set_fast(irq, false);
}

/// The line as one the application may use at all (D15).
pub(crate) fn usable_line(irq: u32) -> Result<u16, Status> {
    if irq > LAST_IRQ || SECURE_IRQS.contains(&irq) {
        return Err(Status::InvalidInterrupt);
    }
    Ok(irq as u16)
}

impl Kernel {
    /// `mvSetFastInterrupt`. The line is disabled until it is enabled by call; a line that is fast stays as it is.
    pub(crate) fn set_fast_interrupt(&mut self, port: &mut Port<'_>, irq: u32) -> Result<(), Status> {
        let irq = usable_line(irq)?;
        if self.notifications.uses(irq) {
            return Err(Status::InvalidInterrupt);
        }
        let table = fast_lines(port)?.vector_table();
        handler(port, table, irq).map_err(|MemoryFault| Status::InvalidVector)?;
        if self.fast.fast.has(irq) {
            return Ok(());
        }
        self.fast.fast.set(irq, true);
        let lines = fast_lines(port)?;
        lines.set_enabled(irq, false);
        lines.set_fast(irq, true);
        Ok(())
    }

    /// `mvClearFastInterrupt`: an ordinary line again, and disabled.
    pub(crate) fn clear_fast_interrupt(&mut self, port: &mut Port<'_>, irq: u32) -> Result<(), Status> {
        let irq = self.fast_line(irq)?;
        make_ordinary(fast_lines(port)?, irq);
        self.fast.fast.set(irq, false);
        self.fast.enabled.set(irq, false);
        Ok(())
    }

    /// `mvEnableFastInterrupt`. While all are held back it takes effect when they are let through.
    pub(crate) fn enable_fast_interrupt(&mut self, port: &mut Port<'_>, irq: u32) -> Result<(), Status> {
        let irq = self.fast_line(irq)?;
        fast_lines(port)?.set_enabled(irq, !self.fast.held_back);
        self.fast.enabled.set(irq, true);
        Ok(())
    }

    /// `mvDisableFastInterrupt`.
    pub(crate) fn disable_fast_interrupt(&mut self, port: &mut Port<'_>, irq: u32) -> Result<(), Status> {
        let irq = self.fast_line(irq)?;
        fast_lines(port)?.set_enabled(irq, false);
        self.fast.enabled.set(irq, false);
        Ok(())
    }

    /// `mvEnableAllFastInterrupts`: those enabled one by one are let through again.
    pub(crate) fn enable_all_fast_interrupts(&mut self, port: &mut Port<'_>) {
        self.fast.hold_back(port, false);
    }

    /// `mvDisableAllFastInterrupts`: all are held back, and which were enabled is remembered.
    pub(crate) fn disable_all_fast_interrupts(&mut self, port: &mut Port<'_>) {
        self.fast.hold_back(port, true);
    }

    fn fast_line(&self, irq: u32) -> Result<u16, Status> {
        if self.fast.has(irq) { Ok(irq as u16) } else { Err(Status::InvalidInterrupt) }
    }
}

fn fast_lines<'a>(port: &'a mut Port<'_>) -> Result<&'a mut dyn FastLines, Status> {
    port.interrupts.fast_lines().ok_or(Status::Unavailable)
}

/// The line's handler, if the vector table and the handler it names are the application's own, and the handler is Thumb
/// code.
fn handler(port: &Port<'_>, table: u32, irq: u16) -> Result<u32, MemoryFault> {
    let entry = 4 * (SYSTEM_EXCEPTIONS + u32::from(irq));
    let handler = word(port.memory, table.checked_add(entry).ok_or(MemoryFault)?)?;
    if handler & 1 == 0 {
        return Err(MemoryFault);
    }
    Span::readable(handler & !1, 2)?;
    Ok(handler)
}
