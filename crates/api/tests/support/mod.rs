//! A store with an API on it, and requests to it in process. Every response is compared with the description (D382).
#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod description;

use api::{Api, LinkPolicy};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud::data::DataFolder;
use cloud::{DeviceId, Store, provision};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

pub(crate) struct Fixture {
    folder: TempDir,
    pub(crate) store: Store,
    pub(crate) router: Router,
    token: String,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) json: Value,
    pub(crate) body: String,
    headers: HeaderMap,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(|api| api).await
    }

    /// With an API that is set up in some way.
    pub(crate) async fn with(set_up: impl FnOnce(Api) -> Api) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::open(folder.path()).expect("made");
        let store = Store::open(&data).await.expect("opened");
        let token = store.rotate_token().await.expect("made").as_str().to_owned();
        let router = api::router(set_up(Api::new(store.clone(), LinkPolicy::Http)));
        Self { folder, store, router, token }
    }

    pub(crate) async fn device(&self, name: Option<&str>) -> DeviceId {
        provision(self.folder.path(), None, name).await.expect("provisioned").device_id
    }

    /// Basic authentication of the account with this token.
    pub(crate) fn basic(&self, token: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{token}", self.store.account())))
    }

    pub(crate) fn owner(&self) -> String {
        self.basic(&self.token)
    }

    /// Basic authentication with the key in the response that created it.
    pub(crate) fn basic_of(created: &Reply) -> String {
        let text = |name: &str| created.json[name].as_str().expect("a text").to_owned();
        format!("Basic {}", STANDARD.encode(format!("{}:{}", text("sid"), text("secret"))))
    }

    pub(crate) async fn foreign_owner(&self) -> String {
        let account = self.store.add_account(Some("other")).await.expect("created");
        let token = self.store.of_account(account.id).rotate_token().await.expect("made");
        format!("Basic {}", STANDARD.encode(format!("{}:{}", account.id, token.as_str())))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, Some(&self.owner()), "").await
    }

    pub(crate) async fn post(&self, path: &str, form: &str) -> Reply {
        self.send("POST", path, Some(&self.owner()), form).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, Some(&self.owner()), "").await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        form: &str,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.request(request.body(Body::from(form.to_owned())).expect("a request")).await
    }

    /// Uploads a bundle as `multipart/form-data`.
    pub(crate) async fn upload(&self, bundle: &[u8], name: Option<&str>) -> Reply {
        const BOUNDARY: &str = "----------------boundary";
        let mut body = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"File\"; filename=\"app.zip\"\r\n\
             Content-Type: application/zip\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(bundle);
        if let Some(name) = name {
            let part = format!(
                "\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"UniqueName\"\r\n\r\n{name}"
            );
            body.extend_from_slice(part.as_bytes());
        }
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let request = Request::builder()
            .method("POST")
            .uri("/v1/Apps")
            .header("host", "localhost")
            .header("authorization", self.owner())
            .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"));
        self.request(request.body(Body::from(body)).expect("a request")).await
    }

    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    async fn request(&self, request: Request<Body>) -> Reply {
        let (method, path) = (request.method().to_string(), request.uri().to_string());
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        let body = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let json = serde_json::from_str(&body).unwrap_or(Value::Null);
        if path.starts_with("/v1") {
            let description = serde_json::to_value(api::description()).expect("JSON");
            assert_eq!(description::fault(&description, &method, &path, status, &json), None);
        }
        Reply { status, json, body, headers }
    }

    /// A valid bundle with a small image.
    pub(crate) fn bundle() -> Vec<u8> {
        let mut image = vec![0; 0x400];
        image[..8].copy_from_slice(&[0, 0, 8, 0x20, 1, 2, 0, 8]);
        let policies = bundle::Policies::default();
        bundle::Bundle::write(&image, &policies, api::limits::DEVICE, None).expect("a bundle")
    }
}
