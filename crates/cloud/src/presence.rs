//! What goes between a running cloud and other processes on its data folder: it says who is connected, and notices whom they
//! have revoked or forgotten.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use tokio::time::{MissedTickBehavior, interval};

use crate::clock::wall_millis;
use crate::device_id::DeviceId;
use crate::limits::PRESENCE_INTERVAL;
use crate::registry::{Command, Ending, Registry};
use crate::store::{Store, StoreError};

/// How far back a look goes, milliseconds.
const LOOK_BACK: i64 = 3000;

/// Looks again and again, as long as anyone else has the store.
pub(crate) async fn run(store: Weak<Store>, registry: Arc<Registry>) {
    let mut ticks = interval(PRESENCE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut noted = HashSet::new();
    let mut looked = wall_millis();
    loop {
        ticks.tick().await;
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = look(&store, &registry, &mut noted).await {
            tracing::error!(%error, "it cannot be noted who is connected, or read who is revoked");
        }
        // A little back, for what was written while the last look was under way; who hears it twice takes it once.
        let since = looked - LOOK_BACK;
        looked = wall_millis();
        if let Err(error) = tell_logging(&store, &registry, since).await {
            tracing::error!(%error, "it cannot be read whose log lines are wanted");
        }
    }
}

/// Brings the store up to date from `noted`, what it was told last, and ends the connections of those who may not be here.
/// A device let in while it was being revoked is found when it is noted for the first time.
async fn look(store: &Store, registry: &Registry, noted: &mut HashSet<DeviceId>) -> Result<(), StoreError> {
    let connected = registry.devices();
    let came: Vec<_> = connected.difference(noted).copied().collect();
    let left: Vec<_> = noted.difference(&connected).copied().collect();
    let refused = store.note_presence(&came, &left).await?;
    *noted = connected;
    end(registry, noted, &refused);
    if !noted.is_empty() && store.count_present().await? < noted.len() {
        let present: HashSet<_> = store.present().await?.into_iter().collect();
        let gone: Vec<_> = noted.difference(&present).copied().collect();
        store.note_presence(&[], &gone).await?;
        end(registry, noted, &gone);
    }
    Ok(())
}

/// Tells devices whose log lines other processes want from now on, or no longer.
async fn tell_logging(store: &Store, registry: &Registry, since: i64) -> Result<(), StoreError> {
    for (device, logging) in store.logging_changed(since).await? {
        registry.tell(device, Command::Logging(logging));
    }
    Ok(())
}

fn end(registry: &Registry, noted: &mut HashSet<DeviceId>, devices: &[DeviceId]) {
    for device in devices {
        tracing::info!(%device, "device revoked or forgotten, its connection ends");
        noted.remove(device);
        registry.tell(*device, Command::End(Ending::Revoked));
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::data::DataFolder;
    use crate::registry::Stay;

    struct Fixture {
        _directory: TempDir,
        store: Store,
        registry: Arc<Registry>,
        noted: HashSet<DeviceId>,
    }

    impl Fixture {
        async fn new() -> Fixture {
            let directory = tempdir().expect("a folder");
            let store =
                Store::open(&DataFolder::open(directory.path()).expect("made")).await.expect("opened");
            Fixture { _directory: directory, store, registry: Arc::default(), noted: HashSet::new() }
        }

        async fn device(&self) -> DeviceId {
            let id = DeviceId::random();
            self.store.add_device(id, None, [1; 32]).await.expect("added");
            id
        }

        fn enter(&self, device: DeviceId) -> Stay {
            self.registry.enter(device).expect("open")
        }

        async fn look(&mut self) {
            look(&self.store, &self.registry, &mut self.noted).await.expect("looked");
        }

        async fn is_noted(&self, device: DeviceId) -> bool {
            self.store.device(device).await.expect("asked").expect("there").connected
        }
    }

    fn is_ended(stay: &Stay) -> bool {
        let heard = stay.poll_command(&mut Context::from_waker(Waker::noop()));
        heard == Poll::Ready(Command::End(Ending::Revoked))
    }

    #[tokio::test]
    async fn who_comes_and_goes_is_noted() {
        let mut fixture = Fixture::new().await;
        let device = fixture.device().await;
        let stay = fixture.enter(device);
        fixture.look().await;
        assert!(fixture.is_noted(device).await && !is_ended(&stay));
        drop(stay);
        fixture.look().await;
        assert!(!fixture.is_noted(device).await);
        let seen = fixture.store.device(device).await.expect("asked").expect("there").seen;
        assert!(seen.is_some(), "the moment it left");
    }

    #[tokio::test]
    async fn a_device_revoked_or_forgotten_by_another_process_is_ended_and_no_other() {
        let mut fixture = Fixture::new().await;
        let devices = [fixture.device().await, fixture.device().await, fixture.device().await];
        let stays = devices.map(|device| fixture.enter(device));
        fixture.look().await;
        assert!(fixture.store.revoke_device(devices[0]).await.expect("revoked"));
        assert!(fixture.store.remove_device(devices[1]).await.expect("removed"));
        fixture.look().await;
        assert_eq!(stays.each_ref().map(is_ended), [true, true, false]);
        assert!(!fixture.is_noted(devices[0]).await && fixture.is_noted(devices[2]).await);
    }

    #[tokio::test]
    async fn a_device_let_in_while_it_was_being_revoked_is_ended_too() {
        let mut fixture = Fixture::new().await;
        let device = fixture.device().await;
        fixture.store.revoke_device(device).await.expect("revoked");
        let stay = fixture.enter(device);
        fixture.look().await;
        assert!(is_ended(&stay) && !fixture.is_noted(device).await);
        assert!(!fixture.store.revoke_device(device).await.expect("asked"), "that had been done before");
    }

    #[tokio::test]
    async fn a_new_certificate_ends_a_revocation() {
        let fixture = Fixture::new().await;
        let device = fixture.device().await;
        fixture.store.revoke_device(device).await.expect("revoked");
        fixture.store.set_fingerprint(device, [2; 32]).await.expect("set");
        let known = fixture.store.device(device).await.expect("asked").expect("there");
        assert_eq!((known.revoked, known.fingerprint), (None, [2; 32]));
    }
}
