//! Notification centres: records in the application's buffer, an interrupt for each (D10, D11).

use abi::Status;
use abi::notifications::{EventType, Notification, NotificationSetup};

use crate::Kernel;
use crate::interrupts::usable_line;
use crate::limits::{MIN_NOTIFICATION_BUFFER, NOTIFICATION_CENTRES, PENDING_RECORDS};
use crate::memory::{HandleVariable, Output, Phase as _, Span, structure};
use crate::port::Port;
use crate::queue::Queue;

const RECORD: u32 = Notification::SIZE as u32;

/// Whom a notification goes to, and what it carries back: given by the application with each thing that notifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Address {
    /// The centre's handle; one that is closed takes nothing and says nothing.
    pub centre: u32,
    /// The application's own number.
    pub tag: u32,
}

/// All centres, and the records that wait for their line.
pub(crate) struct Notifications {
    centres: [Option<Centre>; NOTIFICATION_CENTRES],
    waiting: Queue<Waiting, PENDING_RECORDS>,
}

#[derive(Clone, Copy)]
struct Centre {
    handle: u32,
    irq: u16,
    buffer: Span,
    /// The slot the next record goes to.
    next: u32,
}

/// A record whose line is still pending from the one before.
#[derive(Clone, Copy)]
struct Waiting {
    centre: u32,
    record: Notification,
}

impl Notifications {
    pub(crate) const fn new() -> Self {
        let record = Notification { microseconds: 0, event_type: 0, tag: 0 };
        Self { centres: [None; NOTIFICATION_CENTRES], waiting: Queue::new(Waiting { centre: 0, record }) }
    }

    /// The device or the application starts: there are none.
    pub(crate) fn start(&mut self) {
        self.centres.fill(None);
        self.waiting.clear();
    }

    /// Posts an event: a record and a pend, now or when the line's earlier pend was taken (D11).
    pub(crate) fn post(&mut self, port: &mut Port<'_>, to: Address, event: EventType) {
        self.post_raw(port, to, event.raw());
    }

    /// Whether the handle names a centre.
    pub(crate) fn knows(&self, handle: u32) -> bool {
        self.centres().any(|centre| centre.handle == handle)
    }

    /// Whether a centre has this line.
    pub(crate) fn uses(&self, irq: u16) -> bool {
        self.centres().any(|centre| centre.irq == irq)
    }

    /// Whether a buffer overlaps that of a centre.
    pub(crate) fn lends(&self, span: Span) -> bool {
        self.centres().any(|centre| centre.buffer.overlaps(span))
    }

    /// Whether records wait for their line.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes, in order, every waiting record whose line is free by now.
    pub(crate) fn advance(&mut self, port: &mut Port<'_>) {
        let mut index = 0;
        while let Some(waiting) = self.waiting.get(index) {
            if self.is_busy(port, waiting.centre) {
                index += 1;
            } else {
                self.waiting.remove(index);
                self.deliver(port, waiting);
            }
        }
    }

    fn post_raw(&mut self, port: &mut Port<'_>, to: Address, event_type: u32) {
        if !self.knows(to.centre) {
            return;
        }
        self.advance(port);
        let record = Notification { microseconds: port.now.as_micros(), event_type, tag: to.tag };
        let waiting = Waiting { centre: to.centre, record };
        if self.is_busy(port, to.centre) { self.hold(port, waiting) } else { self.deliver(port, waiting) }
    }

    /// Puts a record among the waiting; if there is no place, the oldest is written at once (D11).
    fn hold(&mut self, port: &mut Port<'_>, waiting: Waiting) {
        if !self.waiting.has_room(1)
            && let Some(oldest) = self.waiting.pop()
        {
            self.deliver(port, oldest);
        }
        self.waiting.push(waiting);
    }

    /// Whether the centre's line is enabled and its last pend not taken. A disabled line never makes anyone wait.
    fn is_busy(&self, port: &Port<'_>, handle: u32) -> bool {
        let line = self.centres().find(|centre| centre.handle == handle).map(|centre| centre.irq);
        line.is_some_and(|irq| port.interrupts.is_enabled(irq) && port.interrupts.is_pending(irq))
    }

    /// Writes the record to the next slot, whatever stands there (D10), and pends the line.
    fn deliver(&mut self, port: &mut Port<'_>, waiting: Waiting) {
        let mut centres = self.centres.iter_mut().flatten();
        let Some(centre) = centres.find(|centre| centre.handle == waiting.centre) else { return };
        let place = centre.buffer.at(centre.next * RECORD);
        // A buffer the application has since made unwritable loses its records, not the kernel its footing (D33).
        let _ = port.memory.write(place, &waiting.record.to_bytes());
        centre.next = (centre.next + 1) % (centre.buffer.length() / RECORD);
        port.interrupts.pend(centre.irq);
    }

    fn centres(&self) -> impl Iterator<Item = &Centre> {
        self.centres.iter().flatten()
    }
}

impl Kernel {
    /// `mvSetupNotifications`.
    pub(crate) fn setup_notifications(
        &mut self,
        port: &mut Port<'_>,
        setup: u32,
        handle_out: u32,
    ) -> Result<(), Status> {
        let setup: NotificationSetup = structure(port.memory, setup).early()?;
        let handle_out = Output::claim(port.memory, handle_out).early()?;
        let buffer = Span::writable(setup.buffer, setup.buffer_size).early()?;
        if buffer.length() < MIN_NOTIFICATION_BUFFER || buffer.length() % RECORD != 0 {
            return Err(Status::InvalidBufferSize);
        }
        if self.has_lent(buffer) {
            return Err(Status::BufferAlreadyInUse);
        }
        let irq = self.free_line(setup.irq)?;
        let centres = &mut self.notifications.centres;
        let free =
            centres.iter_mut().find(|place| place.is_none()).ok_or(Status::TooManyNotificationBuffers)?;

        let handle = self.handles.issue();
        handle_out.put_u32(port.memory, handle).early()?;
        *free = Some(Centre { handle, irq, buffer, next: 0 });
        Ok(())
    }

    /// `mvCloseNotifications`. What still names the centre goes on untold; records that wait are gone.
    pub(crate) fn close_notifications(&mut self, port: &mut Port<'_>, handle: u32) -> Result<(), Status> {
        let handle = HandleVariable::claim(port.memory, handle).early()?;
        let closing = handle.value;
        let is_it = |place: &&mut Option<Centre>| place.is_some_and(|centre| centre.handle == closing);
        let place = self.notifications.centres.iter_mut().find(is_it).ok_or(Status::InvalidHandle)?;

        handle.zero(port.memory).early()?;
        *place = None;
        self.notifications.waiting.retain(|waiting| waiting.centre != closing);
        Ok(())
    }

    /// `mvTempTriggerNotification`.
    pub(crate) fn trigger_notification(
        &mut self,
        port: &mut Port<'_>,
        centre: u32,
        event_type: u32,
        tag: u32,
    ) -> Result<(), Status> {
        if !self.notifications.knows(centre) {
            return Err(Status::InvalidHandle);
        }
        self.notifications.post_raw(port, Address { centre, tag }, event_type);
        Ok(())
    }

    /// The line as one a new centre may use (D15).
    fn free_line(&self, irq: u32) -> Result<u16, Status> {
        let line = usable_line(irq)?;
        if self.notifications.uses(line) || self.fast.has(irq) {
            return Err(Status::InvalidInterrupt);
        }
        Ok(line)
    }
}
