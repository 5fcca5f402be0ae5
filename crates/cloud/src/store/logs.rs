//! Log lines of devices: reading them, and pruning by age and by number.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::Row;
use sqlx::any::AnyRow;
use tokio::time::sleep;

use super::pool::Query;
use super::{Purpose, Store, StoreError};
use crate::clock::wall_millis;
use crate::id::DeviceId;
use crate::limits::{LOG_PRUNE_CHUNK, LOG_PRUNE_PAUSE};
use crate::lock::lock;

mod account;
mod cursor;
mod write;

pub use cursor::LogCursor;
pub(crate) use write::{LogRun, RunLines};

/// Name of the setting with the time of the last pruning by age.
const PRUNED: &str = "log lines pruned";

/// A device's lines are counted again once it has logged this fraction of the number it may keep: counting reads the
/// whole log.
const RECOUNT_FRACTION: u32 = 10;

/// A log line of a device.
#[derive(Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The device.
    pub device: DeviceId,
    /// Random number of the device's boot, from its `HELLO`.
    pub boot: u32,
    /// The line's number since that boot, from 1; a gap shows that lines were lost (D70).
    pub sequence: u32,
    /// The device's clock, microseconds since its boot.
    pub clock: u64,
    /// When the cloud received it, milliseconds since 1970.
    pub received: i64,
    /// The text, as the application logged it.
    pub text: Vec<u8>,
}

impl std::fmt::Debug for LogLine {
    /// Shows no text: applications may log anything, and the cloud's own log is not for their data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { device, boot, sequence, clock, received, text: _ } = self;
        f.debug_struct("LogLine")
            .field("device", device)
            .field("boot", boot)
            .field("sequence", sequence)
            .field("clock", clock)
            .field("received", received)
            .finish_non_exhaustive()
    }
}

/// The bounds of what is kept.
#[derive(Debug, Clone, Copy)]
pub struct LogRetention {
    /// Lines kept for one device.
    pub lines: u32,
    /// How long a line is kept.
    pub age: Duration,
}

impl Store {
    /// The last `count` lines of a device, oldest first.
    pub async fn logs(&self, device: DeviceId, count: u32) -> Result<Vec<LogLine>, StoreError> {
        let query = sqlx::query(
            "SELECT device, boot, sequence, clock, received, text FROM logs WHERE device = $1 AND EXISTS \
             (SELECT 1 FROM devices WHERE id = $1 AND account = $3) ORDER BY number DESC LIMIT $2",
        );
        let query = query.bind(device.as_str()).bind(i64::from(count)).bind(&*self.account);
        let rows = self.pool.fetch_all(Purpose::Read, query).await?;
        rows.iter().rev().map(line).collect()
    }

    /// The position of the last `count` lines of a device, for [`Store::logs_after`].
    pub async fn log_cursor(&self, device: DeviceId, count: u32) -> Result<LogCursor, StoreError> {
        let query = sqlx::query(
            "SELECT number FROM logs WHERE device = $1 AND EXISTS \
             (SELECT 1 FROM devices WHERE id = $1 AND account = $3) ORDER BY number DESC LIMIT 1 OFFSET $2",
        );
        let query = query.bind(device.as_str()).bind(i64::from(count)).bind(&*self.account);
        let row = self.pool.fetch_optional(Purpose::Read, query).await?;
        Ok(LogCursor(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0)))
    }

    /// At most `count` lines of a device after `cursor` that were received at `since` (milliseconds since 1970) or
    /// later, in the order received, each with its own position. Repeated calls follow the device's log.
    pub async fn logs_after(
        &self,
        device: DeviceId,
        cursor: LogCursor,
        since: i64,
        count: u32,
    ) -> Result<Vec<(LogCursor, LogLine)>, StoreError> {
        let query = sqlx::query(
            "SELECT device, boot, sequence, clock, received, text, number FROM logs \
             WHERE device = $1 AND number > $2 AND received >= $3 AND EXISTS \
             (SELECT 1 FROM devices WHERE id = $1 AND account = $5) ORDER BY number LIMIT $4",
        );
        let query = query.bind(device.as_str()).bind(cursor.0).bind(since).bind(i64::from(count));
        let query = query.bind(&*self.account);
        let rows = self.pool.fetch_all(Purpose::Read, query).await?;
        rows.iter().map(|row| Ok((LogCursor(row.try_get(6)?), line(row)?))).collect()
    }

    /// Removes the lines that are too old, and of every device those in excess of its number of lines. It does so in
    /// chunks, because writers wait while a chunk is removed (D120).
    ///
    /// Age is measured by this machine's clock. A cloud first compares that with `Store::newest_moment`: a clock that
    /// is ahead would delete everything (D164).
    pub async fn prune_logs(&self, retention: LogRetention) -> Result<(), StoreError> {
        let oldest = wall_millis() - i64::try_from(retention.age.as_millis()).unwrap_or(i64::MAX);
        let old = "DELETE FROM logs WHERE number IN (SELECT number FROM logs WHERE received < $1 ORDER BY received LIMIT $2)";
        while self.prune_chunk(sqlx::query(old).bind(oldest)).await? {}
        for device in self.devices_over(retention.lines).await? {
            self.prune_device(&device, retention.lines).await?;
        }
        Ok(())
    }

    /// The latest time recorded in this store, milliseconds since 1970: of the last pruning by age, else of the newest
    /// line. `None` in a store without either.
    pub(crate) async fn newest_moment(&self) -> Result<Option<i64>, StoreError> {
        let query = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(PRUNED);
        if let Some(row) = self.pool.fetch_optional(Purpose::Read, query).await? {
            let bytes: Vec<u8> = row.try_get(0)?;
            let bytes = bytes.try_into().map_err(|_| StoreError::Damaged("moment"))?;
            return Ok(Some(i64::from_be_bytes(bytes)));
        }
        let query = sqlx::query("SELECT received FROM logs ORDER BY received DESC LIMIT 1");
        let row = self.pool.fetch_optional(Purpose::Read, query).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Records that the clock was plausible at `now`.
    pub(crate) async fn record_moment(&self, now: i64) -> Result<(), StoreError> {
        self.check_lease()?;
        let query = sqlx::query(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        );
        let now = now.to_be_bytes();
        self.pool.execute(query.bind(PRUNED).bind(&now[..])).await.map(|_| ())
    }

    /// The devices that may have more than `lines` lines: at first those that have, later those that have logged a
    /// fraction of that number since they were last checked.
    async fn devices_over(&self, lines: u32) -> Result<Vec<String>, StoreError> {
        let threshold = lines / RECOUNT_FRACTION;
        let known = lock(&self.logged).as_mut().map(|logged| {
            logged.extract_if(|_, count| *count > threshold).map(|(device, _)| device.to_string()).collect()
        });
        if let Some(known) = known {
            return Ok(known);
        }
        *lock(&self.logged) = Some(HashMap::new());
        let query = sqlx::query("SELECT device FROM logs GROUP BY device HAVING COUNT(*) > $1");
        let rows = self.pool.fetch_all(Purpose::Read, query.bind(i64::from(lines))).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    async fn prune_device(&self, device: &str, lines: u32) -> Result<(), StoreError> {
        let query =
            sqlx::query("SELECT number FROM logs WHERE device = $1 ORDER BY number DESC LIMIT 1 OFFSET $2");
        let query = query.bind(device).bind(i64::from(lines));
        let row = self.pool.fetch_optional(Purpose::Read, query).await?;
        let Some(row) = row else { return Ok(()) };
        let last: i64 = row.try_get(0)?;
        let sql = "DELETE FROM logs WHERE number IN \
             (SELECT number FROM logs WHERE device = $1 AND number <= $2 ORDER BY number LIMIT $3)";
        while self.prune_chunk(sqlx::query(sql).bind(device.to_owned()).bind(last)).await? {}
        Ok(())
    }

    /// Removes one chunk and lets others write. Whether there may be more to remove.
    async fn prune_chunk(&self, query: Query<'_>) -> Result<bool, StoreError> {
        self.check_lease()?;
        let removed = self.pool.execute(query.bind(i64::from(LOG_PRUNE_CHUNK))).await?;
        sleep(LOG_PRUNE_PAUSE).await;
        Ok(removed >= u64::from(LOG_PRUNE_CHUNK))
    }

    /// Counts new lines of each device, for [`Store::prune_logs`].
    fn count_logged(&self, lines: &[LogLine]) {
        if let Some(logged) = lock(&self.logged).as_mut() {
            for line in lines {
                *logged.entry(line.device).or_default() += 1;
            }
        }
    }
}

fn line(row: &AnyRow) -> Result<LogLine, StoreError> {
    let number = |index: usize| -> Result<i64, StoreError> { Ok(row.try_get(index)?) };
    Ok(LogLine {
        device: DeviceId::parse(row.try_get::<&str, _>(0)?).ok_or(StoreError::Damaged("device id"))?,
        boot: number(1)?.cast_unsigned() as u32,
        sequence: write::split(number(2)?).1,
        clock: number(3)?.cast_unsigned(),
        received: number(4)?,
        text: row.try_get(5)?,
    })
}
