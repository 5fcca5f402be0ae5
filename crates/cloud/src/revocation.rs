//! Closes the connections of devices that the store no longer authorises, and forwards changes of their logging
//! settings.
//!
//! It only reads, so that a full disk delays no revocation, and a connection is closed as revoked only because of the
//! device's own row: that is gone or revoked, or has another certificate (D161). A cloud that cannot read the rows
//! closes every connection after a bounded time, because any of them might be revoked (D162).

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::id::DeviceId;
use crate::limits::{REVOCATION_INTERVAL, REVOCATION_TIMEOUT, TROUBLE_REPORT_INTERVAL};
use crate::metrics::Metrics;
use crate::registry::{Command, Connection, EndReason, Registry};
use crate::store::{Authorization, Changes, LeaseState, Logging, Store, StoreError};

/// Checks periodically, as long as anyone else has the store.
pub(crate) async fn run(
    store: Weak<Store>,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    authorization_timeout: Duration,
) {
    let mut ticks = interval(REVOCATION_INTERVAL);
    // After a slow store no burst of checks follows.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watcher = RevocationWatcher::new(registry, authorization_timeout);
    loop {
        ticks.tick().await;
        let Some(store) = store.upgrade() else { return };
        if watcher.check(&store).await.is_err() {
            metrics.store_failures.with_label_values(&["authorize"]).inc();
        }
    }
}

/// The results of the last checks.
struct RevocationWatcher {
    registry: Arc<Registry>,
    authorization_timeout: Duration,
    /// When the last successful check began.
    confirmed: Instant,
    /// The state of the table at that check.
    changes: Option<Changes>,
    /// The connections that were authorised at that check.
    checked: HashMap<DeviceId, Checked>,
    /// When a failure was last logged.
    reported: Option<Instant>,
}

/// A connection that was authorised.
#[derive(Clone, Copy)]
struct Checked {
    serial: u64,
    /// The setting last sent to its session.
    logging: Logging,
}

impl RevocationWatcher {
    fn new(registry: Arc<Registry>, authorization_timeout: Duration) -> Self {
        Self {
            registry,
            authorization_timeout,
            confirmed: Instant::now(),
            changes: None,
            checked: HashMap::new(),
            reported: None,
        }
    }

    /// Checks once, and closes every connection when that has not been possible for too long.
    async fn check(&mut self, store: &Store) -> Result<(), StoreError> {
        let start = Instant::now();
        let checked = match store.check_lease() {
            Ok(()) => timeout(REVOCATION_TIMEOUT, self.check_connections(store))
                .await
                .unwrap_or(Err(StoreError::TimedOut)),
            Err(error) => Err(error),
        };
        match &checked {
            Ok(()) => {
                // Its start: a row that changed while the check ran may have been read before the change.
                self.confirmed = start;
                self.reported = None;
                store.set_authorizing(true);
            }
            Err(error) => self.fail(store, error),
        }
        checked
    }

    fn fail(&mut self, store: &Store, error: &StoreError) {
        if self.reported.is_none_or(|reported| reported.elapsed() >= TROUBLE_REPORT_INTERVAL) {
            self.reported = Some(Instant::now());
            tracing::error!(name: "revocations_unreadable", %error, "cannot read which devices are revoked");
        }
        let is_over = self.confirmed.elapsed() >= self.authorization_timeout;
        if is_over {
            store.set_authorizing(false);
        }
        if is_over || store.lease_state() == LeaseState::Taken {
            let ended = self.registry.end_all(EndReason::Internal);
            if ended > 0 {
                tracing::error!(
                    name: "connections_closed",
                    devices = ended,
                    "all connections closed: the cloud cannot read which devices may be connected"
                );
            }
        }
    }

    /// Reads the rows of new connections, and of all of them when anything has changed.
    async fn check_connections(&mut self, store: &Store) -> Result<(), StoreError> {
        // Read before the rows, so that a change in between is detected at the next check.
        let changes = store.changes().await?;
        let connected = self.registry.connections();
        let is_changed = self.changes != Some(changes);
        let unchecked: Vec<_> = connected.iter().filter(|one| is_changed || !self.is_checked(one)).collect();
        let devices: Vec<_> = unchecked.iter().map(|one| one.device).collect();
        let found = store.authorizations(&devices).await?;
        let found: HashMap<_, _> = found.into_iter().map(|row| (row.device, row)).collect();
        for one in unchecked {
            self.apply(one, found.get(&one.device));
        }
        let serials: HashMap<_, _> = connected.iter().map(|one| (one.device, one.serial)).collect();
        self.checked.retain(|device, checked| serials.get(device) == Some(&checked.serial));
        // Last, so that a check that fails reads every row again.
        self.changes = Some(changes);
        Ok(())
    }

    fn is_checked(&self, one: &Connection) -> bool {
        self.checked.get(&one.device).is_some_and(|checked| checked.serial == one.serial)
    }

    fn apply(&mut self, one: &Connection, row: Option<&Authorization>) {
        let Connection { device, serial, fingerprint } = *one;
        let reason = match row {
            None => Some(EndReason::Revoked),
            Some(row) if row.is_revoked => Some(EndReason::Revoked),
            Some(row) => match row.fingerprint {
                Some(known) if known == fingerprint => None,
                Some(_) => Some(EndReason::Revoked),
                // The stored fingerprint is damaged: not authorised, but only the device's own row may prove a
                // revocation, and this one does not (D161).
                None => Some(EndReason::Internal),
            },
        };
        let logging = row.map_or(Logging::OFF, |row| row.logging);
        if let Some(reason) = reason {
            tracing::info!(name: "device_unauthorized", %device, reason = reason.label(), "the store does not authorise the device; its connection is closed");
            self.checked.remove(&device);
            self.registry.send_to(device, serial, Command::End(reason));
            return;
        }
        let before = self.checked.insert(device, Checked { serial, logging });
        if before.is_none_or(|before| before.serial != serial || before.logging != logging) {
            self.registry.send_to(device, serial, Command::Logging(logging));
        }
    }
}

#[cfg(test)]
mod tests;
