//! Whether the store can be written.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Store, StoreError};
use crate::clock::wall_millis;
use crate::limits::READY_INTERVAL;

/// Name of the setting that is written as a probe.
const PROBE: &str = "health";

/// Whether recent writes have succeeded.
#[derive(Default)]
pub(super) struct Health {
    /// When the last probe succeeded. Locked during a probe, so that many callers share one.
    written: Mutex<Option<Instant>>,
    /// Whether the last write of log lines failed.
    is_refusing_logs: AtomicBool,
}

impl Health {
    pub(super) fn set_logs_stored(&self, stored: bool) {
        self.is_refusing_logs.store(!stored, Ordering::Relaxed);
    }
}

impl Store {
    /// Writes a probe to the database, at most once in [`READY_INTERVAL`]; the readiness check of a running cloud.
    ///
    /// # Errors
    /// The probe's own; this cloud has lost its lease, or its knowledge of authorisations is too old, so that it admits
    /// no device (D162); log lines could not be stored.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.check_lease()?;
        if !self.is_authorizing() {
            return Err(StoreError::AuthorizationsUnknown);
        }
        let mut written = self.health.written.lock().await;
        if written.is_none_or(|written| written.elapsed() >= READY_INTERVAL) {
            *written = None;
            let query = sqlx::query(
                "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            );
            let now = wall_millis().to_be_bytes();
            self.pool.execute(query.bind(PROBE).bind(&now[..])).await?;
            *written = Some(Instant::now());
        }
        if self.health.is_refusing_logs.load(Ordering::Relaxed) {
            Err(StoreError::LogsNotStored)
        } else {
            Ok(())
        }
    }
}
