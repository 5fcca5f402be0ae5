//! Ends the connections of devices the store no longer authorises, and passes on whose log lines are wanted.
//!
//! It only reads, and ends a connection as revoked only because the device's own row says so: it is gone, it is revoked, or it names
//! another certificate (D161). A cloud that cannot read this ends every connection after a bounded time (D162).

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::device_id::DeviceId;
use crate::limits::{REVOCATION_INTERVAL, REVOCATION_PATIENCE, TROUBLE_REPORT_INTERVAL};
use crate::metrics::Metrics;
use crate::registry::{Command, Connection, EndReason, Registry};
use crate::store::{Authorization, Changes, LeaseState, Logging, Store, StoreError};

/// Looks again and again, as long as anyone else has the store.
pub(crate) async fn run(
    store: Weak<Store>,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    authorization_timeout: Duration,
) {
    let mut ticks = interval(REVOCATION_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::new(registry, authorization_timeout);
    loop {
        ticks.tick().await;
        let Some(store) = store.upgrade() else { return };
        if watch.turn(&store).await.is_err() {
            metrics.store_failures.with_label_values(&["authorize"]).inc();
        }
    }
}

/// What the last looks have shown.
struct Watch {
    registry: Arc<Registry>,
    authorization_timeout: Duration,
    /// When the last look that succeeded began.
    confirmed: Instant,
    /// The store's state of then.
    changes: Option<Changes>,
    /// The connections that were in order then.
    checked: HashMap<DeviceId, Checked>,
    reported: Option<Instant>,
}

/// A connection that was in order.
#[derive(Clone, Copy)]
struct Checked {
    serial: u64,
    /// What its session was told last.
    logging: Logging,
}

impl Watch {
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

    /// Looks once, and ends every connection when that has not been possible for too long.
    async fn turn(&mut self, store: &Store) -> Result<(), StoreError> {
        let begun = Instant::now();
        let looked = match store.check_lease() {
            Ok(()) => {
                timeout(REVOCATION_PATIENCE, self.look(store)).await.unwrap_or(Err(StoreError::TimedOut))
            }
            Err(error) => Err(error),
        };
        match &looked {
            Ok(()) => {
                self.confirmed = begun;
                self.reported = None;
                store.set_authorizing(true);
            }
            Err(error) => self.fail(store, error),
        }
        looked
    }

    fn fail(&mut self, store: &Store, error: &StoreError) {
        if self.reported.is_none_or(|reported| reported.elapsed() >= TROUBLE_REPORT_INTERVAL) {
            self.reported = Some(Instant::now());
            tracing::error!(%error, "it cannot be read who is revoked");
        }
        let is_over = self.confirmed.elapsed() >= self.authorization_timeout;
        if is_over {
            store.set_authorizing(false);
        }
        if is_over || store.lease_state() == LeaseState::Taken {
            let ended = self.registry.end_all(EndReason::Internal);
            if ended > 0 {
                tracing::error!(
                    devices = ended,
                    "connections end: the cloud cannot tell who may be connected"
                );
            }
        }
    }

    /// Reads the rows of the connections that are new, and of all when anything has changed.
    async fn look(&mut self, store: &Store) -> Result<(), StoreError> {
        // Read before the rows: what changes in between is seen next time.
        let changes = store.changes().await?;
        let connected = self.registry.connections();
        let is_changed = self.changes != Some(changes);
        let asked: Vec<_> = connected.iter().filter(|one| is_changed || !self.is_checked(one)).collect();
        let devices: Vec<_> = asked.iter().map(|one| one.device).collect();
        let found = store.authorizations(&devices).await?;
        let found: HashMap<_, _> = found.into_iter().map(|row| (row.device, row)).collect();
        for one in asked {
            self.judge(one, found.get(&one.device));
        }
        let serials: HashMap<_, _> = connected.iter().map(|one| (one.device, one.serial)).collect();
        self.checked.retain(|device, checked| serials.get(device) == Some(&checked.serial));
        self.changes = Some(changes);
        Ok(())
    }

    fn is_checked(&self, one: &Connection) -> bool {
        self.checked.get(&one.device).is_some_and(|checked| checked.serial == one.serial)
    }

    fn judge(&mut self, one: &Connection, row: Option<&Authorization>) {
        let Connection { device, serial, fingerprint } = *one;
        let ending = match row {
            None => Some(EndReason::Revoked),
            Some(row) if row.is_revoked => Some(EndReason::Revoked),
            Some(row) => match row.fingerprint {
                Some(known) if known == fingerprint => None,
                Some(_) => Some(EndReason::Revoked),
                None => Some(EndReason::Internal),
            },
        };
        let logging = row.map_or(Logging::OFF, |row| row.logging);
        if let Some(ending) = ending {
            tracing::info!(%device, ?ending, "the store does not authorise the device, its connection ends");
            self.checked.remove(&device);
            self.registry.send_to(device, serial, Command::End(ending));
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
