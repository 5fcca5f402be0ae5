//! Who may look up names when not everybody can at once (D181).
//!
//! There is a number of places. Each look-up holds one, and a device holds few. When all are taken, a newcomer takes one from
//! the largest user: the account that holds most, and in it the device that holds most, lose their oldest. Only where nobody
//! holds more than the newcomer's own account and device, the newcomer waits, and accounts take turns in being served. So many
//! look-ups that are never answered delay those of their own account's devices at the most.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;

use crate::account_id::AccountId;
use crate::device_id::DeviceId;
use crate::limits::WAITING_LOOKUPS;

/// On whose behalf something is done. Without a device it is the cloud's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) account: Option<AccountId>,
    pub(crate) device: Option<DeviceId>,
}

/// The places.
#[derive(Clone)]
pub(crate) struct LookupSlots(Arc<Mutex<State>>);

/// A place that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct LookupPermit {
    places: LookupSlots,
    number: u64,
    evicted: oneshot::Receiver<()>,
}

/// The device, or everybody together, has as many look-ups as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

struct State {
    total: usize,
    per_device: usize,
    next: u64,
    running: Vec<Running>,
    waiting: VecDeque<Waiting>,
}

struct Running {
    number: u64,
    owner: Owner,
    evict: oneshot::Sender<()>,
}

struct Waiting {
    owner: Owner,
    grant: oneshot::Sender<Granted>,
}

struct Granted {
    number: u64,
    evicted: oneshot::Receiver<()>,
}

impl std::fmt::Debug for LookupSlots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        f.debug_struct("LookupSlots").field("running", &state.running.len()).finish_non_exhaustive()
    }
}

impl LookupSlots {
    /// So many places, of which one device has `per_device` at most.
    pub(crate) fn new(total: usize, per_device: usize) -> Self {
        let state = State { total, per_device, next: 0, running: Vec::new(), waiting: VecDeque::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Takes a place, if need be after others.
    pub(crate) async fn enter(&self, owner: Owner) -> Result<LookupPermit, Full> {
        let waiting = match self.lock().enter(owner)? {
            Entered::Now(granted) => return Ok(self.place(granted)),
            Entered::Later(waiting) => waiting,
        };
        // The sender is dropped only with the places.
        waiting.await.map(|granted| self.place(granted)).map_err(|_| Full)
    }

    fn place(&self, Granted { number, evicted }: Granted) -> LookupPermit {
        LookupPermit { places: self.clone(), number, evicted }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it is held")
    }
}

impl LookupPermit {
    /// Ready when the place has gone to another; the work is to be ended then.
    pub(crate) async fn evicted(&mut self) {
        // A sender that is dropped without a word belonged to a place that was given back.
        let _ = (&mut self.evicted).await;
    }
}

impl Drop for LookupPermit {
    fn drop(&mut self) {
        self.places.lock().leave(self.number);
    }
}

enum Entered {
    Now(Granted),
    Later(oneshot::Receiver<Granted>),
}

impl State {
    fn enter(&mut self, owner: Owner) -> Result<Entered, Full> {
        let held = self.running.iter().filter(|running| running.owner == owner).count();
        let waits = |waiting: &&Waiting| waiting.owner == owner && !waiting.grant.is_closed();
        if held + self.waiting.iter().filter(waits).count() >= self.per_device {
            return Err(Full);
        }
        if self.running.len() < self.total {
            return Ok(Entered::Now(self.grant(owner)));
        }
        if let Some(victim) = self.victim(owner) {
            let victim = self.running.remove(victim);
            let _ = victim.evict.send(());
            return Ok(Entered::Now(self.grant(owner)));
        }
        self.waiting.retain(|waiting| !waiting.grant.is_closed());
        if self.waiting.len() >= WAITING_LOOKUPS {
            return Err(Full);
        }
        let (grant, granted) = oneshot::channel();
        self.waiting.push_back(Waiting { owner, grant });
        Ok(Entered::Later(granted))
    }

    fn grant(&mut self, owner: Owner) -> Granted {
        let (evict, evicted) = oneshot::channel();
        self.next += 1;
        self.running.push(Running { number: self.next, owner, evict });
        Granted { number: self.next, evicted }
    }

    /// Whose place a newcomer may have: the oldest of the largest user's, if that one holds more than the newcomer would.
    fn victim(&self, newcomer: Owner) -> Option<usize> {
        let accounts = counts(self.running.iter().map(|running| running.owner.account));
        let own = accounts.get(&newcomer.account).copied().unwrap_or(0);
        let most = accounts.values().copied().max()?;
        let others = most > own + 1;
        let candidates = self.running.iter().map(|running| running.owner).filter(|owner| {
            if others {
                accounts.get(&owner.account) == Some(&most)
            } else {
                owner.account == newcomer.account
            }
        });
        let devices = counts(candidates);
        let largest = devices.values().copied().max()?;
        let own = devices.get(&newcomer).copied().unwrap_or(0);
        if !others && largest <= own + 1 {
            return None;
        }
        // They stand in the order they came in.
        let is_victim = |running: &Running| devices.get(&running.owner) == Some(&largest);
        self.running.iter().position(is_victim)
    }

    fn leave(&mut self, number: u64) {
        self.running.retain(|running| running.number != number);
        while self.running.len() < self.total {
            let Some(waiting) = self.next_waiting() else { return };
            let granted = self.grant(waiting.owner);
            let number = granted.number;
            if waiting.grant.send(granted).is_err() {
                self.running.retain(|running| running.number != number);
            }
        }
    }

    /// The first of the account that holds least.
    fn next_waiting(&mut self) -> Option<Waiting> {
        let accounts = counts(self.running.iter().map(|running| running.owner.account));
        let held = |waiting: &Waiting| accounts.get(&waiting.owner.account).copied().unwrap_or(0);
        self.waiting.retain(|waiting| !waiting.grant.is_closed());
        let (index, _) = self.waiting.iter().enumerate().min_by_key(|(_, waiting)| held(waiting))?;
        self.waiting.remove(index)
    }
}

fn counts<T: Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> HashMap<T, usize> {
    items.fold(HashMap::new(), |mut counts, item| {
        *counts.entry(item).or_insert(0) += 1;
        counts
    })
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn account() -> AccountId {
        AccountId::random()
    }

    fn device_of(account: AccountId) -> Owner {
        Owner { account: Some(account), device: Some(DeviceId::random()) }
    }

    /// What a future says at once.
    fn now<F: Future>(future: F) -> Poll<F::Output> {
        Box::pin(future).as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn entered(places: &LookupSlots, owner: Owner) -> LookupPermit {
        let Poll::Ready(Ok(place)) = now(places.enter(owner)) else { panic!("no place") };
        place
    }

    fn is_evicted(place: &mut LookupPermit) -> bool {
        now(place.evicted()).is_ready()
    }

    /// Shows D181.
    #[test]
    fn a_device_has_its_share_and_no_more_and_gets_it_back() {
        let (places, account) = (LookupSlots::new(10, 2), account());
        let device = device_of(account);
        let first = entered(&places, device);
        let _second = entered(&places, device);
        assert!(matches!(now(places.enter(device)), Poll::Ready(Err(Full))));
        let _other = entered(&places, device_of(account));
        drop(first);
        let _third = entered(&places, device);
    }

    /// Shows D181: the largest account gives way, in it the largest device, of that the oldest.
    #[test]
    fn a_newcomer_takes_a_place_of_the_largest_user() {
        let places = LookupSlots::new(6, 4);
        let (large, small) = (account(), account());
        let (quiet, noisy) = (device_of(large), device_of(large));
        let mut held = vec![entered(&places, device_of(small)), entered(&places, quiet)];
        held.extend((0..4).map(|_| entered(&places, noisy)));
        let _newcomer = entered(&places, device_of(account()));
        let evicted: Vec<_> = held.iter_mut().map(is_evicted).collect();
        assert_eq!(evicted, [false, false, true, false, false, false]);
    }

    /// Shows D181: within an account too, and nobody loses a place to somebody who would hold as much.
    #[tokio::test]
    async fn equals_wait_for_each_other_and_accounts_take_turns() {
        let places = LookupSlots::new(2, 4);
        let (one, two) = (account(), account());
        let mut first = entered(&places, device_of(one));
        let mut second = entered(&places, device_of(one));
        let same = tokio::spawn({
            let (places, owner) = (places.clone(), device_of(one));
            async move { places.enter(owner).await }
        });
        tokio::task::yield_now().await;
        assert!(!is_evicted(&mut first) && !is_evicted(&mut second), "all hold one");
        assert!(!same.is_finished());
        let other = entered(&places, device_of(two));
        assert!(is_evicted(&mut first), "the other account holds none");
        drop(first);
        drop(second);
        let place = same.await.expect("no panic").expect("a place");
        drop((other, place));
        assert!(places.lock().running.is_empty());
    }

    /// Shows D181: whoever stops waiting takes nobody's place.
    #[test]
    fn a_place_goes_to_somebody_who_still_waits() {
        let places = LookupSlots::new(1, 4);
        let account = account();
        let place = entered(&places, device_of(account));
        let waker = Waker::noop();
        let (mut gone, mut waits) =
            (Box::pin(places.enter(device_of(account))), Box::pin(places.enter(device_of(account))));
        assert!(gone.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        assert!(waits.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        drop(gone);
        drop(place);
        let Poll::Ready(Ok(granted)) = waits.as_mut().poll(&mut Context::from_waker(waker)) else {
            panic!("no place")
        };
        drop((waits, granted));
        assert!(places.lock().running.is_empty() && places.lock().waiting.is_empty());
    }
}
