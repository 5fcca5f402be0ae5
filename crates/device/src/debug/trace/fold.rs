//! Repetitions become one entry with a count: an application that polls makes hundreds of thousands of calls a second,
//! all alike (D330).
//!
//! A group is what happens while nothing has an effect: calls that only query, with equal arguments and results, and
//! interrupts. It ends with anything else, so that what has an effect is always shown by itself and in its place. This
//! depends on guest time alone: a replay writes the same trace.

use abi::Call;
use armv8m::Cycles;

use super::entry::{CallEntry, Entry, Part, What};
use super::queue::{Group, Queue, Repeated};
use crate::memory_map::CYCLES_PER_MICRO;

/// Most different entries of a group: a loop that polls makes a few calls, and interrupts fall into it.
pub(super) const MAX_GROUP: usize = 8;

/// Longest time of a group, in cycles: 10 s. In a trace that is watched the application is seen to poll.
pub(super) const MAX_TIME: Cycles = 10_000_000 * CYCLES_PER_MICRO;

/// A pause that ends a group, in cycles: 100 ms. What is this far apart is seen as separate.
pub(super) const MAX_PAUSE: Cycles = 100_000 * CYCLES_PER_MICRO;

/// Collects a group.
#[derive(Default)]
pub(super) struct Folder {
    /// The entries of the group are the first `used`; the others keep their memory for the next.
    slots: Vec<Slot>,
    used: usize,
    /// When the group began, and the end of what was added last.
    began: Cycles,
    last: Cycles,
}

struct Slot {
    entry: Entry,
    /// What was captured with it.
    captured: Vec<u8>,
    count: u64,
    /// When the last of them began, and what was captured with it where results may differ.
    until: Cycles,
    latest: Vec<u8>,
}

impl Folder {
    /// Adds an entry with what was captured of memory. What is complete goes to `queue`.
    pub(super) fn add(&mut self, entry: Entry, captured: &[u8], queue: &Queue) {
        self.end_if_over(entry.at, queue);
        if !is_foldable(&entry) {
            self.end(queue);
            queue.put(entry, captured);
            return;
        }
        self.last = entry.end();
        let equal = |slot: &&mut Slot| is_equal(slot, &entry, captured);
        if let Some(slot) = self.slots[..self.used].iter_mut().find(equal) {
            (slot.count, slot.until) = (slot.count + 1, entry.at);
            if let What::Call(call) = &entry.what
                && reads_clock(call.call)
            {
                slot.latest.clear();
                slot.latest.extend_from_slice(&captured[call.argument_bytes..]);
            }
            return;
        }
        if self.used == MAX_GROUP {
            self.make_room(queue);
        }
        if self.used == 0 {
            self.began = entry.at;
        }
        self.append(entry, captured);
    }

    /// Ends the group if nothing that happens at `now` or later belongs to it.
    pub(super) fn end_if_over(&mut self, now: Cycles, queue: &Queue) {
        if self.used > 0 && (now >= self.began + MAX_TIME || now >= self.last + MAX_PAUSE) {
            self.end(queue);
        }
    }

    /// Ends the group.
    pub(super) fn end(&mut self, queue: &Queue) {
        let group = &mut self.slots[..std::mem::take(&mut self.used)];
        if group.iter().all(|slot| slot.count == 1) {
            for slot in group {
                queue.put(slot.entry.take(), &slot.captured);
            }
        } else {
            queue.put_group(group.iter_mut().map(Slot::take).collect::<Group>());
        }
    }

    /// Of entries none of which was repeated the first is not part of a loop with those that follow.
    fn make_room(&mut self, queue: &Queue) {
        if self.slots[..self.used].iter().any(|slot| slot.count > 1) {
            return self.end(queue);
        }
        let first = &mut self.slots[0];
        queue.put(first.entry.take(), &first.captured);
        self.slots[..self.used].rotate_left(1);
        self.used -= 1;
        self.began = self.slots[0].entry.at;
    }

    fn append(&mut self, entry: Entry, captured: &[u8]) {
        let until = entry.at;
        if self.used == self.slots.len() {
            self.slots.push(Slot { entry, captured: captured.to_vec(), count: 1, until, latest: Vec::new() });
        } else {
            let slot = &mut self.slots[self.used];
            slot.captured.clear();
            slot.captured.extend_from_slice(captured);
            slot.latest.clear();
            (slot.entry, slot.count, slot.until) = (entry, 1, until);
        }
        self.used += 1;
    }
}

impl Slot {
    fn take(&mut self) -> Repeated {
        let Self { entry, captured, count, until, latest } = self;
        let (captured, latest) = (std::mem::take(captured), std::mem::take(latest));
        Repeated { entry: entry.take(), captured, count: *count, until: *until, latest }
    }
}

/// Whether an entry is without effect.
fn is_foldable(entry: &Entry) -> bool {
    match &entry.what {
        What::Call(call) => call.is_query && call.part == Part::Whole,
        What::Exception { .. } => true,
        What::Notification { .. } | What::Mark { .. } => false,
    }
}

/// Whether an entry is a repetition.
fn is_equal(slot: &Slot, entry: &Entry, captured: &[u8]) -> bool {
    match (&slot.entry.what, &entry.what) {
        (What::Call(own), What::Call(other)) => {
            let same = |own: &CallEntry| (own.call, own.registers, own.status, own.argument_bytes);
            let compared = if reads_clock(own.call) { own.argument_bytes } else { captured.len() };
            same(own) == same(other) && slot.captured.get(..compared) == captured.get(..compared)
        }
        (What::Exception { number, entered }, What::Exception { number: other, entered: other_entered }) => {
            (number, entered) == (other, other_entered)
        }
        _ => false,
    }
}

/// Whether a call's result is another each time: not a difference that anyone looks for.
pub(super) fn reads_clock(call: Call) -> bool {
    matches!(call, Call::GetMicroseconds | Call::GetWallTime)
}
