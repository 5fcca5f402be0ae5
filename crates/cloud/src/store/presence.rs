//! Which devices are connected, as other processes on the data folder see it, and which of them may no longer be.

use sqlx::Row;

use super::{Store, StoreError};
use crate::authority::Fingerprint;
use crate::clock::wall_millis;
use crate::device_id::DeviceId;

/// What no certificate's fingerprint is.
const NO_CERTIFICATE: Fingerprint = [0; 32];

impl Store {
    /// Takes a device's certificate from it: it cannot connect any more, and a running cloud ends its connection within
    /// [`crate::limits::PRESENCE_INTERVAL`]. What is known of it stays. `false` when that had been done before.
    ///
    /// # Errors
    /// [`StoreError::NoDevice`], the database's own.
    pub async fn revoke_device(&self, id: DeviceId) -> Result<bool, StoreError> {
        let device = self.device(id).await?.ok_or_else(|| StoreError::NoDevice(id.to_string()))?;
        let query = sqlx::query(
            "UPDATE devices SET revoked = $1, updated = $1, fingerprint = $2 \
             WHERE account = $3 AND id = $4 AND revoked IS NULL",
        );
        let query = query.bind(wall_millis()).bind(&NO_CERTIFICATE[..]).bind(&*self.account);
        query.bind(id.as_str()).execute(&self.pool).await?;
        Ok(device.revoked.is_none())
    }

    /// Notes that no device is connected. `left`: whether they have left now, rather than at a moment nobody knows.
    pub(crate) async fn nobody_is_connected(&self, left: bool) -> Result<(), StoreError> {
        let query =
            sqlx::query("UPDATE devices SET connected = 0, seen = COALESCE($1, seen) WHERE connected = 1");
        query.bind(left.then(wall_millis)).execute(&self.pool).await?;
        Ok(())
    }

    /// Notes who has come and who has left. Answers those of `came` that may not be here: revoked or not known.
    pub(crate) async fn note_presence(
        &self,
        came: &[DeviceId],
        left: &[DeviceId],
    ) -> Result<Vec<DeviceId>, StoreError> {
        let mut refused = Vec::new();
        if came.is_empty() && left.is_empty() {
            return Ok(refused);
        }
        self.check_tenancy()?;
        let mut transaction = self.pool.begin().await?;
        for id in left {
            let query = sqlx::query("UPDATE devices SET connected = 0, seen = $1 WHERE id = $2");
            query.bind(wall_millis()).bind(id.as_str()).execute(&mut *transaction).await?;
        }
        for id in came {
            let query = sqlx::query("UPDATE devices SET connected = 1 WHERE id = $1 AND revoked IS NULL");
            if query.bind(id.as_str()).execute(&mut *transaction).await?.rows_affected() == 0 {
                refused.push(*id);
            }
        }
        transaction.commit().await?;
        Ok(refused)
    }

    /// How many devices are noted as connected and may be.
    pub(crate) async fn count_present(&self) -> Result<usize, StoreError> {
        let query = sqlx::query("SELECT COUNT(*) FROM devices WHERE connected = 1 AND revoked IS NULL");
        let count: i64 = query.fetch_one(&self.pool).await?.try_get(0)?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The devices that [`Store::count_present`] counts.
    pub(crate) async fn present(&self) -> Result<Vec<DeviceId>, StoreError> {
        let query = sqlx::query("SELECT id FROM devices WHERE connected = 1 AND revoked IS NULL");
        let rows = query.fetch_all(&self.pool).await?;
        let id = |row: &sqlx::any::AnyRow| {
            DeviceId::parse(row.try_get::<&str, _>(0)?).ok_or(StoreError::Damaged("device id"))
        };
        rows.iter().map(id).collect()
    }
}
