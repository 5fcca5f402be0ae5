//! The record of changes: who changed what, when and from where; never a value (D371).
//!
//! A change and its record are one transaction, so that neither exists without the other.

use std::time::Duration;

use sqlx::Row;
use sqlx::any::AnyRow;

use super::pool::{Query, Transaction};
use super::{Purpose, Store, StoreError};
use crate::clock::wall_millis;

/// Who makes the changes that are made through a [`Store`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Id of an API key or account, `command:` and the user of the operating system, or `cloud`.
    pub name: String,
    /// The client's address, or `local`.
    pub source: String,
}

impl Actor {
    /// The program itself.
    pub(super) fn cloud() -> Self {
        Self { name: "cloud".to_owned(), source: "local".to_owned() }
    }

    /// A command that a user of this machine runs.
    pub fn command(user: &str) -> Self {
        Self { name: format!("command:{user}"), source: "local".to_owned() }
    }
}

/// The kind of a change. Its words are part of the public API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    AccountCreate,
    AccountDelete,
    AccountRename,
    AppCreate,
    AppDelete,
    ConfigDelete,
    ConfigSet,
    DeviceCreate,
    DeviceDelete,
    DeviceLabel,
    DeviceLogging,
    DeviceRename,
    DeviceRenew,
    DeviceRevoke,
    DeviceTarget,
    KeyCreate,
    KeyRevoke,
    SecretDelete,
    SecretSet,
    TokenRotate,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::AccountCreate => "account.create",
            Self::AccountDelete => "account.delete",
            Self::AccountRename => "account.rename",
            Self::AppCreate => "app.create",
            Self::AppDelete => "app.delete",
            Self::ConfigDelete => "config.delete",
            Self::ConfigSet => "config.set",
            Self::DeviceCreate => "device.create",
            Self::DeviceDelete => "device.delete",
            Self::DeviceLabel => "device.label",
            Self::DeviceLogging => "device.logging",
            Self::DeviceRename => "device.rename",
            Self::DeviceRenew => "device.renew",
            Self::DeviceRevoke => "device.revoke",
            Self::DeviceTarget => "device.target",
            Self::KeyCreate => "key.create",
            Self::KeyRevoke => "key.revoke",
            Self::SecretDelete => "secret.delete",
            Self::SecretSet => "secret.set",
            Self::TokenRotate => "token.rotate",
        }
    }
}

/// One recorded change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number, increasing over all accounts.
    pub number: i64,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// Who: as [`Actor::name`].
    pub actor: String,
    /// From where: as [`Actor::source`].
    pub source: String,
    /// What was done, as `device.revoke`.
    pub action: String,
    /// To what: an id, a key, or a device's id with a key or label.
    pub object: String,
}

impl Store {
    /// The same view, with changes recorded as made by `actor`.
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    /// At most `count` recorded changes of the account, the newest first, before the record `before` (`None`: from the
    /// newest).
    pub async fn audit(&self, before: Option<i64>, count: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let query = sqlx::query(
            "SELECT number, at, actor, source, action, object FROM audit \
             WHERE account = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
        );
        let query = query.bind(&*self.account).bind(before.unwrap_or(i64::MAX)).bind(i64::from(count));
        let rows = self.pool.fetch_all(Purpose::Read, query).await?;
        rows.iter().map(record).collect()
    }

    /// Removes records older than `age`.
    pub(crate) async fn prune_audit(&self, age: Duration) -> Result<(), StoreError> {
        self.check_lease()?;
        let oldest = wall_millis() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        self.pool.execute(sqlx::query("DELETE FROM audit WHERE at < $1").bind(oldest)).await.map(|_| ())
    }

    /// Runs a statement that changes something, and records it if it did. Returns the number of rows changed.
    pub(super) async fn change(
        &self,
        query: Query<'_>,
        action: Action,
        object: &str,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let rows = transaction.execute(query).await?;
        if rows > 0 {
            self.record(&mut transaction, action, object).await?;
        }
        transaction.commit().await?;
        Ok(rows)
    }

    /// Records a change of this account as part of a transaction.
    pub(super) async fn record(
        &self,
        transaction: &mut Transaction<'_>,
        action: Action,
        object: &str,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO audit (account, at, actor, source, action, object) VALUES ($1, $2, $3, $4, $5, $6)",
        );
        let query = query.bind(&*self.account).bind(wall_millis()).bind(&*self.actor.name);
        let query = query.bind(&*self.actor.source).bind(action.word()).bind(object);
        transaction.execute(query).await.map(|_| ())
    }
}

fn record(row: &AnyRow) -> Result<AuditRecord, StoreError> {
    Ok(AuditRecord {
        number: row.try_get(0)?,
        at: row.try_get(1)?,
        actor: row.try_get(2)?,
        source: row.try_get(3)?,
        action: row.try_get(4)?,
        object: row.try_get(5)?,
    })
}
