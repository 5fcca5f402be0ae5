//! Whose lines are shown.

use ::cloud::store::{Device, LogCursor, LogLine, Store};

use super::PAGE;
use crate::operate::cloud_data::CloudData;
use crate::output::exit::Failure;
use crate::output::timeline::printable;

/// One device, or all of the account.
pub(super) enum Source {
    One(Box<Device>),
    All,
}

impl Source {
    /// The device with this id or name; `None`: all.
    pub(super) async fn find(cloud: &CloudData, device: Option<&str>) -> Result<Self, Failure> {
        let Some(id_or_name) = device else { return Ok(Self::All) };
        Ok(Self::One(Box::new(cloud.find_device(id_or_name).await?)))
    }

    pub(super) fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// The position before the last `count` lines.
    pub(super) async fn cursor(&self, store: &Store, count: u32) -> Result<LogCursor, Failure> {
        Ok(match self {
            Self::One(device) => store.log_cursor(device.id, count).await?,
            Self::All => store.account_log_cursor(count).await?,
        })
    }

    /// The next lines, at most [`PAGE`].
    pub(super) async fn lines_after(
        &self,
        store: &Store,
        cursor: LogCursor,
        since: i64,
    ) -> Result<Vec<(LogCursor, LogLine)>, Failure> {
        Ok(match self {
            Self::One(device) => store.logs_after(device.id, cursor, since, PAGE).await?,
            Self::All => store.account_logs_after(cursor, since, PAGE).await?,
        })
    }

    /// The devices as they are now.
    ///
    /// # Errors
    /// With `follows`: the one device was revoked or removed, so that no more lines will follow.
    pub(super) async fn devices(&self, store: &Store, follows: bool) -> Result<Vec<Device>, Failure> {
        let Self::One(device) = self else { return Ok(store.devices().await?) };
        let title = device.name.as_deref().map_or_else(|| device.id.to_string(), printable);
        match store.device(device.id).await? {
            None => Err(Failure::failed(format!("device {title} was removed: there are no more log lines"))),
            Some(known) if follows && known.revoked.is_some() => {
                Err(Failure::failed(format!("device {title} was revoked: there are no more log lines"))
                    .hint("show the stored lines with --no-follow"))
            }
            Some(known) => Ok(vec![known]),
        }
    }
}
