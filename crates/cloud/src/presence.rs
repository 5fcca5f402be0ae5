//! Notes in the store who is connected, for other processes on it. Nothing depends on its success: who may be connected is
//! `revocation`'s.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::device_id::DeviceId;
use crate::limits::{PRESENCE_INTERVAL, TROUBLE_REPORT_INTERVAL};
use crate::registry::Registry;
use crate::store::{Store, StoreError};

/// Notes again and again, as long as anyone else has the store.
pub(crate) async fn run(store: Weak<Store>, registry: Arc<Registry>) {
    let mut ticks = interval(PRESENCE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut presence = Presence { registry, noted: None };
    let mut reported: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let Some(store) = store.upgrade() else { return };
        match presence.note(&store).await {
            Ok(()) => reported = None,
            Err(error) if reported.is_none_or(|reported| reported.elapsed() >= TROUBLE_REPORT_INTERVAL) => {
                reported = Some(Instant::now());
                tracing::error!(%error, "it cannot be noted who is connected");
            }
            Err(_) => {}
        }
    }
}

struct Presence {
    registry: Arc<Registry>,
    /// Whom the store was told of as connected; `None` while it may remember others, of a cloud before this one.
    noted: Option<HashSet<DeviceId>>,
}

impl Presence {
    async fn note(&mut self, store: &Store) -> Result<(), StoreError> {
        if self.noted.is_none() {
            store.clear_presence(false).await?;
        }
        let noted = self.noted.get_or_insert_default();
        let connected: HashSet<_> = self.registry.connections().iter().map(|one| one.device).collect();
        let came: Vec<_> = connected.difference(noted).copied().collect();
        let left: Vec<_> = noted.difference(&connected).copied().collect();
        store.record_presence(&came, &left).await?;
        *noted = connected;
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
        (directory, store, Presence { registry: Arc::default(), noted: None })
    }

    async fn is_noted(store: &Store, device: DeviceId) -> bool {
        store.device(device).await.expect("asked").expect("there").connected
    }

    #[tokio::test]
    async fn who_comes_and_goes_is_noted() {
        let (_directory, store, mut presence) = fixture().await;
        let device = DeviceId::random();
        store.add_device(device, None, [1; 32]).await.expect("added");
        let stay = presence.registry.register(device, [1; 32]).expect("open");
        presence.note(&store).await.expect("noted");
        assert!(is_noted(&store, device).await);
        drop(stay);
        presence.note(&store).await.expect("noted");
        assert!(!is_noted(&store, device).await);
        let seen = store.device(device).await.expect("asked").expect("there").seen;
        assert!(seen.is_some(), "the moment it left");
    }

    #[tokio::test]
    async fn what_a_killed_cloud_left_is_put_right_first() {
        let (_directory, store, mut presence) = fixture().await;
        let device = DeviceId::random();
        store.add_device(device, None, [1; 32]).await.expect("added");
        store.record_presence(&[device], &[]).await.expect("noted");
        presence.note(&store).await.expect("noted");
        assert!(!is_noted(&store, device).await);
    }
}
