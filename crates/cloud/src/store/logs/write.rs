//! Writing log lines, each exactly once: a line is acknowledged only when it is stored (D118), and then may arrive
//! again (D165).
//!
//! A device that lost its connection sends the lines again that were not acknowledged. The random number of its boot
//! and the number of the line usually identify a duplicate, but not always: a virtual device run again with the same
//! seed has the same boot number and counts from 1 again, and 32 random bits collide occasionally. Such a *repeat* of a
//! boot is recognised by its clock, which at its `HELLO` is behind a stored line or has not advanced since the previous
//! `HELLO`, or by a line whose number is stored with another clock or text. Its lines are stored beside those of the
//! earlier run: the column `sequence` has the number of the repeat, from 0, in its upper and the number of the line in
//! its lower 32 bits.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, Row as _};

use super::LogLine;
use crate::id::DeviceId;
use crate::store::database::within;
use crate::store::pool::{Query, Transaction};
use crate::store::{Store, StoreError};

/// Most rows of one statement: more do not make it faster.
const MAX_ROWS: usize = 128;

/// Columns written for each row.
const COLUMNS: usize = 6;

/// Repeats of one boot that are distinguished; later ones are merged with the last.
const MAX_REPEAT: u32 = i32::MAX as u32;

/// What is known of a device's boot during one connection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogRun {
    /// The device's clock at `HELLO`, microseconds since its boot; 0 is unknown.
    clock: u64,
    /// Whether this is known to be another run than that of the previous connection.
    is_repeat: bool,
    position: Option<Position>,
}

/// Where the lines of a connection are stored.
#[derive(Debug, Clone, Copy)]
struct Position {
    repeat: u32,
    /// The last line stored before the connection's first.
    stored: u32,
}

/// Lines of one connection, in order, and what is known of their boot.
pub(crate) struct RunLines<'a> {
    pub(crate) run: &'a mut LogRun,
    pub(crate) lines: &'a [LogLine],
}

impl LogRun {
    pub(crate) fn new(clock: u64, is_repeat: bool) -> Self {
        Self { clock, is_repeat, position: None }
    }
}

/// A line and the repeat of its boot it belongs to.
type Row<'a> = (&'a LogLine, u32);

impl Store {
    /// Stores log lines atomically. A line that is stored already, because the device sent it twice, is stored once.
    pub async fn add_logs(&self, lines: &[LogLine]) -> Result<(), StoreError> {
        let groups = lines.chunk_by(|a, b| (a.device, a.boot) == (b.device, b.boot));
        let mut runs: Vec<_> = groups.map(|lines| (LogRun::default(), lines)).collect();
        let mut groups: Vec<_> = runs.iter_mut().map(|(run, lines)| RunLines { run, lines }).collect();
        self.add_run_logs(&mut groups).await.map(|_| ())
    }

    /// Stores log lines with what is known of each device's boot, which is updated. Returns the number of duplicates.
    pub(crate) async fn add_run_logs(&self, groups: &mut [RunLines<'_>]) -> Result<u64, StoreError> {
        if groups.iter().all(|group| group.lines.is_empty()) {
            return Ok(0);
        }
        let stored = within(self.try_add_runs(groups)).await;
        self.health.set_logs_stored(stored.is_ok());
        let (runs, duplicates) = stored?;
        for (group, run) in groups.iter_mut().zip(runs) {
            *group.run = run;
            self.count_logged(group.lines);
        }
        Ok(duplicates)
    }

    async fn try_add_runs(&self, groups: &[RunLines<'_>]) -> Result<(Vec<LogRun>, u64), StoreError> {
        self.check_lease()?;
        let mut transaction = self.pool.begin().await?;
        let (mut rows, mut runs, mut duplicates) = (Vec::new(), Vec::new(), 0);
        for group in groups {
            let mut run = *group.run;
            for line in group.lines {
                match repeat_of(&mut transaction, &mut run, line).await? {
                    Some(repeat) => rows.push((line, repeat)),
                    None => duplicates += 1,
                }
            }
            runs.push(run);
        }
        let mut rest = &rows[..];
        while !rest.is_empty() {
            // Powers of two, so that there are few distinct statements, each prepared once.
            let count = MAX_ROWS.min(1 << rest.len().ilog2());
            let (chunk, remaining) = rest.split_at(count);
            duplicates += insert(&mut transaction, chunk).await?;
            rest = remaining;
        }
        transaction.commit().await?;
        Ok((runs, duplicates))
    }
}

/// The repeat a line belongs to; `None` when the line is stored already.
async fn repeat_of(
    transaction: &mut Transaction<'_>,
    run: &mut LogRun,
    line: &LogLine,
) -> Result<Option<u32>, StoreError> {
    let mut position = match run.position {
        Some(position) => position,
        None => find_position(transaction, run, line).await?,
    };
    if line.sequence <= position.stored {
        match is_stored(transaction, line, position.repeat).await? {
            Some(true) => {
                run.position = Some(position);
                return Ok(None);
            }
            Some(false) => position = position.next(),
            None => {}
        }
    }
    run.position = Some(position);
    Ok(Some(position.repeat))
}

/// Where a connection's lines are stored, decided at its first line.
async fn find_position(
    transaction: &mut Transaction<'_>,
    run: &LogRun,
    first: &LogLine,
) -> Result<Position, StoreError> {
    let Some((repeat, stored, last)) = last_line(transaction, first.device, first.boot).await? else {
        return Ok(Position { repeat: 0, stored: 0 });
    };
    let position = Position { repeat, stored };
    // Lines of an earlier connection of the same boot were logged before this connection began.
    let is_behind = run.clock != 0 && run.clock < last;
    if run.is_repeat || is_behind { Ok(position.next()) } else { Ok(position) }
}

impl Position {
    fn next(self) -> Self {
        Self { repeat: MAX_REPEAT.min(self.repeat + 1), stored: 0 }
    }
}

/// Repeat, number and clock of the last line stored of a boot.
async fn last_line(
    transaction: &mut Transaction<'_>,
    device: DeviceId,
    boot: u32,
) -> Result<Option<(u32, u32, u64)>, StoreError> {
    let query = sqlx::query(
        "SELECT sequence, clock FROM logs WHERE device = $1 AND boot = $2 ORDER BY sequence DESC LIMIT 1",
    );
    let query = query.bind(device.as_str()).bind(i64::from(boot));
    let Some(row) = transaction.fetch_optional(query).await? else { return Ok(None) };
    let (repeat, sequence) = split(row.try_get(0)?);
    Ok(Some((repeat, sequence, row.try_get::<i64, _>(1)?.cast_unsigned())))
}

/// Whether the line stored under this number is this line; `None` when no line is.
async fn is_stored(
    transaction: &mut Transaction<'_>,
    line: &LogLine,
    repeat: u32,
) -> Result<Option<bool>, StoreError> {
    let query = sqlx::query("SELECT clock, text FROM logs WHERE device = $1 AND boot = $2 AND sequence = $3");
    let query = query.bind(line.device.as_str()).bind(i64::from(line.boot)).bind(join(repeat, line.sequence));
    let Some(row) = transaction.fetch_optional(query).await? else { return Ok(None) };
    let (clock, text): (i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Some(clock.cast_unsigned() == line.clock && text == line.text))
}

/// Inserts rows and returns the number of duplicates. A row whose number is taken by another line, stored in the
/// meantime by an older connection of another run, becomes a repeat of its own.
async fn insert(transaction: &mut Transaction<'_>, rows: &[Row<'_>]) -> Result<u64, StoreError> {
    let inserted = transaction.execute(insert_query(rows)).await?;
    let mut duplicates = (rows.len() as u64).saturating_sub(inserted);
    if duplicates == 0 {
        return Ok(0);
    }
    for &(line, repeat) in rows {
        if is_stored(transaction, line, repeat).await? == Some(false) {
            let last = last_line(transaction, line.device, line.boot).await?;
            let repeat = last.map_or(repeat, |(last, ..)| last);
            let position = Position { repeat, stored: 0 }.next();
            transaction.execute(insert_query(&[(line, position.repeat)])).await?;
            duplicates -= 1;
        }
    }
    Ok(duplicates)
}

/// One statement for all of `rows`.
fn insert_query<'a>(rows: &[Row<'a>]) -> Query<'a> {
    let mut query = sqlx::query(AssertSqlSafe(insert_statement(rows.len())));
    for &(line, repeat) in rows {
        query = query
            .bind(line.device.as_str().to_owned())
            .bind(i64::from(line.boot))
            .bind(join(repeat, line.sequence))
            .bind(line.clock.cast_signed())
            .bind(line.received)
            .bind(line.text.clone());
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

/// The value of the column `sequence` for a line.
fn join(repeat: u32, sequence: u32) -> i64 {
    i64::from(repeat) << 32 | i64::from(sequence)
}

/// The repeat and the number of a line, from the column `sequence`.
pub(super) fn split(column: i64) -> (u32, u32) {
    let column = column.cast_unsigned();
    ((column >> 32) as u32, column as u32)
}
