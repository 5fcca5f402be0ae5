//! Writing log lines, each once (D118, D165).
//!
//! A device that has lost its connection sends again what it does not know to be stored. The number of its start (`boot`) and the
//! line's own number tell such a line from a new one, but not always: a device that is run again with the same seed has the same
//! number of its start and counts from 1 again, and 32 random bits repeat themselves now and then. Such a *repeat* of a start is
//! recognised by its clock, which at its `HELLO` is behind a line that is stored already or has not gone on since the `HELLO` before, or
//! by a line whose number is stored with another clock or text. Its lines are kept beside those of the earlier one: the column `sequence` has the number of the repeat,
//! from 0, in its upper and the line's number in its lower 32 bits.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, Row as _};

use super::LogLine;
use crate::device_id::DeviceId;
use crate::store::database::within;
use crate::store::pool::{Query, Transaction};
use crate::store::{Store, StoreError};

/// Rows of one statement at most: beyond this a statement gets no faster.
const MAX_ROWS: usize = 128;

/// Columns of a row that are written.
const COLUMNS: usize = 6;

/// Repeats of one start that are told apart; later ones are taken for the last.
const MAX_REPEAT: u32 = i32::MAX as u32;

/// What is known of one start of a device while one of its connections logs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogRun {
    /// The device's clock at `HELLO`, microseconds since its start; 0 is unknown.
    clock: u64,
    /// Whether it is known that this is not the run of the connection before.
    is_repeat: bool,
    place: Option<Place>,
}

/// Where the lines of a connection go.
#[derive(Debug, Clone, Copy)]
struct Place {
    repeat: u32,
    /// The last line that was stored before the connection's first.
    stored: u32,
}

/// Lines of one connection, in order, and what is known of the start they belong to.
pub(crate) struct RunLines<'a> {
    pub(crate) run: &'a mut LogRun,
    pub(crate) lines: &'a [LogLine],
}

impl LogRun {
    pub(crate) fn new(clock: u64, is_repeat: bool) -> Self {
        Self { clock, is_repeat, place: None }
    }
}

/// A line and the repeat of its start it belongs to.
type Row<'a> = (&'a LogLine, u32);

impl Store {
    /// Keeps log lines, all or none. A line that is there already, because the device sent it twice, is kept once.
    pub async fn add_logs(&self, lines: &[LogLine]) -> Result<(), StoreError> {
        let groups = lines.chunk_by(|a, b| (a.device, a.boot) == (b.device, b.boot));
        let mut runs: Vec<_> = groups.map(|lines| (LogRun::default(), lines)).collect();
        let mut groups: Vec<_> = runs.iter_mut().map(|(run, lines)| RunLines { run, lines }).collect();
        self.add_run_logs(&mut groups).await.map(|_| ())
    }

    /// The same with what is known of each device's start, which is brought up to date. Answers how many lines were there already.
    pub(crate) async fn add_run_logs(&self, groups: &mut [RunLines<'_>]) -> Result<u64, StoreError> {
        if groups.iter().all(|group| group.lines.is_empty()) {
            return Ok(0);
        }
        let stored = within(self.try_add(groups)).await;
        self.health.note_logs(stored.is_ok());
        let (runs, duplicates) = stored?;
        for (group, run) in groups.iter_mut().zip(runs) {
            *group.run = run;
            self.note_logged(group.lines);
        }
        Ok(duplicates)
    }

    async fn try_add(&self, groups: &[RunLines<'_>]) -> Result<(Vec<LogRun>, u64), StoreError> {
        self.check_lease()?;
        let mut transaction = self.pool.begin().await?;
        let (mut rows, mut runs, mut duplicates) = (Vec::new(), Vec::new(), 0);
        for group in groups {
            let mut run = *group.run;
            for line in group.lines {
                match place(&mut transaction, &mut run, line).await? {
                    Some(repeat) => rows.push((line, repeat)),
                    None => duplicates += 1,
                }
            }
            runs.push(run);
        }
        let mut rest = &rows[..];
        while !rest.is_empty() {
            // Powers of two, so that there are few statements, each prepared once.
            let count = MAX_ROWS.min(1 << rest.len().ilog2());
            let (slice, behind) = rest.split_at(count);
            duplicates += insert(&mut transaction, slice).await?;
            rest = behind;
        }
        transaction.commit().await?;
        Ok((runs, duplicates))
    }
}

/// The repeat a line belongs to; `None` when the line is stored already.
async fn place(
    transaction: &mut Transaction<'_>,
    run: &mut LogRun,
    line: &LogLine,
) -> Result<Option<u32>, StoreError> {
    let mut place = match run.place {
        Some(place) => place,
        None => find_place(transaction, run, line).await?,
    };
    if line.sequence <= place.stored {
        match is_stored(transaction, line, place.repeat).await? {
            Some(true) => {
                run.place = Some(place);
                return Ok(None);
            }
            Some(false) => place = place.next(),
            None => {}
        }
    }
    run.place = Some(place);
    Ok(Some(place.repeat))
}

/// Where a connection's lines go, seen from its first.
async fn find_place(
    transaction: &mut Transaction<'_>,
    run: &LogRun,
    first: &LogLine,
) -> Result<Place, StoreError> {
    let Some((repeat, stored, last)) = last_line(transaction, first.device, first.boot).await? else {
        return Ok(Place { repeat: 0, stored: 0 });
    };
    let place = Place { repeat, stored };
    // A connection begins after everything was logged that an earlier one of the same start has carried.
    let is_behind = run.clock != 0 && run.clock < last;
    if run.is_repeat || is_behind { Ok(place.next()) } else { Ok(place) }
}

impl Place {
    fn next(self) -> Self {
        Self { repeat: MAX_REPEAT.min(self.repeat + 1), stored: 0 }
    }
}

/// Repeat, number and clock of the last line stored of a start.
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

/// Whether what is stored under a line's number is this line; `None` when there is nothing.
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

/// Inserts rows; answers how many were there already. A row whose number is taken by another line, which an older connection of
/// another run has brought meanwhile, becomes a repeat of its own.
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
            let place = Place { repeat, stored: 0 }.next();
            transaction.execute(insert_query(&[(line, place.repeat)])).await?;
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

/// The column `sequence` of a line.
fn join(repeat: u32, sequence: u32) -> i64 {
    i64::from(repeat) << 32 | i64::from(sequence)
}

/// Repeat and line's number of a column `sequence`.
pub(super) fn split(column: i64) -> (u32, u32) {
    let column = column.cast_unsigned();
    ((column >> 32) as u32, column as u32)
}
