//! Whether the store can be written.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Store, StoreError};
use crate::clock::wall_millis;
use crate::limits::READY_INTERVAL;

/// Where the store's own attempts to write are among the settings.
const PROBE: &str = "health";

/// What is known of the store's ability to write.
#[derive(Default)]
pub(super) struct Health {
    /// When the last attempt succeeded. Held during an attempt, so that many who ask make one.
    written: Mutex<Option<Instant>>,
    /// Whether the last log lines could not be stored.
    refuses_logs: AtomicBool,
}

impl Health {
    pub(super) fn note_logs(&self, stored: bool) {
        self.refuses_logs.store(!stored, Ordering::Relaxed);
    }
}

impl Store {
    /// Writes a little to the database, at most once in [`READY_INTERVAL`]: for the answer of a running cloud whether it is ready.
    ///
    /// # Errors
    /// The write's; this cloud may not write, or authorise devices (D162); log lines wait that could not be stored.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.check_lease()?;
        if !self.is_authorizing() {
            return Err(StoreError::Unauthorized);
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
        if self.health.refuses_logs.load(Ordering::Relaxed) { Err(StoreError::NotStoring) } else { Ok(()) }
    }
}
