//! The kernel's port to this device: the processor's memory and interrupt controller, and the board's registers.

use std::cell::{Cell, RefCell};

use armv8m::{Bus, BusFault, Cpu, Cycles, Signals, Width};
use kernel::{Clock, ExternalFlash, FastLines, Hardware, Interrupts, Memory, MemoryFault, Port, Wifi};
use sansio::Instant;

use crate::board::{Board, DirectMemory, NoSuchAddress};
use crate::memory_map::{CLOCK_HZ, RAM};
use crate::peripherals::Lines;
use crate::unserved_lines::{Pended, UnservedLines};

/// A record the kernel wrote for the application, and the line it pended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Post {
    /// The interrupt line.
    pub irq: u16,
    /// The record.
    pub record: [u8; RECORD],
}

/// Bytes of a record.
const RECORD: usize = 16;

/// What a port notes beside what the kernel does.
pub(crate) struct PortNotes<'a> {
    /// What the kernel posts, if a trace is written.
    pub posts: &'a mut Option<Vec<Post>>,
    /// Lines that wait to be enabled.
    pub unserved: &'a mut UnservedLines,
}

/// Calls `what` with a port made of the processor and the board, at `now`.
pub(crate) fn with_port<T>(
    cpu: &mut Cpu,
    board: &mut Board,
    notes: PortNotes<'_>,
    now: Instant,
    what: impl FnOnce(&mut Port<'_>) -> T,
) -> T {
    let cycles = cpu.cycles();
    // The kernel sees memory and interrupts as two things; here they are two views of one processor.
    let cpu = RefCell::new(cpu);
    let last = Cell::new(None);
    let mut memory = MemoryView(&cpu, &last);
    let mut interrupts = InterruptView { cpu: &cpu, last: &last, notes };
    let mut hardware = HardwareView { board, cycles };
    what(&mut Port { now, memory: &mut memory, interrupts: &mut interrupts, hardware: &mut hardware })
}

/// The record written last, until its line is pended.
type Last = Cell<Option<[u8; RECORD]>>;

struct MemoryView<'a>(&'a RefCell<&'a mut Cpu>, &'a Last);

impl Memory for MemoryView<'_> {
    fn read(&self, address: u32, into: &mut [u8]) -> Result<(), MemoryFault> {
        if self.0.borrow().read_memory(address, into) { Ok(()) } else { Err(MemoryFault) }
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), MemoryFault> {
        // The host may write flash; the kernel, for the application, may not.
        if !RAM.contains(&address) || !self.0.borrow_mut().write_memory(address, bytes) {
            return Err(MemoryFault);
        }
        // Sixteen bytes written just before a line is pended are the record: the kernel writes it last.
        self.1.set(bytes.try_into().ok());
        Ok(())
    }
}

struct InterruptView<'a> {
    cpu: &'a RefCell<&'a mut Cpu>,
    last: &'a Last,
    notes: PortNotes<'a>,
}

impl Interrupts for InterruptView<'_> {
    fn pend(&mut self, irq: u16) {
        let mut cpu = self.cpu.borrow_mut();
        let (was_pending, is_enabled) = (cpu.is_pending(irq), cpu.is_enabled(irq));
        self.notes.unserved.pended(&Pended { line: irq, was_pending, is_enabled }, cpu.cycles());
        cpu.pend_interrupt(irq);
        if let (Some(posts), Some(record)) = (self.notes.posts.as_mut(), self.last.take()) {
            posts.push(Post { irq, record });
        }
    }

    fn is_enabled(&self, irq: u16) -> bool {
        self.cpu.borrow().is_enabled(irq)
    }

    fn is_pending(&self, irq: u16) -> bool {
        self.cpu.borrow().is_pending(irq)
    }

    fn in_handler(&self) -> bool {
        self.cpu.borrow().in_handler_mode()
    }

    fn fast_lines(&mut self) -> Option<&mut dyn FastLines> {
        Some(self)
    }
}

/// The kernel has no threads on this processor that a fast line would have to pre-empt, so its priority among the
/// application's own is all there is to it.
impl FastLines for InterruptView<'_> {
    fn vector_table(&self) -> u32 {
        self.cpu.borrow().vector_table()
    }

    fn set_fast(&mut self, irq: u16, fast: bool) {
        self.cpu.borrow_mut().reserve_enable(irq, fast);
    }

    fn set_enabled(&mut self, irq: u16, enabled: bool) {
        self.cpu.borrow_mut().set_enabled(irq, enabled);
    }
}

impl DirectMemory for &mut Cpu {
    fn load(&self, address: u32, bytes: u32) -> Option<u32> {
        let mut word = [0; 4];
        self.read_memory(address, &mut word[..bytes as usize]).then(|| u32::from_le_bytes(word))
    }

    fn store(&mut self, address: u32, bytes: u32, value: u32) -> bool {
        RAM.contains(&address) && self.write_memory(address, &value.to_le_bytes()[..bytes as usize])
    }
}

struct HardwareView<'a> {
    board: &'a mut Board,
    cycles: Cycles,
}

impl Hardware for HardwareView<'_> {
    /// Every bus runs at the processor's clock, as the clock registers have it (D72).
    fn clock_hz(&self, _clock: Clock) -> u32 {
        CLOCK_HZ
    }

    fn peek(&mut self, register: u32) -> Option<u32> {
        self.board.peek(register)
    }

    fn poke(&mut self, register: u32, mask: u32, xor: u32) -> bool {
        self.board.poke(register, mask, xor, self.cycles)
    }

    fn set_system_led(&mut self, enabled: bool) -> bool {
        self.board.set_system_led(enabled);
        true
    }

    fn external_flash(&mut self) -> Option<&mut dyn ExternalFlash> {
        Some(&mut self.board.storage().flash)
    }

    fn wifi(&mut self) -> Option<&mut dyn Wifi> {
        Some(&mut self.board.storage().wifi)
    }
}

/// The board as the processor's bus, for the length of one run.
pub(crate) struct BoardBus<'a> {
    /// The board.
    pub board: &'a mut Board,
    /// Levels of the interrupt lines as the processor knows them.
    pub lines: &'a mut Lines,
    /// Lines that wait to be enabled.
    pub unserved: &'a mut UnservedLines,
    /// Cycle at which the run ends; an event that an access schedules before it ends the run early.
    pub deadline: Cycles,
}

impl BoardBus<'_> {
    /// Passes the lines that an access has changed to the processor.
    fn sync_lines(&mut self, signals: &mut Signals<'_>) {
        let lines = self.board.lines();
        for (line, level) in lines.changed_from(*self.lines) {
            if level {
                let (was_pending, is_enabled) = (signals.is_pending(line), signals.is_enabled(line));
                self.unserved.pended(&Pended { line, was_pending, is_enabled }, signals.cycles());
            }
            signals.set_level(line, level);
        }
        *self.lines = lines;
        // DMA and earlier events need the machine, which the processor returns to only on request.
        if self.board.is_transfer_due() || self.board.next_event().is_some_and(|at| at < self.deadline) {
            signals.request_yield();
        }
    }
}

impl Bus for BoardBus<'_> {
    fn read(&mut self, address: u32, width: Width, signals: &mut Signals<'_>) -> Result<u32, BusFault> {
        let value = self.board.read(address, width.bytes(), signals.cycles());
        if self.board.is_steady(address) {
            signals.mark_steady();
        }
        self.sync_lines(signals);
        value.map_err(|NoSuchAddress| BusFault)
    }

    fn write(
        &mut self,
        address: u32,
        width: Width,
        value: u32,
        signals: &mut Signals<'_>,
    ) -> Result<(), BusFault> {
        let done = self.board.write(address, width.bytes(), value, signals.cycles());
        self.sync_lines(signals);
        done.map_err(|NoSuchAddress| BusFault)
    }
}
