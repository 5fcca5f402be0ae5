//! Authentication: HTTP Basic with an account and its auth token, or with an API key and its secret.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud::store::{Actor, Role};
use cloud::{AccountId, ApiKeyId};

use crate::Api;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::failures::Subject;
use crate::limits::FAILURE_WINDOW;

/// User name and password of Basic authentication.
struct Credentials {
    user: String,
    password: String,
}

/// Lets a request pass if it is authenticated, and makes its [`Caller`] known to the handler. A request that has one
/// already comes from inside the process.
pub(crate) async fn authenticate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    if request.extensions().get::<Caller>().is_none() {
        let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        match caller(&api, request.headers(), address).await {
            Ok(caller) => request.extensions_mut().insert(caller),
            Err(error) => return error.into_response(),
        };
    }
    next.run(request).await
}

async fn caller(api: &Api, headers: &HeaderMap, address: Option<SocketAddr>) -> Result<Caller, ApiError> {
    let credentials = credentials(headers).ok_or_else(ApiError::authenticate)?;
    let subjects = [
        address.map(|address| Subject::address(address.ip())),
        Some(Subject::User(credentials.user.chars().take(AccountId::LENGTH + 1).collect())),
    ];
    if subjects.iter().flatten().any(|subject| api.failures.is_blocked(subject)) {
        return Err(ApiError::too_many(
            "Too many failed authentications; try again later",
            FAILURE_WINDOW.as_secs(),
        ));
    }
    let source = address.map_or_else(|| "local".to_owned(), |address| address.ip().to_string());
    if let Some(caller) = look_up(api, &credentials, source).await? {
        return Ok(caller);
    }
    for subject in subjects.into_iter().flatten() {
        api.failures.count(subject);
    }
    Err(ApiError::authenticate())
}

async fn look_up(api: &Api, credentials: &Credentials, source: String) -> Result<Option<Caller>, ApiError> {
    let Credentials { user, password } = credentials;
    let actor = Actor { name: user.clone(), source };
    if let Some(id) = ApiKeyId::parse(user) {
        let key = api.store.authenticate_key(id, password).await?;
        return Ok(key.map(|key| Caller { account: key.account, role: key.role, key: Some(id), actor }));
    }
    let Some(account) = AccountId::parse(user) else { return Ok(None) };
    let is_known = api.store.authenticate_token(account, password).await?;
    Ok(is_known.then_some(Caller { account, role: Role::Owner, key: None, actor }))
}

fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(Credentials { user: user.to_owned(), password: password.to_owned() })
}
