//! The one way to the database: every statement and every transaction of the store goes through here (D160).
//!
//! A connection goes back to its pool only after all that was asked of it has succeeded. After any failure, and after a caller that
//! gave up waiting, it is closed: only a connection that never failed is known to be outside a transaction. Transactions are
//! begun and committed by statements of our own rather than by the driver, which counts nested transactions by itself and is wrong
//! about them once SQLite has rolled one back (transact-rs/sqlx #3742).

use std::sync::{Arc, Mutex};

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Connection as _};

use super::StoreError;
use super::database::Database;
use super::lease::LeaseStatus;
use crate::limits;
use crate::lock::lock;

/// A statement with its values.
pub(super) type Query<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

/// What a connection is wanted for. Each purpose has connections of its own, so that none waits for another's: a writer that holds
/// the database up keeps nobody from finding out who is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Whether a device may be connected.
    Authorization,
    /// Everything else that only reads.
    Read,
    /// Whatever changes something.
    Write,
}

/// Connections to one database.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    database: Database,
    lease: LeaseStatus,
    pools: Mutex<Pools>,
    /// A connection to SQLite that is never used. While it is open the files beside the database stay, so that a new connection
    /// needs no room on the disk: devices are let in also while that is full.
    anchor: Mutex<Option<AnyConnection>>,
}

/// One set of connections; replaced as a whole when the storage has failed.
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
    /// Connects. Later connections are good only while `lease` occupies the database, once that is known.
    ///
    /// # Errors
    /// What stands in the way, at once where it is no matter of time.
    pub(super) async fn connect(database: &Database, lease: &LeaseStatus) -> Result<Self, StoreError> {
        // A pool would try again and again and then not say why.
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

    /// The first row, if there is one.
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

    /// One statement that is a transaction of its own; answers the number of rows it concerned. When it succeeds it is committed:
    /// no connection here is ever inside a transaction that is not a [`Transaction`]'s.
    pub(super) async fn execute(&self, query: Query<'_>) -> Result<u64, StoreError> {
        let mut checkout = self.checkout(Purpose::Write).await?;
        let done = query.execute(checkout.connection()).await;
        checkout.finish(done).map(|done| done.rows_affected())
    }

    /// Begins a transaction that writes.
    pub(super) async fn begin(&self) -> Result<Transaction<'_>, StoreError> {
        let mut checkout = self.checkout(Purpose::Write).await?;
        // It fails inside a transaction, which proves that there is none.
        let begun = sqlx::raw_sql(self.0.database.begin_statement()).execute(checkout.connection()).await;
        begun.map_err(|error| checkout.failed(error))?;
        Ok(Transaction { checkout, is_sound: true })
    }

    /// A connection for what the driver does itself, such as migrations.
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
                // They were replaced meanwhile.
                Err(sqlx::Error::PoolClosed) if !lock(&self.0.pools).is_closed => {}
                Err(sqlx::Error::PoolTimedOut) => return Err(StoreError::Silent),
                Err(error) => return Err(self.failed(pools.generation, error)),
            }
        }
    }

    /// The database's error as the store's. After a failure of the storage itself no connection is used again.
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

    /// Waits for what is under way and closes every connection.
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

/// A connection on loan: given back by [`Checkout::finish`] after success, closed otherwise.
pub(super) struct Checkout<'p> {
    pool: &'p Pool,
    generation: u64,
    connection: Option<PoolConnection<Any>>,
}

impl Checkout<'_> {
    pub(super) fn connection(&mut self) -> &mut AnyConnection {
        self.connection.as_mut().expect("there until it is finished")
    }

    /// Gives the connection back if what was done with it last has succeeded.
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
            // Outside the pool it is closed when it is dropped, and the database rolls back what it had begun.
            drop(connection.detach());
        }
    }
}

/// A transaction that writes; without [`Transaction::commit`] nothing of it happens.
pub(super) struct Transaction<'p> {
    checkout: Checkout<'p>,
    /// Whether every statement has succeeded.
    is_sound: bool,
}

impl Transaction<'_> {
    /// Runs a statement; answers the number of rows it concerned.
    pub(super) async fn execute(&mut self, query: Query<'_>) -> Result<u64, StoreError> {
        // Also unsound when the caller gives up while it waits.
        let was_sound = std::mem::replace(&mut self.is_sound, false);
        let done = query.execute(self.checkout.connection()).await;
        let done = done.map_err(|error| self.checkout.failed(error))?;
        self.is_sound = was_sound;
        Ok(done.rows_affected())
    }

    /// The first row, if there is one.
    pub(super) async fn fetch_optional(&mut self, query: Query<'_>) -> Result<Option<AnyRow>, StoreError> {
        let was_sound = std::mem::replace(&mut self.is_sound, false);
        let row = query.fetch_optional(self.checkout.connection()).await;
        let row = row.map_err(|error| self.checkout.failed(error))?;
        self.is_sound = was_sound;
        Ok(row)
    }

    /// Commits. Success proves that everything the transaction did is stored (D160).
    ///
    /// # Errors
    /// A statement of it had failed; another cloud has taken the database; the database's own. Nothing of it is stored then, or,
    /// when the answer was lost on the way, nobody knows.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        if !self.is_sound {
            return Err(StoreError::Unfinished);
        }
        let inner = &self.checkout.pool.0;
        let sql = inner.database.commit_statement(inner.lease.token());
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.checkout.connection()).await;
        self.checkout.finish(done).map(|_| ())
    }
}

#[cfg(test)]
mod tests;
