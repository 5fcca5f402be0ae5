//! Errors as the API answers them.

use axum::Json;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cloud::store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Api;
use crate::links::Links;

/// The numbers in error bodies. 20003 and 20404 are the original's; the others are ours (D374).
pub mod codes {
    /// A parameter is missing or invalid.
    pub const INVALID: u32 = 20001;
    /// No or wrong credentials.
    pub const AUTHENTICATE: u32 = 20003;
    /// The method is not one of this route's.
    pub const METHOD: u32 = 20004;
    /// The credentials' role does not permit it.
    pub const FORBIDDEN: u32 = 20403;
    /// There is no such thing, or it belongs to another account.
    pub const NOT_FOUND: u32 = 20404;
    /// A request that took too long to arrive.
    pub const TIMEOUT: u32 = 20408;
    /// It exists already, or is in use.
    pub const CONFLICT: u32 = 20409;
    /// The body is too large.
    pub const TOO_LARGE: u32 = 20413;
    /// The body is of another kind than the route takes.
    pub const MEDIA_TYPE: u32 = 20415;
    /// Too many requests, or too many failed authentications.
    pub const TOO_MANY: u32 = 20429;
    /// A fault of the cloud.
    pub const INTERNAL: u32 = 20500;
    /// The store cannot be reached now.
    pub const UNAVAILABLE: u32 = 20503;

    /// Every number, its status and what it means, as `/docs/errors` shows them.
    pub const ALL: &[(u32, u16, &str)] = &[
        (INVALID, 400, "A parameter is missing or invalid. The message names it."),
        (AUTHENTICATE, 401, "No or wrong credentials, or a revoked or expired API key."),
        (METHOD, 405, "The route has no such method. The header Allow lists those it has."),
        (FORBIDDEN, 403, "The role of the API key does not permit this request."),
        (NOT_FOUND, 404, "There is no such thing, or it belongs to another account."),
        (TIMEOUT, 408, "The request took too long to arrive."),
        (CONFLICT, 409, "It exists already, or is in use. The message says which."),
        (TOO_LARGE, 413, "The body is larger than the route takes."),
        (
            MEDIA_TYPE,
            415,
            "The body is of another kind than the route takes. The message names the right one.",
        ),
        (TOO_MANY, 429, "Too many failed authentications. The header Retry-After says when to try again."),
        (INTERNAL, 500, "A fault of the cloud. Its log says more."),
        (UNAVAILABLE, 503, "The cloud cannot reach its store now. Try again later."),
    ];
}

/// The body of every error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What kind of error, for programs.
    pub code: u32,
    /// What happened and what to do, human-readable.
    pub message: String,
    /// Where more is said.
    pub more_info: String,
    /// The status of the response.
    pub status: u16,
}

/// Makes the link in the body of an error absolute, with the host that the client used.
pub(crate) async fn absolute_links(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let links = Links::from_request_parts(&mut parts, &api).await;
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let (Some(mut body), Ok(links)) = (response.extensions_mut().remove::<ErrorBody>(), links) {
        body.more_info = links.to(&body.more_info);
        let absolute = Json(body).into_response();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = absolute.into_body();
    }
    response
}

/// Why a request was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: u32,
    message: String,
    /// Seconds after which to try again.
    retry_after: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// A parameter is missing or invalid.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, codes::INVALID, message)
    }

    /// There is no such thing in this account.
    pub(crate) fn not_found() -> Self {
        let message = "The requested resource was not found";
        Self::new(StatusCode::NOT_FOUND, codes::NOT_FOUND, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, codes::CONFLICT, message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, codes::FORBIDDEN, message)
    }

    pub(crate) fn authenticate() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, codes::AUTHENTICATE, "Authenticate")
    }

    pub(crate) fn too_many(message: impl Into<String>, retry_after: u64) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, codes::TOO_MANY, message);
        Self { retry_after: Some(retry_after), ..error }
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    fn body(&self) -> ErrorBody {
        ErrorBody {
            code: self.code,
            message: self.message.clone(),
            more_info: format!("/docs/errors#{}", self.code),
            status: self.status.as_u16(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = self.body();
        let mut response = (self.status, Json(body.clone())).into_response();
        // `absolute_links` writes the body again, once it is known which host the client used.
        response.extensions_mut().insert(body);
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Basic realm=\"openvisor\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<StoreError> for ApiError {
    /// The message of a user's mistake is in the response; of a fault only that there was one, because its text may
    /// show how the cloud is set up. It is logged.
    fn from(error: StoreError) -> Self {
        use StoreError as E;
        match error {
            E::InvalidKey
            | E::ValueTooLong
            | E::InvalidName
            | E::InvalidAccountName
            | E::InvalidKeyName
            | E::InvalidLabel => Self::invalid(error.to_string()),
            E::NameTaken(_)
            | E::AccountNameTaken(_)
            | E::AppNameTaken(_)
            | E::AppInUse(_)
            | E::AccountInUse(_)
            | E::KeyLimit
            | E::AppLimit => Self::conflict(error.to_string()),
            E::NoDevice(_) | E::NoAccount(_) | E::NoApp(_) | E::NoApiKey(_) => Self::not_found(),
            E::Unreachable { .. } | E::TimedOut | E::InUse(_) | E::Replaced(_) | E::AuthorizationsUnknown => {
                tracing::error!(name: "api_store_failed", %error, "the store cannot be used");
                let message = "The store cannot be reached now; try again later";
                let unavailable = Self::new(StatusCode::SERVICE_UNAVAILABLE, codes::UNAVAILABLE, message);
                Self { retry_after: Some(5), ..unavailable }
            }
            _ => {
                tracing::error!(name: "api_request_failed", %error, "a request failed");
                let message = "The request failed; the cloud's log says why";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, codes::INTERNAL, message)
            }
        }
    }
}
