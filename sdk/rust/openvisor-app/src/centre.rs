//! Notification centres: the hypervisor writes records into a ring and pends an interrupt line for each; the interrupt
//! sorts them.
//!
//! A record of one of this crate's objects (a network, a channel) sets a bit in the object's [`Signal`], which can
//! therefore never overflow. A record with a tag of the application's own goes to the centre's queue, from where
//! [`Centre::take`] and [`Centre::event`] give it to the application outside the interrupt.

use core::cell::{Cell, RefCell, UnsafeCell};
use core::future::poll_fn;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::{Poll, Waker};

use critical_section::Mutex;
use openvisor_sys::{
    MV_EVENTTYPE_CHANNELDATAREADABLE, MV_EVENTTYPE_CHANNELDATAWRITESPACE, MV_EVENTTYPE_CHANNELNOTCONNECTED,
    MV_EVENTTYPE_NETWORKSTATUSCHANGED, MV_EVENTTYPE_NOEVENT, MvEventType, MvNotification,
    MvNotificationHandle, MvNotificationSetup, mvSetupNotifications,
};

use crate::{Result, clock, processor};

/// Records in a centre's ring, and events in its queue.
const RECORDS: usize = 16;
/// Objects that one centre serves at a time: the hypervisor allows four channels, and a few networks.
const SIGNALS: usize = 8;
/// Marks the tags of this crate's own objects; the application's are below.
const OWN_TAGS: u32 = 0x8000_0000;

/// Defines a notification centre on an interrupt line that the application does not use otherwise, such as that of a
/// timer which never runs: `centre!(static EVENTS on TIM8_BRK);`
#[macro_export]
macro_rules! centre {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident on $line:ident) => {
        $(#[$attribute])*
        $visibility static $name: $crate::Centre = $crate::Centre::new($crate::lines::$line);

        const _: () = {
            #[unsafe(export_name = concat!(stringify!($line), "_IRQHandler"))]
            extern "C" fn interrupt() {
                $name.interrupt();
            }
        };
    };
}

/// A notification centre.
pub struct Centre {
    line: u32,
    records: Records,
    /// The record of the next event; used by the interrupt alone.
    next: AtomicU32,
    handle: AtomicU32,
    /// Makes tags, so that a late event of a closed channel is not mistaken for one of its successor.
    generation: AtomicU32,
    signals: [Signal; SIGNALS],
    queue: Mutex<RefCell<Queue>>,
    readers: Wakers<2>,
}

/// A ring that the hypervisor writes and the interrupt reads.
struct Records(UnsafeCell<[MvNotification; RECORDS]>);

// SAFETY: accessed by volatile reads and writes in one interrupt handler only, and by the hypervisor.
unsafe impl Sync for Records {}

/// An event with a tag of the application's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened, in microseconds since the device's start.
    pub microseconds: u64,
    /// What happened.
    pub kind: MvEventType,
    /// The tag given when the object was opened.
    pub tag: u32,
}

impl Centre {
    /// A centre on an interrupt line; use [`centre!`](crate::centre!), which also makes the line's handler.
    pub const fn new(line: u32) -> Self {
        const NONE: MvNotification =
            MvNotification { microseconds: 0, event_type: MV_EVENTTYPE_NOEVENT, tag: 0 };
        Self {
            line,
            records: Records(UnsafeCell::new([NONE; RECORDS])),
            next: AtomicU32::new(0),
            handle: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            signals: [const { Signal::new() }; SIGNALS],
            queue: Mutex::new(RefCell::new(Queue::new())),
            readers: Wakers::new(),
        }
    }

    /// Sets the centre up, if it is not, and enables its line.
    pub fn open(&'static self) -> Result<()> {
        if self.handle.load(Ordering::Relaxed) != 0 {
            return Ok(());
        }
        let setup = MvNotificationSetup {
            irq: self.line,
            buffer: self.records.0.get().cast(),
            buffer_size: size_of::<[MvNotification; RECORDS]>() as u32,
        };
        let mut handle = 0;
        // SAFETY: the ring is lent for ever: it is in a static, and nothing but the interrupt touches it.
        unsafe { mvSetupNotifications(&raw const setup, &raw mut handle) }.ok()?;
        self.handle.store(handle, Ordering::Relaxed);
        processor::enable_line(self.line);
        Ok(())
    }

    /// The handle, for system calls that this crate does not make; 0 before [`Centre::open`].
    pub fn handle(&self) -> MvNotificationHandle {
        self.handle.load(Ordering::Relaxed)
    }

    /// Takes the oldest event with a tag of the application's own.
    pub fn take(&self) -> Option<Event> {
        critical_section::with(|section| self.queue.borrow_ref_mut(section).pop())
    }

    /// Waits for such an event.
    pub async fn event(&self) -> Event {
        poll_fn(|context| {
            self.readers.register(context.waker());
            self.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Events with a tag of the application's own that the queue had no room for.
    pub fn dropped(&self) -> u32 {
        critical_section::with(|section| self.queue.borrow_ref(section).dropped)
    }

    /// What the line's interrupt does.
    pub fn interrupt(&'static self) {
        while let Some(record) = self.next_record() {
            self.sort(&record);
        }
        clock::wake();
    }

    /// Takes the next record and marks its place free.
    fn next_record(&self) -> Option<MvNotification> {
        let index = self.next.load(Ordering::Relaxed) as usize;
        let place = self.records.0.get().cast::<MvNotification>().wrapping_add(index);
        // SAFETY: `index` is below RECORDS. The hypervisor writes the type last and only into free places, so a record
        // with a type is complete, and stays as it is until the type is cleared here.
        let record = unsafe { place.read_volatile() };
        if record.event_type == MV_EVENTTYPE_NOEVENT {
            return None;
        }
        // SAFETY: as above.
        unsafe { (&raw mut (*place).event_type).write_volatile(MV_EVENTTYPE_NOEVENT) };
        self.next.store(((index + 1) % RECORDS) as u32, Ordering::Relaxed);
        Some(record)
    }

    fn sort(&self, record: &MvNotification) {
        if record.tag & OWN_TAGS != 0 {
            self.signals[record.tag as usize % SIGNALS].notify(record);
            return;
        }
        let event = Event { microseconds: record.microseconds, kind: record.event_type, tag: record.tag };
        critical_section::with(|section| self.queue.borrow_ref_mut(section).push(event));
        self.readers.wake();
    }

    /// A free signal, or `None` if all are used.
    pub(crate) fn claim(&'static self) -> Option<&'static Signal> {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) % 0x0800_0000;
        self.signals.iter().enumerate().find_map(|(index, signal)| {
            let tag = OWN_TAGS | (generation * SIGNALS as u32) | index as u32;
            signal.claim(tag).then_some(signal)
        })
    }
}

/// Something readable, or the network changed.
pub(crate) const READABLE: u32 = 1;
/// Room to write.
pub(crate) const WRITABLE: u32 = 2;
/// The connection is lost.
pub(crate) const LOST: u32 = 4;

/// What became of one object, as bits that the interrupt sets.
pub(crate) struct Signal {
    /// The object's tag; 0 is no object's.
    tag: AtomicU32,
    bits: AtomicU32,
    wakers: Wakers<2>,
}

impl Signal {
    const fn new() -> Self {
        Self { tag: AtomicU32::new(0), bits: AtomicU32::new(0), wakers: Wakers::new() }
    }

    fn claim(&self, tag: u32) -> bool {
        let is_claimed = self.tag.compare_exchange(0, tag, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if is_claimed {
            self.bits.store(0, Ordering::Release);
        }
        is_claimed
    }

    /// Gives the signal back.
    pub(crate) fn release(&self) {
        self.tag.store(0, Ordering::Release);
    }

    pub(crate) fn tag(&self) -> u32 {
        self.tag.load(Ordering::Relaxed)
    }

    fn notify(&self, record: &MvNotification) {
        if record.tag != self.tag() {
            return;
        }
        self.set(match record.event_type {
            MV_EVENTTYPE_CHANNELDATAREADABLE | MV_EVENTTYPE_NETWORKSTATUSCHANGED => READABLE,
            MV_EVENTTYPE_CHANNELDATAWRITESPACE => WRITABLE,
            MV_EVENTTYPE_CHANNELNOTCONNECTED => LOST,
            _ => return,
        });
    }

    pub(crate) fn set(&self, bit: u32) {
        self.bits.fetch_or(bit, Ordering::AcqRel);
        self.wakers.wake();
    }

    pub(crate) fn has(&self, bit: u32) -> bool {
        self.bits.load(Ordering::Acquire) & bit != 0
    }

    /// Whether the bit was set; clears it. To be called before reading, so that what arrives meanwhile is seen
    /// the next time.
    pub(crate) fn take(&self, bit: u32) -> bool {
        self.bits.fetch_and(!bit, Ordering::AcqRel) & bit != 0
    }

    pub(crate) fn register(&self, waker: &Waker) {
        self.wakers.register(waker);
    }
}

/// Tasks that wait for the same thing.
pub(crate) struct Wakers<const N: usize>(Mutex<[Cell<Option<Waker>>; N]>);

impl<const N: usize> Wakers<N> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new([const { Cell::new(None) }; N]))
    }

    /// A task that finds no place is woken at once: it polls, which costs time and loses nothing.
    pub(crate) fn register(&self, waker: &Waker) {
        let is_registered = critical_section::with(|section| {
            self.0.borrow(section).iter().any(|place| {
                let known = place.take().unwrap_or_else(|| waker.clone());
                let is_ours = known.will_wake(waker);
                place.set(Some(known));
                is_ours
            })
        });
        if !is_registered {
            waker.wake_by_ref();
        }
    }

    pub(crate) fn wake(&self) {
        for index in 0..N {
            let take = |places: &[Cell<Option<Waker>>; N]| places.get(index).and_then(Cell::take);
            if let Some(waker) = critical_section::with(|section| take(self.0.borrow(section))) {
                waker.wake();
            }
        }
    }
}

/// A bounded queue; a full one drops what is new and counts it.
struct Queue {
    events: [Option<Event>; RECORDS],
    first: usize,
    length: usize,
    dropped: u32,
}

impl Queue {
    const fn new() -> Self {
        Self { events: [None; RECORDS], first: 0, length: 0, dropped: 0 }
    }

    fn push(&mut self, event: Event) {
        if self.length == RECORDS {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.events[(self.first + self.length) % RECORDS] = Some(event);
        self.length += 1;
    }

    fn pop(&mut self) -> Option<Event> {
        let event = self.events[self.first].take()?;
        self.first = (self.first + 1) % RECORDS;
        self.length -= 1;
        Some(event)
    }
}
