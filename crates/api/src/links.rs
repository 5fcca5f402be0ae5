//! The URLs in responses. Clients follow them as they are, so they must name the host the client used.

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};

use crate::Api;
use crate::error::ApiError;
use crate::limits::HOST_BYTES;

/// How the scheme and host of links are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPolicy {
    /// The API is served without TLS, to this machine.
    Http,
    /// The API is served with TLS.
    Https,
    /// A proxy in front of it says what the client used, by `X-Forwarded-Proto` and `X-Forwarded-Host`.
    BehindProxy,
}

/// The base of links in the response to one request, as `https://host:port`, and the request's own path and query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Links {
    base: String,
    request: Uri,
}

impl Links {
    /// The URL of a path, which begins with `/`.
    pub(crate) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Path of the request, without its query.
    pub(crate) fn path(&self) -> &str {
        self.request.path()
    }

    /// Query of the request.
    pub(crate) fn query(&self) -> &str {
        self.request.query().unwrap_or_default()
    }
}

impl FromRequestParts<Api> for Links {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let OriginalUri(request) = OriginalUri::from_request_parts(parts, api).await.expect("infallible");
        let base = base(api.links, &parts.headers, &request)?;
        Ok(Self { base, request })
    }
}

fn base(policy: LinkPolicy, headers: &HeaderMap, request: &Uri) -> Result<String, ApiError> {
    let forwarded = |name: &str| {
        let value = headers.get(name).filter(|_| policy == LinkPolicy::BehindProxy)?;
        // Of a list of proxies the first is the one that the client spoke to.
        value.to_str().ok()?.split(',').next().map(|text| text.trim().to_owned())
    };
    let is_tls = match (policy, forwarded("x-forwarded-proto")) {
        (_, Some(scheme)) => scheme.eq_ignore_ascii_case("https"),
        (policy, None) => policy == LinkPolicy::Https,
    };
    let named = request.authority().map(|authority| authority.as_str().to_owned());
    let header = || headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let host = forwarded("x-forwarded-host").or(named).or_else(header).unwrap_or_else(|| "localhost".into());
    if !is_host(&host) {
        return Err(ApiError::invalid("the Host header is not a host"));
    }
    Ok(format!("{}://{host}", if is_tls { "https" } else { "http" }))
}

/// A name or address with or without a port: nothing else may get into a link.
fn is_host(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    (1..=HOST_BYTES).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        pairs.iter().map(pair).collect()
    }

    /// Shows D377.
    #[test]
    fn links_name_the_host_the_client_used() {
        let path = Uri::from_static("/v1/Devices");
        let own = headers(&[("host", "127.0.0.1:7885"), ("x-forwarded-host", "evil.example")]);
        assert_eq!(base(LinkPolicy::Http, &own, &path).as_deref(), Ok("http://127.0.0.1:7885"));
        let vendor = headers(&[("host", "microvisor.twilio.com")]);
        assert_eq!(base(LinkPolicy::Https, &vendor, &path).as_deref(), Ok("https://microvisor.twilio.com"));
        let proxied = headers(&[
            ("host", "127.0.0.1:7885"),
            ("x-forwarded-host", "cloud.example, inner"),
            ("x-forwarded-proto", "https"),
        ]);
        assert_eq!(base(LinkPolicy::BehindProxy, &proxied, &path).as_deref(), Ok("https://cloud.example"));
        let absolute = Uri::from_static("http://microvisor.twilio.com/v1/Devices");
        assert_eq!(base(LinkPolicy::Http, &own, &absolute).as_deref(), Ok("http://microvisor.twilio.com"));
        let bad = headers(&[("host", "a\"b/c")]);
        assert!(base(LinkPolicy::Http, &bad, &path).is_err());
    }
}
