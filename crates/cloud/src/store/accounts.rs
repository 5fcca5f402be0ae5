//! Accounts: whose a device, its settings and its log are (D121).
//!
//! A [`Store`] is one account's view: of a device, a setting or a log line of another account it says that there is none.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Logging, Purpose, Store, StoreError, within};
use crate::account_id::AccountId;
use crate::authority::Fingerprint;
use crate::clock::wall_millis;
use crate::device_id::DeviceId;
use crate::limits;

/// An account. The time is milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What people call it.
    pub name: Option<String>,
    /// When it was made.
    pub created: i64,
    /// Devices it has.
    pub devices: u64,
}

/// What is to be known of a device that wants to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admission {
    /// Whose it is.
    pub(crate) account: AccountId,
    /// Fingerprint of the one certificate it is known by.
    pub(crate) fingerprint: Fingerprint,
    /// Whether its log lines are wanted.
    pub(crate) logging: Logging,
}

/// A query for accounts with the number of their devices, ended by what the caller says.
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
    /// The store as another account sees it.
    pub fn of_account(&self, account: AccountId) -> Self {
        Self { account: account.as_str().to_owned(), ..self.clone() }
    }

    /// The store as the account of a device sees it, whichever that is.
    ///
    /// # Errors
    /// [`StoreError::NoDevice`], the database's own.
    pub async fn of_device(&self, device: DeviceId) -> Result<Self, StoreError> {
        let admission = self.admission(device).await?;
        let account = admission.ok_or_else(|| StoreError::NoDevice(device.to_string()))?.account;
        Ok(self.of_account(account))
    }

    /// What a device that wants to connect is known by, whichever account it is of.
    ///
    /// # Errors
    /// The database's own; the cloud may authorise nobody now (D162).
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

    /// Makes an account, with nothing in it.
    ///
    /// # Errors
    /// [`StoreError::AccountName`], [`StoreError::AccountNameTaken`], the database's own.
    pub async fn add_account(&self, name: Option<&str>) -> Result<Account, StoreError> {
        check_name(name)?;
        // The oldest is the one that is meant where none is named: no other may come to be as old.
        let after_all = self.accounts().await?.last().map_or(0, |newest| newest.created + 1);
        let (id, created) = (AccountId::random(), wall_millis().max(after_all));
        let query = sqlx::query("INSERT INTO accounts (id, name, created) VALUES ($1, $2, $3)");
        let added = self.pool.execute(query.bind(id.as_str()).bind(name).bind(created)).await;
        added.map_err(|error| name_taken(error, name))?;
        Ok(Account { id, name: name.map(str::to_owned), created, devices: 0 })
    }

    /// Every account, the oldest first: the one that is meant where none is named.
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

    /// Sets or clears an account's name.
    ///
    /// # Errors
    /// As [`Store::add_account`], and [`StoreError::NoAccount`].
    pub async fn rename_account(&self, id: AccountId, name: Option<&str>) -> Result<(), StoreError> {
        check_name(name)?;
        let query = sqlx::query("UPDATE accounts SET name = $1 WHERE id = $2").bind(name).bind(id.as_str());
        let changed = self.pool.execute(query).await.map_err(|error| name_taken(error, name))?;
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
            return Err(StoreError::AccountInUse("it is the one meant where none is named"));
        }
        if found.devices > 0 {
            return Err(StoreError::AccountInUse("it has devices"));
        }
        let mut transaction = self.pool.begin().await?;
        for sql in [
            "DELETE FROM configs WHERE account = $1",
            "DELETE FROM secrets WHERE account = $1",
            "DELETE FROM accounts WHERE id = $1",
        ] {
            transaction.execute(sqlx::query(sql).bind(id.as_str())).await?;
        }
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

/// A name that looks like an id could stand for another account where either is accepted.
fn check_name(name: Option<&str>) -> Result<(), StoreError> {
    let Some(name) = name else { return Ok(()) };
    let like_an_id = name.len() == AccountId::LENGTH && name.starts_with("AC");
    let fits = (1..=limits::MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits && !like_an_id { Ok(()) } else { Err(StoreError::AccountName) }
}

fn name_taken(error: StoreError, name: Option<&str>) -> StoreError {
    match name {
        Some(name) if error.is_unique_violation() => StoreError::AccountNameTaken(name.to_owned()),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
