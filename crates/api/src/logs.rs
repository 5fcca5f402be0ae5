//! Log lines of a device, or of all of the account: what is kept, by pages in both directions, and as a stream that
//! continues with new lines. The original had neither.

mod follow;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use cloud::store::{LogCursor, LogLine};
use cloud::{DeviceId, Store};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;
use crate::caller::{Caller, Permission};
use crate::dates::{parse_date, precise_date};
use crate::devices;
use crate::error::{ApiError, ErrorBody};
use crate::form::Form;
use crate::links::Links;
use crate::page::{Meta, Paging};
use follow::{Follower, Start};

/// The media type of server-sent events.
const EVENT_STREAM: &str = "text/event-stream";
/// With what a client of server-sent events says which it received last.
const LAST_EVENT_ID: &str = "last-event-id";

/// A log line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LogLine)]
pub(crate) struct LineBody {
    /// Its position in the log of the cloud, increasing: a decimal number, for `After` and `Last-Event-ID`.
    cursor: String,
    /// The device.
    device_sid: String,
    /// Random number of the device's boot.
    boot: u32,
    /// Its number since that boot, from 1: missing numbers are lost lines.
    sequence: u32,
    /// The device's clock, microseconds since its boot.
    clock_us: u64,
    /// When the cloud received it, with milliseconds.
    date_received: String,
    /// What the application logged; bytes that are not UTF-8 are shown as U+FFFD.
    text: String,
}

/// A page of log lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct LogList {
    logs: Vec<LineBody>,
    meta: Meta,
}

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(of_account)).routes(routes!(of_device))
}

/// Lists the log lines of all devices of the account, or follows them with `Accept: text/event-stream`.
#[utoipa::path(
    get, path = "/v1/Logs", tag = "Logs", operation_id = "list_logs",
    params(
        ("StartTime" = Option<String>, Query, description = "Begin with lines received then (RFC 3339)"),
        ("Order" = Option<String>, Query, description = "`asc` (default) or, not in a stream, `desc`"),
        ("After" = Option<String>, Query, description = "Begin after the line with this cursor"),
        ("Last" = Option<u32>, Query, description = "Only in a stream: begin with the last lines, this many"),
        ("Last-Event-ID" = Option<String>, Header, description = "Only in a stream: continue after this event"),
        ("PageSize" = Option<u32>, Query, description = "Items on a page, 1 to 1000 (50)"),
        ("Page" = Option<u64>, Query, description = "The client's own count of pages"),
        ("PageToken" = Option<String>, Query, description = "From `next_page_url`")
    ),
    responses(
        (status = 200, content((LogList = "application/json"), (String = "text/event-stream"))),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 429, body = ErrorBody)
    )
)]
async fn of_account(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let store = caller.permitted(&api, Permission::Read)?;
    Log { store, device: None }.answer(&api, caller, &links, &headers).await
}

/// Lists the log lines of a device, or follows them with `Accept: text/event-stream`.
#[utoipa::path(
    get, path = "/v1/Devices/{sid}/Logs", tag = "Logs", operation_id = "list_device_logs",
    params(
        ("sid" = String, Path, description = "Id or unique name of the device"),
        ("StartTime" = Option<String>, Query, description = "Begin with lines received then (RFC 3339)"),
        ("Order" = Option<String>, Query, description = "`asc` (default) or, not in a stream, `desc`"),
        ("After" = Option<String>, Query, description = "Begin after the line with this cursor"),
        ("Last" = Option<u32>, Query, description = "Only in a stream: begin with the last lines, this many"),
        ("Last-Event-ID" = Option<String>, Header, description = "Only in a stream: continue after this event"),
        ("PageSize" = Option<u32>, Query, description = "Items on a page, 1 to 1000 (50)"),
        ("Page" = Option<u64>, Query, description = "The client's own count of pages"),
        ("PageToken" = Option<String>, Query, description = "From `next_page_url`")
    ),
    responses(
        (status = 200, content((LogList = "application/json"), (String = "text/event-stream"))),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 429, body = ErrorBody)
    )
)]
async fn of_device(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    headers: HeaderMap,
    Path(sid): Path<String>,
) -> Result<Response, ApiError> {
    let store = caller.permitted(&api, Permission::Read)?;
    let device = devices::find(&store, &sid).await?.id;
    Log { store, device: Some(device) }.answer(&api, caller, &links, &headers).await
}

/// The log of a device, or of all of the account.
#[derive(Clone)]
struct Log {
    store: Store,
    device: Option<DeviceId>,
}

/// A line and its position.
type Line = (LogCursor, LogLine);

impl Log {
    async fn answer(
        self,
        api: &Api,
        caller: Caller,
        links: &Links,
        headers: &HeaderMap,
    ) -> Result<Response, ApiError> {
        if !accepts_stream(headers) {
            return Ok(Json(self.list(links).await?).into_response());
        }
        let query = Form::parse(links.query().as_bytes());
        let start = self.start(&query, headers).await?;
        let follower = Follower::new(self, caller, start).await?;
        let (outlet, response) = api.streams.open(follower.caller())?;
        tokio::spawn(async move { outlet.run(async |outlet: &_| follower.run(outlet).await).await });
        Ok(response)
    }

    async fn list(&self, links: &Links) -> Result<LogList, ApiError> {
        let paging = Paging::new(links)?;
        let query = Form::parse(links.query().as_bytes());
        let token = paging.after().map(|token| LogCursor::parse(token).ok_or_else(invalid_token));
        let after = token.transpose()?.map_or_else(|| cursor(&query, "After"), |token| Ok(Some(token)))?;
        let time = time(&query)?;
        let mut found = if is_descending(&query)? {
            let (before, until) = (after.unwrap_or(LogCursor::END), time.unwrap_or(i64::MAX));
            self.store.logs_before(self.device, before, until, paging.count()).await?
        } else {
            self.after(after.unwrap_or_default(), time.unwrap_or(i64::MIN), paging.count()).await?
        };
        let meta = paging.finish(links, "logs", &mut found, |(cursor, _)| cursor.to_string());
        Ok(LogList { logs: found.into_iter().map(body).collect(), meta })
    }

    /// Where a stream begins. Clients of server-sent events reconnect with the URL they began with, so the id they add
    /// counts more than what that says.
    async fn start(&self, query: &Form, headers: &HeaderMap) -> Result<Start, ApiError> {
        if is_descending(query)? {
            return Err(ApiError::invalid("a stream cannot have Order=desc"));
        }
        let last_id = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty());
        if let Some(value) = last_id {
            let cursor = value.to_str().ok().and_then(LogCursor::parse);
            let invalid = || ApiError::invalid("the header Last-Event-ID is not an id of this stream");
            return Ok(Start::Again(cursor.ok_or_else(invalid)?));
        }
        let (after, last, time) = (cursor(query, "After")?, query.number::<u32>("Last")?, time(query)?);
        match (after, last, time) {
            (Some(cursor), None, None) => Ok(Start::Again(cursor)),
            (None, Some(count), None) => Ok(Start::At(self.last(count).await?)),
            (None, None, Some(time)) => Ok(Start::At(self.store.log_cursor_at(self.device, time).await?)),
            (None, None, None) => Ok(Start::At(LogCursor::default())),
            _ => Err(ApiError::invalid("a stream takes only one of After, Last and StartTime")),
        }
    }

    /// The position before the last `count` lines.
    async fn last(&self, count: u32) -> Result<LogCursor, ApiError> {
        Ok(match self.device {
            Some(device) => self.store.log_cursor(device, count).await?,
            None => self.store.account_log_cursor(count).await?,
        })
    }

    /// At most `count` lines after `cursor` that were received at `since` or later.
    async fn after(&self, cursor: LogCursor, since: i64, count: u32) -> Result<Vec<Line>, ApiError> {
        Ok(match self.device {
            Some(device) => self.store.logs_after(device, cursor, since, count).await?,
            None => self.store.account_logs_after(cursor, since, count).await?,
        })
    }
}

fn accepts_stream(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = values.flat_map(|value| value.split(',')).filter_map(|range| range.split(';').next());
    types.any(|range| range.trim().eq_ignore_ascii_case(EVENT_STREAM))
}

fn is_descending(query: &Form) -> Result<bool, ApiError> {
    match query.get("Order") {
        None => Ok(false),
        Some(order) if order.eq_ignore_ascii_case("asc") => Ok(false),
        Some(order) if order.eq_ignore_ascii_case("desc") => Ok(true),
        Some(_) => Err(ApiError::invalid("the parameter Order is neither `asc` nor `desc`")),
    }
}

fn time(query: &Form) -> Result<Option<i64>, ApiError> {
    let invalid = || ApiError::invalid("the parameter StartTime is not a date as 2026-12-01T12:00:00Z");
    query.get("StartTime").map(|text| parse_date(text).ok_or_else(invalid)).transpose()
}

fn cursor(query: &Form, name: &str) -> Result<Option<LogCursor>, ApiError> {
    let invalid = || ApiError::invalid(format!("the parameter {name} is not the cursor of a log line"));
    query.get(name).map(|text| LogCursor::parse(text).ok_or_else(invalid)).transpose()
}

fn invalid_token() -> ApiError {
    ApiError::invalid("the parameter PageToken is not one of this list")
}

fn body((cursor, line): Line) -> LineBody {
    let LogLine { device, boot, sequence, clock, received, text } = line;
    LineBody {
        cursor: cursor.to_string(),
        device_sid: device.to_string(),
        boot,
        sequence,
        clock_us: clock,
        date_received: precise_date(received),
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}
