//! Records in the store which devices are connected, for other processes. Nothing depends on its success: whether a
//! device may be connected is decided in `revocation.rs`.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::id::DeviceId;
use crate::limits::{PRESENCE_INTERVAL, TROUBLE_REPORT_INTERVAL};
use crate::registry::Registry;
use crate::store::{Store, StoreError};

/// Records presence periodically, as long as anyone else has the store.
pub(crate) async fn run(store: Weak<Store>, registry: Arc<Registry>) {
    let mut ticks = interval(PRESENCE_INTERVAL);
    // After a slow store no burst of attempts follows.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut presence = Presence { registry, recorded: None };
    let mut reported: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let Some(store) = store.upgrade() else { return };
        match presence.record(&store).await {
            Ok(()) => reported = None,
            Err(error) if reported.is_none_or(|reported| reported.elapsed() >= TROUBLE_REPORT_INTERVAL) => {
                reported = Some(Instant::now());
                tracing::error!(name: "presence_not_recorded", %error, "cannot record which devices are connected");
            }
            Err(_) => {}
        }
    }
}

struct Presence {
    registry: Arc<Registry>,
    /// The devices recorded as connected; `None` while the store may still have those of an earlier cloud.
    recorded: Option<HashSet<DeviceId>>,
}

impl Presence {
    async fn record(&mut self, store: &Store) -> Result<(), StoreError> {
        if self.recorded.is_none() {
            store.clear_presence(false).await?;
        }
        let recorded = self.recorded.get_or_insert_default();
        let connected: HashSet<_> =
            self.registry.connections().iter().map(|connection| connection.device).collect();
        let joined: Vec<_> = connected.difference(recorded).copied().collect();
        let left: Vec<_> = recorded.difference(&connected).copied().collect();
        store.record_presence(&joined, &left).await?;
        *recorded = connected;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::data::DataFolder;

    async fn fixture() -> (TempDir, Store, Presence) {
        let directory = tempdir().expect("a folder");
        let folder = DataFolder::open(directory.path()).expect("made");
        let store = Store::open(&folder).await.expect("opened");
        (directory, store, Presence { registry: Arc::default(), recorded: None })
    }

    async fn is_recorded(store: &Store, device: DeviceId) -> bool {
        store.device(device).await.expect("asked").expect("there").connected
    }

    #[tokio::test]
    async fn connects_and_disconnects_are_recorded() {
        let (_directory, store, mut presence) = fixture().await;
        let device = DeviceId::random();
        store.add_device(device, None, [1; 32]).await.expect("added");
        let guard = presence.registry.register(device, [1; 32]).expect("open");
        presence.record(&store).await.expect("recorded");
        assert!(is_recorded(&store, device).await);
        drop(guard);
        presence.record(&store).await.expect("recorded");
        assert!(!is_recorded(&store, device).await);
        let seen = store.device(device).await.expect("asked").expect("there").seen;
        assert!(seen.is_some(), "when it disconnected");
    }

    #[tokio::test]
    async fn records_of_a_killed_cloud_are_cleared_first() {
        let (_directory, store, mut presence) = fixture().await;
        let device = DeviceId::random();
        store.add_device(device, None, [1; 32]).await.expect("added");
        store.record_presence(&[device], &[]).await.expect("recorded");
        presence.record(&store).await.expect("recorded");
        assert!(!is_recorded(&store, device).await);
    }
}
