//! Slots for name look-ups, shared fairly between accounts and devices (D181).
//!
//! The number of slots is limited. Each look-up holds one, and a device may hold few. When all are in use, a newcomer
//! takes one from the largest user: the oldest look-up of the largest device of the largest account is ended. If no
//! other account or device holds more than the newcomer's own, the newcomer waits, and accounts take turns. So look-ups
//! that are never answered delay at most those of other devices of the same account.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;

use crate::id::AccountId;
use crate::id::DeviceId;
use crate::limits::WAITING_LOOKUPS;

/// The account and device that something is done for. Without a device it is for the cloud itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) account: Option<AccountId>,
    pub(crate) device: Option<DeviceId>,
}

/// The slots. Clones share them.
#[derive(Clone)]
pub(crate) struct LookupSlots(Arc<Mutex<State>>);

/// One of the [`LookupSlots`], returned when dropped.
#[derive(Debug)]
pub(crate) struct LookupPermit {
    slots: LookupSlots,
    number: u64,
    evicted: oneshot::Receiver<()>,
}

/// The device, or all devices together, have as many look-ups as allowed.
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
    /// `total` slots, of which one device may hold `per_device`.
    pub(crate) fn new(total: usize, per_device: usize) -> Self {
        let state = State { total, per_device, next: 0, running: Vec::new(), waiting: VecDeque::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Takes a slot, after waiting for one if necessary.
    pub(crate) async fn acquire(&self, owner: Owner) -> Result<LookupPermit, Full> {
        let waiting = match self.lock().acquire(owner)? {
            Acquired::Now(granted) => return Ok(self.permit(granted)),
            Acquired::Later(waiting) => waiting,
        };
        // The sender is dropped only with the slots.
        waiting.await.map(|granted| self.permit(granted)).map_err(|_| Full)
    }

    fn permit(&self, Granted { number, evicted }: Granted) -> LookupPermit {
        LookupPermit { slots: self.clone(), number, evicted }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

impl LookupPermit {
    /// Completes when the slot was given to another look-up, and this one must end.
    pub(crate) async fn evicted(&mut self) {
        // A sender that is dropped belonged to a slot that was returned.
        let _ = (&mut self.evicted).await;
    }
}

impl Drop for LookupPermit {
    fn drop(&mut self) {
        self.slots.lock().release(self.number);
    }
}

enum Acquired {
    Now(Granted),
    Later(oneshot::Receiver<Granted>),
}

impl State {
    fn acquire(&mut self, owner: Owner) -> Result<Acquired, Full> {
        let held = self.running.iter().filter(|running| running.owner == owner).count();
        let waits = |waiting: &&Waiting| waiting.owner == owner && !waiting.grant.is_closed();
        if held + self.waiting.iter().filter(waits).count() >= self.per_device {
            return Err(Full);
        }
        if self.running.len() < self.total {
            return Ok(Acquired::Now(self.grant(owner)));
        }
        if let Some(victim) = self.victim(owner) {
            let victim = self.running.remove(victim);
            let _ = victim.evict.send(());
            return Ok(Acquired::Now(self.grant(owner)));
        }
        self.waiting.retain(|waiting| !waiting.grant.is_closed());
        if self.waiting.len() >= WAITING_LOOKUPS {
            return Err(Full);
        }
        let (grant, granted) = oneshot::channel();
        self.waiting.push_back(Waiting { owner, grant });
        Ok(Acquired::Later(granted))
    }

    fn grant(&mut self, owner: Owner) -> Granted {
        let (evict, evicted) = oneshot::channel();
        self.next += 1;
        self.running.push(Running { number: self.next, owner, evict });
        Granted { number: self.next, evicted }
    }

    /// The look-up that a newcomer may replace: the oldest of the largest user, if that holds more than the newcomer
    /// would.
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
        // They are in the order in which they started.
        let is_victim = |running: &Running| devices.get(&running.owner) == Some(&largest);
        self.running.iter().position(is_victim)
    }

    fn release(&mut self, number: u64) {
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

    /// The first waiting look-up of the account that holds least.
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

    /// The first result of polling a future.
    fn now<F: Future>(future: F) -> Poll<F::Output> {
        Box::pin(future).as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn acquired(slots: &LookupSlots, owner: Owner) -> LookupPermit {
        let Poll::Ready(Ok(permit)) = now(slots.acquire(owner)) else { panic!("no slot") };
        permit
    }

    fn is_evicted(permit: &mut LookupPermit) -> bool {
        now(permit.evicted()).is_ready()
    }

    /// Shows D181.
    #[test]
    fn a_device_has_its_share_and_no_more_and_gets_it_back() {
        let (slots, account) = (LookupSlots::new(10, 2), account());
        let device = device_of(account);
        let first = acquired(&slots, device);
        let _second = acquired(&slots, device);
        assert!(matches!(now(slots.acquire(device)), Poll::Ready(Err(Full))));
        let _other = acquired(&slots, device_of(account));
        drop(first);
        let _third = acquired(&slots, device);
    }

    /// Shows D181: the largest account gives way, in it the largest device, of that the oldest.
    #[test]
    fn a_newcomer_takes_a_slot_of_the_largest_user() {
        let slots = LookupSlots::new(6, 4);
        let (large, small) = (account(), account());
        let (quiet, noisy) = (device_of(large), device_of(large));
        let mut held = vec![acquired(&slots, device_of(small)), acquired(&slots, quiet)];
        held.extend((0..4).map(|_| acquired(&slots, noisy)));
        let _newcomer = acquired(&slots, device_of(account()));
        let evicted: Vec<_> = held.iter_mut().map(is_evicted).collect();
        assert_eq!(evicted, [false, false, true, false, false, false]);
    }

    /// Shows D181: within an account too, and no slot goes to a look-up whose owner would hold as much.
    #[tokio::test]
    async fn equals_wait_for_each_other_and_accounts_take_turns() {
        let slots = LookupSlots::new(2, 4);
        let (one, two) = (account(), account());
        let mut first = acquired(&slots, device_of(one));
        let mut second = acquired(&slots, device_of(one));
        let same = tokio::spawn({
            let (slots, owner) = (slots.clone(), device_of(one));
            async move { slots.acquire(owner).await }
        });
        tokio::task::yield_now().await;
        assert!(!is_evicted(&mut first) && !is_evicted(&mut second), "all hold one");
        assert!(!same.is_finished());
        let other = acquired(&slots, device_of(two));
        assert!(is_evicted(&mut first), "the other account holds none");
        drop(first);
        drop(second);
        let permit = same.await.expect("no panic").expect("a slot");
        drop((other, permit));
        assert!(slots.lock().running.is_empty());
    }

    /// Shows D181: a look-up that stops waiting takes no slot.
    #[test]
    fn a_slot_goes_to_a_look_up_that_still_waits() {
        let slots = LookupSlots::new(1, 4);
        let account = account();
        let permit = acquired(&slots, device_of(account));
        let waker = Waker::noop();
        let (mut gone, mut waits) =
            (Box::pin(slots.acquire(device_of(account))), Box::pin(slots.acquire(device_of(account))));
        assert!(gone.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        assert!(waits.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        drop(gone);
        drop(permit);
        let Poll::Ready(Ok(granted)) = waits.as_mut().poll(&mut Context::from_waker(waker)) else {
            panic!("no slot")
        };
        drop((waits, granted));
        assert!(slots.lock().running.is_empty() && slots.lock().waiting.is_empty());
    }
}
