//! The record of changes of the account: who changed what, when and from where; never a value.

use axum::Json;
use axum::extract::State;
use cloud::store::AuditRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;
use crate::caller::{Caller, Permission};
use crate::dates::date;
use crate::error::{ApiError, ErrorBody};
use crate::links::Links;
use crate::page::{Meta, Paging};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditRecord)]
pub(crate) struct RecordBody {
    /// Its number, increasing.
    number: i64,
    date: String,
    /// Id of an API key or account, `command:` and a user of the cloud's machine, or `cloud`.
    actor: String,
    /// The client's address, or `local`.
    source: String,
    /// What was done, as `device.revoke`.
    action: String,
    /// To what: an id, a key, or a device's id with a key.
    object: String,
}

/// A page of changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct AuditList {
    records: Vec<RecordBody>,
    meta: Meta,
}

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Lists the changes of the account, the newest first. They are kept for 400 days.
#[utoipa::path(
    get, path = "/v1/Audit", tag = "Audit", operation_id = "list_audit",
    params(
        ("PageSize" = Option<u32>, Query, description = "Items on a page, 1 to 1000 (50)"),
        ("Page" = Option<u64>, Query, description = "The client's own count of pages"),
        ("PageToken" = Option<String>, Query, description = "From `next_page_url`")
    ),
    responses(
        (status = 200, body = AuditList),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)
    )
)]
async fn list(State(api): State<Api>, caller: Caller, links: Links) -> Result<Json<AuditList>, ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    let paging = Paging::new(&links)?;
    let invalid = || ApiError::invalid("the parameter PageToken is not one of this list");
    let before = paging.after().map(|text| text.parse().map_err(|_| invalid())).transpose()?;
    let mut found = store.audit(before, paging.count()).await?;
    let meta = paging.finish(&links, "records", &mut found, |record| record.number.to_string());
    Ok(Json(AuditList { records: found.into_iter().map(body).collect(), meta }))
}

fn body(record: AuditRecord) -> RecordBody {
    let AuditRecord { number, at, actor, source, action, object } = record;
    RecordBody { number, date: date(at), actor, source, action, object }
}
