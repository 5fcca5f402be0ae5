//! Every route, and what holds for all of them.

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi as Description;
use utoipa_axum::router::OpenApiRouter;

use crate::Api;
use crate::authentication::authenticate;
use crate::error::{ApiError, absolute_links, codes};
use crate::limits::{FORM_BYTES, REQUEST_TIMEOUT};
use crate::openapi::Head;
use crate::{accounts, apps, audit, devices, items, keys, logs, openapi, reference};

/// The routes of the API on `api`.
pub fn router(api: Api) -> Router {
    let (routes, description) = routes().split_for_parts();
    let public = reference::routes(&openapi::complete(description));
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(from_fn_with_state(api.clone(), authenticate))
        .merge(public)
        .layer(from_fn(time_limit))
        .layer(from_fn_with_state(api.clone(), absolute_links))
        .with_state(api)
}

/// The description of the API, OpenAPI 3.1.
pub fn description() -> Description {
    openapi::complete(routes().split_for_parts().1)
}

fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Head::openapi())
        .merge(accounts::routes())
        .merge(apps::routes())
        .merge(audit::routes())
        .merge(devices::routes())
        .merge(items::routes())
        .merge(keys::routes())
        .merge(logs::routes())
}

async fn not_found() -> ApiError {
    ApiError::not_found()
}

async fn method_not_allowed() -> ApiError {
    let message = "This method is not supported here";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, codes::METHOD, message)
}

/// Ends a request that takes too long: its body did not arrive. It is about the head of the response only, so that
/// streams continue.
async fn time_limit(request: Request, next: Next) -> Response {
    let limit: Duration = REQUEST_TIMEOUT;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(StatusCode::REQUEST_TIMEOUT, codes::TIMEOUT, "The request took too long")
            .into_response(),
    }
}
