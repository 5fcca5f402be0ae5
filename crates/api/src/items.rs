//! Configuration items and secrets, of a device or of the account. A secret's value is never returned.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use cloud::Store;
use cloud::store::{ConfigItem, Scope, SecretInfo};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;
use crate::caller::{Caller, Permission};
use crate::dates::date;
use crate::devices;
use crate::error::{ApiError, ErrorBody};
use crate::form::Form;
use crate::links::Links;
use crate::openapi;
use crate::page::{Meta, Paging};

/// A configuration item.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Config)]
pub(crate) struct ConfigBody {
    /// Its device; absent for an item of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_sid: Option<String>,
    key: String,
    value: String,
    /// When it was last set.
    date_updated: String,
    /// This resource.
    url: String,
}

/// A secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Secret)]
pub(crate) struct SecretBody {
    /// Its device; absent for a secret of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_sid: Option<String>,
    key: String,
    /// When it was last set.
    date_rotated: String,
    /// This resource.
    url: String,
}

/// A page of configuration items.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ConfigList {
    configs: Vec<ConfigBody>,
    meta: Meta,
}

/// A page of secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct SecretList {
    secrets: Vec<SecretBody>,
    meta: Meta,
}

/// Parameters of a new item.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[expect(dead_code, reason = "describes the form, which is read by `Form`")]
pub(crate) struct NewItemForm {
    /// 1 to 100 printable ASCII characters.
    key: String,
    /// At most 4096 bytes.
    value: String,
}

/// Parameters of an item that exists.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[expect(dead_code, reason = "describes the form, which is read by `Form`")]
pub(crate) struct ItemForm {
    /// At most 4096 bytes.
    value: String,
}

/// What a request's path names: a device or the account, and an item or the whole list.
pub(crate) struct ItemPath {
    device: Option<String>,
    key: String,
}

impl FromRequestParts<Api> for ItemPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let parameters = RawPathParams::from_request_parts(parts, api).await;
        let parameters = parameters.map_err(|_| ApiError::not_found())?;
        let find = |wanted: &str| {
            parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned())
        };
        Ok(Self { device: find("sid"), key: find("key").unwrap_or_default() })
    }
}

/// The owner of items, and the URL of its list.
struct Owner {
    scope: Scope,
    url: String,
}

impl Owner {
    async fn find(store: &Store, links: &Links, list: &str, path: &ItemPath) -> Result<Self, ApiError> {
        let Some(id_or_name) = &path.device else {
            return Ok(Self { scope: Scope::Account, url: links.to(&format!("/v1/{list}")) });
        };
        let device = devices::find(store, id_or_name).await?;
        let url = links.to(&format!("/v1/Devices/{}/{list}", device.id));
        Ok(Self { scope: Scope::Device(device.id), url })
    }

    async fn of_configs(store: &Store, links: &Links, path: &ItemPath) -> Result<Self, ApiError> {
        Self::find(store, links, "Configs", path).await
    }

    async fn of_secrets(store: &Store, links: &Links, path: &ItemPath) -> Result<Self, ApiError> {
        Self::find(store, links, "Secrets", path).await
    }

    fn device_sid(&self) -> Option<String> {
        match self.scope {
            Scope::Account => None,
            Scope::Device(id) => Some(id.to_string()),
        }
    }

    fn config(&self, item: ConfigItem) -> ConfigBody {
        let url = self.item_url(&item.key);
        let (device_sid, date_updated) = (self.device_sid(), date(item.updated));
        ConfigBody { device_sid, key: item.key, value: item.value, date_updated, url }
    }

    fn secret(&self, item: SecretInfo) -> SecretBody {
        let url = self.item_url(&item.key);
        let (device_sid, date_rotated) = (self.device_sid(), date(item.updated));
        SecretBody { device_sid, key: item.key, date_rotated, url }
    }

    fn item_url(&self, key: &str) -> String {
        let mut encoded = String::new();
        for byte in key.bytes() {
            match byte {
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                    encoded.push(char::from(byte));
                }
                _ => write!(encoded, "%{byte:02X}").expect("writing to a string"),
            }
        }
        format!("{}/{encoded}", self.url)
    }
}

/// The routes of configuration items and secrets, at the account's level and at a device's.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    let of_device = openapi::of_device(level());
    OpenApiRouter::new().nest("/v1", level()).nest("/v1/Devices/{sid}", of_device)
}

/// The routes of one level.
fn level() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_configs, create_config))
        .routes(routes!(fetch_config, update_config, delete_config))
        .routes(routes!(list_secrets, create_secret))
        .routes(routes!(fetch_secret, update_secret, delete_secret))
}

/// Lists the configuration items, sorted by key.
#[utoipa::path(
    get, path = "/Configs", tag = "Configs",
    params(
        ("PageSize" = Option<u32>, Query, description = "Items on a page, 1 to 1000 (50)"),
        ("Page" = Option<u64>, Query, description = "The client's own count of pages"),
        ("PageToken" = Option<String>, Query, description = "From `next_page_url`")
    ),
    responses(
        (status = 200, body = ConfigList),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody)
    )
)]
async fn list_configs(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    path: ItemPath,
) -> Result<Json<ConfigList>, ApiError> {
    let store = caller.permitted(&api, Permission::Read)?;
    let owner = Owner::of_configs(&store, &links, &path).await?;
    let paging = Paging::new(&links)?;
    let after = paging.after().unwrap_or_default();
    let mut found = store.configs_after(owner.scope, after, paging.count()).await?;
    let meta = paging.finish(&links, "configs", &mut found, |item| item.key.clone());
    Ok(Json(ConfigList { configs: found.into_iter().map(|item| owner.config(item)).collect(), meta }))
}

/// Creates a configuration item.
#[utoipa::path(
    post, path = "/Configs", tag = "Configs",
    request_body(content = NewItemForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 201, body = ConfigBody),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 415, body = ErrorBody)
    )
)]
async fn create_config(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    path: ItemPath,
    form: Form,
) -> Result<(StatusCode, Json<ConfigBody>), ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    let owner = Owner::of_configs(&store, &links, &path).await?;
    let (key, value) = (form.required("Key")?, form.required("Value")?);
    if !store.create_config(owner.scope, key, value).await? {
        return Err(ApiError::conflict(format!("there is an item with the key `{key}` already")));
    }
    let item = store.config(owner.scope, key).await?.ok_or_else(ApiError::not_found)?;
    Ok((StatusCode::CREATED, Json(owner.config(item))))
}

/// Fetches a configuration item.
#[utoipa::path(
    get, path = "/Configs/{key}", tag = "Configs",
    params(("key" = String, Path, description = "The item's key")),
    responses(
        (status = 200, body = ConfigBody),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)
    )
)]
async fn fetch_config(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    path: ItemPath,
) -> Result<Json<ConfigBody>, ApiError> {
    let store = caller.permitted(&api, Permission::Read)?;
    let owner = Owner::of_configs(&store, &links, &path).await?;
    let item = store.config(owner.scope, &path.key).await?.ok_or_else(ApiError::not_found)?;
    Ok(Json(owner.config(item)))
}

/// Replaces the value of a configuration item.
#[utoipa::path(
    post, path = "/Configs/{key}", tag = "Configs",
    params(("key" = String, Path, description = "The item's key")),
    request_body(content = ItemForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = ConfigBody),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 415, body = ErrorBody)
    )
)]
async fn update_config(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    path: ItemPath,
    form: Form,
) -> Result<Json<ConfigBody>, ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    let owner = Owner::of_configs(&store, &links, &path).await?;
    if !store.replace_config(owner.scope, &path.key, form.required("Value")?).await? {
        return Err(ApiError::not_found());
    }
    let item = store.config(owner.scope, &path.key).await?.ok_or_else(ApiError::not_found)?;
    Ok(Json(owner.config(item)))
}

/// Removes a configuration item.
#[utoipa::path(
    delete, path = "/Configs/{key}", tag = "Configs",
    params(("key" = String, Path, description = "The item's key")),
    responses(
        (status = 204),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)
    )
)]
async fn delete_config(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    path: ItemPath,
) -> Result<StatusCode, ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    let owner = Owner::of_configs(&store, &links, &path).await?;
    let is_removed = store.remove_config(owner.scope, &path.key).await?;
    if is_removed { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}

/// Lists the secrets, without their values, sorted by key.
#[utoipa::path(
    get, path = "/Secrets", tag = "Secrets",
    params(
        ("PageSize" = Option<u32>, Query, description = "Items on a page, 1 to 1000 (50)"),
        ("Page" = Option<u64>, Query, description = "The client's own count of pages"),
        ("PageToken" = Option<String>, Query, description = "From `next_page_url`")
    ),
    responses(
        (status = 200, body = SecretList),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody)
    )
)]
async fn list_secrets(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    path: ItemPath,
) -> Result<Json<SecretList>, ApiError> {
    let store = caller.permitted(&api, Permission::Read)?;
    let owner = Owner::of_secrets(&store, &links, &path).await?;
    let paging = Paging::new(&links)?;
    let after = paging.after().unwrap_or_default();
    let mut found = store.secrets_after(owner.scope, after, paging.count()).await?;
    let meta = paging.finish(&links, "secrets", &mut found, |item| item.key.clone());
    Ok(Json(SecretList { secrets: found.into_iter().map(|item| owner.secret(item)).collect(), meta }))
}

/// Creates a secret.
#[utoipa::path(
    post, path = "/Secrets", tag = "Secrets",
    request_body(content = NewItemForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 201, body = SecretBody),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 415, body = ErrorBody)
    )
)]
async fn create_secret(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    path: ItemPath,
    form: Form,
) -> Result<(StatusCode, Json<SecretBody>), ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    let owner = Owner::of_secrets(&store, &links, &path).await?;
    let (key, value) = (form.required("Key")?, form.required("Value")?);
    if !store.create_secret(owner.scope, key, value).await? {
        return Err(ApiError::conflict(format!("there is an item with the key `{key}` already")));
    }
    let item = store.secret_info(owner.scope, key).await?.ok_or_else(ApiError::not_found)?;
    Ok((StatusCode::CREATED, Json(owner.secret(item))))
}

/// Fetches a secret, without its value.
#[utoipa::path(
    get, path = "/Secrets/{key}", tag = "Secrets",
    params(("key" = String, Path, description = "The item's key")),
    responses(
        (status = 200, body = SecretBody),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)
    )
)]
async fn fetch_secret(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    path: ItemPath,
) -> Result<Json<SecretBody>, ApiError> {
    let store = caller.permitted(&api, Permission::Read)?;
    let owner = Owner::of_secrets(&store, &links, &path).await?;
    let item = store.secret_info(owner.scope, &path.key).await?.ok_or_else(ApiError::not_found)?;
    Ok(Json(owner.secret(item)))
}

/// Replaces the value of a secret.
#[utoipa::path(
    post, path = "/Secrets/{key}", tag = "Secrets",
    params(("key" = String, Path, description = "The item's key")),
    request_body(content = ItemForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = SecretBody),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 415, body = ErrorBody)
    )
)]
async fn update_secret(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    path: ItemPath,
    form: Form,
) -> Result<Json<SecretBody>, ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    let owner = Owner::of_secrets(&store, &links, &path).await?;
    if !store.replace_secret(owner.scope, &path.key, form.required("Value")?).await? {
        return Err(ApiError::not_found());
    }
    let item = store.secret_info(owner.scope, &path.key).await?.ok_or_else(ApiError::not_found)?;
    Ok(Json(owner.secret(item)))
}

/// Removes a secret.
#[utoipa::path(
    delete, path = "/Secrets/{key}", tag = "Secrets",
    params(("key" = String, Path, description = "The item's key")),
    responses(
        (status = 204),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)
    )
)]
async fn delete_secret(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    path: ItemPath,
) -> Result<StatusCode, ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    let owner = Owner::of_secrets(&store, &links, &path).await?;
    let is_removed = store.remove_secret(owner.scope, &path.key).await?;
    if is_removed { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}
