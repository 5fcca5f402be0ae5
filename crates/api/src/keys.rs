//! API keys of the account. A secret is in the response that creates it, and never again.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use cloud::store::{ApiKey, NewApiKey, Role};
use cloud::{ApiKeyId, Store};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;
use crate::caller::{Caller, Permission};
use crate::dates::{date, parse_date};
use crate::error::{ApiError, ErrorBody};
use crate::form::Form;
use crate::links::Links;
use crate::page::{Meta, Paging, dated};

/// An API key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct KeyBody {
    /// Its id, which is the user name: `SK` and 32 hexadecimal digits. It is no secret.
    sid: String,
    account_sid: String,
    friendly_name: Option<String>,
    /// `owner`, `deploy`, `read` or `provision`.
    role: String,
    date_created: String,
    /// When it ends; null: never.
    date_expires: Option<String>,
    /// When it was revoked; null: it is valid.
    date_revoked: Option<String>,
    /// When it was last used, within a minute.
    date_used: Option<String>,
    /// How many devices it may still enrol; null for another role than `provision`.
    devices_left: Option<u32>,
    /// The password, only in the response that creates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// This resource.
    url: String,
}

/// A page of API keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct KeyList {
    keys: Vec<KeyBody>,
    meta: Meta,
}

/// Parameters of a new key, all optional.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[expect(dead_code, reason = "describes the form, which is read by `Form`")]
pub(crate) struct NewKeyForm {
    /// What people call it.
    friendly_name: Option<String>,
    /// `owner`, `deploy`, `read` (the default) or `provision`.
    role: Option<String>,
    /// When it ends, as `2026-12-31T23:59:59Z`.
    date_expires: Option<String>,
    /// How many devices it may enrol; needed with the role `provision`.
    devices: Option<u32>,
}

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(fetch, revoke))
}

/// Lists the account's API keys in the order of their creation, revoked ones too.
#[utoipa::path(
    get, path = "/v1/Keys", tag = "Keys", operation_id = "list_keys",
    params(
        ("PageSize" = Option<u32>, Query, description = "Items on a page, 1 to 1000 (50)"),
        ("Page" = Option<u64>, Query, description = "The client's own count of pages"),
        ("PageToken" = Option<String>, Query, description = "From `next_page_url`")
    ),
    responses(
        (status = 200, body = KeyList),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)
    )
)]
async fn list(State(api): State<Api>, caller: Caller, links: Links) -> Result<Json<KeyList>, ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    let paging = Paging::new(&links)?;
    let after = paging.after_dated(ApiKeyId::parse)?;
    let mut found = store.api_keys(after, paging.count()).await?;
    let meta = paging.finish(&links, "keys", &mut found, |key| dated(key.created, key.id));
    Ok(Json(KeyList { keys: found.into_iter().map(|key| body(&links, key, None)).collect(), meta }))
}

/// Creates an API key. Its secret is in this response only.
#[utoipa::path(
    post, path = "/v1/Keys", tag = "Keys", operation_id = "create_key",
    request_body(content = NewKeyForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 201, body = KeyBody),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 415, body = ErrorBody)
    )
)]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    form: Form,
) -> Result<(StatusCode, Json<KeyBody>), ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    let role = form.get("Role").unwrap_or(Role::Read.as_str());
    let role = Role::parse(role).ok_or_else(|| {
        ApiError::invalid("the parameter Role must be `owner`, `deploy`, `read` or `provision`")
    })?;
    let devices = form.number("Devices")?;
    if (role == Role::Provision) != devices.is_some() {
        let message = "the parameter Devices goes with the role `provision`, and that role needs it";
        return Err(ApiError::invalid(message));
    }
    let name = form.get("FriendlyName").filter(|name| !name.is_empty());
    let new = NewApiKey { name, role, expires: expires(&form)?, devices };
    let (key, secret) = store.add_api_key(&new).await?;
    Ok((StatusCode::CREATED, Json(body(&links, key, Some(secret.as_str().to_owned())))))
}

fn expires(form: &Form) -> Result<Option<i64>, ApiError> {
    let Some(text) = form.get("DateExpires").filter(|text| !text.is_empty()) else { return Ok(None) };
    let invalid = || ApiError::invalid("the parameter DateExpires must be a date as 2026-12-31T23:59:59Z");
    parse_date(text).map(Some).ok_or_else(invalid)
}

/// Fetches an API key, without its secret.
#[utoipa::path(
    get, path = "/v1/Keys/{sid}", tag = "Keys", operation_id = "fetch_key",
    params(("sid" = String, Path, description = "The key's id")),
    responses(
        (status = 200, body = KeyBody),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)
    )
)]
async fn fetch(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    Path(sid): Path<String>,
) -> Result<Json<KeyBody>, ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    Ok(Json(body(&links, find(&store, &sid).await?, None)))
}

/// Revokes an API key: it is refused from now on, and what it still reads ends within a second.
#[utoipa::path(
    delete, path = "/v1/Keys/{sid}", tag = "Keys", operation_id = "revoke_key",
    params(("sid" = String, Path, description = "The key's id")),
    responses(
        (status = 204),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)
    )
)]
async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    Path(sid): Path<String>,
) -> Result<StatusCode, ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    let key = find(&store, &sid).await?;
    store.revoke_api_key(key.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(store: &Store, sid: &str) -> Result<ApiKey, ApiError> {
    let id = ApiKeyId::parse(sid).ok_or_else(ApiError::not_found)?;
    store.api_key(id).await?.ok_or_else(ApiError::not_found)
}

fn body(links: &Links, key: ApiKey, secret: Option<String>) -> KeyBody {
    KeyBody {
        sid: key.id.to_string(),
        account_sid: key.account.to_string(),
        friendly_name: key.name,
        role: key.role.as_str().to_owned(),
        date_created: date(key.created),
        date_expires: key.expires.map(date),
        date_revoked: key.revoked.map(date),
        date_used: key.used.map(date),
        devices_left: key.devices,
        secret,
        url: links.to(&format!("/v1/Keys/{}", key.id)),
    }
}
