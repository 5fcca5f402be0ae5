//! The log lines devices sent, kept for a time and up to a number.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::Row;
use sqlx::any::AnyRow;
use tokio::time::sleep;

use super::pool::Query;
use super::{Purpose, Store, StoreError};
use crate::clock::wall_millis;
use crate::device_id::DeviceId;
use crate::limits::{LOG_PRUNE_PAUSE, LOG_PRUNE_SLICE};
use crate::lock::lock;

mod write;

pub(crate) use write::{LogRun, RunLines};

/// Where the moment of the last pruning by age is among the settings.
const PRUNED: &str = "log lines pruned";

/// A device's lines are counted again when it has logged one part in so many of what it may have.
const LOOK_AGAIN: u32 = 10;

/// A log line of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The device.
    pub device: DeviceId,
    /// The number of the device's start, from its `HELLO`.
    pub boot: u32,
    /// The line's number since that start, from 1; a gap shows a loss (D70).
    pub sequence: u32,
    /// The device's own time, microseconds since its start.
    pub clock: u64,
    /// When the cloud got it, milliseconds since 1970.
    pub received: i64,
    /// The text, as the application posted it.
    pub text: Vec<u8>,
}

/// A place in the log: behind one line and before the next. The default is before all lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogCursor(i64);

/// How long and how many.
#[derive(Debug, Clone, Copy)]
pub struct LogRetention {
    /// Lines kept for one device.
    pub lines: u32,
    /// How long a line is kept.
    pub age: Duration,
}

impl Store {
    /// The last `count` lines of a device, the oldest of them first.
    pub async fn logs(&self, device: DeviceId, count: u32) -> Result<Vec<LogLine>, StoreError> {
        let query = sqlx::query(
            "SELECT device, boot, sequence, clock, received, text FROM logs WHERE device = $1 AND EXISTS \
             (SELECT 1 FROM devices WHERE id = $1 AND account = $3) ORDER BY number DESC LIMIT $2",
        );
        let query = query.bind(device.as_str()).bind(i64::from(count)).bind(&*self.account);
        let rows = self.pool.fetch_all(Purpose::Read, query).await?;
        rows.iter().rev().map(line).collect()
    }

    /// Where the last `count` lines of a device begin: a place for [`Store::logs_after`].
    pub async fn log_cursor(&self, device: DeviceId, count: u32) -> Result<LogCursor, StoreError> {
        let query = sqlx::query(
            "SELECT number FROM logs WHERE device = $1 AND EXISTS \
             (SELECT 1 FROM devices WHERE id = $1 AND account = $3) ORDER BY number DESC LIMIT 1 OFFSET $2",
        );
        let query = query.bind(device.as_str()).bind(i64::from(count)).bind(&*self.account);
        let row = self.pool.fetch_optional(Purpose::Read, query).await?;
        Ok(LogCursor(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0)))
    }

    /// At most `count` lines of a device behind `place` that were received at `since` (milliseconds since 1970) or later, in the
    /// order in which they came, each with its own place. Asked again and again this follows the device's log.
    pub async fn logs_after(
        &self,
        device: DeviceId,
        place: LogCursor,
        since: i64,
        count: u32,
    ) -> Result<Vec<(LogCursor, LogLine)>, StoreError> {
        let query = sqlx::query(
            "SELECT device, boot, sequence, clock, received, text, number FROM logs \
             WHERE device = $1 AND number > $2 AND received >= $3 AND EXISTS \
             (SELECT 1 FROM devices WHERE id = $1 AND account = $5) ORDER BY number LIMIT $4",
        );
        let query = query.bind(device.as_str()).bind(place.0).bind(since).bind(i64::from(count));
        let query = query.bind(&*self.account);
        let rows = self.pool.fetch_all(Purpose::Read, query).await?;
        rows.iter().map(|row| Ok((LogCursor(row.try_get(6)?), line(row)?))).collect()
    }

    /// Removes what is older than the retention says, and of every device what is beyond its number of lines. It does so a slice
    /// at a time, so that writers wait for one slice at most (D120).
    ///
    /// `retention.age` is by this machine's clock; a cloud first compares it with the newest moment the store knows (D164).
    pub async fn prune_logs(&self, retention: LogRetention) -> Result<(), StoreError> {
        let oldest = wall_millis() - i64::try_from(retention.age.as_millis()).unwrap_or(i64::MAX);
        let old = "DELETE FROM logs WHERE number IN (SELECT number FROM logs WHERE received < $1 ORDER BY received LIMIT $2)";
        while self.prune_slice(sqlx::query(old).bind(oldest)).await? {}
        for device in self.crowded(retention.lines).await? {
            self.prune_device(&device, retention.lines).await?;
        }
        Ok(())
    }

    /// The latest moment this store knows of, milliseconds since 1970: when log lines were pruned by age last, else when the newest
    /// line came. `None` in a store without either.
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

    /// Notes that the clock is believed to be right at `now`.
    pub(crate) async fn note_moment(&self, now: i64) -> Result<(), StoreError> {
        self.check_lease()?;
        let query = sqlx::query(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        );
        let now = now.to_be_bytes();
        self.pool.execute(query.bind(PRUNED).bind(&now[..])).await.map(|_| ())
    }

    /// The devices that may have more than so many lines: at first whoever has, later whoever has logged a good part of that many
    /// since it was looked at last.
    async fn crowded(&self, lines: u32) -> Result<Vec<String>, StoreError> {
        let enough = lines / LOOK_AGAIN;
        let known = lock(&self.logged).as_mut().map(|logged| {
            logged.extract_if(|_, count| *count > enough).map(|(device, _)| device.to_string()).collect()
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
        while self.prune_slice(sqlx::query(sql).bind(device.to_owned()).bind(last)).await? {}
        Ok(())
    }

    /// Removes one slice and lets others write; whether there may be more.
    async fn prune_slice(&self, query: Query<'_>) -> Result<bool, StoreError> {
        self.check_lease()?;
        let removed = self.pool.execute(query.bind(i64::from(LOG_PRUNE_SLICE))).await?;
        sleep(LOG_PRUNE_PAUSE).await;
        Ok(removed >= u64::from(LOG_PRUNE_SLICE))
    }

    /// Remembers who has logged how much, for [`Store::prune_logs`].
    fn note_logged(&self, lines: &[LogLine]) {
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
