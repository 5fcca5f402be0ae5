//! Slots for connections that have not yet shown who they are: TLS handshakes under way, and peers of the port for health.
//!
//! There are a number in total and a small share for each source. When there is none left, the oldest connection of the source with
//! the most of them is evicted (D174): whoever opens connections and leaves them unfinished loses them first, and somebody new gets
//! a slot however many sources take part.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::sources::source;

/// So many slots. Clones are the same ones.
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
    held: usize,
    sources: HashMap<IpAddr, BTreeMap<u64, Holder>>,
    /// Every source once; the last one is the next to lose a slot.
    ranks: BTreeSet<Rank>,
}

/// The source with the most slots is last, of several with as many the one with the oldest connection.
type Rank = (usize, Reverse<u64>, IpAddr);

/// Who holds a slot.
struct Holder {
    since: Instant,
    /// Dropped to evict the holder.
    _evict: oneshot::Sender<()>,
}

/// One of the [`Slots`], given back when dropped.
pub(crate) struct Slot {
    slots: Slots,
    source: IpAddr,
    serial: u64,
    evicted: oneshot::Receiver<()>,
}

impl Slots {
    /// `total` slots, of which one source has `per_source`. A source that has all of its own loses the oldest once that is older than
    /// `grace`; until then it gets no more. So many honest devices behind one address finish their handshakes one after the other,
    /// where evicting them would let none finish.
    pub(crate) fn new(total: usize, per_source: usize, grace: Duration) -> Self {
        Self { state: Arc::default(), total, per_source, grace }
    }

    /// Takes a slot for a connection from `address`, if need be from another connection; `None` when the source has all of its own and
    /// none of them is old enough.
    pub(crate) fn take(&self, address: IpAddr, now: Instant) -> Option<Slot> {
        let source = source(address);
        let mut state = self.lock();
        if state.count(source) >= self.per_source {
            let oldest = state.sources.get(&source)?.values().next()?;
            if now.saturating_duration_since(oldest.since) < self.grace {
                return None;
            }
            state.evict_oldest(source);
        } else if state.held >= self.total {
            let (.., largest) = *state.ranks.last()?;
            state.evict_oldest(largest);
        }
        let (evict, evicted) = oneshot::channel();
        let serial = state.next_serial;
        state.next_serial += 1;
        state.insert(source, serial, Holder { since: now, _evict: evict });
        Some(Slot { slots: self.clone(), source, serial, evicted })
    }

    /// Slots that are taken.
    pub(crate) fn held(&self) -> usize {
        self.lock().held
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it counts")
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

    /// Changes the holders of one source and keeps everything that is derived from them.
    fn change(&mut self, source: IpAddr, change: impl FnOnce(&mut BTreeMap<u64, Holder>)) {
        if let Some(rank) = self.rank(source) {
            self.ranks.remove(&rank);
        }
        let holders = self.sources.entry(source).or_default();
        let before = holders.len();
        change(holders);
        self.held = self.held - before + holders.len();
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
    /// Completes when somebody else has got the slot.
    pub(crate) async fn evicted(&mut self) {
        // Nothing is ever sent: the sender goes away.
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
        let take = |source| slots.take(address(source), now).expect("a slot");
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
        assert_eq!(slots.held(), 4);
    }

    /// Shows D174: whatever the number of sources, a newcomer is evicted only after as many others have come as there are slots.
    #[test]
    fn a_newcomer_outlives_as_many_others_as_there_are_slots() {
        let (slots, now) = (Slots::new(64, 4, Duration::ZERO), Instant::now());
        let mut others: Vec<_> = (0..200).filter_map(|number| slots.take(address(number), now)).collect();
        let mut newcomer = slots.take(address(1 << 24), now).expect("a slot");
        for number in 1000..1063 {
            others.extend(slots.take(address(number), now));
            assert!(!is_evicted(&mut newcomer), "after {}", number - 999);
        }
        others.extend(slots.take(address(5000), now));
        assert!(is_evicted(&mut newcomer));
        assert_eq!(others.iter_mut().filter_map(|slot| (!is_evicted(slot)).then_some(())).count(), 64);
    }

    /// Shows D174.
    #[test]
    fn a_full_source_loses_its_own_and_only_those_that_are_old() {
        let grace = Duration::from_millis(500);
        let (slots, start) = (Slots::new(100, 2, grace), Instant::now());
        let mut other = slots.take(address(2), start).expect("a slot");
        let mut first = slots.take(address(1), start).expect("a slot");
        let second = slots.take(address(1), start).expect("a slot");
        assert!(slots.take(address(1), start + grace / 2).is_none() && !is_evicted(&mut first));
        let third = slots.take(address(1), start + grace).expect("a slot");
        assert!(is_evicted(&mut first) && !is_evicted(&mut other));
        drop((first, second, third, other));
        let state = slots.lock();
        assert!(state.held == 0 && state.sources.is_empty() && state.ranks.is_empty());
    }
}
