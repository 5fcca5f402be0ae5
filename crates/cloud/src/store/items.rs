//! Configuration items and secrets, of the whole account or of one device.

use relay::{LookupKey, Value};
use sqlx::Row;

use super::audit::Action;
use super::pool::Query;
use super::{Purpose, Store, StoreError, within};
use crate::clock::wall_millis;
use crate::id::DeviceId;
use crate::limits::{MAX_KEY, MAX_VALUE};

/// The owner of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The account: each of its devices may fetch the item.
    Account,
    /// One device.
    Device(DeviceId),
}

/// A configuration item. The time is milliseconds since 1970.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigItem {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// When it was last set.
    pub updated: i64,
}

/// A secret as it is listed: its existence, not its value. The time is milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its key.
    pub key: String,
    /// When it was last set.
    pub updated: i64,
}

/// An item to set.
#[derive(Clone, PartialEq, Eq)]
pub struct NewItem {
    /// Whether it belongs to the device, rather than to its account.
    pub device_scope: bool,
    /// Whether it is a secret, rather than a configuration item.
    pub secret: bool,
    /// Its key: 1 to 100 printable ASCII characters, as the public API documents (D63).
    pub key: String,
    /// Its value: at most 4096 bytes.
    pub value: String,
}

/// When an item is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// Only if there is none with its key.
    Missing,
    /// Only if there is one.
    Existing,
}

impl NewItem {
    pub(super) fn check(&self) -> Result<(), StoreError> {
        check(&self.key, &self.value)
    }
}

impl std::fmt::Debug for ConfigItem {
    /// Shows no value: applications store credentials as configuration too.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { key, value: _, updated } = self;
        f.debug_struct("ConfigItem").field("key", key).field("updated", updated).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NewItem {
    /// Shows the key only: the value may be a secret, and logs are not for secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { device_scope, secret, key, value: _ } = self;
        f.debug_struct("NewItem")
            .field("device_scope", device_scope)
            .field("secret", secret)
            .field("key", key)
            .finish_non_exhaustive()
    }
}

impl Scope {
    /// Value of the `device` column: the id, or an empty text for the account.
    fn column(&self) -> &str {
        match self {
            Self::Account => "",
            Self::Device(id) => id.as_str(),
        }
    }
}

impl Store {
    /// Sets a configuration item. `true` when it did not exist.
    ///
    /// # Errors
    /// [`StoreError::InvalidKey`], [`StoreError::ValueTooLong`], [`StoreError::NoDevice`], the database's own.
    pub async fn set_config(&self, scope: Scope, key: &str, value: &str) -> Result<bool, StoreError> {
        let new = self.config(scope, key).await?.is_none();
        self.set(scope, false, key, value).await?;
        Ok(new)
    }

    /// Reads a configuration item.
    pub async fn config(&self, scope: Scope, key: &str) -> Result<Option<ConfigItem>, StoreError> {
        let query = sqlx::query(
            "SELECT key, value, updated FROM configs WHERE account = $1 AND device = $2 AND key = $3",
        );
        let query = query.bind(&*self.account).bind(scope.column()).bind(key);
        self.pool.fetch_optional(Purpose::Read, query).await?.map(|row| config(&row)).transpose()
    }

    /// Every configuration item of a scope, sorted by key.
    pub async fn configs(&self, scope: Scope) -> Result<Vec<ConfigItem>, StoreError> {
        let query = sqlx::query(
            "SELECT key, value, updated FROM configs WHERE account = $1 AND device = $2 ORDER BY key",
        );
        let query = query.bind(&*self.account).bind(scope.column());
        let rows = self.pool.fetch_all(Purpose::Read, query).await?;
        rows.iter().map(config).collect()
    }

    /// At most `count` configuration items of a scope in the order of their keys, after the key `after`.
    pub async fn configs_after(
        &self,
        scope: Scope,
        after: &str,
        count: u32,
    ) -> Result<Vec<ConfigItem>, StoreError> {
        let query = sqlx::query(
            "SELECT key, value, updated FROM configs WHERE account = $1 AND device = $2 AND key > $3 \
             ORDER BY key LIMIT $4",
        );
        let query = query.bind(&*self.account).bind(scope.column()).bind(after).bind(i64::from(count));
        let rows = self.pool.fetch_all(Purpose::Read, query).await?;
        rows.iter().map(config).collect()
    }

    /// Removes a configuration item. `false` when it did not exist.
    pub async fn remove_config(&self, scope: Scope, key: &str) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM configs WHERE account = $1 AND device = $2 AND key = $3");
        let query = query.bind(&*self.account).bind(scope.column()).bind(key);
        let (action, object) = audited(scope, false, key, false);
        Ok(self.change(query, action, &object).await? == 1)
    }

    /// Sets a secret. `true` when it did not exist.
    ///
    /// # Errors
    /// As [`Store::set_config`].
    pub async fn set_secret(&self, scope: Scope, key: &str, value: &str) -> Result<bool, StoreError> {
        let new = self.sealed(scope, key).await?.is_none();
        self.set(scope, true, key, value).await?;
        Ok(new)
    }

    /// Creates a configuration item. `false` when it existed, and is left as it was.
    ///
    /// # Errors
    /// As [`Store::set_config`].
    pub async fn create_config(&self, scope: Scope, key: &str, value: &str) -> Result<bool, StoreError> {
        self.set_if(scope, false, Condition::Missing, key, value).await
    }

    /// Replaces the value of a configuration item. `false` when it did not exist.
    ///
    /// # Errors
    /// As [`Store::set_config`].
    pub async fn replace_config(&self, scope: Scope, key: &str, value: &str) -> Result<bool, StoreError> {
        self.set_if(scope, false, Condition::Existing, key, value).await
    }

    /// Creates a secret. `false` when it existed, and is left as it was.
    ///
    /// # Errors
    /// As [`Store::set_config`].
    pub async fn create_secret(&self, scope: Scope, key: &str, value: &str) -> Result<bool, StoreError> {
        self.set_if(scope, true, Condition::Missing, key, value).await
    }

    /// Replaces the value of a secret. `false` when it did not exist.
    ///
    /// # Errors
    /// As [`Store::set_config`].
    pub async fn replace_secret(&self, scope: Scope, key: &str, value: &str) -> Result<bool, StoreError> {
        self.set_if(scope, true, Condition::Existing, key, value).await
    }

    /// Sets items of this account and its devices, all or none. Answers of each whether it did not exist before.
    ///
    /// # Errors
    /// As [`Store::set_config`].
    pub async fn set_items(&self, items: &[(Scope, NewItem)]) -> Result<Vec<bool>, StoreError> {
        let (mut is_new, mut owner) = (Vec::with_capacity(items.len()), None);
        for (scope, item) in items {
            item.check()?;
            if owner.replace(*scope) != Some(*scope) {
                self.check_scope(*scope).await?;
            }
        }
        let mut transaction = self.pool.begin().await?;
        for (scope, item) in items {
            let table = if item.secret { "secrets" } else { "configs" };
            let sql = format!("SELECT key FROM {table} WHERE account = $1 AND device = $2 AND key = $3");
            let query = sqlx::query(sqlx::AssertSqlSafe(sql));
            let query = query.bind(&*self.account).bind(scope.column()).bind(&*item.key);
            is_new.push(transaction.fetch_optional(query).await?.is_none());
            transaction.execute(self.upsert_query(*scope, item)).await?;
            let (action, object) = audited(*scope, item.secret, &item.key, true);
            self.record(&mut transaction, action, &object).await?;
        }
        transaction.commit().await?;
        Ok(is_new)
    }

    async fn set(&self, scope: Scope, secret: bool, key: &str, value: &str) -> Result<(), StoreError> {
        check(key, value)?;
        self.check_scope(scope).await?;
        let device_scope = scope != Scope::Account;
        let item = NewItem { device_scope, secret, key: key.to_owned(), value: value.to_owned() };
        let (action, object) = audited(scope, secret, key, true);
        self.change(self.upsert_query(scope, &item), action, &object).await.map(|_| ())
    }

    /// Sets an item if the condition holds, in one statement, so that of two requests at once only one creates it.
    async fn set_if(
        &self,
        scope: Scope,
        secret: bool,
        condition: Condition,
        key: &str,
        value: &str,
    ) -> Result<bool, StoreError> {
        check(key, value)?;
        self.check_scope(scope).await?;
        let table = if secret { "secrets" } else { "configs" };
        let sql = match condition {
            Condition::Missing => format!(
                "INSERT INTO {table} (account, device, key, value, updated) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (account, device, key) DO NOTHING"
            ),
            Condition::Existing => format!(
                "UPDATE {table} SET value = $4, updated = $5 WHERE account = $1 AND device = $2 AND key = $3"
            ),
        };
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&*self.account).bind(scope.column()).bind(key);
        let query = query.bind(self.stored_value(scope, secret, key, value)).bind(wall_millis());
        let (action, object) = audited(scope, secret, key, true);
        Ok(self.change(query, action, &object).await? == 1)
    }

    /// A value as it is stored: sealed, if it is a secret.
    fn stored_value(&self, scope: Scope, secret: bool, key: &str, value: &str) -> Vec<u8> {
        if secret {
            self.seal.seal(&[&self.account, scope.column(), key], value.as_bytes())
        } else {
            value.as_bytes().to_vec()
        }
    }

    /// The statement that creates or replaces an item that has been checked.
    pub(super) fn upsert_query(&self, scope: Scope, item: &NewItem) -> Query<'static> {
        let sql = if item.secret {
            "INSERT INTO secrets (account, device, key, value, updated) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (account, device, key) DO UPDATE SET value = excluded.value, updated = excluded.updated"
        } else {
            "INSERT INTO configs (account, device, key, value, updated) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (account, device, key) DO UPDATE SET value = excluded.value, updated = excluded.updated"
        };
        let value = self.stored_value(scope, item.secret, &item.key, &item.value);
        let query = sqlx::query(sql).bind(self.account.clone()).bind(scope.column().to_owned());
        query.bind(item.key.clone()).bind(value).bind(wall_millis())
    }

    /// Every secret of a scope, sorted by key, without the values.
    pub async fn secrets(&self, scope: Scope) -> Result<Vec<SecretInfo>, StoreError> {
        let query =
            sqlx::query("SELECT key, updated FROM secrets WHERE account = $1 AND device = $2 ORDER BY key");
        let query = query.bind(&*self.account).bind(scope.column());
        let rows = self.pool.fetch_all(Purpose::Read, query).await?;
        rows.iter().map(|row| Ok(SecretInfo { key: row.try_get(0)?, updated: row.try_get(1)? })).collect()
    }

    /// At most `count` secrets of a scope, without the values, in the order of their keys, after the key `after`.
    pub async fn secrets_after(
        &self,
        scope: Scope,
        after: &str,
        count: u32,
    ) -> Result<Vec<SecretInfo>, StoreError> {
        let query = sqlx::query(
            "SELECT key, updated FROM secrets WHERE account = $1 AND device = $2 AND key > $3 ORDER BY key LIMIT $4",
        );
        let query = query.bind(&*self.account).bind(scope.column()).bind(after).bind(i64::from(count));
        let rows = self.pool.fetch_all(Purpose::Read, query).await?;
        rows.iter().map(|row| Ok(SecretInfo { key: row.try_get(0)?, updated: row.try_get(1)? })).collect()
    }

    /// The secret with this key, without its value.
    pub async fn secret_info(&self, scope: Scope, key: &str) -> Result<Option<SecretInfo>, StoreError> {
        let query =
            sqlx::query("SELECT key, updated FROM secrets WHERE account = $1 AND device = $2 AND key = $3");
        let query = query.bind(&*self.account).bind(scope.column()).bind(key);
        let row = self.pool.fetch_optional(Purpose::Read, query).await?;
        row.map(|row| Ok(SecretInfo { key: row.try_get(0)?, updated: row.try_get(1)? })).transpose()
    }

    /// Removes a secret. `false` when it did not exist.
    pub async fn remove_secret(&self, scope: Scope, key: &str) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM secrets WHERE account = $1 AND device = $2 AND key = $3");
        let query = query.bind(&*self.account).bind(scope.column()).bind(key);
        let (action, object) = audited(scope, true, key, false);
        Ok(self.change(query, action, &object).await? == 1)
    }

    /// Looks up items for `device`, one value for each, in order. A damaged item is [`Value::Unavailable`] and does not
    /// affect the others.
    pub async fn look_up(&self, device: DeviceId, wanted: &[LookupKey]) -> Result<Vec<Value>, StoreError> {
        within(async {
            let mut values = Vec::with_capacity(wanted.len());
            for item in wanted {
                values.push(match self.look_up_one(device, item).await {
                    Err(StoreError::Damaged(what)) => {
                        tracing::error!(name: "item_damaged", %device, key = %item.key.escape_ascii(), "the database holds a damaged {what}");
                        Value::Unavailable
                    }
                    value => value?,
                });
            }
            Ok(values)
        })
        .await
    }

    async fn look_up_one(&self, device: DeviceId, wanted: &LookupKey) -> Result<Value, StoreError> {
        let Some(key) = std::str::from_utf8(&wanted.key).ok().filter(|key| is_key(key)) else {
            return Ok(Value::InvalidKey);
        };
        let scope = if wanted.device_scope { Scope::Device(device) } else { Scope::Account };
        let value = if wanted.secret {
            self.secret(scope, key).await?
        } else {
            self.config(scope, key).await?.map(|config| config.value.into_bytes())
        };
        Ok(value.map_or(Value::NotFound, Value::Found))
    }

    async fn secret(&self, scope: Scope, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(sealed) = self.sealed(scope, key).await? else { return Ok(None) };
        let value = self.seal.open(&[&self.account, scope.column(), key], &sealed);
        value.map(Some).ok_or(StoreError::Damaged("secret"))
    }

    async fn sealed(&self, scope: Scope, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let query = sqlx::query("SELECT value FROM secrets WHERE account = $1 AND device = $2 AND key = $3");
        let query = query.bind(&*self.account).bind(scope.column()).bind(key);
        let row = self.pool.fetch_optional(Purpose::Read, query).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    async fn check_scope(&self, scope: Scope) -> Result<(), StoreError> {
        let Scope::Device(id) = scope else { return Ok(()) };
        self.device(id).await?.map(|_| ()).ok_or_else(|| StoreError::NoDevice(id.to_string()))
    }
}

/// How a change of an item is recorded: what was done, and to which item of whom.
pub(super) fn audited(scope: Scope, secret: bool, key: &str, is_set: bool) -> (Action, String) {
    let action = match (secret, is_set) {
        (false, true) => Action::ConfigSet,
        (false, false) => Action::ConfigDelete,
        (true, true) => Action::SecretSet,
        (true, false) => Action::SecretDelete,
    };
    let object = match scope {
        Scope::Account => key.to_owned(),
        Scope::Device(id) => format!("{id} {key}"),
    };
    (action, object)
}

fn config(row: &sqlx::any::AnyRow) -> Result<ConfigItem, StoreError> {
    let value = String::from_utf8(row.try_get(1)?).map_err(|_| StoreError::Damaged("configuration value"))?;
    Ok(ConfigItem { key: row.try_get(0)?, value, updated: row.try_get(2)? })
}

fn check(key: &str, value: &str) -> Result<(), StoreError> {
    if !is_key(key) {
        return Err(StoreError::InvalidKey);
    }
    if value.len() > MAX_VALUE { Err(StoreError::ValueTooLong) } else { Ok(()) }
}

/// 1 to 100 printable ASCII characters, the space included, because that is what the public API documents (D63).
fn is_key(key: &str) -> bool {
    (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
