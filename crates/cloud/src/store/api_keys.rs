//! Credentials of the management API: API keys and the auth tokens of accounts.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::Action;
use super::{Purpose, Store, StoreError};
use crate::clock::wall_millis;
use crate::credential::{self, ApiSecret, SecretKind};
use crate::id::{AccountId, ApiKeyId};
use crate::limits;

/// How exactly the time of a key's last use is recorded: more often would be a write for each request.
const USED_GRANULARITY_MS: i64 = 60_000;

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything in its account.
    Owner,
    /// Applications, targets, restarts and logs, and reading everything else.
    Deploy,
    /// Reading.
    Read,
    /// Enrolling devices, and nothing else.
    Provision,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Deploy, Self::Read, Self::Provision];

    /// Its name in the API, in commands and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Deploy => "deploy",
            Self::Read => "read",
            Self::Provision => "provision",
        }
    }

    /// The role with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// An API key, without its secret. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, which is no secret.
    pub id: ApiKeyId,
    /// Its account.
    pub account: AccountId,
    /// What people call it.
    pub name: Option<String>,
    /// What it may do.
    pub role: Role,
    /// When it was created.
    pub created: i64,
    /// When it ends; `None`: never.
    pub expires: Option<i64>,
    /// When it was revoked.
    pub revoked: Option<i64>,
    /// When it was last used, within a minute.
    pub used: Option<i64>,
    /// How many devices it may still enrol; `None` for a key that is not for that.
    pub devices: Option<u32>,
}

impl ApiKey {
    /// Whether it is accepted at `now`.
    pub fn is_valid(&self, now: i64) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// An API key to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey<'a> {
    /// What people call it: as a device's name.
    pub name: Option<&'a str>,
    /// What it may do.
    pub role: Role,
    /// When it ends, milliseconds since 1970.
    pub expires: Option<i64>,
    /// How many devices it may enrol; only with [`Role::Provision`].
    pub devices: Option<u32>,
}

/// A query for whole keys with the given clauses.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, account, name, role, created, expires, revoked, used, devices, secret FROM api_keys ",
            $rest
        )
    };
}

impl Store {
    /// Creates an API key of the account. Its secret is returned once and stored nowhere.
    ///
    /// # Errors
    /// [`StoreError::InvalidKeyName`], [`StoreError::KeyLimit`], the database's own.
    pub async fn add_api_key(&self, new: &NewApiKey<'_>) -> Result<(ApiKey, ApiSecret), StoreError> {
        check_name(new.name)?;
        let (id, secret) = (ApiKeyId::random(), ApiSecret::random(SecretKind::ApiKey));
        // The number is checked in the statement, so that two requests at once cannot exceed it.
        let query = sqlx::query(
            "INSERT INTO api_keys (id, account, name, role, secret, created, expires, devices) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE \
             (SELECT COUNT(*) FROM api_keys WHERE account = $2 AND revoked IS NULL) < $9",
        );
        let query = query.bind(id.as_str()).bind(&*self.account).bind(new.name).bind(new.role.as_str());
        let query = query.bind(secret.hash().to_vec()).bind(wall_millis()).bind(new.expires);
        let query = query.bind(new.devices.map(i64::from)).bind(i64::from(limits::MAX_API_KEYS));
        if self.change(query, Action::KeyCreate, id.as_str()).await? == 0 {
            return Err(StoreError::KeyLimit);
        }
        let key = self.api_key(id).await?.ok_or(StoreError::Damaged("API key"))?;
        Ok((key, secret))
    }

    /// The API key of the account with this id.
    pub async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let query = sqlx::query(select!("WHERE account = $1 AND id = $2"));
        let query = query.bind(&*self.account).bind(id.as_str());
        let row = self.pool.fetch_optional(Purpose::Read, query).await?;
        row.as_ref().map(key).transpose()
    }

    /// At most `count` API keys of the account in the order of their creation, after the one created at `after.0` with
    /// the id `after.1`. Revoked ones are among them.
    pub async fn api_keys(
        &self,
        after: Option<(i64, ApiKeyId)>,
        count: u32,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let query = sqlx::query(select!(
            "WHERE account = $1 AND (created > $2 OR (created = $2 AND id > $3)) ORDER BY created, id LIMIT $4"
        ));
        let (created, id) =
            after.map_or((i64::MIN, String::new()), |(created, id)| (created, id.to_string()));
        let query = query.bind(&*self.account).bind(created).bind(id).bind(i64::from(count));
        self.pool.fetch_all(Purpose::Read, query).await?.iter().map(key).collect()
    }

    /// Revokes an API key. `false` when it was revoked before.
    ///
    /// # Errors
    /// [`StoreError::NoApiKey`], the database's own.
    pub async fn revoke_api_key(&self, id: ApiKeyId) -> Result<bool, StoreError> {
        self.api_key(id).await?.ok_or_else(|| StoreError::NoApiKey(id.to_string()))?;
        let query = sqlx::query(
            "UPDATE api_keys SET revoked = $1 WHERE account = $2 AND id = $3 AND revoked IS NULL",
        );
        let query = query.bind(wall_millis()).bind(&*self.account).bind(id.as_str());
        Ok(self.change(query, Action::KeyRevoke, id.as_str()).await? == 1)
    }

    /// The API key of any account with this id and secret, if it is valid now.
    pub async fn authenticate_key(&self, id: ApiKeyId, secret: &str) -> Result<Option<ApiKey>, StoreError> {
        let query = sqlx::query(select!("WHERE id = $1")).bind(id.as_str().to_owned());
        let Some(row) = self.pool.fetch_optional(Purpose::Authorization, query).await? else {
            return Ok(None);
        };
        let stored: Vec<u8> = row.try_get(9)?;
        let key = key(&row)?;
        let is_accepted = credential::matches(secret, &stored) && key.is_valid(wall_millis());
        if is_accepted {
            self.record_key_use(&key).await?;
        }
        Ok(is_accepted.then_some(key))
    }

    /// Whether an API key that was accepted still is.
    pub async fn is_key_valid(&self, id: ApiKeyId) -> Result<bool, StoreError> {
        let query = sqlx::query(select!("WHERE id = $1")).bind(id.as_str().to_owned());
        let row = self.pool.fetch_optional(Purpose::Authorization, query).await?;
        Ok(row.as_ref().map(key).transpose()?.is_some_and(|key| key.is_valid(wall_millis())))
    }

    async fn record_key_use(&self, key: &ApiKey) -> Result<(), StoreError> {
        let now = wall_millis();
        if key.used.is_some_and(|used| (0..USED_GRANULARITY_MS).contains(&(now - used))) {
            return Ok(());
        }
        let query = sqlx::query("UPDATE api_keys SET used = $1 WHERE id = $2");
        self.pool.execute(query.bind(now).bind(key.id.as_str())).await.map(|_| ())
    }

    /// Replaces the account's auth token. The new one is returned once and stored nowhere.
    pub async fn rotate_token(&self) -> Result<ApiSecret, StoreError> {
        let secret = ApiSecret::random(SecretKind::AuthToken);
        let query = sqlx::query("UPDATE accounts SET token = $1, token_created = $2 WHERE id = $3");
        let query = query.bind(secret.hash().to_vec()).bind(wall_millis()).bind(&*self.account);
        self.change(query, Action::TokenRotate, &self.account).await?;
        Ok(secret)
    }

    /// When the account's auth token was made, milliseconds since 1970; `None`: it has none.
    pub async fn token_created(&self) -> Result<Option<i64>, StoreError> {
        let query = sqlx::query("SELECT token_created FROM accounts WHERE id = $1").bind(&*self.account);
        let row = self.pool.fetch_optional(Purpose::Read, query).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.flatten())
    }

    /// Whether this is the auth token of the account.
    pub async fn authenticate_token(&self, account: AccountId, token: &str) -> Result<bool, StoreError> {
        let query = sqlx::query("SELECT token FROM accounts WHERE id = $1 AND token IS NOT NULL");
        let row = self.pool.fetch_optional(Purpose::Authorization, query.bind(account.as_str())).await?;
        let stored: Option<Vec<u8>> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(stored.is_some_and(|stored| credential::matches(token, &stored)))
    }
}

/// As for a device, and not of the form of a key's id.
fn check_name(name: Option<&str>) -> Result<(), StoreError> {
    let Some(name) = name else { return Ok(()) };
    let fits = (1..=limits::MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits && !ApiKeyId::resembles(name) { Ok(()) } else { Err(StoreError::InvalidKeyName) }
}

fn key(row: &AnyRow) -> Result<ApiKey, StoreError> {
    let devices: Option<i64> = row.try_get(8)?;
    Ok(ApiKey {
        id: ApiKeyId::parse(row.try_get(0)?).ok_or(StoreError::Damaged("API key"))?,
        account: AccountId::parse(row.try_get(1)?).ok_or(StoreError::Damaged("account id"))?,
        name: row.try_get(2)?,
        role: Role::parse(row.try_get(3)?).ok_or(StoreError::Damaged("role"))?,
        created: row.try_get(4)?,
        expires: row.try_get(5)?,
        revoked: row.try_get(6)?,
        used: row.try_get(7)?,
        devices: devices.map(|count| u32::try_from(count).unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests;
