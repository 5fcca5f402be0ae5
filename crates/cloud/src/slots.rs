//! Slots for unauthenticated connections: TLS handshakes in progress, and clients of the monitoring port.
//!
//! Their number is limited in total and, to a smaller one, for each source. When all are used, the oldest connection of
//! the source with the most of them is evicted. So a client that opens connections and leaves them unfinished loses
//! them first, and a new client gets a slot however many sources take part (D174).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::sources::source;

/// The slots. Clones share them.
#[derive(Clone)]
pub(crate) struct Slots {
    state: Arc<Mutex<State>>,
    total: usize,
    per_source: usize,
    grace: Duration,
}

#[derive(Default)]
struct State {
    next_serial: u64,
    in_use: usize,
    sources: HashMap<IpAddr, BTreeMap<u64, Holder>>,
    /// Every source once; the last one is the next to be evicted from.
    ranks: BTreeSet<Rank>,
}

/// Sorts the source with the most slots last; of several with as many, the one with the oldest connection.
type Rank = (usize, Reverse<u64>, IpAddr);

/// A connection that has a slot.
struct Holder {
    since: Instant,
    /// Dropped to evict the holder.
    _evict: oneshot::Sender<()>,
}

/// One of the [`Slots`], returned when dropped.
pub(crate) struct Slot {
    slots: Slots,
    source: IpAddr,
    serial: u64,
    evicted: oneshot::Receiver<()>,
}

impl Slots {
    /// `total` slots, of which one source may use `per_source`. A source that uses all of those loses its oldest once
    /// that is older than `grace`, and until then gets no more. This lets many honest devices behind one address finish
    /// their handshakes one after the other, where immediate eviction would let none finish.
    pub(crate) fn new(total: usize, per_source: usize, grace: Duration) -> Self {
        Self { state: Arc::default(), total, per_source, grace }
    }

    /// Takes a slot for a connection from `address`, by evicting another connection if necessary; `None` when the
    /// source uses all of its own and none of them is old enough.
    pub(crate) fn try_acquire(&self, address: IpAddr, now: Instant) -> Option<Slot> {
        let source = source(address);
        let mut state = self.lock();
        if state.count(source) >= self.per_source {
            let oldest = state.sources.get(&source)?.values().next()?;
            if now.saturating_duration_since(oldest.since) < self.grace {
                return None;
            }
            state.evict_oldest(source);
        } else if state.in_use >= self.total {
            let (.., largest) = *state.ranks.last()?;
            state.evict_oldest(largest);
        }
        let (evict, evicted) = oneshot::channel();
        let serial = state.next_serial;
        state.next_serial += 1;
        state.insert(source, serial, Holder { since: now, _evict: evict });
        Some(Slot { slots: self.clone(), source, serial, evicted })
    }

    /// Number of slots in use.
    pub(crate) fn in_use(&self) -> usize {
        self.lock().in_use
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl State {
    fn count(&self, source: IpAddr) -> usize {
        self.sources.get(&source).map_or(0, BTreeMap::len)
    }

    fn rank(&self, source: IpAddr) -> Option<Rank> {
        let holders = self.sources.get(&source)?;
        let (oldest, _) = holders.first_key_value()?;
        Some((holders.len(), Reverse(*oldest), source))
    }

    /// Changes the holders of one source and updates what is derived from them.
    fn change(&mut self, source: IpAddr, change: impl FnOnce(&mut BTreeMap<u64, Holder>)) {
        if let Some(rank) = self.rank(source) {
            self.ranks.remove(&rank);
        }
        let holders = self.sources.entry(source).or_default();
        let before = holders.len();
        change(holders);
        self.in_use = self.in_use - before + holders.len();
        if holders.is_empty() {
            self.sources.remove(&source);
        }
        if let Some(rank) = self.rank(source) {
            self.ranks.insert(rank);
        }
    }

    fn insert(&mut self, source: IpAddr, serial: u64, holder: Holder) {
        self.change(source, |holders| drop(holders.insert(serial, holder)));
    }

    fn remove(&mut self, source: IpAddr, serial: u64) {
        self.change(source, |holders| drop(holders.remove(&serial)));
    }

    fn evict_oldest(&mut self, source: IpAddr) {
        self.change(source, |holders| drop(holders.pop_first()));
    }
}

impl Slot {
    /// Completes when the slot was given to another connection.
    pub(crate) async fn evicted(&mut self) {
        // Nothing is ever sent: the sender is dropped.
        let _ = (&mut self.evicted).await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().remove(self.source, self.serial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    fn is_evicted(slot: &mut Slot) -> bool {
        slot.evicted.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    /// Shows D174.
    #[test]
    fn the_oldest_of_the_largest_source_is_evicted_first() {
        let (slots, now) = (Slots::new(4, 3, Duration::ZERO), Instant::now());
        let take = |source| slots.try_acquire(address(source), now).expect("a slot");
        let mut first_of_two = take(1);
        let mut greedy = [take(2), take(2)];
        let mut second_of_two = take(1);
        let mut newcomer = take(3);
        assert!(is_evicted(&mut first_of_two), "two sources have two, and this is the oldest connection");
        let mut other = take(4);
        assert!(is_evicted(&mut greedy[0]), "now one source has the most");
        assert!(!is_evicted(&mut greedy[1]) && !is_evicted(&mut second_of_two));
        let _next = take(5);
        assert!(is_evicted(&mut greedy[1]), "all have one, and this is the oldest");
        assert!(!is_evicted(&mut newcomer) && !is_evicted(&mut other));
        assert_eq!(slots.in_use(), 4);
    }

    /// Shows D174: whatever the number of sources, a newcomer is evicted only after as many others have come as there
    /// are slots.
    #[test]
    fn a_newcomer_outlives_as_many_others_as_there_are_slots() {
        let (slots, now) = (Slots::new(64, 4, Duration::ZERO), Instant::now());
        let mut others: Vec<_> =
            (0..200).filter_map(|number| slots.try_acquire(address(number), now)).collect();
        let mut newcomer = slots.try_acquire(address(1 << 24), now).expect("a slot");
        for number in 1000..1063 {
            others.extend(slots.try_acquire(address(number), now));
            assert!(!is_evicted(&mut newcomer), "after {}", number - 999);
        }
        others.extend(slots.try_acquire(address(5000), now));
        assert!(is_evicted(&mut newcomer));
        assert_eq!(others.iter_mut().filter_map(|slot| (!is_evicted(slot)).then_some(())).count(), 64);
    }

    /// Shows D174.
    #[test]
    fn a_full_source_loses_its_own_and_only_those_that_are_old() {
        let grace = Duration::from_millis(500);
        let (slots, start) = (Slots::new(100, 2, grace), Instant::now());
        let mut other = slots.try_acquire(address(2), start).expect("a slot");
        let mut first = slots.try_acquire(address(1), start).expect("a slot");
        let second = slots.try_acquire(address(1), start).expect("a slot");
        assert!(slots.try_acquire(address(1), start + grace / 2).is_none() && !is_evicted(&mut first));
        let third = slots.try_acquire(address(1), start + grace).expect("a slot");
        assert!(is_evicted(&mut first) && !is_evicted(&mut other));
        drop((first, second, third, other));
        let state = slots.lock();
        assert!(state.in_use == 0 && state.sources.is_empty() && state.ranks.is_empty());
    }
}
