//! The devices of an account.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::Action;
use super::{Label, Logging, NewItem, Purpose, Scope, Store, StoreError, items, labels};
use crate::authority::Fingerprint;
use crate::clock::wall_millis;
use crate::id::{AppId, DeviceId};
use crate::limits;

/// A device as it is stored. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its unique name.
    pub name: Option<String>,
    /// Fingerprint of its one valid certificate.
    pub fingerprint: Fingerprint,
    /// Whether logging is on.
    pub logging: bool,
    /// When logging ends; `None`: never, or it is off.
    pub logging_expires: Option<i64>,
    /// SHA-256 of the application it last reported; `None` when it never connected.
    pub image: Option<[u8; 32]>,
    /// When it last connected or, once it has disconnected, when that was.
    pub seen: Option<i64>,
    /// Whether a cloud has recorded it as connected. A killed cloud leaves this set until the next one starts.
    pub connected: bool,
    /// When its certificate was revoked.
    pub revoked: Option<i64>,
    /// When it was added.
    pub created: i64,
    /// When an operator last changed it. Each change increases it, even when the clock is set back, because that is how
    /// a running cloud notices changes (D161).
    pub updated: i64,
    /// The application it is to run.
    pub target: Option<AppId>,
    /// When that was last set.
    pub targeted: Option<i64>,
}

/// What to change of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceUpdate {
    /// A new unique name; `Some(None)`: none.
    pub name: Option<Option<String>>,
    /// The application it is to run, which exists.
    pub target: Option<AppId>,
    /// Whether logging is on, and until when (milliseconds since 1970; `None`: for good).
    pub logging: Option<(bool, Option<i64>)>,
    /// All its labels.
    pub labels: Option<Vec<Label>>,
}

/// A query for whole devices with the given clauses.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, fingerprint, logging, logging_expires, image, seen, created, updated, connected, revoked, \
             target, targeted \
             FROM devices ",
            $rest
        )
    };
}

impl Store {
    /// Adds a device and the certificate it will present.
    ///
    /// # Errors
    /// [`StoreError::InvalidName`], [`StoreError::NameTaken`], the database's own.
    pub async fn add_device(
        &self,
        id: DeviceId,
        name: Option<&str>,
        fingerprint: Fingerprint,
    ) -> Result<(), StoreError> {
        self.add_device_with(id, name, fingerprint, &[]).await
    }

    /// Adds a device together with items of it or its account, atomically.
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
            transaction.execute(self.upsert_query(scope, item)).await?;
            let (action, object) = items::audited(scope, item.secret, &item.key, true);
            self.record(&mut transaction, action, &object).await?;
        }
        self.record(&mut transaction, Action::DeviceCreate, id.as_str()).await?;
        transaction.commit().await
    }

    /// Replaces the certificate of a device.
    pub async fn set_fingerprint(&self, id: DeviceId, fingerprint: Fingerprint) -> Result<(), StoreError> {
        let query = sqlx::query(
            "UPDATE devices SET fingerprint = $1, updated = CASE WHEN updated < $2 THEN $2 ELSE updated + 1 END, \
             revoked = NULL WHERE account = $3 AND id = $4",
        );
        let query = query.bind(&fingerprint[..]).bind(wall_millis()).bind(&*self.account).bind(id.as_str());
        expect_one_row(self.change(query, Action::DeviceRenew, id.as_str()).await?, id)
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

    /// At most `count` devices in the order of their creation, after the one created at `after.0` with id `after.1`.
    pub async fn devices_after(
        &self,
        after: Option<(i64, DeviceId)>,
        count: u32,
    ) -> Result<Vec<Device>, StoreError> {
        let query = sqlx::query(select!(
            "WHERE account = $1 AND (created > $2 OR (created = $2 AND id > $3)) ORDER BY created, id LIMIT $4"
        ));
        let (created, id) =
            after.map_or((i64::MIN, String::new()), |(created, id)| (created, id.to_string()));
        let query = query.bind(&*self.account).bind(created).bind(id).bind(i64::from(count));
        self.pool.fetch_all(Purpose::Read, query).await?.iter().map(device).collect()
    }

    /// Removes a device with everything that belongs to it. `false` when it did not exist.
    pub async fn remove_device(&self, id: DeviceId) -> Result<bool, StoreError> {
        if self.device(id).await?.is_none() {
            return Ok(false);
        }
        let mut transaction = self.pool.begin().await?;
        for sql in [
            "DELETE FROM configs WHERE device = $1",
            "DELETE FROM secrets WHERE device = $1",
            "DELETE FROM logs WHERE device = $1",
            "DELETE FROM labels WHERE device = $1",
        ] {
            transaction.execute(sqlx::query(sql).bind(id.as_str())).await?;
        }
        let query = sqlx::query("DELETE FROM devices WHERE account = $1 AND id = $2");
        let removed = transaction.execute(query.bind(&*self.account).bind(id.as_str())).await?;
        self.record(&mut transaction, Action::DeviceDelete, id.as_str()).await?;
        transaction.commit().await?;
        Ok(removed == 1)
    }

    /// Sets or clears a device's unique name.
    pub async fn rename_device(&self, id: DeviceId, name: Option<&str>) -> Result<(), StoreError> {
        check_name(name)?;
        let query = sqlx::query("UPDATE devices SET name = $1, updated = $2 WHERE account = $3 AND id = $4");
        let query = query.bind(name).bind(wall_millis()).bind(&*self.account).bind(id.as_str());
        let changed = self.change(query, Action::DeviceRename, id.as_str()).await;
        let changed = changed.map_err(|error| name_taken(error, name))?;
        expect_one_row(changed, id)
    }

    /// Changes a device: everything that is given, or nothing.
    ///
    /// # Errors
    /// As [`Store::rename_device`]; [`StoreError::InvalidLabel`], [`StoreError::NoApp`].
    pub async fn update_device(&self, id: DeviceId, update: &DeviceUpdate) -> Result<(), StoreError> {
        let DeviceUpdate { name, target, logging, labels } = update;
        check_name(name.as_ref().and_then(|name| name.as_deref()))?;
        labels.as_deref().map(labels::check).transpose()?;
        let mut transaction = self.pool.begin().await?;
        if let Some(name) = name {
            let query = sqlx::query("UPDATE devices SET name = $1 WHERE account = $2 AND id = $3");
            let query = query.bind(name.as_deref()).bind(&*self.account).bind(id.as_str());
            let renamed = transaction.execute(query).await;
            renamed.map_err(|error| name_taken(error, name.as_deref()))?;
            self.record(&mut transaction, Action::DeviceRename, id.as_str()).await?;
        }
        if let Some(app) = target {
            self.target_in(&mut transaction, id, *app).await?;
        }
        if let Some((is_on, expires)) = logging {
            let query = sqlx::query(
                "UPDATE devices SET logging = $1, logging_expires = $2 WHERE account = $3 AND id = $4",
            );
            let query = query.bind(i64::from(*is_on)).bind(*expires).bind(&*self.account).bind(id.as_str());
            transaction.execute(query).await?;
            self.record(&mut transaction, Action::DeviceLogging, id.as_str()).await?;
        }
        if let Some(labels) = labels {
            self.set_labels_in(&mut transaction, id, labels).await?;
        }
        let query = sqlx::query(
            "UPDATE devices SET updated = CASE WHEN updated < $1 THEN $1 ELSE updated + 1 END \
             WHERE account = $2 AND id = $3",
        );
        let query = query.bind(wall_millis()).bind(&*self.account).bind(id.as_str());
        expect_one_row(transaction.execute(query).await?, id)?;
        transaction.commit().await
    }

    /// Turns logging of a device on until `expires` (milliseconds since 1970; `None`: for good), or off.
    pub async fn set_logging(
        &self,
        id: DeviceId,
        enabled: bool,
        expires: Option<i64>,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(
            "UPDATE devices SET logging = $1, logging_expires = $2, \
             updated = CASE WHEN updated < $3 THEN $3 ELSE updated + 1 END WHERE account = $4 AND id = $5",
        );
        let query = query.bind(i64::from(enabled)).bind(expires).bind(wall_millis());
        let query = query.bind(&*self.account).bind(id.as_str());
        expect_one_row(self.change(query, Action::DeviceLogging, id.as_str()).await?, id)
    }

    /// Records that devices have connected now, and which application each runs.
    pub async fn record_seen(&self, seen: &[(DeviceId, [u8; 32])]) -> Result<(), StoreError> {
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
        target: row
            .try_get::<Option<&str>, _>(11)?
            .map(|id| AppId::parse(id).ok_or(StoreError::Damaged("application id")))
            .transpose()?,
        targeted: row.try_get(12)?,
    })
}

/// Refuses a name that looks like an id: where both are accepted it could denote another device.
pub(super) fn check_name(name: Option<&str>) -> Result<(), StoreError> {
    let Some(name) = name else { return Ok(()) };
    let looks_like_id = DeviceId::resembles(name);
    let fits = (1..=limits::MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits && !looks_like_id { Ok(()) } else { Err(StoreError::InvalidName) }
}

fn name_taken(error: StoreError, name: Option<&str>) -> StoreError {
    match name {
        Some(name) if error.is_unique_violation() => StoreError::NameTaken(name.to_owned()),
        _ => error,
    }
}

fn expect_one_row(rows: u64, id: DeviceId) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::NoDevice(id.to_string())) }
}
