//! Names of accounts and devices, read for the completion of command lines: nothing is created, migrated, locked or
//! written, and another process is not waited for.

use std::path::Path;

use sqlx::{AnyConnection, Row as _};

use super::StoreError;
use super::database::Database;
use crate::data::DataFolder;
use crate::store_url::StoreUrl;

/// Most names of each kind: more cannot be chosen from.
const MAX_NAMES: i64 = 1000;

/// An account or a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Id of the account: of the device, or the id again.
    pub account: String,
}

/// The names in a store, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreNames {
    /// Accounts; the first is the default.
    pub accounts: Vec<Named>,
    /// Devices of all accounts.
    pub devices: Vec<Named>,
}

impl StoreNames {
    /// Reads the names in the store that a data folder remembers, or in `store`.
    ///
    /// # Errors
    /// Those of the folder and the database, whose schema may be an older one. The caller bounds the time.
    pub async fn read(data: &Path, store: Option<&StoreUrl>) -> Result<Self, StoreError> {
        let folder = DataFolder::open_existing(data)?;
        let recorded = folder.store()?;
        let database = Database::of(&folder, store.unwrap_or(&recorded));
        let mut connection = database.connect_to_read().await?;
        let accounts = "SELECT id, name, id FROM accounts ORDER BY created, id LIMIT $1";
        let devices = "SELECT id, name, account FROM devices ORDER BY created, id LIMIT $1";
        let accounts = named(&mut connection, accounts).await?;
        Ok(Self { accounts, devices: named(&mut connection, devices).await? })
    }
}

async fn named(connection: &mut AnyConnection, sql: &'static str) -> Result<Vec<Named>, StoreError> {
    let rows = sqlx::query(sql).bind(MAX_NAMES).fetch_all(connection).await?;
    let named = |row: &sqlx::any::AnyRow| {
        Ok(Named { id: row.try_get(0)?, name: row.try_get(1)?, account: row.try_get(2)? })
    };
    rows.iter().map(named).collect()
}
