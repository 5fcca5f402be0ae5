//! Authorisations of connected devices: whether each may stay connected, and whether logging is on.
//!
//! These are reads on connections of their own, so that neither a slow nor a failed write delays a revocation (D161).

use std::sync::atomic::Ordering;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::{Logging, Purpose, Store, StoreError};
use crate::authority::Fingerprint;
use crate::id::DeviceId;

/// Devices queried in one statement.
const CHUNK: usize = 128;

/// The columns of a device's row that decide about its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) device: DeviceId,
    pub(crate) is_revoked: bool,
    /// Its one valid certificate; `None` when the stored fingerprint is damaged.
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) logging: Logging,
}

/// A fingerprint of the table of devices: it differs whenever a device was added, removed, revoked or changed by an
/// operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Changes {
    devices: i64,
    revoked: i64,
    updated: i64,
}

impl Store {
    /// The current state of the table. Every change increases a device's `updated` or changes their number. It takes
    /// one pass over the table and saves reading the rows while nothing has changed.
    pub(crate) async fn changes(&self) -> Result<Changes, StoreError> {
        // The remainder keeps the sum below 2^63 for more devices than there will be.
        let query = sqlx::query(
            "SELECT COUNT(*), COUNT(revoked), CAST(COALESCE(SUM(updated % 1000000007), 0) AS BIGINT) FROM devices",
        );
        let row = self.pool.fetch_one(Purpose::Authorization, query).await?;
        Ok(Changes { devices: row.try_get(0)?, revoked: row.try_get(1)?, updated: row.try_get(2)? })
    }

    /// The rows of these devices; an unknown device has none.
    pub(crate) async fn authorizations(
        &self,
        devices: &[DeviceId],
    ) -> Result<Vec<Authorization>, StoreError> {
        let mut found = Vec::with_capacity(devices.len());
        for chunk in devices.chunks(CHUNK) {
            let mut query = sqlx::query(AssertSqlSafe(select_statement(chunk.len())));
            for device in chunk {
                query = query.bind(device.as_str());
            }
            for row in self.pool.fetch_all(Purpose::Authorization, query).await? {
                found.push(authorization(&row)?);
            }
        }
        Ok(found)
    }

    /// Sets whether any device may be connected: not after authorisations could not be read for too long (D162).
    pub(crate) fn set_authorizing(&self, is_authorizing: bool) {
        self.is_authorizing.store(is_authorizing, Ordering::Release);
    }

    pub(super) fn is_authorizing(&self) -> bool {
        self.is_authorizing.load(Ordering::Acquire)
    }
}

fn select_statement(devices: usize) -> String {
    let parameters: Vec<_> = (1..=devices).map(|number| format!("${number}")).collect();
    format!(
        "SELECT id, revoked, fingerprint, logging, logging_expires FROM devices WHERE id IN ({})",
        parameters.join(", ")
    )
}

fn authorization(row: &AnyRow) -> Result<Authorization, StoreError> {
    let fingerprint: Vec<u8> = row.try_get(2)?;
    Ok(Authorization {
        device: DeviceId::parse(row.try_get::<&str, _>(0)?).ok_or(StoreError::Damaged("device id"))?,
        is_revoked: row.try_get::<Option<i64>, _>(1)?.is_some(),
        // A damaged row affects its own device only.
        fingerprint: fingerprint.try_into().ok(),
        logging: Logging::new(row.try_get::<i64, _>(3)? != 0, row.try_get(4)?),
    })
}
