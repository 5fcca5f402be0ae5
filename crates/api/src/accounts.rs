//! The caller's account, and its auth token.

use axum::Json;
use axum::extract::{Path, State};
use cloud::Store;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;
use crate::caller::{Caller, Permission};
use crate::dates::date;
use crate::error::{ApiError, ErrorBody};
use crate::links::Links;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Account)]
pub(crate) struct AccountBody {
    /// Its id: `AC` and 32 hexadecimal digits.
    sid: String,
    unique_name: Option<String>,
    date_created: String,
    /// Number of its devices.
    devices: u64,
    /// When its auth token was made; null: it has none.
    date_token_created: Option<String>,
    /// This resource.
    url: String,
}

/// A new auth token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuthToken)]
pub(crate) struct TokenBody {
    account_sid: String,
    /// The password that goes with the account's id. It is in this response only.
    auth_token: String,
}

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(fetch)).routes(routes!(rotate))
}

/// Fetches the caller's account.
#[utoipa::path(
    get, path = "/v1/Accounts/{sid}", tag = "Accounts", operation_id = "fetch_account",
    params(("sid" = String, Path, description = "The account's id or name, or `me`")),
    responses(
        (status = 200, body = AccountBody),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)
    )
)]
async fn fetch(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    Path(sid): Path<String>,
) -> Result<Json<AccountBody>, ApiError> {
    let store = caller.permitted(&api, Permission::Read)?;
    Ok(Json(body(&store, &links, &sid).await?))
}

/// Replaces the account's auth token: the old one is refused from now on.
#[utoipa::path(
    post, path = "/v1/Accounts/{sid}/Token", tag = "Accounts", operation_id = "rotate_token",
    params(("sid" = String, Path, description = "The account's id or name, or `me`")),
    responses(
        (status = 201, body = TokenBody),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)
    )
)]
async fn rotate(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    Path(sid): Path<String>,
) -> Result<(axum::http::StatusCode, Json<TokenBody>), ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    let account_sid = body(&store, &links, &sid).await?.sid;
    let auth_token = store.rotate_token().await?.as_str().to_owned();
    Ok((axum::http::StatusCode::CREATED, Json(TokenBody { account_sid, auth_token })))
}

/// The caller's own account. Any other does not exist for it.
async fn body(store: &Store, links: &Links, sid: &str) -> Result<AccountBody, ApiError> {
    let account = store.account_named(if sid == "me" { store.account() } else { sid }).await?;
    let account = account.filter(|account| account.id.as_str() == store.account());
    let account = account.ok_or_else(ApiError::not_found)?;
    Ok(AccountBody {
        sid: account.id.to_string(),
        unique_name: account.name,
        date_created: date(account.created),
        devices: account.devices,
        date_token_created: store.token_created().await?.map(date),
        url: links.to(&format!("/v1/Accounts/{}", account.id)),
    })
}
