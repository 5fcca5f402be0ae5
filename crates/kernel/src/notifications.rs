//! Notification centres: records in the application's buffer, and an interrupt for each record.

pub(crate) mod calls;

use abi::notifications::{EventType, Notification};

use crate::limits::{NOTIFICATION_CENTRES, PENDING_RECORDS};
use crate::memory::Span;
use crate::port::Port;
use crate::queue::Queue;

const RECORD: u32 = Notification::SIZE as u32;

/// Where an event goes: the application gives this for everything that can notify it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NotificationTarget {
    /// Handle of the centre. Events for a centre that has been closed are dropped.
    pub centre: u32,
    /// Number chosen by the application, which it gets back in each record.
    pub tag: u32,
}

/// All notification centres, and the records that wait for an interrupt to be taken.
pub(crate) struct Notifications {
    centres: [Option<Centre>; NOTIFICATION_CENTRES],
    pending: Queue<PendingRecord, PENDING_RECORDS>,
}

#[derive(Clone, Copy)]
struct Centre {
    handle: u32,
    irq: u16,
    buffer: Span,
    /// Slot of the buffer for the next record.
    next: u32,
}

/// A record whose interrupt is still pending for the record before it.
#[derive(Clone, Copy)]
struct PendingRecord {
    centre: u32,
    record: Notification,
}

impl Notifications {
    pub(crate) const fn new() -> Self {
        let record = Notification { microseconds: 0, event_type: 0, tag: 0 };
        let pending = Queue::new(PendingRecord { centre: 0, record });
        Self { centres: [None; NOTIFICATION_CENTRES], pending }
    }

    /// The device or the application starts: there are no centres.
    pub(crate) fn start(&mut self) {
        self.centres.fill(None);
        self.pending.clear();
    }

    /// Posts an event: writes a record and pends the interrupt, now or when the interrupt of an earlier record has been
    /// taken. An application that counts interrupts would otherwise miss records (D11).
    pub(crate) fn post(&mut self, port: &mut Port<'_>, target: NotificationTarget, event: EventType) {
        self.post_raw(port, target, event.raw());
    }

    /// Whether there is a centre with this handle.
    pub(crate) fn contains(&self, handle: u32) -> bool {
        self.centres().any(|centre| centre.handle == handle)
    }

    /// Whether a centre uses this interrupt.
    pub(crate) fn uses_irq(&self, irq: u16) -> bool {
        self.centres().any(|centre| centre.irq == irq)
    }

    /// Whether the span overlaps the buffer of a centre.
    pub(crate) fn overlaps_buffer(&self, span: Span) -> bool {
        self.centres().any(|centre| centre.buffer.overlaps(span))
    }

    /// Whether records wait for an interrupt to be taken.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Delivers, in order, every waiting record whose interrupt is no longer pending.
    pub(crate) fn deliver_pending(&mut self, port: &mut Port<'_>) {
        let mut index = 0;
        while let Some(pending) = self.pending.get(index) {
            if self.is_busy(port, pending.centre) {
                index += 1;
            } else {
                self.pending.remove(index);
                // This pends the line: if it is enabled, the next record of the same centre finds it busy (D11).
                self.deliver(port, pending);
            }
        }
    }

    /// Posts an event whose type may be any number.
    fn post_raw(&mut self, port: &mut Port<'_>, target: NotificationTarget, event_type: u32) {
        if !self.contains(target.centre) {
            return;
        }
        // Older records of the same centre go first, if they can go at all.
        self.deliver_pending(port);
        let record = Notification { microseconds: port.now.as_micros(), event_type, tag: target.tag };
        let posted = PendingRecord { centre: target.centre, record };
        if self.is_busy(port, target.centre) { self.defer(port, posted) } else { self.deliver(port, posted) }
    }

    /// Queues a record. If the queue is full, the oldest record is written at once, because late interrupts can be
    /// merged, but lost records cannot be recovered (D11).
    fn defer(&mut self, port: &mut Port<'_>, posted: PendingRecord) {
        if !self.pending.has_room(1)
            && let Some(oldest) = self.pending.pop()
        {
            self.deliver(port, oldest);
        }
        self.pending.push(posted);
    }

    /// Whether the centre's interrupt is enabled and still pending. One that is disabled delays nothing, because its
    /// application polls the buffer (D11).
    fn is_busy(&self, port: &Port<'_>, handle: u32) -> bool {
        let irq = self.centres().find(|centre| centre.handle == handle).map(|centre| centre.irq);
        irq.is_some_and(|irq| port.interrupts.is_enabled(irq) && port.interrupts.is_pending(irq))
    }

    /// Writes the record to the next slot and pends the interrupt. The slot is overwritten whatever it contains,
    /// because the kernel cannot know whether the application has read it (D10).
    fn deliver(&mut self, port: &mut Port<'_>, posted: PendingRecord) {
        let mut centres = self.centres.iter_mut().flatten();
        let Some(centre) = centres.find(|centre| centre.handle == posted.centre) else { return };
        let slot = centre.buffer.at(centre.next * RECORD);
        // An application that made its buffer unwritable loses its own records and nothing else (D33).
        let _ = port.memory.write(slot, &posted.record.to_bytes());
        centre.next = (centre.next + 1) % (centre.buffer.length() / RECORD);
        // After the record, because the handler that this starts reads it.
        port.interrupts.pend(centre.irq);
    }

    fn centres(&self) -> impl Iterator<Item = &Centre> {
        self.centres.iter().flatten()
    }
}
