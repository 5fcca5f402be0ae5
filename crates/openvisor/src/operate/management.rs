//! The management API as the operator's commands use it: its routes, called in process on a data folder or over HTTP at
//! a cloud elsewhere.
//!
//! The commands thereby accept and refuse exactly what the API does, and every change is recorded alike (D371).
//! `target.rs`: which cloud is meant. `remote.rs`: HTTP. `trust.rs`: whose certificate is accepted.

pub(crate) mod remote;
pub(crate) mod target;
pub(crate) mod trust;

use api::{Api, Caller, LinkPolicy};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use cloud::AccountId;
use cloud::store::Role;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use self::remote::Remote;
use self::target::Target;
use super::cloud_data::{CloudData, command_actor};
use crate::options::CloudFolderOptions;
use crate::output::exit::Failure;
use crate::output::timeline::printable;

/// Items asked for at a time.
const PAGE_SIZE: u32 = 1000;

/// The routes of the API, as somebody calls them who has credentials of one account.
pub(crate) struct Management(Transport);

enum Transport {
    Folder(Box<Folder>),
    Remote(Remote),
}

/// The routes on a data folder, as the owner of the account calls them.
struct Folder {
    data: CloudData,
    router: Router,
    caller: Caller,
}

impl Management {
    /// Opens the cloud that the options name. On a data folder: for the account with this id or name, or for the oldest
    /// one. At a URL the key says whose account it is, so that another `account` is refused.
    pub(crate) async fn open(options: &CloudFolderOptions, account: Option<&str>) -> Result<Self, Failure> {
        match target::select(options)? {
            Target::Folder(_) => {
                let folder = Folder::open(options, account).await?;
                Ok(Self(Transport::Folder(Box::new(folder))))
            }
            Target::Remote(address) => {
                let cloud = Self(Transport::Remote(Remote::new(&address)?));
                if let Some(account) = account {
                    cloud.require_account(account, &address.url).await?;
                }
                Ok(cloud)
            }
        }
    }

    async fn require_account(&self, account: &str, url: &str) -> Result<(), Failure> {
        let own = self.get("/v1/Accounts/me").await?;
        if [&own["sid"], &own["unique_name"]].contains(&&Value::from(account)) {
            return Ok(());
        }
        let account = printable(account);
        Err(Failure::bad_input(format!("--account {account}: the key at {url} is of another account")).hint(
            "log in with a key of that account, under another name: openvisor login URL --profile NAME",
        ))
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
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let (status, body) = match &self.0 {
            Transport::Folder(folder) => folder.request(method, path, form).await?,
            Transport::Remote(remote) => remote.request(method, path, form).await?,
        };
        let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if (200..300).contains(&status) {
            return Ok(value);
        }
        let refused = refusal(status, &value);
        Err(match &self.0 {
            Transport::Folder(_) => refused,
            Transport::Remote(remote) => remote.explain(status, refused),
        })
    }

    /// Closes the database.
    pub(crate) async fn close(self) {
        match self.0 {
            Transport::Folder(folder) => folder.data.close().await,
            Transport::Remote(_) => {}
        }
    }
}

impl Folder {
    async fn open(options: &CloudFolderOptions, account: Option<&str>) -> Result<Self, Failure> {
        let data = CloudData::open(options, account).await?;
        let store = data.store();
        let account = AccountId::parse(store.account()).expect("a store has an account's id");
        let caller = Caller { account, role: Role::Owner, key: None, actor: command_actor() };
        let router = api::router(Api::new(store.clone(), LinkPolicy::Http));
        Ok(Self { data, router, caller })
    }

    async fn request(&self, method: &str, path: &str, form: String) -> Result<(u16, Bytes), Failure> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .extension(self.caller.clone())
            .body(Body::from(form))
            .map_err(|error| Failure::bad_input(format!("not a path of the API: {error}")))?;
        let response = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| Failure::failed(format!("the API's answer ends early: {error}")))?;
        Ok((status, body.to_bytes()))
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
