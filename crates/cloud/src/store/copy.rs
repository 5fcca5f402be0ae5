//! Copies a store to another database: from SQLite to PostgreSQL, and back (D355).
//!
//! No cloud may run on either database, since what it acknowledged after the copy began would be missing there. The
//! source is read in one snapshot, so that commands of operators do no harm. The copy appears as a whole or not at all:
//! a PostgreSQL database is written in one transaction, its schema included; an SQLite file is written under another
//! name and then renamed. So no marker of an unfinished copy is needed, and whatever interrupts a copy, the target is
//! as it was. Before that last step everything is read again from the target and compared.
//!
//! Both connections are outside any pool: a copy is one process with one task. `end.rs`: databases and their locks.
//! `table.rs`: the tables, read and written in batches.

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use super::StoreError;
use super::database::Database;
use crate::data::DataError;

mod end;
mod table;

pub use end::CopyEnd;
use end::{Source, Target};
pub use table::TableSummary;
use table::{Reader, TABLES, Table, insert};

/// Why a store was not copied. Each message is one line. The target is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// No cloud has ever used the source.
    #[error("{0} contains no cloud's data")]
    NoSource(String),
    /// Source and target are the same database.
    #[error("{0} is both the source and the target")]
    Same(String),
    /// The target contains data, and replacing it was not requested.
    #[error("{database} is not empty: {contents}")]
    NotEmpty {
        /// The target.
        database: String,
        /// What is in it.
        contents: Contents,
    },
    /// The target's folder has another `secret.key` than the one the source's secrets were encrypted with.
    #[error("the secrets of {database} were encrypted with another secret.key than that of {folder}")]
    OtherKey {
        /// The source.
        database: String,
        /// The target's folder.
        folder: String,
    },
    /// Another process has the target's file open.
    #[error("another process uses {0}")]
    Busy(String),
    /// What was read back differs from what was written.
    #[error("the copy of the table `{0}` differs from its source")]
    Differs(&'static str),
    /// An error of one of the databases.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DataError> for CopyError {
    fn from(error: DataError) -> Self {
        Self::Store(error.into())
    }
}

impl From<sqlx::Error> for CopyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a database contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Number of accounts.
    pub accounts: u64,
    /// Number of devices.
    pub devices: u64,
    /// Number of log lines.
    pub log_lines: u64,
}

impl std::fmt::Display for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { accounts, devices, log_lines } = self;
        write!(f, "it has {accounts} account(s), {devices} device(s) and {log_lines} log line(s)")
    }
}

/// How far a copy is.
#[derive(Debug, Clone, Copy)]
pub struct CopyProgress {
    /// The table that is copied now.
    pub table: &'static str,
    /// Its rows that were copied.
    pub rows: u64,
    /// Its rows in all.
    pub total: u64,
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySummary {
    /// Every table.
    pub tables: Vec<TableSummary>,
}

/// Two databases, neither of which is used by a cloud until this is dropped.
pub struct StoreCopy {
    source: Source,
    target: Target,
    existing: Option<Contents>,
}

impl StoreCopy {
    /// Opens both ends and keeps clouds away from them.
    ///
    /// # Errors
    /// Any but [`CopyError::NotEmpty`] and [`CopyError::Differs`].
    pub async fn open(from: &CopyEnd, to: &CopyEnd) -> Result<Self, CopyError> {
        let source = Source::open(from).await?;
        let mut target = Target::open(to, &source).await?;
        let existing = target.contents().await?;
        Ok(Self { source, target, existing })
    }

    /// What the target contains now; `None` when it is empty.
    pub fn existing(&self) -> Option<Contents> {
        self.existing
    }

    /// Name of the source, without a password.
    pub fn source_name(&self) -> String {
        self.source.database.name()
    }

    /// Name of the target, without a password.
    pub fn target_name(&self) -> String {
        self.target.name()
    }

    /// Copies everything and compares the result. With `replace`, what the target contains is replaced.
    ///
    /// # Errors
    /// [`CopyError::NotEmpty`], [`CopyError::Differs`], those of the databases. The target is as it was before, except
    /// that a commit whose confirmation was lost may have succeeded.
    pub async fn run(
        self,
        replace: bool,
        progress: impl FnMut(CopyProgress),
    ) -> Result<CopySummary, CopyError> {
        let Self { source, target, existing } = self;
        if let Some(contents) = existing.filter(|_| !replace) {
            return Err(CopyError::NotEmpty { database: target.name(), contents });
        }
        match target {
            Target::File(file) => {
                let mut file = file.create().await?;
                let written = transfer(&source.database, source.connection, file.parts(), progress).await;
                file.finish(written).await
            }
            Target::Server { database, mut connection } => {
                // The driver's own transaction, in which migrations become savepoints.
                let mut transaction = connection.begin().await?;
                database.run_migrations(&mut transaction).await?;
                let names: Vec<_> = TABLES.iter().map(|table| table.name).collect();
                let clear = format!("TRUNCATE {}", names.join(", "));
                sqlx::raw_sql(AssertSqlSafe(clear)).execute(&mut *transaction).await?;
                let parts = (&database, &mut *transaction);
                let summary = transfer(&source.database, source.connection, parts, progress).await?;
                transaction.commit().await?;
                Ok(summary)
            }
        }
    }
}

/// Copies every table into an empty database and compares.
async fn transfer(
    from: &Database,
    mut source: AnyConnection,
    (to, target): (&Database, &mut AnyConnection),
    mut progress: impl FnMut(CopyProgress),
) -> Result<CopySummary, CopyError> {
    sqlx::raw_sql(from.snapshot_statement()).execute(&mut source).await?;
    let mut tables = Vec::new();
    for table in &TABLES {
        let total = table.count(&mut source).await?;
        let mut reader = Reader::new(table);
        while let Some(batch) = reader.next(&mut source).await? {
            insert(to, target, table, &batch).await?;
            progress(CopyProgress { table: table.name, rows: reader.rows(), total });
        }
        let last_number = last_number(from, &mut source, table).await?;
        if let Some(last) = last_number {
            to.set_last_number(target, table.name, last).await?;
        }
        tables.push(reader.finish(last_number));
    }
    let copied = CopySummary { tables };
    verify(to, target, &copied).await?;
    Ok(copied)
}

/// Reads the target again and compares.
async fn verify(to: &Database, target: &mut AnyConnection, copied: &CopySummary) -> Result<(), CopyError> {
    for (table, expected) in TABLES.iter().zip(&copied.tables) {
        let mut reader = Reader::new(table);
        while reader.next(target).await?.is_some() {}
        if reader.finish(last_number(to, target, table).await?) != *expected {
            return Err(CopyError::Differs(table.name));
        }
    }
    Ok(())
}

async fn last_number(
    database: &Database,
    connection: &mut AnyConnection,
    table: &Table,
) -> Result<Option<i64>, sqlx::Error> {
    if !table.is_numbered {
        return Ok(None);
    }
    database.last_number(connection, table.name).await.map(Some)
}

#[cfg(test)]
mod tests;
