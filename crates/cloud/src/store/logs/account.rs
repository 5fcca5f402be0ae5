//! The log lines of all devices of an account together.

use sqlx::Row as _;

use super::{LogCursor, LogLine, line};
use crate::store::{Purpose, Store, StoreError};

impl Store {
    /// The position of the last `count` lines of the account, for [`Store::account_logs_after`].
    pub async fn account_log_cursor(&self, count: u32) -> Result<LogCursor, StoreError> {
        let query = sqlx::query(
            "SELECT number FROM logs WHERE device IN (SELECT id FROM devices WHERE account = $2) \
             ORDER BY number DESC LIMIT 1 OFFSET $1",
        );
        let query = query.bind(i64::from(count)).bind(&*self.account);
        let row = self.pool.fetch_optional(Purpose::Read, query).await?;
        Ok(LogCursor(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0)))
    }

    /// As [`Store::logs_after`], of every device of the account.
    pub async fn account_logs_after(
        &self,
        cursor: LogCursor,
        since: i64,
        count: u32,
    ) -> Result<Vec<(LogCursor, LogLine)>, StoreError> {
        let query = sqlx::query(
            "SELECT device, boot, sequence, clock, received, text, number FROM logs \
             WHERE number > $1 AND received >= $2 AND device IN (SELECT id FROM devices WHERE account = $4) \
             ORDER BY number LIMIT $3",
        );
        let query = query.bind(cursor.0).bind(since).bind(i64::from(count)).bind(&*self.account);
        let rows = self.pool.fetch_all(Purpose::Read, query).await?;
        rows.iter().map(|row| Ok((LogCursor(row.try_get(6)?), line(row)?))).collect()
    }
}
