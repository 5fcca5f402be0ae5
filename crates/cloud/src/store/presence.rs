//! Which devices are connected, as recorded for other processes; and revoking a device's certificate.

use super::audit::Action;
use super::{Store, StoreError};
use crate::authority::Fingerprint;
use crate::clock::wall_millis;
use crate::id::DeviceId;

/// A value that is no certificate's fingerprint.
const NO_CERTIFICATE: Fingerprint = [0; 32];

impl Store {
    /// Revokes a device's certificate: the device can no longer connect, and a running cloud closes its connection
    /// within [`crate::limits::REVOCATION_INTERVAL`]. The device's data is kept. `false` when it was revoked before.
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
        self.change(query.bind(id.as_str()), Action::DeviceRevoke, id.as_str()).await?;
        Ok(device.revoked.is_none())
    }

    /// Records that no device is connected. `now`: whether they disconnected now, rather than at an unknown time
    /// before.
    pub(crate) async fn clear_presence(&self, now: bool) -> Result<(), StoreError> {
        self.check_lease()?;
        let query =
            sqlx::query("UPDATE devices SET connected = 0, seen = COALESCE($1, seen) WHERE connected = 1");
        self.pool.execute(query.bind(now.then(wall_millis))).await.map(|_| ())
    }

    /// Records which devices have connected and disconnected. This is information for operators only: what a device may
    /// do depends on its row, which [`Store::authorizations`] reads.
    pub(crate) async fn record_presence(
        &self,
        connected: &[DeviceId],
        disconnected: &[DeviceId],
    ) -> Result<(), StoreError> {
        if connected.is_empty() && disconnected.is_empty() {
            return Ok(());
        }
        self.check_lease()?;
        let mut transaction = self.pool.begin().await?;
        for id in disconnected {
            let query = sqlx::query("UPDATE devices SET connected = 0, seen = $1 WHERE id = $2");
            transaction.execute(query.bind(wall_millis()).bind(id.as_str())).await?;
        }
        for id in connected {
            let query = sqlx::query("UPDATE devices SET connected = 1 WHERE id = $1");
            transaction.execute(query.bind(id.as_str())).await?;
        }
        transaction.commit().await
    }
}
