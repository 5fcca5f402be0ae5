//! Applications: verified bundles that were uploaded, in the order of their upload.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::Action;
use super::devices::check_name;
use super::pool::Transaction;
use super::{Purpose, Store, StoreError};
use crate::clock::wall_millis;
use crate::id::{AppId, DeviceId};
use crate::limits;

/// An application as it is stored. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// Its unique name.
    pub name: Option<String>,
    /// SHA-256 of its manifest.
    pub hash: [u8; 32],
    /// SHA-256 of its image in the internal flash, by which a device reports what runs on it.
    pub image: [u8; 32],
    /// When it was uploaded.
    pub created: i64,
    /// When it was last changed.
    pub updated: i64,
}

/// An application to store: the parts of a bundle that was verified.
#[derive(Clone, Copy)]
pub struct NewApp<'a> {
    /// Its unique name.
    pub name: Option<&'a str>,
    /// The manifest, as it was in the bundle: a signature covers these bytes.
    pub manifest: &'a [u8],
    /// SHA-256 of the manifest.
    pub hash: [u8; 32],
    /// SHA-256 of the image in the internal flash.
    pub image: [u8; 32],
    /// SHA-256 and content of each layer.
    pub layers: &'a [([u8; 32], &'a [u8])],
}

/// A query for applications, without their manifests, with the given clauses.
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT id, name, hash, image, created, updated FROM apps ", $rest)
    };
}

impl Store {
    /// Stores an application. `false`: the account had one with the same manifest, which is returned unchanged.
    ///
    /// # Errors
    /// [`StoreError::InvalidName`], [`StoreError::AppNameTaken`], [`StoreError::AppLimit`], the database's own.
    pub async fn add_app(&self, new: NewApp<'_>) -> Result<(App, bool), StoreError> {
        check_app_name(new.name)?;
        let id = AppId::random();
        let mut transaction = self.pool.begin().await?;
        let query = sqlx::query(
            "INSERT INTO apps (id, account, name, hash, image, manifest, created, updated) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $7 WHERE (SELECT COUNT(*) FROM apps WHERE account = $2) < $8 \
             ON CONFLICT (account, hash) DO NOTHING",
        );
        let query = query.bind(id.as_str()).bind(&*self.account).bind(new.name).bind(&new.hash[..]);
        let query = query.bind(&new.image[..]).bind(new.manifest).bind(wall_millis());
        let added = transaction.execute(query.bind(i64::from(limits::MAX_APPS))).await;
        if added.map_err(|error| name_taken(error, new.name))? == 0 {
            drop(transaction);
            let existing = self.app_with_hash(new.hash).await?;
            return existing.map(|app| (app, false)).ok_or(StoreError::AppLimit);
        }
        for (position, (hash, content)) in (0_i64..).zip(new.layers) {
            let layer = sqlx::query(
                "INSERT INTO layers (hash, content) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING",
            );
            transaction.execute(layer.bind(&hash[..]).bind(*content)).await?;
            let part = sqlx::query("INSERT INTO app_layers (app, position, layer) VALUES ($1, $2, $3)");
            transaction.execute(part.bind(id.as_str()).bind(position).bind(&hash[..])).await?;
        }
        self.record(&mut transaction, Action::AppCreate, id.as_str()).await?;
        transaction.commit().await?;
        let app = self.app(id).await?.ok_or(StoreError::Damaged("application"))?;
        Ok((app, true))
    }

    async fn app_with_hash(&self, hash: [u8; 32]) -> Result<Option<App>, StoreError> {
        let query = sqlx::query(select!("WHERE account = $1 AND hash = $2"));
        let query = query.bind(&*self.account).bind(hash.to_vec());
        self.pool.fetch_optional(Purpose::Read, query).await?.as_ref().map(app).transpose()
    }

    /// The application with this id.
    pub async fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        self.app_named(id.as_str()).await
    }

    /// The application with this id or this unique name.
    pub async fn app_named(&self, id_or_name: &str) -> Result<Option<App>, StoreError> {
        let query = sqlx::query(select!("WHERE account = $1 AND (id = $2 OR name = $2)"));
        let query = query.bind(&*self.account).bind(id_or_name);
        self.pool.fetch_optional(Purpose::Read, query).await?.as_ref().map(app).transpose()
    }

    /// The oldest application of the account with this image.
    pub async fn app_with_image(&self, image: [u8; 32]) -> Result<Option<App>, StoreError> {
        let query = sqlx::query(select!("WHERE account = $1 AND image = $2 ORDER BY created, id LIMIT 1"));
        let query = query.bind(&*self.account).bind(image.to_vec());
        self.pool.fetch_optional(Purpose::Read, query).await?.as_ref().map(app).transpose()
    }

    /// At most `count` applications of the account in the order of their upload, after the one uploaded at `after.0`
    /// with the id `after.1`.
    pub async fn apps(&self, after: Option<(i64, AppId)>, count: u32) -> Result<Vec<App>, StoreError> {
        let query = sqlx::query(select!(
            "WHERE account = $1 AND (created > $2 OR (created = $2 AND id > $3)) ORDER BY created, id LIMIT $4"
        ));
        let (created, id) =
            after.map_or((i64::MIN, String::new()), |(created, id)| (created, id.to_string()));
        let query = query.bind(&*self.account).bind(created).bind(id).bind(i64::from(count));
        self.pool.fetch_all(Purpose::Read, query).await?.iter().map(app).collect()
    }

    /// The manifest of an application, as it was uploaded.
    pub async fn app_manifest(&self, id: AppId) -> Result<Option<Vec<u8>>, StoreError> {
        let query = sqlx::query("SELECT manifest FROM apps WHERE account = $1 AND id = $2");
        let query = query.bind(&*self.account).bind(id.as_str());
        let row = self.pool.fetch_optional(Purpose::Read, query).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Hash and content of each layer of an application, in the order of its bundle.
    pub async fn app_layers(&self, id: AppId) -> Result<Vec<([u8; 32], Vec<u8>)>, StoreError> {
        let query = sqlx::query(
            "SELECT layers.hash, layers.content FROM app_layers JOIN layers ON layers.hash = app_layers.layer \
             JOIN apps ON apps.id = app_layers.app WHERE apps.account = $1 AND apps.id = $2 \
             ORDER BY app_layers.position",
        );
        let rows = self.pool.fetch_all(Purpose::Read, query.bind(&*self.account).bind(id.as_str())).await?;
        rows.iter().map(|row| Ok((digest(row.try_get(0)?)?, row.try_get(1)?))).collect()
    }

    /// Removes an application, and the layers that no other application has. `false` when it did not exist.
    ///
    /// # Errors
    /// [`StoreError::AppInUse`] while it is the target of a device or a device reports that it runs it.
    pub async fn remove_app(&self, id: AppId) -> Result<bool, StoreError> {
        let Some(app) = self.app(id).await? else { return Ok(false) };
        let mut transaction = self.pool.begin().await?;
        // Inside the transaction that removes, so that no device is targeted at it in between.
        let query =
            sqlx::query("SELECT id FROM devices WHERE account = $1 AND (target = $2 OR image = $3) LIMIT 1");
        let query = query.bind(&*self.account).bind(id.as_str()).bind(&app.image[..]);
        if transaction.fetch_optional(query).await?.is_some() {
            return Err(StoreError::AppInUse(id.to_string()));
        }
        let layers = sqlx::query("DELETE FROM app_layers WHERE app = $1").bind(id.as_str());
        transaction.execute(layers).await?;
        let query = sqlx::query("DELETE FROM apps WHERE account = $1 AND id = $2");
        let removed = transaction.execute(query.bind(&*self.account).bind(id.as_str())).await?;
        let unused =
            "DELETE FROM layers WHERE NOT EXISTS (SELECT 1 FROM app_layers WHERE layer = layers.hash)";
        transaction.execute(sqlx::query(unused)).await?;
        self.record(&mut transaction, Action::AppDelete, id.as_str()).await?;
        transaction.commit().await?;
        Ok(removed == 1)
    }

    /// Sets the application a device is to run, as part of a transaction.
    ///
    /// # Errors
    /// [`StoreError::NoApp`]: it was removed in the meantime.
    pub(super) async fn target_in(
        &self,
        transaction: &mut Transaction<'_>,
        device: DeviceId,
        app: AppId,
    ) -> Result<(), StoreError> {
        let query = sqlx::query("SELECT id FROM apps WHERE account = $1 AND id = $2");
        let query = query.bind(&*self.account).bind(app.as_str());
        if transaction.fetch_optional(query).await?.is_none() {
            return Err(StoreError::NoApp(app.to_string()));
        }
        let query =
            sqlx::query("UPDATE devices SET target = $1, targeted = $2 WHERE account = $3 AND id = $4");
        let query = query.bind(app.as_str()).bind(wall_millis()).bind(&*self.account).bind(device.as_str());
        transaction.execute(query).await?;
        self.record(transaction, Action::DeviceTarget, &format!("{device} {app}")).await
    }
}

fn app(row: &AnyRow) -> Result<App, StoreError> {
    Ok(App {
        id: AppId::parse(row.try_get(0)?).ok_or(StoreError::Damaged("application id"))?,
        name: row.try_get(1)?,
        hash: digest(row.try_get(2)?)?,
        image: digest(row.try_get(3)?)?,
        created: row.try_get(4)?,
        updated: row.try_get(5)?,
    })
}

fn digest(bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Damaged("hash"))
}

/// As for a device, and not of the form of an application's id either.
fn check_app_name(name: Option<&str>) -> Result<(), StoreError> {
    check_name(name)?;
    if name.is_some_and(AppId::resembles) { Err(StoreError::InvalidName) } else { Ok(()) }
}

fn name_taken(error: StoreError, name: Option<&str>) -> StoreError {
    match name {
        Some(name) if error.is_unique_violation() => StoreError::AppNameTaken(name.to_owned()),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
