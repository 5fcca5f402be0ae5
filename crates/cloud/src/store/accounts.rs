//! Accounts: the owners of devices, settings and logs.
//!
//! A [`Store`] is the view of one account: devices, settings and log lines of other accounts do not exist in it, so
//! that accounts stay apart even when an id is guessed (D121).

use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::Action;
use super::{Logging, Purpose, Store, StoreError, within};
use crate::authority::Fingerprint;
use crate::clock::wall_millis;
use crate::id::AccountId;
use crate::id::DeviceId;
use crate::limits;

/// An account. The time is milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: Option<String>,
    /// When it was created.
    pub created: i64,
    /// Number of its devices.
    pub devices: u64,
}

/// What admission needs to know of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admission {
    /// Its account.
    pub(crate) account: AccountId,
    /// Fingerprint of its one valid certificate.
    pub(crate) fingerprint: Fingerprint,
    /// Whether logging is on.
    pub(crate) logging: Logging,
}

/// A query for accounts with the number of their devices, with the given clauses.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, created, (SELECT COUNT(*) FROM devices WHERE devices.account = accounts.id) \
             FROM accounts ",
            $rest
        )
    };
}

impl Store {
    /// The view of another account.
    pub fn of_account(&self, account: AccountId) -> Self {
        Self { account: account.as_str().to_owned(), ..self.clone() }
    }

    /// The view of the account that owns a device.
    ///
    /// # Errors
    /// [`StoreError::NoDevice`], the database's own.
    pub async fn of_device(&self, device: DeviceId) -> Result<Self, StoreError> {
        let admission = self.admission(device).await?;
        let account = admission.ok_or_else(|| StoreError::NoDevice(device.to_string()))?.account;
        Ok(self.of_account(account))
    }

    /// The admission data of a device of any account.
    ///
    /// # Errors
    /// The database's own; the cloud has lost its lease and must not authorise devices (D162).
    pub(crate) async fn admission(&self, device: DeviceId) -> Result<Option<Admission>, StoreError> {
        let query =
            sqlx::query("SELECT account, fingerprint, logging, logging_expires FROM devices WHERE id = $1");
        within(async {
            self.wait_for_lease().await?;
            let row = self.pool.fetch_optional(Purpose::Authorization, query.bind(device.as_str())).await?;
            row.as_ref().map(admission).transpose()
        })
        .await
    }

    /// Creates an empty account.
    ///
    /// # Errors
    /// [`StoreError::InvalidAccountName`], [`StoreError::AccountNameTaken`], the database's own.
    pub async fn add_account(&self, name: Option<&str>) -> Result<Account, StoreError> {
        check_name(name)?;
        // The oldest account is the default one, so a new account must be younger even if the clock was set back.
        let after_all = self.accounts().await?.last().map_or(0, |newest| newest.created + 1);
        let (id, created) = (AccountId::random(), wall_millis().max(after_all));
        let query = sqlx::query("INSERT INTO accounts (id, name, created) VALUES ($1, $2, $3)");
        let query = query.bind(id.as_str()).bind(name).bind(created);
        let added = self.of_account(id).change(query, Action::AccountCreate, id.as_str()).await;
        added.map_err(|error| name_taken(error, name))?;
        Ok(Account { id, name: name.map(str::to_owned), created, devices: 0 })
    }

    /// Every account, the oldest first. The oldest is the default where no account is named.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let query = sqlx::query(select!("ORDER BY created, id"));
        self.pool.fetch_all(Purpose::Read, query).await?.iter().map(account).collect()
    }

    /// The account with this id or this name.
    pub async fn account_named(&self, name: &str) -> Result<Option<Account>, StoreError> {
        let query = sqlx::query(select!("WHERE id = $1 OR name = $1"));
        let row = self.pool.fetch_optional(Purpose::Read, query.bind(name)).await?;
        row.as_ref().map(account).transpose()
    }

    /// The accounts that have a device with this id or this name, the oldest account first.
    pub async fn accounts_with_device(&self, id_or_name: &str) -> Result<Vec<Account>, StoreError> {
        let query = sqlx::query(select!(
            "WHERE id IN (SELECT account FROM devices WHERE id = $1 OR name = $1) ORDER BY created, id"
        ));
        let rows = self.pool.fetch_all(Purpose::Read, query.bind(id_or_name)).await?;
        rows.iter().map(account).collect()
    }

    /// Sets or clears an account's name.
    ///
    /// # Errors
    /// As [`Store::add_account`], and [`StoreError::NoAccount`].
    pub async fn rename_account(&self, id: AccountId, name: Option<&str>) -> Result<(), StoreError> {
        check_name(name)?;
        let query = sqlx::query("UPDATE accounts SET name = $1 WHERE id = $2").bind(name).bind(id.as_str());
        let changed = self.of_account(id).change(query, Action::AccountRename, id.as_str()).await;
        let changed = changed.map_err(|error| name_taken(error, name))?;
        if changed == 1 { Ok(()) } else { Err(StoreError::NoAccount(id.to_string())) }
    }

    /// Removes an account with its settings.
    ///
    /// # Errors
    /// [`StoreError::NoAccount`]; [`StoreError::AccountInUse`] while it has devices or is the first.
    pub async fn remove_account(&self, id: AccountId) -> Result<(), StoreError> {
        let accounts = self.accounts().await?;
        let found = accounts.iter().find(|account| account.id == id);
        let found = found.ok_or_else(|| StoreError::NoAccount(id.to_string()))?;
        if accounts[0].id == id {
            return Err(StoreError::AccountInUse("it is the default account"));
        }
        if found.devices > 0 {
            return Err(StoreError::AccountInUse("it has devices"));
        }
        let mut transaction = self.pool.begin().await?;
        for sql in [
            "DELETE FROM configs WHERE account = $1",
            "DELETE FROM secrets WHERE account = $1",
            "DELETE FROM api_keys WHERE account = $1",
            "DELETE FROM app_layers WHERE app IN (SELECT id FROM apps WHERE account = $1)",
            "DELETE FROM apps WHERE account = $1",
            "DELETE FROM accounts WHERE id = $1",
        ] {
            transaction.execute(sqlx::query(sql).bind(id.as_str())).await?;
        }
        let unused =
            "DELETE FROM layers WHERE NOT EXISTS (SELECT 1 FROM app_layers WHERE layer = layers.hash)";
        transaction.execute(sqlx::query(unused)).await?;
        // The oldest account keeps the record: the account's own would disappear from every view with it.
        self.of_account(accounts[0].id).record(&mut transaction, Action::AccountDelete, id.as_str()).await?;
        transaction.commit().await
    }
}

fn account(row: &AnyRow) -> Result<Account, StoreError> {
    Ok(Account {
        id: account_id(row.try_get(0)?)?,
        name: row.try_get(1)?,
        created: row.try_get(2)?,
        devices: row.try_get::<i64, _>(3)?.cast_unsigned(),
    })
}

fn admission(row: &AnyRow) -> Result<Admission, StoreError> {
    let fingerprint: Vec<u8> = row.try_get(1)?;
    Ok(Admission {
        account: account_id(row.try_get(0)?)?,
        fingerprint: fingerprint.try_into().map_err(|_| StoreError::Damaged("fingerprint"))?,
        logging: Logging::new(row.try_get::<i64, _>(2)? != 0, row.try_get(3)?),
    })
}

fn account_id(text: &str) -> Result<AccountId, StoreError> {
    AccountId::parse(text).ok_or(StoreError::Damaged("account id"))
}

/// Refuses a name that looks like an id: where both are accepted it could denote another account.
fn check_name(name: Option<&str>) -> Result<(), StoreError> {
    let Some(name) = name else { return Ok(()) };
    let looks_like_id = AccountId::resembles(name);
    let fits = (1..=limits::MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits && !looks_like_id { Ok(()) } else { Err(StoreError::InvalidAccountName) }
}

fn name_taken(error: StoreError, name: Option<&str>) -> StoreError {
    match name {
        Some(name) if error.is_unique_violation() => StoreError::AccountNameTaken(name.to_owned()),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
