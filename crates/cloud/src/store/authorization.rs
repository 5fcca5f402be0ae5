//! What the store says of devices that are connected: whether they still may be, and whether their log lines are wanted.
//!
//! It only reads, on connections of its own: nothing that is written, or cannot be, keeps a revocation from being noticed (D161).

use std::sync::atomic::Ordering;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::{Logging, Purpose, Store, StoreError};
use crate::authority::Fingerprint;
use crate::device_id::DeviceId;

/// Devices asked about in one statement.
const SLICE: usize = 128;

/// A device's own row, as far as it decides what its connection may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) device: DeviceId,
    pub(crate) is_revoked: bool,
    /// The one certificate it is known by; `None` when what is stored of it is damaged.
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) logging: Logging,
}

/// A value that is another one whenever a device was added, removed, revoked, or changed by people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Changes {
    devices: i64,
    revoked: i64,
    updated: i64,
}

impl Store {
    /// Whether anything has changed: every change makes a device's `updated` larger or their number another one. It is one pass over
    /// the table, so that reading the rows themselves is needed only then.
    pub(crate) async fn changes(&self) -> Result<Changes, StoreError> {
        // The remainder keeps the sum below 2^63 for more devices than there will be.
        let query = sqlx::query(
            "SELECT COUNT(*), COUNT(revoked), CAST(COALESCE(SUM(updated % 1000000007), 0) AS BIGINT) FROM devices",
        );
        let row = self.pool.fetch_one(Purpose::Authorization, query).await?;
        Ok(Changes { devices: row.try_get(0)?, revoked: row.try_get(1)?, updated: row.try_get(2)? })
    }

    /// The rows of these devices; one that is not known has none.
    pub(crate) async fn authorizations(
        &self,
        devices: &[DeviceId],
    ) -> Result<Vec<Authorization>, StoreError> {
        let mut found = Vec::with_capacity(devices.len());
        for slice in devices.chunks(SLICE) {
            let mut query = sqlx::query(AssertSqlSafe(statement(slice.len())));
            for device in slice {
                query = query.bind(device.as_str());
            }
            for row in self.pool.fetch_all(Purpose::Authorization, query).await? {
                found.push(authorization(&row)?);
            }
        }
        Ok(found)
    }

    /// Says whether devices may be connected at all (D162).
    pub(crate) fn set_authorizing(&self, authorizes: bool) {
        self.authorizes.store(authorizes, Ordering::Release);
    }

    pub(super) fn is_authorizing(&self) -> bool {
        self.authorizes.load(Ordering::Acquire)
    }
}

fn statement(devices: usize) -> String {
    let places: Vec<_> = (1..=devices).map(|number| format!("${number}")).collect();
    format!(
        "SELECT id, revoked, fingerprint, logging, logging_expires FROM devices WHERE id IN ({})",
        places.join(", ")
    )
}

fn authorization(row: &AnyRow) -> Result<Authorization, StoreError> {
    let fingerprint: Vec<u8> = row.try_get(2)?;
    Ok(Authorization {
        device: DeviceId::parse(row.try_get::<&str, _>(0)?).ok_or(StoreError::Damaged("device id"))?,
        is_revoked: row.try_get::<Option<i64>, _>(1)?.is_some(),
        // One damaged row is its own device's trouble, not everybody's.
        fingerprint: fingerprint.try_into().ok(),
        logging: Logging::new(row.try_get::<i64, _>(3)? != 0, row.try_get(4)?),
    })
}
