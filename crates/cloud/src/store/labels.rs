//! Labels of devices: `name=value` pairs by which devices are selected.

use sqlx::Row;

use super::audit::Action;
use super::pool::Transaction;
use super::{Purpose, Store, StoreError};
use crate::id::DeviceId;
use crate::limits;

/// A label of a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// Its name: 1 to 63 letters, digits, `-`, `_`, `.` and `/`.
    pub name: String,
    /// Its value: at most 63 characters of the same kind.
    pub value: String,
}

impl Label {
    /// Checks a label.
    ///
    /// # Errors
    /// [`StoreError::InvalidLabel`].
    pub fn new(name: &str, value: &str) -> Result<Self, StoreError> {
        let is_valid = |text: &str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
            text.len() <= limits::MAX_LABEL && text.bytes().all(is_allowed)
        };
        if name.is_empty() || !is_valid(name) || !is_valid(value) {
            return Err(StoreError::InvalidLabel);
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

impl Store {
    /// The labels of a device, sorted by name.
    pub async fn labels(&self, device: DeviceId) -> Result<Vec<Label>, StoreError> {
        let query = sqlx::query(
            "SELECT name, value FROM labels WHERE device = $1 AND EXISTS \
             (SELECT 1 FROM devices WHERE id = $1 AND account = $2) ORDER BY name",
        );
        let rows =
            self.pool.fetch_all(Purpose::Read, query.bind(device.as_str()).bind(&*self.account)).await?;
        rows.iter().map(|row| Ok(Label { name: row.try_get(0)?, value: row.try_get(1)? })).collect()
    }

    /// Replaces all labels of a device as part of a transaction; they were checked.
    pub(super) async fn set_labels_in(
        &self,
        transaction: &mut Transaction<'_>,
        device: DeviceId,
        labels: &[Label],
    ) -> Result<(), StoreError> {
        // Only of a device of this account: the caller's transaction fails otherwise, and this with it.
        transaction
            .execute(sqlx::query("DELETE FROM labels WHERE device = $1").bind(device.as_str()))
            .await?;
        for label in labels {
            let query = sqlx::query("INSERT INTO labels (device, name, value) VALUES ($1, $2, $3)");
            transaction.execute(query.bind(device.as_str()).bind(&*label.name).bind(&*label.value)).await?;
        }
        self.record(transaction, Action::DeviceLabel, device.as_str()).await
    }
}

/// Checks the labels of a device together.
///
/// # Errors
/// [`StoreError::InvalidLabel`]: there are too many, or two have one name.
pub(super) fn check(labels: &[Label]) -> Result<(), StoreError> {
    let mut names: Vec<_> = labels.iter().map(|label| &label.name).collect();
    names.sort_unstable();
    names.dedup();
    let fits = labels.len() <= limits::MAX_LABELS && names.len() == labels.len();
    if fits { Ok(()) } else { Err(StoreError::InvalidLabel) }
}
