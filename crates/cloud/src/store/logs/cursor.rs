//! Positions in the log, and reading backwards from one.

use std::fmt;

use sqlx::Row as _;

use super::{LogLine, line};
use crate::id::DeviceId;
use crate::store::{Purpose, Store, StoreError};

/// A position in the log: after one line and before the next. The default is before all lines. It stays valid when its
/// line is removed, and its text ([`fmt::Display`], [`LogCursor::parse`]) is the number of its line, or 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogCursor(pub(super) i64);

#[cfg(test)]
impl LogCursor {
    /// The position of the line with this number.
    pub(crate) fn at(number: i64) -> Self {
        Self(number)
    }
}

impl LogCursor {
    /// After all lines, those to come too.
    pub const END: Self = Self(i64::MAX);

    /// The position with this text: decimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_number).map(Self)
    }

    /// The position after one more line.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The position before this line.
    fn before(number: i64) -> Self {
        Self(number.saturating_sub(1))
    }
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Store {
    /// At most `count` lines of a device, or of all of the account, that end before `cursor` and were received at
    /// `until` (milliseconds since 1970) or earlier; the newest first, each with its own position.
    pub async fn logs_before(
        &self,
        device: Option<DeviceId>,
        cursor: LogCursor,
        until: i64,
        count: u32,
    ) -> Result<Vec<(LogCursor, LogLine)>, StoreError> {
        let query = match device {
            Some(device) => sqlx::query(
                "SELECT device, boot, sequence, clock, received, text, number FROM logs \
                 WHERE number < $1 AND received <= $2 AND device = $5 AND EXISTS \
                 (SELECT 1 FROM devices WHERE id = $5 AND account = $4) ORDER BY number DESC LIMIT $3",
            )
            .bind(cursor.0)
            .bind(until)
            .bind(i64::from(count))
            .bind(&*self.account)
            .bind(device.to_string()),
            None => sqlx::query(
                "SELECT device, boot, sequence, clock, received, text, number FROM logs \
                 WHERE number < $1 AND received <= $2 AND \
                 device IN (SELECT id FROM devices WHERE account = $4) ORDER BY number DESC LIMIT $3",
            )
            .bind(cursor.0)
            .bind(until)
            .bind(i64::from(count))
            .bind(&*self.account),
        };
        let rows = self.pool.fetch_all(Purpose::Read, query).await?;
        rows.iter().map(|row| Ok((LogCursor(row.try_get(6)?), line(row)?))).collect()
    }

    /// The position before the first line of a device, or of the account, that was received at `since` (milliseconds
    /// since 1970) or later; after the last line there is now if none was.
    pub async fn log_cursor_at(&self, device: Option<DeviceId>, since: i64) -> Result<LogCursor, StoreError> {
        // The end is read first: a line that comes in between is after it.
        let (end, first) = if let Some(device) = device {
            let end = self.log_cursor(device, 0).await?;
            (end, self.logs_after(device, LogCursor::default(), since, 1).await?)
        } else {
            let end = self.account_log_cursor(0).await?;
            (end, self.account_logs_after(LogCursor::default(), since, 1).await?)
        };
        Ok(first.first().map_or(end, |(cursor, _)| LogCursor::before(cursor.0)))
    }
}
