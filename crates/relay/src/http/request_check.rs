//! Which HTTP requests are sent: all that can be checked without the network. The cloud checks because the kernel
//! accepts any request; a fault is the request's result (D60).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use link::http::{self as frame, HttpResult};
use sansio::Duration;

use crate::limits::{HTTP_TIMEOUT_MILLIS, MAX_HTTP_HEADERS};
use crate::protocol::{HttpError, HttpRequest};
use crate::text;

/// The methods that are sent. Their names are case-sensitive (RFC 9110 section 9.1).
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

/// Headers the application may not send: those of one connection only (RFC 9110 section 7.6.1) and of a proxy, since
/// the connection is the cloud's; and those the cloud derives from the URL and the body, which must not contradict
/// them (D60).
const FORBIDDEN: [&str; 11] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Why a request is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    Scheme,
    Method,
    Headers,
    Timeout,
    /// The URL is not text.
    Url,
}

impl Rejection {
    /// The result in the response.
    pub(super) fn result(self) -> HttpResult {
        match self {
            Self::Scheme => HttpResult::UnsupportedScheme,
            Self::Method => HttpResult::UnsupportedMethod,
            Self::Headers => HttpResult::InvalidHeaders,
            Self::Timeout => HttpResult::InvalidTimeout,
            Self::Url => HttpResult::RequestFailed,
        }
    }

    /// The reason, for timelines.
    pub(super) fn text(self) -> String {
        match self {
            Self::Scheme => "the URL's scheme is not https".into(),
            Self::Method => "the method is not supported".into(),
            Self::Headers => "a header is malformed or not allowed".into(),
            Self::Timeout => "the timeout is not allowed".into(),
            Self::Url => HttpError::InvalidUrl.to_string(),
        }
    }
}

/// The request to send, if all of it is allowed. The first fault decides, in the order of the results' numbers.
pub(super) fn check(
    request: &frame::HttpRequest<'_>,
    max_response_length: u32,
) -> Result<HttpRequest, Rejection> {
    if !is_https(request.url) {
        return Err(Rejection::Scheme);
    }
    let method =
        METHODS.into_iter().find(|method| method.as_bytes() == request.method).ok_or(Rejection::Method)?;
    let headers: Option<Vec<_>> = request.headers.iter().map(header).collect();
    let headers = headers.filter(|headers| headers.len() <= MAX_HTTP_HEADERS).ok_or(Rejection::Headers)?;
    if !HTTP_TIMEOUT_MILLIS.contains(&request.timeout) {
        return Err(Rejection::Timeout);
    }
    // The URL parser would silently drop line breaks and tabs.
    let url = core::str::from_utf8(request.url).ok().filter(|_| !text::has_control_characters(request.url));
    let url = url.ok_or(Rejection::Url)?.into();
    Ok(HttpRequest {
        method,
        url,
        headers,
        body: request.body.to_vec(),
        timeout: Duration::from_millis(request.timeout.into()),
        max_response_length,
    })
}

/// Schemes are not case-sensitive (RFC 3986 section 3.1).
fn is_https(url: &[u8]) -> bool {
    url.split(|&byte| byte == b':').next().is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"))
        && url.len() > b"https".len()
}

/// Name and value of a header line; `None` when it is malformed (RFC 9110 section 5) or may not be sent.
fn header(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], trimmed(&line[colon + 1..]));
    let sound = !name.is_empty() && name.iter().copied().all(is_token) && is_field(value);
    let name = core::str::from_utf8(name).ok().filter(|_| sound)?;
    let forbidden = FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden));
    (!forbidden).then(|| (name.into(), value.to_vec()))
}

/// A field value without the blanks around it; a line break is not a blank.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A byte of a token (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a field value may be sent: visible characters, blanks and tabs between them, and what is beyond ASCII (RFC
/// 9110 section 5.5) but for the control characters there, which some servers take for line ends (D185).
fn is_field(value: &[u8]) -> bool {
    value.split(|&byte| byte == b'\t').all(|part| !text::has_control_characters(part))
}
