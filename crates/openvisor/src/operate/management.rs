//! The management API as the operator's commands use it: its routes, called in process on a data folder.
//!
//! The commands thereby accept and refuse exactly what the API does, and every change is recorded alike (D371).

use api::{Api, Caller, LinkPolicy};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use cloud::AccountId;
use cloud::store::Role;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::cloud_data::{CloudData, command_actor};
use crate::options::CloudFolderOptions;
use crate::output::exit::Failure;

/// Items asked for at a time.
const PAGE_SIZE: u32 = 1000;

/// The routes of the API, as the owner of one account calls them.
pub(crate) struct Management {
    data: CloudData,
    router: Router,
    caller: Caller,
}

impl Management {
    /// Opens a data folder for the account with this id or name, or for the oldest one.
    pub(crate) async fn open(options: &CloudFolderOptions, account: Option<&str>) -> Result<Self, Failure> {
        let data = CloudData::open(options, account).await?;
        let store = data.store();
        let account = AccountId::parse(store.account()).expect("a store has an account's id");
        let caller = Caller { account, role: Role::Owner, key: None, actor: command_actor() };
        let router = api::router(Api::new(store.clone(), LinkPolicy::Http));
        Ok(Self { data, router, caller })
    }

    /// Fetches a resource.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.request("GET", path, &[]).await
    }

    /// Creates or changes a resource.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Value, Failure> {
        self.request("POST", path, form).await
    }

    /// Deletes a resource.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.request("DELETE", path, &[]).await.map(drop)
    }

    /// The items of a list, over all its pages, at most `limit` if given.
    pub(crate) async fn list(&self, path: &str, limit: Option<usize>) -> Result<Vec<Value>, Failure> {
        let size =
            limit.map_or(PAGE_SIZE, |limit| u32::try_from(limit).unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE));
        let (mut items, mut next) = (Vec::new(), Some(format!("{path}?PageSize={size}")));
        while let Some(url) = next {
            let mut page = self.get(&url).await?;
            let key = page["meta"]["key"].as_str().unwrap_or_default().to_owned();
            if let Value::Array(found) = page[&*key].take() {
                items.extend(found);
            }
            if limit.is_some_and(|limit| items.len() >= limit) {
                items.truncate(limit.unwrap_or(usize::MAX));
                break;
            }
            next = page["meta"]["next_page_url"].as_str().map(str::to_owned);
        }
        Ok(items)
    }

    async fn request(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Result<Value, Failure> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .extension(self.caller.clone())
            .body(Body::from(body))
            .map_err(|error| Failure::bad_input(format!("not a path of the API: {error}")))?;
        let response = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body
            .map_err(|error| Failure::failed(format!("the API's answer ends early: {error}")))?
            .to_bytes();
        let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status.is_success() { Ok(value) } else { Err(refusal(status.as_u16(), &value)) }
    }

    /// Closes the database.
    pub(crate) async fn close(self) {
        self.data.close().await;
    }
}

/// Why the API refused a request.
fn refusal(status: u16, body: &Value) -> Failure {
    let message = body["message"].as_str().unwrap_or("the request failed").to_owned();
    match status {
        400..500 => Failure::bad_input(message),
        _ => Failure::failed(message),
    }
}

/// A segment of a path, with everything encoded that has a meaning there.
pub(crate) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
