//! The devices an account has.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Logging, NewItem, Purpose, Scope, Store, StoreError};
use crate::authority::Fingerprint;
use crate::clock::wall_millis;
use crate::device_id::DeviceId;
use crate::limits;

/// A device as the store knows it. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// The unique name people gave it.
    pub name: Option<String>,
    /// Fingerprint of the one certificate it is known by.
    pub fingerprint: Fingerprint,
    /// Whether its log lines are wanted now.
    pub logging: bool,
    /// Until when they are; `None`: without end, or they are not.
    pub logging_expires: Option<i64>,
    /// SHA-256 of the application it reported last; `None` when it never connected.
    pub image: Option<[u8; 32]>,
    /// When it connected last or, once it has left, when it left.
    pub seen: Option<i64>,
    /// Whether a cloud that runs has noted it as connected; a cloud that was killed could not take it back.
    pub connected: bool,
    /// When its certificate was taken from it.
    pub revoked: Option<i64>,
    /// When it was made known.
    pub created: i64,
    /// When people changed it last. Each change makes it larger, also when the clock is set back.
    pub updated: i64,
}

/// A query for whole devices, ended by what the caller says.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, fingerprint, logging, logging_expires, image, seen, created, updated, connected, revoked \
             FROM devices ",
            $rest
        )
    };
}

impl Store {
    /// Makes a device known, with the certificate it will show.
    ///
    /// # Errors
    /// [`StoreError::Name`], [`StoreError::NameTaken`], the database's own.
    pub async fn add_device(
        &self,
        id: DeviceId,
        name: Option<&str>,
        fingerprint: Fingerprint,
    ) -> Result<(), StoreError> {
        self.add_device_with(id, name, fingerprint, &[]).await
    }

    /// The same with settings, of the device or its account: all of it or nothing.
    ///
    /// # Errors
    /// As [`Store::add_device`] and [`Store::set_config`].
    pub async fn add_device_with(
        &self,
        id: DeviceId,
        name: Option<&str>,
        fingerprint: Fingerprint,
        items: &[NewItem],
    ) -> Result<(), StoreError> {
        check_name(name)?;
        items.iter().try_for_each(NewItem::check)?;
        let mut transaction = self.pool.begin().await?;
        let query = sqlx::query(
            "INSERT INTO devices (id, account, name, fingerprint, logging, created, updated) \
             VALUES ($1, $2, $3, $4, 1, $5, $5)",
        );
        let query = query.bind(id.as_str()).bind(&*self.account).bind(name);
        let query = query.bind(&fingerprint[..]).bind(wall_millis());
        transaction.execute(query).await.map_err(|error| name_taken(error, name))?;
        for item in items {
            let scope = if item.device_scope { Scope::Device(id) } else { Scope::Account };
            transaction.execute(self.set_item(scope, item)).await?;
        }
        transaction.commit().await
    }

    /// Makes another certificate the one a device is known by.
    pub async fn set_fingerprint(&self, id: DeviceId, fingerprint: Fingerprint) -> Result<(), StoreError> {
        let query = sqlx::query(
            "UPDATE devices SET fingerprint = $1, updated = CASE WHEN updated < $2 THEN $2 ELSE updated + 1 END, \
             revoked = NULL WHERE account = $3 AND id = $4",
        );
        let query = query.bind(&fingerprint[..]).bind(wall_millis()).bind(&*self.account).bind(id.as_str());
        changed_one(self.pool.execute(query).await?, id)
    }

    /// The device with this id.
    pub async fn device(&self, id: DeviceId) -> Result<Option<Device>, StoreError> {
        let query = sqlx::query(select!("WHERE account = $1 AND id = $2"));
        let query = query.bind(&*self.account).bind(id.as_str());
        let row = self.pool.fetch_optional(Purpose::Read, query).await?;
        row.as_ref().map(device).transpose()
    }

    /// The device with this id or this unique name.
    pub async fn device_named(&self, name: &str) -> Result<Option<Device>, StoreError> {
        let query = sqlx::query(select!("WHERE account = $1 AND (id = $2 OR name = $2)"));
        let row = self.pool.fetch_optional(Purpose::Read, query.bind(&*self.account).bind(name)).await?;
        row.as_ref().map(device).transpose()
    }

    /// Every device, the oldest first.
    pub async fn devices(&self) -> Result<Vec<Device>, StoreError> {
        let query = sqlx::query(select!("WHERE account = $1 ORDER BY created, id"));
        let rows = self.pool.fetch_all(Purpose::Read, query.bind(&*self.account)).await?;
        rows.iter().map(device).collect()
    }

    /// Forgets a device with everything that belongs to it. `false` when there was none.
    pub async fn remove_device(&self, id: DeviceId) -> Result<bool, StoreError> {
        if self.device(id).await?.is_none() {
            return Ok(false);
        }
        let mut transaction = self.pool.begin().await?;
        for sql in [
            "DELETE FROM configs WHERE device = $1",
            "DELETE FROM secrets WHERE device = $1",
            "DELETE FROM logs WHERE device = $1",
        ] {
            transaction.execute(sqlx::query(sql).bind(id.as_str())).await?;
        }
        let query = sqlx::query("DELETE FROM devices WHERE account = $1 AND id = $2");
        let removed = transaction.execute(query.bind(&*self.account).bind(id.as_str())).await?;
        transaction.commit().await?;
        Ok(removed == 1)
    }

    /// Sets or clears a device's unique name.
    pub async fn rename_device(&self, id: DeviceId, name: Option<&str>) -> Result<(), StoreError> {
        check_name(name)?;
        let query = sqlx::query("UPDATE devices SET name = $1, updated = $2 WHERE account = $3 AND id = $4");
        let query = query.bind(name).bind(wall_millis()).bind(&*self.account).bind(id.as_str());
        let changed = self.pool.execute(query).await.map_err(|error| name_taken(error, name))?;
        changed_one(changed, id)
    }

    /// Wants a device's log lines until `expires` (milliseconds since 1970; `None`: without end), or no longer.
    pub async fn set_logging(
        &self,
        id: DeviceId,
        wanted: bool,
        expires: Option<i64>,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(
            "UPDATE devices SET logging = $1, logging_expires = $2, \
             updated = CASE WHEN updated < $3 THEN $3 ELSE updated + 1 END WHERE account = $4 AND id = $5",
        );
        let query = query.bind(i64::from(wanted)).bind(expires).bind(wall_millis());
        changed_one(self.pool.execute(query.bind(&*self.account).bind(id.as_str())).await?, id)
    }

    /// Notes that devices have connected now, and which application each runs.
    pub async fn devices_seen(&self, seen: &[(DeviceId, [u8; 32])]) -> Result<(), StoreError> {
        if seen.is_empty() {
            return Ok(());
        }
        self.check_lease()?;
        let mut transaction = self.pool.begin().await?;
        for (id, image) in seen {
            let query = sqlx::query("UPDATE devices SET image = $1, seen = $2 WHERE id = $3");
            let query = query.bind(&image[..]).bind(wall_millis()).bind(id.as_str());
            transaction.execute(query).await?;
        }
        transaction.commit().await
    }
}

fn device(row: &AnyRow) -> Result<Device, StoreError> {
    let fingerprint: Vec<u8> = row.try_get(2)?;
    let image: Option<Vec<u8>> = row.try_get(5)?;
    let logging = Logging::new(row.try_get::<i64, _>(3)? != 0, row.try_get(4)?);
    Ok(Device {
        id: DeviceId::parse(row.try_get::<&str, _>(0)?).ok_or(StoreError::Damaged("device id"))?,
        name: row.try_get(1)?,
        fingerprint: fingerprint.try_into().map_err(|_| StoreError::Damaged("fingerprint"))?,
        logging: logging.is_on(wall_millis()),
        logging_expires: logging.expires().filter(|_| logging.is_on(wall_millis())),
        image: image.map(|image| image.try_into().map_err(|_| StoreError::Damaged("hash"))).transpose()?,
        seen: row.try_get(6)?,
        created: row.try_get(7)?,
        updated: row.try_get(8)?,
        connected: row.try_get::<i64, _>(9)? != 0,
        revoked: row.try_get(10)?,
    })
}

/// A name that looks like an id could stand for another device where either is accepted.
fn check_name(name: Option<&str>) -> Result<(), StoreError> {
    let Some(name) = name else { return Ok(()) };
    let like_an_id = name.len() == DeviceId::LENGTH && name.starts_with("UV");
    let fits = (1..=limits::MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits && !like_an_id { Ok(()) } else { Err(StoreError::Name) }
}

fn name_taken(error: StoreError, name: Option<&str>) -> StoreError {
    match name {
        Some(name) if error.is_unique_violation() => StoreError::NameTaken(name.to_owned()),
        _ => error,
    }
}

fn changed_one(rows: u64, id: DeviceId) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::NoDevice(id.to_string())) }
}
