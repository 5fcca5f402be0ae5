//! Whether the store can be asked.

use super::{Store, StoreError};

impl Store {
    /// Asks the database the least there is to ask.
    pub async fn check(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").fetch_one(&self.pool).await?;
        Ok(())
    }
}
