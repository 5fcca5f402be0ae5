//! The log lines devices sent, kept for a time and up to a number.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row};
use tokio::time::sleep;

use super::{Store, StoreError, within};
use crate::clock::wall_millis;
use crate::device_id::DeviceId;
use crate::limits::{LOG_PRUNE_PAUSE, LOG_PRUNE_SLICE};

/// Rows of one statement at most: beyond this a statement gets no faster.
const MAX_ROWS: usize = 128;

/// A device's lines are counted again when it has logged one part in so many of what it may have.
const LOOK_AGAIN: u32 = 10;

/// Columns of a row that are written.
const COLUMNS: usize = 6;

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
pub struct LogPlace(i64);

/// How long and how many.
#[derive(Debug, Clone, Copy)]
pub struct LogRetention {
    /// Lines kept for one device.
    pub lines: u32,
    /// How long a line is kept.
    pub age: Duration,
}

impl Store {
    /// Keeps log lines, all or none. A line that is there already, because the device sent it twice, is kept once.
    pub async fn add_logs(&self, lines: &[LogLine]) -> Result<(), StoreError> {
        if lines.is_empty() {
            return Ok(());
        }
        self.check_tenancy()?;
        within(async {
            let mut transaction = self.pool.begin().await?;
            let mut rest = lines;
            while !rest.is_empty() {
                // Powers of two, so that there are few statements, each prepared once.
                let count = MAX_ROWS.min(1 << rest.len().ilog2());
                let (rows, behind) = rest.split_at(count);
                insert(rows).execute(&mut *transaction).await?;
                rest = behind;
            }
            transaction.commit().await?;
            self.note_logged(lines);
            Ok(())
        })
        .await
    }

    /// The last `count` lines of a device, the oldest of them first.
    pub async fn logs(&self, device: DeviceId, count: u32) -> Result<Vec<LogLine>, StoreError> {
        let query = sqlx::query(
            "SELECT device, boot, sequence, clock, received, text FROM logs WHERE device = $1 AND NOT EXISTS \
             (SELECT 1 FROM devices WHERE id = $1 AND account <> $3) ORDER BY number DESC LIMIT $2",
        );
        let query = query.bind(device.as_str()).bind(i64::from(count)).bind(&*self.account);
        let rows = query.fetch_all(&self.pool).await?;
        rows.iter().rev().map(line).collect()
    }

    /// Where the last `count` lines of a device begin: a place for [`Store::logs_after`].
    pub async fn log_place(&self, device: DeviceId, count: u32) -> Result<LogPlace, StoreError> {
        let query = sqlx::query(
            "SELECT number FROM logs WHERE device = $1 AND NOT EXISTS \
             (SELECT 1 FROM devices WHERE id = $1 AND account <> $3) ORDER BY number DESC LIMIT 1 OFFSET $2",
        );
        let query = query.bind(device.as_str()).bind(i64::from(count)).bind(&*self.account);
        let row = query.fetch_optional(&self.pool).await?;
        Ok(LogPlace(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0)))
    }

    /// At most `count` lines of a device behind `place` that were received at `since` (milliseconds since 1970) or later, in the
    /// order in which they came, each with its own place. Asked again and again this follows the device's log.
    pub async fn logs_after(
        &self,
        device: DeviceId,
        place: LogPlace,
        since: i64,
        count: u32,
    ) -> Result<Vec<(LogPlace, LogLine)>, StoreError> {
        let query = sqlx::query(
            "SELECT device, boot, sequence, clock, received, text, number FROM logs \
             WHERE device = $1 AND number > $2 AND received >= $3 AND NOT EXISTS \
             (SELECT 1 FROM devices WHERE id = $1 AND account <> $5) ORDER BY number LIMIT $4",
        );
        let query = query.bind(device.as_str()).bind(place.0).bind(since).bind(i64::from(count));
        let query = query.bind(&*self.account);
        let rows = query.fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((LogPlace(row.try_get(6)?), line(row)?))).collect()
    }

    /// Removes what is older than the retention says, and of every device what is beyond its number of lines. It does so a slice
    /// at a time, so that writers wait for one slice at most (D120).
    pub async fn prune_logs(&self, retention: LogRetention) -> Result<(), StoreError> {
        let oldest = wall_millis() - i64::try_from(retention.age.as_millis()).unwrap_or(i64::MAX);
        let old = "DELETE FROM logs WHERE number IN (SELECT number FROM logs WHERE received < $1 ORDER BY received LIMIT $2)";
        while self.prune_slice(sqlx::query(old).bind(oldest)).await? {}
        for device in self.crowded(retention.lines).await? {
            self.prune_device(&device, retention.lines).await?;
        }
        Ok(())
    }

    /// The devices that may have more than so many lines: at first whoever has, later whoever has logged a good part of that many
    /// since it was looked at last.
    async fn crowded(&self, lines: u32) -> Result<Vec<String>, StoreError> {
        let enough = lines / LOOK_AGAIN;
        let known = self.logged.lock().expect("nothing panics while it is held").as_mut().map(|logged| {
            logged.extract_if(|_, count| *count > enough).map(|(device, _)| device.to_string()).collect()
        });
        if let Some(known) = known {
            return Ok(known);
        }
        *self.logged.lock().expect("nothing panics while it is held") = Some(HashMap::new());
        let query = sqlx::query("SELECT device FROM logs GROUP BY device HAVING COUNT(*) > $1");
        let rows = query.bind(i64::from(lines)).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    async fn prune_device(&self, device: &str, lines: u32) -> Result<(), StoreError> {
        let query =
            sqlx::query("SELECT number FROM logs WHERE device = $1 ORDER BY number DESC LIMIT 1 OFFSET $2");
        let row = query.bind(device).bind(i64::from(lines)).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(()) };
        let last: i64 = row.try_get(0)?;
        let sql = "DELETE FROM logs WHERE number IN \
             (SELECT number FROM logs WHERE device = $1 AND number <= $2 ORDER BY number LIMIT $3)";
        while self.prune_slice(sqlx::query(sql).bind(device.to_owned()).bind(last)).await? {}
        Ok(())
    }

    /// Removes one slice and lets others write; whether there may be more.
    async fn prune_slice(&self, query: Query<'_, Any, AnyArguments>) -> Result<bool, StoreError> {
        let removed = query.bind(i64::from(LOG_PRUNE_SLICE)).execute(&self.pool).await?.rows_affected();
        sleep(LOG_PRUNE_PAUSE).await;
        Ok(removed >= u64::from(LOG_PRUNE_SLICE))
    }

    /// Remembers who has logged how much, for [`Store::prune_logs`].
    fn note_logged(&self, lines: &[LogLine]) {
        if let Some(logged) = self.logged.lock().expect("nothing panics while it is held").as_mut() {
            for line in lines {
                *logged.entry(line.device).or_default() += 1;
            }
        }
    }
}

/// One statement for all of `lines`.
fn insert(lines: &[LogLine]) -> Query<'_, Any, AnyArguments> {
    let mut query = sqlx::query(AssertSqlSafe(insert_statement(lines.len())));
    for line in lines {
        query = query
            .bind(line.device.as_str())
            .bind(i64::from(line.boot))
            .bind(i64::from(line.sequence))
            .bind(line.clock.cast_signed())
            .bind(line.received)
            .bind(&line.text[..]);
    }
    query
}

fn insert_statement(rows: usize) -> String {
    let mut sql = String::from("INSERT INTO logs (device, boot, sequence, clock, received, text) VALUES ");
    for row in 0..rows {
        let [a, b, c, d, e, f] = [1, 2, 3, 4, 5, 6].map(|column| row * COLUMNS + column);
        let comma = if row == 0 { "" } else { ", " };
        write!(sql, "{comma}(${a}, ${b}, ${c}, ${d}, ${e}, ${f})").expect("writing to a string");
    }
    sql + " ON CONFLICT (device, boot, sequence) DO NOTHING"
}

fn line(row: &AnyRow) -> Result<LogLine, StoreError> {
    let number = |index: usize| -> Result<i64, StoreError> { Ok(row.try_get(index)?) };
    Ok(LogLine {
        device: DeviceId::parse(row.try_get::<&str, _>(0)?).ok_or(StoreError::Damaged("device id"))?,
        boot: number(1)?.cast_unsigned() as u32,
        sequence: number(2)?.cast_unsigned() as u32,
        clock: number(3)?.cast_unsigned(),
        received: number(4)?,
        text: row.try_get(5)?,
    })
}
