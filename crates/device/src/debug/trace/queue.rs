//! What waits to be written, between the device's thread and the writer's.
//!
//! Adding an entry takes a lock for as long as it takes to copy it, and wakes the writer a few times a second; the
//! writer takes all there is and holds no lock while it writes.

use std::mem::size_of;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use armv8m::Cycles;

use super::entry::Entry;

/// Entries that may wait to be written; more are lost.
pub const QUEUE: usize = 1 << 16;

/// Most bytes of application memory captured with them: 256 an entry.
const MAX_CAPTURED: usize = QUEUE * 256;

/// How long the writer lets entries gather. Each wake-up costs the device's thread as much as many entries.
const GATHER: Duration = Duration::from_millis(20);

/// How long what was written may wait in a buffer while nothing happens.
const FLUSH_AFTER: Duration = Duration::from_millis(200);

/// Entries that wait.
#[derive(Default)]
pub(super) struct Batch {
    /// In order.
    pub items: Vec<Item>,
    /// What was captured with them, in the same order.
    pub captured: Vec<u8>,
    /// What was lost after them, if anything.
    pub lost: Option<Loss>,
}

/// Entries that were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loss {
    /// How many.
    pub count: u64,
    /// When the first was lost.
    pub from: Cycles,
    /// When the last was lost.
    pub until: Cycles,
}

/// One or more entries.
pub(super) enum Item {
    /// An entry, and how many bytes were captured with it.
    One(Entry, usize),
    /// Entries that were repeated.
    Group(Group),
}

/// Entries that were repeated among each other, in the order of their first times.
pub(super) type Group = Box<[Repeated]>;

/// An entry that occurred several times.
pub(super) struct Repeated {
    /// The first.
    pub entry: Entry,
    /// What was captured with it.
    pub captured: Vec<u8>,
    /// How often it occurred.
    pub count: u64,
    /// When the last began.
    pub until: Cycles,
    /// What was captured of its results; empty if they are those of the first.
    pub latest: Vec<u8>,
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to write, or much of it, or nothing more will come.
    filled: Condvar,
    /// There is room, or the writer has ended.
    drained: Condvar,
}

#[derive(Default)]
struct State {
    batch: Batch,
    /// Adding waits for room.
    is_lossless: bool,
    /// Nothing more will come.
    is_closed: bool,
    /// The writer has ended.
    is_done: bool,
}

impl State {
    fn is_full(&self) -> bool {
        self.batch.items.len() >= QUEUE || self.batch.captured.len() >= MAX_CAPTURED
    }

    /// The writer should not wait any longer.
    fn is_urgent(&self) -> bool {
        let (items, captured) = (self.batch.items.len(), self.batch.captured.len());
        self.is_closed || items >= QUEUE / 2 || captured >= MAX_CAPTURED / 2
    }

    fn is_empty(&self) -> bool {
        self.batch.items.is_empty() && self.batch.lost.is_none()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on adding waits for room.
    pub(super) fn set_lossless(&self) {
        self.lock().is_lossless = true;
    }

    /// Adds an entry with what was captured of memory, or counts it as lost.
    pub(super) fn put(&self, entry: Entry, captured: &[u8]) {
        let Some(mut state) = self.room(entry.at, 1) else { return };
        state.batch.captured.extend_from_slice(captured);
        state.batch.items.push(Item::One(entry, captured.len()));
        self.added(&state);
    }

    /// Adds entries that were repeated.
    pub(super) fn put_group(&self, group: Group) {
        let Some(first) = group.first() else { return };
        let count = group.iter().map(|repeated| repeated.count).sum();
        let Some(mut state) = self.room(first.entry.at, count) else { return };
        state.batch.items.push(Item::Group(group));
        self.added(&state);
    }

    /// The state if there is room; otherwise `count` entries are lost. After a loss there is no room until the writer
    /// has taken everything, so that many losses become one.
    fn room(&self, at: Cycles, count: u64) -> Option<MutexGuard<'_, State>> {
        let mut state = self.lock();
        while state.is_lossless && state.is_full() && !state.is_done {
            state = self.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.batch.lost.is_none() && !state.is_full() && !state.is_done {
            return Some(state);
        }
        let lost = state.batch.lost.get_or_insert(Loss { count: 0, from: at, until: at });
        (lost.count, lost.until) = (lost.count + count, at);
        None
    }

    fn added(&self, state: &State) {
        let items = state.batch.items.len();
        if items == 1 || items == QUEUE / 2 || state.batch.captured.len() >= MAX_CAPTURED / 2 {
            self.filled.notify_one();
        }
    }

    /// Takes all there is in exchange for `taken`, which is empty. Waits for it, but not for long if the writer has
    /// something to flush (`is_flushed` is false). Returns whether more may come.
    pub(super) fn take(&self, taken: &mut Batch, is_flushed: bool) -> bool {
        let mut state = self.lock();
        let is_waiting = |state: &mut State| state.is_empty() && !state.is_closed;
        state = if is_flushed {
            self.filled.wait_while(state, is_waiting).unwrap_or_else(PoisonError::into_inner)
        } else {
            let waited = self.filled.wait_timeout_while(state, FLUSH_AFTER, is_waiting);
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        if !state.is_empty() {
            let waited = self.filled.wait_timeout_while(state, GATHER, |state| !state.is_urgent());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(&mut state.batch, taken);
        self.drained.notify_one();
        !state.is_closed
    }

    /// Nothing more will come. Waits, for at most `limit`, until everything is written.
    pub(super) fn close(&self, limit: Duration) {
        let mut state = self.lock();
        state.is_closed = true;
        self.filled.notify_one();
        let _ended = self.drained.wait_timeout_while(state, limit, |state| !state.is_done);
    }

    /// The writer has ended.
    pub(super) fn writer_ended(&self) {
        self.lock().is_done = true;
        self.drained.notify_all();
    }
}

impl Batch {
    /// Empties it, and keeps its memory unless that is a lot.
    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.captured.clear();
        self.items.shrink_to(MAX_KEPT / size_of::<Item>());
        self.captured.shrink_to(MAX_KEPT);
        self.lost = None;
    }
}

/// Bytes of memory that an empty batch keeps.
const MAX_KEPT: usize = 1 << 20;
