//! Devices: reading, naming, targeting, logging, labels; enrolling, revoking and deleting, which the original lacked.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use cloud::Store;
use cloud::clock::wall_millis;
use cloud::store::{App, Device, DeviceUpdate, Label};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;
use crate::apps::hash_text;
use crate::caller::{Caller, Permission};
use crate::dates::date;
use crate::error::{ApiError, ErrorBody};
use crate::form::Form;
use crate::limits::LOGGING_PERIOD;
use crate::links::Links;
use crate::page::{Meta, Paging, dated};

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Device)]
pub(crate) struct DeviceBody {
    /// Its id: `UV` and 32 hexadecimal digits.
    sid: String,
    /// Its unique name.
    unique_name: Option<String>,
    /// Its account.
    account_sid: String,
    app: TargetBody,
    logging: LoggingBody,
    /// When it was added.
    date_created: String,
    /// When an operator last changed it.
    date_updated: String,
    /// This resource.
    url: String,
    links: DeviceLinks,
    /// Beyond the original: `never`, `connected`, `away` or `revoked`.
    state: String,
    /// Beyond the original: when it was last connected.
    date_seen: Option<String>,
    /// Beyond the original: its labels.
    labels: std::collections::BTreeMap<String, String>,
}

/// What a device is to run and what it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DeviceApp)]
pub(crate) struct TargetBody {
    /// The application it is to run.
    target_sid: Option<String>,
    /// Hash of that application's manifest.
    target_hash: Option<String>,
    /// When that was set.
    date_targeted: Option<String>,
    /// `up-to-date`, `pending` or `error`; null without a target.
    update_status: Option<String>,
    /// 0: no error.
    update_error_code: Option<i64>,
    /// The application it last reported, if it is one of the account's.
    reported_sid: Option<String>,
    /// When it last reported.
    date_reported: Option<String>,
}

/// Whether a device's log lines are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DeviceLogging)]
pub(crate) struct LoggingBody {
    enabled: bool,
    /// When it ends; null: not by itself, or it is off.
    date_expires: Option<String>,
}

/// What belongs to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct DeviceLinks {
    device_configs: String,
    device_secrets: String,
}

/// A page of devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct DeviceList {
    devices: Vec<DeviceBody>,
    meta: Meta,
}

/// Parameters of an update, all optional.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[expect(
    dead_code,
    reason = "describes the form; it is read by `Form`, as clients write its values in several ways"
)]
pub(crate) struct DeviceForm {
    /// A new unique name; empty for none.
    unique_name: Option<String>,
    /// Id or unique name of the application it is to run.
    target_app: Option<String>,
    /// Logging on for 24 hours, or off.
    logging_enabled: Option<bool>,
    /// Beyond the original: `name=value`, once for each label; replaces all labels. Empty: no labels.
    label: Option<Vec<String>>,
}

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(fetch, update, delete)).routes(routes!(revoke))
}

/// Lists the account's devices, the oldest first.
#[utoipa::path(
    get, path = "/v1/Devices", tag = "Devices",
    params(
        ("PageSize" = Option<u32>, Query, description = "Items on a page, 1 to 1000 (50)"),
        ("Page" = Option<u64>, Query, description = "The client's own count of pages"),
        ("PageToken" = Option<String>, Query, description = "From `next_page_url`")
    ),
    responses(
        (status = 200, body = DeviceList),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)
    )
)]
async fn list(State(api): State<Api>, caller: Caller, links: Links) -> Result<Json<DeviceList>, ApiError> {
    let store = caller.permitted(&api, Permission::Read)?;
    let paging = Paging::new(&links)?;
    let after = paging.after_dated(cloud::DeviceId::parse)?;
    let mut found = store.devices_after(after, paging.count()).await?;
    let meta = paging.finish(&links, "devices", &mut found, |device| dated(device.created, device.id));
    let mut devices = Vec::with_capacity(found.len());
    for device in found {
        devices.push(body(&store, &links, device).await?);
    }
    Ok(Json(DeviceList { devices, meta }))
}

/// Fetches a device by its id or unique name.
#[utoipa::path(
    get, path = "/v1/Devices/{sid}", tag = "Devices",
    params(("sid" = String, Path, description = "Id or unique name")),
    responses(
        (status = 200, body = DeviceBody),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)
    )
)]
async fn fetch(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    Path(sid): Path<String>,
) -> Result<Json<DeviceBody>, ApiError> {
    let store = caller.permitted(&api, Permission::Read)?;
    let device = find(&store, &sid).await?;
    Ok(Json(body(&store, &links, device).await?))
}

/// Updates a device: all given properties or none.
#[utoipa::path(
    post, path = "/v1/Devices/{sid}", tag = "Devices",
    params(("sid" = String, Path, description = "Id or unique name")),
    request_body(content = DeviceForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = DeviceBody),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 415, body = ErrorBody)
    )
)]
async fn update(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    Path(sid): Path<String>,
    form: Form,
) -> Result<Json<DeviceBody>, ApiError> {
    let changes_identity = form.get("UniqueName").is_some() || form.get("Label").is_some();
    let permission = if changes_identity { Permission::Own } else { Permission::Deploy };
    let store = caller.permitted(&api, permission)?;
    let device = find(&store, &sid).await?;
    let update = read_update(&store, &form).await?;
    store.update_device(device.id, &update).await?;
    let device = find(&store, device.id.as_str()).await?;
    Ok(Json(body(&store, &links, device).await?))
}

/// Revokes a device's certificate: it is disconnected within a second and cannot connect again. Its data is kept.
#[utoipa::path(
    post, path = "/v1/Devices/{sid}/Revoke", tag = "Devices",
    params(("sid" = String, Path, description = "Id or unique name")),
    responses(
        (status = 200, body = DeviceBody),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)
    )
)]
async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    Path(sid): Path<String>,
) -> Result<Json<DeviceBody>, ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    let device = find(&store, &sid).await?;
    store.revoke_device(device.id).await?;
    let device = find(&store, device.id.as_str()).await?;
    Ok(Json(body(&store, &links, device).await?))
}

/// Deletes a device with its settings and log lines.
#[utoipa::path(
    delete, path = "/v1/Devices/{sid}", tag = "Devices",
    params(("sid" = String, Path, description = "Id or unique name")),
    responses(
        (status = 204),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)
    )
)]
async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(sid): Path<String>,
) -> Result<StatusCode, ApiError> {
    let store = caller.permitted(&api, Permission::Own)?;
    let device = find(&store, &sid).await?;
    // Revoked first: a running cloud closes the connection and sends the device that reason.
    store.revoke_device(device.id).await?;
    store.remove_device(device.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The device of the account with this id or unique name.
pub(crate) async fn find(store: &Store, id_or_name: &str) -> Result<Device, ApiError> {
    store.device_named(id_or_name).await?.ok_or_else(ApiError::not_found)
}

async fn read_update(store: &Store, form: &Form) -> Result<DeviceUpdate, ApiError> {
    let mut update = DeviceUpdate::default();
    if let Some(name) = form.get("UniqueName") {
        update.name = Some((!name.is_empty()).then(|| name.to_owned()));
    }
    // `AppSid` is how scripts wrote it before the original's first public description.
    if let Some(app) = form.get("TargetApp").or_else(|| form.get("AppSid")) {
        let app = store.app_named(app).await?;
        let app = app.ok_or_else(|| {
            ApiError::invalid("the parameter TargetApp names no application of this account")
        })?;
        update.target = Some(app.id);
    }
    if let Some(is_on) = form.boolean("LoggingEnabled")? {
        let expires = wall_millis() + i64::try_from(LOGGING_PERIOD.as_millis()).expect("a day");
        update.logging = Some((is_on, is_on.then_some(expires)));
    }
    if form.boolean("RestartApp")? == Some(true) {
        return Err(ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            crate::codes::INVALID,
            "RestartApp is not supported yet: this version of the link has no request to restart an application",
        ));
    }
    if form.get("Label").is_some() {
        let labels = form.all("Label").filter(|label| !label.is_empty()).map(|label| {
            let (name, value) = label.split_once('=').unwrap_or((label, ""));
            Label::new(name, value)
        });
        update.labels = Some(labels.collect::<Result<_, _>>()?);
    }
    Ok(update)
}

async fn body(store: &Store, links: &Links, device: Device) -> Result<DeviceBody, ApiError> {
    let url = links.to(&format!("/v1/Devices/{}", device.id));
    let labels = store.labels(device.id).await?;
    Ok(DeviceBody {
        sid: device.id.to_string(),
        unique_name: device.name.clone(),
        account_sid: store.account().to_owned(),
        app: target(store, &device).await?,
        logging: LoggingBody { enabled: device.logging, date_expires: device.logging_expires.map(date) },
        date_created: date(device.created),
        date_updated: date(device.updated),
        links: DeviceLinks {
            device_configs: format!("{url}/Configs"),
            device_secrets: format!("{url}/Secrets"),
        },
        url,
        state: state(&device).to_owned(),
        date_seen: device.seen.map(date),
        labels: labels.into_iter().map(|Label { name, value }| (name, value)).collect(),
    })
}

fn state(device: &Device) -> &'static str {
    match device {
        Device { revoked: Some(_), .. } => "revoked",
        Device { connected: true, .. } => "connected",
        Device { seen: Some(_), .. } => "away",
        _ => "never",
    }
}

async fn target(store: &Store, device: &Device) -> Result<TargetBody, ApiError> {
    let target = match device.target {
        Some(id) => store.app(id).await?,
        None => None,
    };
    let reported = match device.image {
        Some(image) => store.app_with_image(image).await?,
        None => None,
    };
    let is_running = |app: &App| device.image == Some(app.image);
    let status = target.as_ref().map(|app| if is_running(app) { "up-to-date" } else { "pending" });
    // Of several applications with one image, the target.
    let reported = target.clone().filter(is_running).or(reported);
    Ok(TargetBody {
        target_sid: target.as_ref().map(|app| app.id.to_string()),
        target_hash: target.as_ref().map(|app| hash_text(&app.hash)),
        date_targeted: device.targeted.map(date),
        update_status: status.map(str::to_owned),
        update_error_code: status.map(|_| 0),
        reported_sid: reported.map(|app| app.id.to_string()),
        date_reported: device.seen.filter(|_| device.image.is_some()).map(date),
    })
}
