//! Which devices are connected, as other processes on the data folder see it; and taking a device's certificate from it.

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
            "UPDATE devices SET revoked = $1, fingerprint = $2, \
             updated = CASE WHEN updated < $1 THEN $1 ELSE updated + 1 END \
             WHERE account = $3 AND id = $4 AND revoked IS NULL",
        );
        let query = query.bind(wall_millis()).bind(&NO_CERTIFICATE[..]).bind(&*self.account);
        self.pool.execute(query.bind(id.as_str())).await?;
        Ok(device.revoked.is_none())
    }

    /// Notes that no device is connected. `left`: whether they have left now, rather than at a moment nobody knows.
    pub(crate) async fn clear_presence(&self, left: bool) -> Result<(), StoreError> {
        self.check_lease()?;
        let query =
            sqlx::query("UPDATE devices SET connected = 0, seen = COALESCE($1, seen) WHERE connected = 1");
        self.pool.execute(query.bind(left.then(wall_millis))).await.map(|_| ())
    }

    /// Notes who has connected and who has left. This is for people only: what a device may is in its own row, which
    /// [`Store::authorizations`] reads.
    pub(crate) async fn note_presence(&self, came: &[DeviceId], left: &[DeviceId]) -> Result<(), StoreError> {
        if came.is_empty() && left.is_empty() {
            return Ok(());
        }
        self.check_lease()?;
        let mut transaction = self.pool.begin().await?;
        for id in left {
            let query = sqlx::query("UPDATE devices SET connected = 0, seen = $1 WHERE id = $2");
            transaction.execute(query.bind(wall_millis()).bind(id.as_str())).await?;
        }
        for id in came {
            let query = sqlx::query("UPDATE devices SET connected = 1 WHERE id = $1");
            transaction.execute(query.bind(id.as_str())).await?;
        }
        transaction.commit().await
    }
}
