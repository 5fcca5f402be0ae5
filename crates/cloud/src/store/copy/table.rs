//! The tables of a store, read and written in batches. Every column is a text, a 64-bit integer or bytes, so that a row
//! is the same in both databases.

use std::fmt::Write as _;

use ring::digest::{Context, SHA256};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use crate::limits::COPY_ROWS;
use crate::store::database::Database;
use crate::store::lease::TOKEN_SETTING;
use crate::store::pool::Query;

/// A table: its columns, those of its primary key first.
pub(super) struct Table {
    pub(super) name: &'static str,
    columns: &'static [(&'static str, Kind)],
    key_columns: usize,
    /// Rows read and written at a time.
    batch: usize,
    /// Whether its key is a number that the database counts up.
    pub(super) is_numbered: bool,
}

impl Table {
    const fn new(name: &'static str, key_columns: usize, columns: &'static [(&'static str, Kind)]) -> Self {
        Self { name, columns, key_columns, batch: COPY_ROWS, is_numbered: false }
    }

    /// With rows that may be as large as an application.
    const fn large(self) -> Self {
        Self { batch: 1, ..self }
    }

    const fn numbered(self) -> Self {
        Self { is_numbered: true, ..self }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Bytes,
}

use Kind::{Bytes, Integer, Text};

/// The tables, each after those it refers to. A test compares them with the schema.
pub(super) const TABLES: [Table; 12] = [
    Table::new("settings", 1, &[("name", Text), ("value", Bytes)]),
    Table::new(
        "accounts",
        1,
        &[("id", Text), ("created", Integer), ("name", Text), ("token", Bytes), ("token_created", Integer)],
    ),
    Table::new("devices", 1, DEVICE_COLUMNS),
    Table::new("labels", 2, &[("device", Text), ("name", Text), ("value", Text)]),
    Table::new("configs", 3, ITEM_COLUMNS),
    Table::new("secrets", 3, ITEM_COLUMNS),
    Table::new("api_keys", 1, KEY_COLUMNS),
    Table::new("apps", 1, APP_COLUMNS).large(),
    Table::new("layers", 1, &[("hash", Bytes), ("content", Bytes)]).large(),
    Table::new("app_layers", 2, &[("app", Text), ("position", Integer), ("layer", Bytes)]),
    Table::new("logs", 1, LOG_COLUMNS).numbered(),
    Table::new("audit", 1, AUDIT_COLUMNS).numbered(),
];

const DEVICE_COLUMNS: &[(&str, Kind)] = &[
    ("id", Text),
    ("account", Text),
    ("name", Text),
    ("fingerprint", Bytes),
    ("logging", Integer),
    ("logging_expires", Integer),
    ("image", Bytes),
    ("seen", Integer),
    ("created", Integer),
    ("updated", Integer),
    ("connected", Integer),
    ("revoked", Integer),
    ("target", Text),
    ("targeted", Integer),
];

const ITEM_COLUMNS: &[(&str, Kind)] =
    &[("account", Text), ("device", Text), ("key", Text), ("value", Bytes), ("updated", Integer)];

const KEY_COLUMNS: &[(&str, Kind)] = &[
    ("id", Text),
    ("account", Text),
    ("name", Text),
    ("role", Text),
    ("secret", Bytes),
    ("created", Integer),
    ("expires", Integer),
    ("revoked", Integer),
    ("used", Integer),
    ("devices", Integer),
];

const APP_COLUMNS: &[(&str, Kind)] = &[
    ("id", Text),
    ("account", Text),
    ("name", Text),
    ("hash", Bytes),
    ("image", Bytes),
    ("manifest", Bytes),
    ("created", Integer),
    ("updated", Integer),
];

const LOG_COLUMNS: &[(&str, Kind)] = &[
    ("number", Integer),
    ("device", Text),
    ("boot", Integer),
    ("sequence", Integer),
    ("clock", Integer),
    ("received", Integer),
    ("text", Bytes),
];

const AUDIT_COLUMNS: &[(&str, Kind)] = &[
    ("number", Integer),
    ("account", Text),
    ("at", Integer),
    ("actor", Text),
    ("source", Text),
    ("action", Text),
    ("object", Text),
];

/// A value of a column.
#[derive(Clone)]
pub(super) enum Cell {
    Text(Option<String>),
    Integer(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// A row of a table, in the order of its columns.
type Row = Vec<Cell>;

/// A table as it was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSummary {
    /// Its name.
    pub table: &'static str,
    /// Number of its rows.
    pub rows: u64,
    /// SHA-256 of all its rows in the order of the primary key; equal for equal tables in either kind of database.
    pub digest: [u8; 32],
    /// The greatest number that a row has had, also if that row was removed since: later rows have greater ones. `None`
    /// for tables whose rows have no numbers.
    pub last_number: Option<i64>,
}

impl Table {
    /// Rows that belong to the database rather than to the data: the token of the last cloud that held its lock.
    fn filter(&self) -> Option<String> {
        (self.name == "settings").then(|| format!("name <> '{TOKEN_SETTING}'"))
    }

    pub(super) async fn count(&self, connection: &mut AnyConnection) -> Result<u64, sqlx::Error> {
        let condition = self.filter().map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
        let sql = format!("SELECT COUNT(*) FROM {}{condition}", self.name);
        let count: i64 = sqlx::query(AssertSqlSafe(sql)).fetch_one(connection).await?.try_get(0)?;
        Ok(count.cast_unsigned())
    }

    #[cfg(test)]
    pub(super) fn column_names(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|(name, _)| *name)
    }

    fn names(&self, count: usize) -> String {
        let names: Vec<_> = self.columns[..count].iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// The statement for the first batch, or for the one after a key.
    fn select_statement(&self, is_first: bool) -> String {
        let key = self.names(self.key_columns);
        let after = (!is_first).then(|| format!("({key}) > ({})", parameters(0, self.key_columns)));
        let conditions: Vec<_> = self.filter().into_iter().chain(after).collect();
        let condition = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        let (columns, name, batch) = (self.names(self.columns.len()), self.name, self.batch);
        format!("SELECT {columns} FROM {name}{condition} ORDER BY {key} LIMIT {batch}")
    }

    fn insert_statement(&self, rows: usize, overriding: &str) -> String {
        let count = self.columns.len();
        let mut sql = format!("INSERT INTO {} ({}) {overriding}VALUES ", self.name, self.names(count));
        for row in 0..rows {
            let comma = if row == 0 { "" } else { ", " };
            write!(sql, "{comma}({})", parameters(row * count, count)).expect("writing to a string");
        }
        sql
    }

    fn row(&self, row: &AnyRow) -> Result<Row, sqlx::Error> {
        let cell = |(index, (_, kind)): (usize, &(&str, Kind))| {
            Ok(match kind {
                Kind::Text => Cell::Text(row.try_get(index)?),
                Kind::Integer => Cell::Integer(row.try_get(index)?),
                Kind::Bytes => Cell::Bytes(row.try_get(index)?),
            })
        };
        self.columns.iter().enumerate().map(cell).collect()
    }
}

/// Reads a table from its start, in batches, and computes its digest.
pub(super) struct Reader<'t> {
    table: &'t Table,
    /// The key of the last row read.
    last: Option<Row>,
    rows: u64,
    digest: Context,
}

impl<'t> Reader<'t> {
    pub(super) fn new(table: &'t Table) -> Self {
        Self { table, last: None, rows: 0, digest: Context::new(&SHA256) }
    }

    /// The next rows; `None` at the end.
    pub(super) async fn next(
        &mut self,
        connection: &mut AnyConnection,
    ) -> Result<Option<Vec<Row>>, sqlx::Error> {
        let sql = self.table.select_statement(self.last.is_none());
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for cell in self.last.iter().flatten() {
            query = bind(query, cell);
        }
        let rows = query.fetch_all(connection).await?;
        let batch = rows.iter().map(|row| self.table.row(row)).collect::<Result<Vec<_>, _>>()?;
        let Some(last) = batch.last() else { return Ok(None) };
        self.last = Some(last[..self.table.key_columns].to_vec());
        self.rows += batch.len() as u64;
        batch.iter().flatten().for_each(|cell| add(&mut self.digest, cell));
        Ok(Some(batch))
    }

    /// Number of rows read.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// `last_number` is as in [`TableSummary`].
    pub(super) fn finish(self, last_number: Option<i64>) -> TableSummary {
        let digest = self.digest.finish();
        let digest = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        TableSummary { table: self.table.name, rows: self.rows, digest, last_number }
    }
}

/// Inserts rows, their numbers included.
pub(super) async fn insert(
    database: &Database,
    connection: &mut AnyConnection,
    table: &Table,
    rows: &[Row],
) -> Result<(), sqlx::Error> {
    let overriding = if table.is_numbered { database.overriding_clause() } else { "" };
    let mut query = sqlx::query(AssertSqlSafe(table.insert_statement(rows.len(), overriding)));
    for cell in rows.iter().flatten() {
        query = bind(query, cell);
    }
    query.execute(connection).await.map(|_| ())
}

fn bind<'q>(query: Query<'q>, cell: &Cell) -> Query<'q> {
    match cell {
        Cell::Text(text) => query.bind(text.clone()),
        Cell::Integer(number) => query.bind(*number),
        Cell::Bytes(bytes) => query.bind(bytes.clone()),
    }
}

/// Adds a value with its length, so that no two rows have the same bytes.
fn add(digest: &mut Context, cell: &Cell) {
    let bytes = match cell {
        Cell::Text(text) => text.as_ref().map(|text| text.as_bytes().to_vec()),
        Cell::Integer(number) => number.map(|number| number.to_be_bytes().to_vec()),
        Cell::Bytes(bytes) => bytes.clone(),
    };
    match bytes {
        Some(bytes) => {
            digest.update(&(bytes.len() as u64 + 1).to_be_bytes());
            digest.update(&bytes);
        }
        None => digest.update(&0_u64.to_be_bytes()),
    }
}

/// `count` parameters after the first `before`, such as `$3, $4`.
fn parameters(before: usize, count: usize) -> String {
    let names: Vec<_> = (1..=count).map(|number| format!("${}", before + number)).collect();
    names.join(", ")
}
