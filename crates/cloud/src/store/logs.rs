//! The log lines devices sent, kept for a time and up to a number.

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row};

use super::{Store, StoreError, within};
use crate::clock::wall_millis;
use crate::device_id::DeviceId;

/// Rows of one statement at most: beyond this a statement gets no faster.
const MAX_ROWS: usize = 128;

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

    /// Removes what is older than the retention says, and of every device what is beyond its number of lines.
    pub async fn prune_logs(&self, retention: LogRetention) -> Result<(), StoreError> {
        let oldest = wall_millis() - i64::try_from(retention.age.as_millis()).unwrap_or(i64::MAX);
        sqlx::query("DELETE FROM logs WHERE received < $1").bind(oldest).execute(&self.pool).await?;
        let query = sqlx::query("SELECT device FROM logs GROUP BY device HAVING COUNT(*) > $1");
        let crowded = query.bind(i64::from(retention.lines)).fetch_all(&self.pool).await?;
        for row in &crowded {
            self.prune_device(row.try_get(0)?, retention.lines).await?;
        }
        Ok(())
    }

    async fn prune_device(&self, device: &str, lines: u32) -> Result<(), StoreError> {
        let query = sqlx::query(
            "DELETE FROM logs WHERE device = $1 AND number <= \
             (SELECT number FROM logs WHERE device = $1 ORDER BY number DESC LIMIT 1 OFFSET $2)",
        );
        query.bind(device).bind(i64::from(lines)).execute(&self.pool).await?;
        Ok(())
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
