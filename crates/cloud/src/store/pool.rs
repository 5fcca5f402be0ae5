//! The only access to the database: every statement and every transaction of the store goes through here, so that none
//! can bypass the rules for connections that have failed (D160).
//!
//! A connection returns to its pool only after every statement on it has succeeded. After any failure, and when the
//! caller stopped waiting, it is closed: only a connection that never failed is known to be outside a transaction.
//! Transactions are begun and committed by explicit statements rather than by the driver, whose own count of nested
//! transactions is wrong once SQLite has rolled one back (transact-rs/sqlx #3742).

use std::sync::{Arc, Mutex};

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Connection as _};

use super::StoreError;
use super::database::Database;
use super::lease::LeaseStatus;
use crate::limits;
use crate::lock::lock;

/// A statement with its bound values.
pub(super) type Query<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

/// The purpose of a connection. Each purpose has its own connections, so that none waits for another's: a slow writer
/// must not delay the detection of a revoked device (D161).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Whether a device may be connected.
    Authorization,
    /// Any other read.
    Read,
    /// Any write.
    Write,
}

/// Connections to one database.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    database: Database,
    lease: LeaseStatus,
    pools: Mutex<Pools>,
    /// An unused connection to SQLite. While it is open SQLite keeps its companion files, so a new connection needs no
    /// space on the disk: devices can connect even while the disk is full.
    anchor: Mutex<Option<AnyConnection>>,
}

/// One set of connections, replaced as a whole after a storage failure.
#[derive(Clone)]
struct Pools {
    generation: u64,
    is_closed: bool,
    authorization: AnyPool,
    read: AnyPool,
    write: AnyPool,
}

impl Pools {
    fn open(database: &Database, lease: &LeaseStatus, generation: u64) -> Result<Self, StoreError> {
        let open = |count| database.lazy_pool(lease, count);
        Ok(Self {
            generation,
            is_closed: false,
            authorization: open(limits::DATABASE_AUTHORIZATION_CONNECTIONS)?,
            read: open(limits::DATABASE_READ_CONNECTIONS)?,
            write: open(limits::DATABASE_WRITE_CONNECTIONS)?,
        })
    }

    fn of(&self, purpose: Purpose) -> &AnyPool {
        match purpose {
            Purpose::Authorization => &self.authorization,
            Purpose::Read => &self.read,
            Purpose::Write => &self.write,
        }
    }

    async fn close(&self) {
        self.authorization.close().await;
        self.read.close().await;
        self.write.close().await;
    }
}

impl Pool {
    /// Opens the pools. Every later connection checks `lease`.
    ///
    /// # Errors
    /// Why the database cannot be reached, without retries where those would not help.
    pub(super) async fn connect(database: &Database, lease: &LeaseStatus) -> Result<Self, StoreError> {
        // A pool would retry until its timeout and then not say why.
        let first = database.connect_once().await?;
        let anchor = if database.is_shared() {
            let _ = first.close().await;
            None
        } else {
            Some(first)
        };
        let pools = Mutex::new(Pools::open(database, lease, 0)?);
        let (database, lease) = (database.clone(), lease.clone());
        Ok(Self(Arc::new(Inner { database, lease, pools, anchor: Mutex::new(anchor) })))
    }

    /// The first row, if any.
    pub(super) async fn fetch_optional(
        &self,
        purpose: Purpose,
        query: Query<'_>,
    ) -> Result<Option<AnyRow>, StoreError> {
        let mut checkout = self.checkout(purpose).await?;
        let row = query.fetch_optional(checkout.connection()).await;
        checkout.finish(row)
    }

    /// The first row of a query that always has one.
    pub(super) async fn fetch_one(&self, purpose: Purpose, query: Query<'_>) -> Result<AnyRow, StoreError> {
        let mut checkout = self.checkout(purpose).await?;
        let row = query.fetch_one(checkout.connection()).await;
        checkout.finish(row)
    }

    /// Every row.
    pub(super) async fn fetch_all(
        &self,
        purpose: Purpose,
        query: Query<'_>,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let mut checkout = self.checkout(purpose).await?;
        let rows = query.fetch_all(checkout.connection()).await;
        checkout.finish(rows)
    }

    /// Runs one statement as a transaction of its own and returns the number of rows affected. When it succeeds it is
    /// committed, because no pooled connection is ever inside a transaction other than a [`Transaction`].
    pub(super) async fn execute(&self, query: Query<'_>) -> Result<u64, StoreError> {
        let mut checkout = self.checkout(Purpose::Write).await?;
        let done = query.execute(checkout.connection()).await;
        checkout.finish(done).map(|done| done.rows_affected())
    }

    /// Begins a transaction that writes.
    pub(super) async fn begin(&self) -> Result<Transaction<'_>, StoreError> {
        let mut checkout = self.checkout(Purpose::Write).await?;
        // BEGIN fails inside a transaction, so its success proves that there was none.
        let begun = sqlx::raw_sql(self.0.database.begin_statement()).execute(checkout.connection()).await;
        begun.map_err(|error| checkout.failed(error))?;
        Ok(Transaction { checkout, has_succeeded: true })
    }

    /// A connection for operations of the driver itself, such as migrations.
    pub(super) async fn checkout(&self, purpose: Purpose) -> Result<Checkout<'_>, StoreError> {
        loop {
            let pools = lock(&self.0.pools).clone();
            match pools.of(purpose).acquire().await {
                Ok(connection) => {
                    return Ok(Checkout {
                        pool: self,
                        generation: pools.generation,
                        connection: Some(connection),
                    });
                }
                // The pools were replaced in the meantime.
                Err(sqlx::Error::PoolClosed) if !lock(&self.0.pools).is_closed => {}
                Err(sqlx::Error::PoolTimedOut) => return Err(StoreError::TimedOut),
                Err(error) => return Err(self.failed(pools.generation, error)),
            }
        }
    }

    /// Converts an error of the database. After a failure of the storage itself all connections are replaced: each may
    /// have lost its transaction's pages.
    fn failed(&self, generation: u64, error: sqlx::Error) -> StoreError {
        if self.0.database.is_storage_failure(&error) {
            self.renew(generation);
        }
        StoreError::Database(error)
    }

    /// Replaces all connections, unless that has been done since `generation`.
    fn renew(&self, generation: u64) {
        let mut pools = lock(&self.0.pools);
        if pools.generation != generation || pools.is_closed {
            return;
        }
        let Ok(new) = Pools::open(&self.0.database, &self.0.lease, generation + 1) else { return };
        let old = std::mem::replace(&mut *pools, new);
        drop(pools);
        tokio::spawn(async move { old.close().await });
    }

    /// Waits for running statements and closes every connection.
    pub(super) async fn close(&self) {
        let pools = {
            let mut pools = lock(&self.0.pools);
            pools.is_closed = true;
            pools.clone()
        };
        pools.close().await;
        let anchor = lock(&self.0.anchor).take();
        if let Some(anchor) = anchor {
            let _ = anchor.close().await;
        }
    }
}

/// A connection taken from a pool: returned by [`Checkout::finish`] after success, closed otherwise.
pub(super) struct Checkout<'p> {
    pool: &'p Pool,
    generation: u64,
    connection: Option<PoolConnection<Any>>,
}

impl Checkout<'_> {
    pub(super) fn connection(&mut self) -> &mut AnyConnection {
        self.connection.as_mut().expect("present until `finish`")
    }

    /// Returns the connection to its pool if its last operation succeeded.
    pub(super) fn finish<T>(mut self, done: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        let done = done.map_err(|error| self.failed(error))?;
        drop(self.connection.take());
        Ok(done)
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        self.pool.failed(self.generation, error)
    }
}

impl Drop for Checkout<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // A detached connection is closed on drop, and the database rolls its transaction back.
            drop(connection.detach());
        }
    }
}

/// A writing transaction; it is rolled back unless [`Transaction::commit`] succeeds.
pub(super) struct Transaction<'p> {
    checkout: Checkout<'p>,
    /// Whether every statement so far has succeeded.
    has_succeeded: bool,
}

impl Transaction<'_> {
    /// Runs a statement and returns the number of rows affected.
    pub(super) async fn execute(&mut self, query: Query<'_>) -> Result<u64, StoreError> {
        // Cleared first, so that it stays false when this future is dropped while it waits.
        let had_succeeded = std::mem::replace(&mut self.has_succeeded, false);
        let done = query.execute(self.checkout.connection()).await;
        let done = done.map_err(|error| self.checkout.failed(error))?;
        self.has_succeeded = had_succeeded;
        Ok(done.rows_affected())
    }

    /// The first row, if any.
    pub(super) async fn fetch_optional(&mut self, query: Query<'_>) -> Result<Option<AnyRow>, StoreError> {
        let had_succeeded = std::mem::replace(&mut self.has_succeeded, false);
        let row = query.fetch_optional(self.checkout.connection()).await;
        let row = row.map_err(|error| self.checkout.failed(error))?;
        self.has_succeeded = had_succeeded;
        Ok(row)
    }

    /// Commits. Success proves that everything the transaction did is stored (D160).
    ///
    /// # Errors
    /// One of its statements failed; another cloud has taken the database; the database's own. Nothing of the
    /// transaction is stored then, except that a commit whose confirmation was lost may have been.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        if !self.has_succeeded {
            return Err(StoreError::TransactionFailed);
        }
        let inner = &self.checkout.pool.0;
        let sql = inner.database.commit_statement(inner.lease.token());
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.checkout.connection()).await;
        self.checkout.finish(done).map(|_| ())
    }
}

#[cfg(test)]
mod tests;
