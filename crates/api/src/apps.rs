//! Applications: uploading a bundle, listing, manifests, removing.

use axum::Json;
use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, Multipart, Path, State};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle::Bundle;
use cloud::Store;
use cloud::store::{App, NewApp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;
use crate::caller::{Caller, Permission};
use crate::dates::date;
use crate::error::{ApiError, ErrorBody, codes};
use crate::form::body_error;
use crate::limits::{BUNDLE_BYTES, DEVICE};
use crate::links::Links;
use crate::page::{Meta, Paging, dated};

/// An application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = App)]
pub(crate) struct AppBody {
    /// Its id: `KA` and 32 hexadecimal digits.
    sid: String,
    /// Its account.
    account_sid: String,
    /// `sha256:` and the hash of its manifest.
    hash: String,
    /// Its unique name.
    unique_name: Option<String>,
    /// When it was uploaded.
    date_created: String,
    /// When it was last changed.
    date_updated: String,
    /// This resource.
    url: String,
    links: AppLinks,
}

/// What belongs to an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct AppLinks {
    app_manifests: String,
}

/// The manifest of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AppManifest)]
pub(crate) struct ManifestBody {
    app_sid: String,
    /// `sha256:` and the hash of the manifest.
    hash: String,
    /// The manifest, base64.
    encoded_bytes: String,
    /// This resource.
    url: String,
}

/// A page of applications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct AppList {
    apps: Vec<AppBody>,
    meta: Meta,
}

/// The parts of an upload.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[expect(dead_code, reason = "describes the upload, which is read part by part")]
pub(crate) struct Upload {
    /// The bundle: a zip archive.
    #[schema(format = Binary)]
    file: String,
    /// A unique name.
    unique_name: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(upload))
        .layer(DefaultBodyLimit::max(BUNDLE_BYTES))
        .routes(routes!(list))
        .routes(routes!(fetch, delete))
        .routes(routes!(manifest))
}

/// Lists the account's applications in the order of their upload.
#[utoipa::path(
    get, path = "/v1/Apps", tag = "Apps",
    params(
        ("PageSize" = Option<u32>, Query, description = "Items on a page, 1 to 1000 (50)"),
        ("Page" = Option<u64>, Query, description = "The client's own count of pages"),
        ("PageToken" = Option<String>, Query, description = "From `next_page_url`")
    ),
    responses(
        (status = 200, body = AppList),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)
    )
)]
async fn list(State(api): State<Api>, caller: Caller, links: Links) -> Result<Json<AppList>, ApiError> {
    let store = caller.permitted(&api, Permission::Read)?;
    let paging = Paging::new(&links)?;
    let after = paging.after_dated(cloud::AppId::parse)?;
    let mut found = store.apps(after, paging.count()).await?;
    let meta = paging.finish(&links, "apps", &mut found, |app| dated(app.created, app.id));
    let apps = found.iter().map(|app| body(&store, &links, app)).collect();
    Ok(Json(AppList { apps, meta }))
}

/// Fetches an application by its id or unique name.
#[utoipa::path(
    get, path = "/v1/Apps/{sid}", tag = "Apps",
    params(("sid" = String, Path, description = "Id or unique name")),
    responses(
        (status = 200, body = AppBody),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)
    )
)]
async fn fetch(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    Path(sid): Path<String>,
) -> Result<Json<AppBody>, ApiError> {
    let store = caller.permitted(&api, Permission::Read)?;
    Ok(Json(body(&store, &links, &find(&store, &sid).await?)))
}

/// Fetches the manifest of an application.
#[utoipa::path(
    get, path = "/v1/Apps/{sid}/Manifest", tag = "Apps",
    params(("sid" = String, Path, description = "Id or unique name")),
    responses(
        (status = 200, body = ManifestBody),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)
    )
)]
async fn manifest(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    Path(sid): Path<String>,
) -> Result<Json<ManifestBody>, ApiError> {
    let store = caller.permitted(&api, Permission::Read)?;
    let app = find(&store, &sid).await?;
    let manifest = store.app_manifest(app.id).await?.ok_or_else(ApiError::not_found)?;
    Ok(Json(ManifestBody {
        app_sid: app.id.to_string(),
        hash: hash_text(&app.hash),
        encoded_bytes: STANDARD.encode(manifest),
        url: links.to(&format!("/v1/Apps/{}/Manifest", app.id)),
    }))
}

/// Removes an application that no device runs or is to run.
#[utoipa::path(
    delete, path = "/v1/Apps/{sid}", tag = "Apps",
    params(("sid" = String, Path, description = "Id or unique name")),
    responses(
        (status = 204),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "A device runs it or is to run it")
    )
)]
async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(sid): Path<String>,
) -> Result<StatusCode, ApiError> {
    let store = caller.permitted(&api, Permission::Deploy)?;
    let app = find(&store, &sid).await?;
    if store.remove_app(app.id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}

/// Uploads a bundle. The same bundle again answers the application there is already.
#[utoipa::path(
    post, path = "/v1/Apps", tag = "Apps",
    request_body(content = Upload, content_type = "multipart/form-data"),
    responses(
        (status = 201, body = AppBody, description = "A new application"),
        (status = 200, body = AppBody, description = "The account has it already"),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 413, body = ErrorBody), (status = 415, body = ErrorBody)
    )
)]
async fn upload(
    State(api): State<Api>,
    caller: Caller,
    links: Links,
    parts: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Result<(StatusCode, Json<AppBody>), ApiError> {
    let store = caller.permitted(&api, Permission::Deploy)?;
    let parts = parts.map_err(|_| {
        let message = "the body must be multipart/form-data, with the bundle as the part `File`";
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, codes::MEDIA_TYPE, message)
    })?;
    let (file, name) = read_parts(parts).await?;
    let (app, is_new) = add(&store, &file, name.as_deref()).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(body(&store, &links, &app))))
}

async fn read_parts(mut parts: Multipart) -> Result<(Vec<u8>, Option<String>), ApiError> {
    let failed = |error: MultipartError| body_error(error.status());
    let (mut file, mut name) = (None, None);
    while let Some(part) = parts.next_field().await.map_err(failed)? {
        match part.name() {
            Some("File") => file = Some(part.bytes().await.map_err(failed)?.to_vec()),
            Some("UniqueName") => name = Some(part.text().await.map_err(failed)?),
            // Read to its end, so that the next part can be.
            _ => drop(part.bytes().await.map_err(failed)?),
        }
    }
    let file = file.ok_or_else(|| ApiError::invalid("the part `File`, with the bundle, is missing"))?;
    Ok((file, name.filter(|name| !name.is_empty())))
}

/// Verifies a bundle and stores it.
async fn add(store: &Store, file: &[u8], name: Option<&str>) -> Result<(App, bool), ApiError> {
    let invalid = |error| ApiError::invalid(format!("the bundle is not valid: {error}"));
    let bundle = Bundle::read(file, DEVICE).map_err(invalid)?;
    let layers: Vec<_> = std::iter::once(bundle.image())
        .chain(bundle.external())
        .map(|layer| (layer.fetch_hash(), &*layer.bytes))
        .collect();
    let new = NewApp {
        name,
        manifest: bundle.manifest(),
        hash: bundle.manifest_hash(),
        image: bundle.image().fetch_hash(),
        layers: &layers,
    };
    Ok(store.add_app(new).await?)
}

async fn find(store: &Store, id_or_name: &str) -> Result<App, ApiError> {
    store.app_named(id_or_name).await?.ok_or_else(ApiError::not_found)
}

fn body(store: &Store, links: &Links, app: &App) -> AppBody {
    let url = links.to(&format!("/v1/Apps/{}", app.id));
    AppBody {
        sid: app.id.to_string(),
        account_sid: store.account().to_owned(),
        hash: hash_text(&app.hash),
        unique_name: app.name.clone(),
        date_created: date(app.created),
        date_updated: date(app.updated),
        links: AppLinks { app_manifests: format!("{url}/Manifest") },
        url,
    }
}

/// A hash as the API writes it.
pub(crate) fn hash_text(hash: &[u8; 32]) -> String {
    hash.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
