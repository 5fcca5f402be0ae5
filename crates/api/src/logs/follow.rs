//! Following a log. The store is read again and again from the last position, without messages about new lines: what a
//! reader receives is stored, the kept lines and the new ones are one sequence, and each position resumes it (D378).

use std::collections::HashMap;

use axum::response::sse::Event;
use cloud::DeviceId;
use cloud::clock::wall_millis;
use cloud::log_gaps::GapDetector;
use cloud::store::{LogCursor, LogLine};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use utoipa::ToSchema;

use super::{Log, body};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::limits::{STREAM_CHECK, STREAM_PAGE, STREAM_POLL};
use crate::streams::{EndReason, Outlet, json_event};

/// Where a stream begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    /// At a position the client did not get from a line.
    At(LogCursor),
    /// After a line the client has: it is to learn what it misses between that and the next.
    Again(LogCursor),
}

/// The data of the event `gap`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[schema(as = LogGap)]
pub(super) enum GapBody {
    /// Lines with these numbers never arrived at the cloud.
    Lost { device_sid: String, boot: u32, first: u32, last: u32 },
    /// The line after which the stream was to continue is no longer kept, so that later ones may be gone too.
    Removed {},
}

/// The data of the event `caughtup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LogCaughtUp)]
pub(super) struct CaughtUpBody {
    cursor: String,
}

/// Follows a log for one reader.
pub(super) struct Follower {
    log: Log,
    caller: Caller,
    /// When the account's auth token was made, if the caller has no key.
    token_created: Option<i64>,
    start: Start,
}

impl Follower {
    pub(super) async fn new(log: Log, caller: Caller, start: Start) -> Result<Self, ApiError> {
        let token_created = match caller.key {
            Some(_) => None,
            None => log.store.token_created().await?,
        };
        Ok(Self { log, caller, token_created, start })
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Hands events over until there is a reason to end.
    pub(super) async fn run(&self, outlet: &Outlet) -> EndReason {
        tokio::select! {
            reason = self.refusal() => reason,
            Err(reason) = self.deliver(outlet) => reason,
        }
    }

    /// Waits until the credentials or the device are no more.
    async fn refusal(&self) -> EndReason {
        loop {
            match self.check().await {
                Ok(None) => sleep(STREAM_CHECK).await,
                Ok(Some(reason)) => return reason,
                Err(error) => return unavailable(&error),
            }
        }
    }

    async fn check(&self) -> Result<Option<EndReason>, ApiError> {
        let store = &self.log.store;
        match self.caller.key {
            Some(key) if !store.is_key_valid(key).await? => {
                let key = store.api_key(key).await?;
                let is_expired = key.is_some_and(|key| key.revoked.is_none() && !key.is_valid(wall_millis()));
                return Ok(Some(if is_expired { EndReason::Expired } else { EndReason::Revoked }));
            }
            None if store.token_created().await? != self.token_created => {
                return Ok(Some(EndReason::Revoked));
            }
            _ => {}
        }
        match self.log.device {
            Some(device) if store.device(device).await?.is_none() => Ok(Some(EndReason::DeviceDeleted)),
            _ => Ok(None),
        }
    }

    /// Hands lines over, a page at a time; each is read once there is room for the one before.
    async fn deliver(&self, outlet: &Outlet) -> Result<std::convert::Infallible, EndReason> {
        let (mut cursor, resumed) = match self.start {
            Start::At(cursor) => (cursor, None),
            Start::Again(cursor) => (cursor, Some(cursor)),
        };
        let mut gaps = Gaps { log: &self.log, resumed, devices: HashMap::new() };
        if gaps.is_removed().await.map_err(|error| unavailable(&error))? {
            outlet.send(json_event("gap", &GapBody::Removed {})).await?;
        }
        let mut is_caught_up = false;
        loop {
            let page = self.log.after(cursor, i64::MIN, STREAM_PAGE).await;
            let page = page.map_err(|error| unavailable(&error))?;
            let is_last = page.len() < STREAM_PAGE as usize;
            for line in page {
                if let Some(gap) = gaps.before(&line.1).await.map_err(|error| unavailable(&error))? {
                    outlet.send(json_event("gap", &gap)).await?;
                }
                cursor = line.0;
                outlet.send(identified(cursor, json_event("line", &body(line)))).await?;
            }
            if is_last {
                if !is_caught_up {
                    is_caught_up = true;
                    let caught_up = CaughtUpBody { cursor: cursor.to_string() };
                    outlet.send(identified(cursor, json_event("caughtup", &caught_up))).await?;
                }
                sleep(STREAM_POLL).await;
            }
        }
    }
}

/// Only lines and `caughtup` have ids: a client that has only the gap before a line receives it again.
fn identified(cursor: LogCursor, event: Event) -> Event {
    event.id(cursor.to_string())
}

/// The reader learns that the store cannot be read; why is in the log already.
fn unavailable(error: &ApiError) -> EndReason {
    tracing::warn!(name: "api_store_failed", status = %error.status(), "a stream of log lines ends: the store cannot be read");
    EndReason::Unavailable
}

/// Finds what is missing between the lines of each device.
struct Gaps<'a> {
    log: &'a Log,
    /// The position after which the stream continues.
    resumed: Option<LogCursor>,
    devices: HashMap<DeviceId, GapDetector>,
}

impl Gaps<'_> {
    /// Whether the line after which the stream continues is gone. It may be of another device of the account, if the
    /// client has its position from the log of all.
    async fn is_removed(&self) -> Result<bool, ApiError> {
        let Some(cursor) = self.resumed.filter(|cursor| *cursor != LogCursor::default()) else {
            return Ok(false);
        };
        let found = self.log.store.logs_before(None, cursor.next(), i64::MAX, 1).await?;
        Ok(found.first().is_none_or(|(found, _)| *found != cursor))
    }

    /// What is missing before a line. A stream that continues compares a device's first line with the last one before.
    async fn before(&mut self, line: &LogLine) -> Result<Option<GapBody>, ApiError> {
        let device = line.device;
        if let (Some(cursor), false) = (self.resumed, self.devices.contains_key(&device)) {
            let previous = self.log.store.logs_before(Some(device), cursor.next(), i64::MAX, 1).await?;
            if let Some((_, previous)) = previous.first() {
                self.devices.entry(device).or_default().next(previous.boot, previous.sequence);
            }
        }
        let gap = self.devices.entry(device).or_default().next(line.boot, line.sequence);
        Ok(gap.lost.map(|lost| GapBody::Lost {
            device_sid: device.to_string(),
            boot: line.boot,
            first: *lost.start(),
            last: *lost.end(),
        }))
    }
}
